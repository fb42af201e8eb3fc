"""Tensors: construction, conversion, comparison, copies."""

import copy
import pickle

import numpy as np
import pytest

import fastdrop as fd

A = np.random.default_rng(0).standard_normal((3, 4))


def test_construction_and_conversion():
    for given in (
        [1.0, 2],
        (1.5, 2),
        np.float64([1, 2]),
        np.float16([1, 2]),
        np.arange(2.0),
        np.array([1, 2], ">f4"),
        fd.tensor([1.0, 2.0]),
    ):
        t = fd.tensor(given)
        assert (
            t.data.dtype == np.float32
            and t.dtype == np.float32
            and t.shape == (2,)
            and t.ndim == 1
            and t.numel() == 2
            and t.size(0) == 2
        )
    source = np.ones(3, np.float32)
    assert not np.shares_memory(fd.tensor(source).data, source) and fd.Tensor(source).data is source
    for wrong in (np.array([1j]), np.array([None]), "abc"):
        with pytest.raises(TypeError, match="data"):
            fd.tensor(wrong)
    with pytest.raises(TypeError, match="requires_grad"):
        fd.tensor([1.0], requires_grad=1)
    t = fd.tensor([[1.5]], requires_grad=True)
    assert (
        t.item() == 1.5
        and float(t) == 1.5
        and int(t) == 1
        and bool(t)
        and t.tolist() == [[1.5]]
        and len(t) == 1
    )
    assert (
        repr(t) == "tensor([[1.5]], requires_grad=True)"
        and np.asarray(t).dtype == np.float32
        and t.is_leaf
    )
    assert [row.item() for row in t] == [1.5]
    with pytest.raises(ValueError, match="one element"):
        fd.tensor([1.0, 2.0]).item()


def test_numpy_array_as_left_operand():
    t = fd.tensor([1.0, 2.0], requires_grad=True)
    for result in (np.ones(2) + t, np.float32(2) * t, np.ones((2, 2)) @ t, 1 - t):
        assert isinstance(result, fd.Tensor) and result.requires_grad


def test_comparisons_return_bool_arrays():
    t = fd.tensor([1.0, 2.0, 3.0])
    for result, expected in (
        (t > 2, [0, 0, 1]),
        (t <= 2, [1, 1, 0]),
        (t == fd.tensor([1.0, 0.0, 3.0]), [1, 0, 1]),
        (t != 1, [0, 1, 1]),
    ):
        assert result.dtype == bool and result.tolist() == [bool(e) for e in expected]
    assert t.argmax() == 2
    values, places = fd.tensor(A).max(1)
    assert np.array_equal(places, A.argmax(1)) and np.array_equal(values.data, np.float32(A.max(1)))
    assert np.array_equal(fd.min(A, 0, keepdim=True).indices, A.argmin(0, keepdims=True))


def test_deepcopy_and_pickle():
    p = fd.Parameter([1.0, 2.0])
    for copied in (copy.deepcopy(p), pickle.loads(pickle.dumps(p))):
        assert (
            type(copied) is fd.Parameter and copied.requires_grad and copied.tolist() == [1.0, 2.0]
        )
        copied.data[0] = 5
    assert p.tolist() == [1.0, 2.0]
    with pytest.raises(RuntimeError, match="leaf"):
        copy.deepcopy(p * 2)


def test_read_only_arrays_are_never_written(tmp_path):
    np.save(tmp_path / "w.npy", np.ones((3, 4), np.float32))
    held = np.load(tmp_path / "w.npy", mmap_mode="r")
    p = fd.Parameter(held)
    p.grad = held
    for _ in range(2):
        fd.functional.linear(np.ones((2, 4)), p).sum().backward()
    fd.optim.SGD([p], lr=0.1).step()
    assert (
        p.grad.tolist() == [[5.0] * 4] * 3
        and np.allclose(p.data, 0.5)
        and np.array_equal(held, np.ones((3, 4)))
    )
    p.data = held
    p.data[0] = 0
    assert held.all()
    x = np.ones(3, np.float32)
    x.flags.writeable = False
    assert fd.Tensor(x).data is x  # data that nobody trains is not copied
    with pytest.raises(ValueError, match="read-only"):
        fd.optim.SGD([fd.Tensor(x, requires_grad=True)], lr=0.1)


def test_conversion_from_and_to_arrays():
    t = fd.Tensor(np.ones((2, 3), np.float32), requires_grad=True)
    assert (
        t.numpy() is t.data
        and np.asarray(t) is t.data
        and np.asarray(t, np.float64).dtype == np.float64
    )
    copied = np.array(t)
    assert not np.shares_memory(copied, t.data)
    assert np.array_equal(np.exp(t.detach()), np.exp(t.data))
    t.data = [[1, 2, 3]]
    assert t.shape == (1, 3) and t.data.dtype == np.float32 and t.data.flags.c_contiguous
    with pytest.raises(TypeError, match="data"):
        t.data = "text"
    assert t.tolist() == [[1.0, 2.0, 3.0]]
    for layout in (np.asfortranarray(A), A[::-1], A.T, A[:, 1::2], np.broadcast_to(A[0], (3, 4))):
        made = fd.tensor(layout)
        assert (
            made.data.flags.c_contiguous
            and made.data.flags.writeable
            and np.array_equal(made.data, layout.astype(np.float32))
        )
    for bad in (
        lambda: len(fd.tensor(1.0)),
        lambda: list(fd.tensor(1.0)),
        lambda: hash(fd.tensor([1.0])) and fd.tensor(1.0) + "a",
        lambda: fd.tensor(1.0) @ None,
    ):
        with pytest.raises(TypeError):
            bad()
    with pytest.raises(ValueError, match="one element"):
        bool(fd.tensor([1.0, 0.0]))
    assert "Parameter containing" in repr(fd.Parameter([1.0])) and "requires_grad" not in repr(
        fd.tensor([1.0])
    )


def test_shared_parameters_stay_shared_in_a_copy():
    p = fd.Parameter([1.0])
    one, two = copy.deepcopy([p, p])
    assert one is two and one is not p
    one, two = pickle.loads(pickle.dumps([p, p]))
    assert one is two and one.grad is None


def test_numbers_in_text_and_absolute_values():
    loss = fd.tensor(3.14159, requires_grad=True)
    assert f"{loss:.3f} {loss:8.2e} {fd.tensor([2.0]):+.1f}" == "3.142 3.14e+00 +2.0"
    assert f"{loss}" == repr(loss) and f"{fd.tensor([1.0, 2.0])}" == "tensor([1., 2.])"
    with pytest.raises(ValueError, match="exactly one element"):
        format(fd.tensor([1.0, 2.0]), ".3f")
    x = fd.tensor([-2.0, 0.0, 3.0], requires_grad=True)
    y = abs(x)
    assert isinstance(y, fd.Tensor) and y.tolist() == [2.0, 0.0, 3.0]
    y.backward([1.0, 1.0, 1.0])
    assert x.grad.tolist() == [-1.0, 0.0, 1.0]
