"""Parts of modules by name, buffers, state dicts and containers, beside PyTorch's."""

import copy
import pickle

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn

X = np.random.default_rng(2).standard_normal((3, 4)).astype(np.float32)


def nested(library):
    class Model(library.Module):
        def __init__(self):
            super().__init__()
            self.body = library.Sequential(library.Linear(4, 4), library.BatchNorm1d(4))
            self.heads = library.ModuleDict({"a": library.Linear(4, 1), "b": library.Linear(4, 2)})
            self.tied = self.body[0]

    return Model()


def both():
    torch = pytest.importorskip("torch")
    return nested(nn), nested(torch.nn), torch


def test_names_as_in_pytorch():
    ours, theirs, _ = both()
    for method in ("named_modules", "named_parameters", "named_buffers"):
        for options in ({}, {"prefix": "net"}, {"remove_duplicate": False}):
            names = [[name for name, _ in getattr(m, method)(**options)] for m in (ours, theirs)]
            assert names[0] == names[1], (method, options)
    for options in ({}, {"prefix": "net."}):
        assert list(ours.state_dict(**options)) == list(theirs.state_dict(**options))
    for target in ("", "body", "body.1", "heads.b"):
        found = [m.get_submodule(target)._get_name() for m in (ours, theirs)]
        assert found[0] == found[1]
    assert ours.get_parameter("heads.b.weight").shape == (2, 4)
    assert ours.get_buffer("body.1.running_mean") is ours.body[1].running_mean


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("get_submodule", "body.7"),
        ("get_submodule", "body.0.weight"),
        ("get_parameter", "body.1.running_mean"),
        ("get_buffer", "body.0.weight"),
        ("get_parameter", "nothing.weight"),
    ],
)
def test_parts_that_do_not_exist(method, target):
    for model in both()[:2]:
        with pytest.raises(AttributeError):
            getattr(model, method)(target)
    with pytest.raises(AttributeError, match=f"target must name a .*, got '{target.split('.')[0]}"):
        getattr(nested(nn), method)(target)


def test_set_submodule():
    model = nested(nn)
    model.set_submodule("body.0", nn.ReLU())
    model.set_submodule("heads.c", nn.Identity())
    assert isinstance(model.body[0], nn.ReLU) and list(model.heads) == ["a", "b", "c"]
    for target, error in (("body.9", AttributeError), ("", ValueError), ("body.", ValueError)):
        with pytest.raises(error, match="target must name a submodule"):
            model.set_submodule(target, nn.ReLU(), strict=True)
    with pytest.raises(AttributeError):
        model.set_submodule("heads.a.weight", nn.ReLU())
    with pytest.raises(TypeError, match="module must be a Module"):
        model.set_submodule("body.0", 3)


def test_state_dict_with_a_destination_and_variables():
    model, found = nested(nn), {"first": 1}
    assert model.state_dict(destination=found, prefix="net.") is found
    assert list(found)[:2] == ["first", "net.body.0.weight"]
    kept = model.state_dict(keep_vars=True)
    assert kept["body.0.weight"] is model.body[0].weight
    assert found["net.body.0.weight"] is model.body[0].weight.data


def test_hooks_of_the_state():
    model, seen = nested(nn), []
    model.register_state_dict_pre_hook(lambda m, prefix, keep: seen.append((prefix, keep)))
    model.heads.register_state_dict_post_hook(
        lambda m, state, prefix, meta: state.update({prefix + "version": np.ones(1)})
    )
    state = model.state_dict(prefix="net.")
    assert seen == [("net.", False)] and "net.heads.version" in state
    state = model.state_dict()

    def forget(module, state, prefix, meta, strict, missing, unexpected, errors):
        assert prefix == "heads." and strict is True
        del state[prefix + "version"]

    handle = model.heads.register_load_state_dict_pre_hook(forget)
    model.register_load_state_dict_post_hook(lambda m, keys: seen.append(keys))
    assert model.load_state_dict(state) == ([], [])
    assert seen[-1] == ([], []) and "heads.version" in state
    handle.remove()
    model.register_load_state_dict_pre_hook(lambda *args: args[-1].append("a sentence"))
    with pytest.raises(RuntimeError, match="a sentence"):
        model.load_state_dict(state)


def test_buffers_that_are_not_persistent():
    torch = pytest.importorskip("torch")
    dicts = []
    for library, array in ((nn, lambda: np.ones(2, np.float32)), (torch.nn, lambda: torch.ones(2))):
        layer = library.Linear(2, 1)
        layer.register_buffer("kept", array())
        layer.register_buffer("left", array(), persistent=False)
        layer.one = library.Buffer(array())
        layer.two = library.Buffer(array(), persistent=False)
        dicts.append((list(layer.state_dict()), [name for name, _ in layer.named_buffers()]))
    assert dicts[0] == dicts[1]
    layer = nn.Linear(2, 1)
    layer.steps = nn.Buffer(np.array([3]), persistent=False)
    assert layer.steps.dtype.kind == "i" and layer.load_state_dict(layer.state_dict()) == ([], [])
    for copied in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert "steps" not in copied.state_dict() and copied.steps.tolist() == [3]
    del layer.steps
    layer.register_buffer("steps", np.array([1]))
    assert "steps" in layer.state_dict()
    again = pickle.loads(pickle.dumps(nn.Buffer([1.0, 2.0], persistent=False)))
    assert again.tolist() == [1.0, 2.0] and not again.persistent


def test_conversions_that_change_nothing():
    torch = pytest.importorskip("torch")
    model = nested(nn)
    assert model.cpu() is model and model.float() is model and model.share_memory() is model
    for arguments in (
        ("cpu",),
        (np.float32,),
        (torch.float32,),
        (torch.device("cpu"),),
        ("cpu", torch.float32, True),
        (fd.tensor([1.0]),),
        ("cpu:0",),
        (),
    ):
        assert model.to(*arguments) is model
    assert model.to(device="cpu", dtype="float32", non_blocking=True) is model
    assert model.compile() is None
    for arguments, error in (
        (("cuda",), ValueError),
        ((torch.device("cuda"),), ValueError),
        ((torch.float64,), TypeError),
        ((np.float16,), TypeError),
    ):
        with pytest.raises(error, match=r"device must be 'cpu'|dtype must be float32"):
            model.to(*arguments)
    with pytest.raises(TypeError, match="no argument 'other'"):
        model.to(other=1)
    for name in ("cuda", "half", "double", "bfloat16"):
        with pytest.raises((TypeError, ValueError), match="must be"):
            getattr(model, name)()


def test_editing_of_sequences_as_in_pytorch():
    torch = pytest.importorskip("torch")
    texts = []
    for library in (nn, torch.nn):
        log = []
        for kind in ("Sequential", "ModuleList"):
            layers = [library.ReLU(), library.Tanh(), library.Identity(), library.Sigmoid()]
            model = getattr(library, kind)()
            model.extend(layers)
            model.insert(1, library.SELU())
            model[0] = library.GELU()
            del model[1:3]
            log.append([type(m).__name__ for m in model])
            log.append((type(model.pop(-1)).__name__, list(model._modules), len(model)))
            more = model + [library.ReLU()] if kind == "ModuleList" else model + model[:1]
            model += more
            log.append([type(m).__name__ for m in model])
            if kind == "Sequential":
                log.append([type(m).__name__ for m in model * 2] + [type((2 * model)[3]).__name__])
            for index in (9, -9):
                with pytest.raises(IndexError):
                    model[index]
        texts.append(log)
    assert texts[0] == texts[1]
    twice = nn.Sequential(nn.Linear(4, 4)) * 2
    layer = twice[0]
    assert twice[1] is layer and np.allclose(twice(X), layer(layer(X)), atol=1e-6)
    with pytest.raises(ValueError, match="times"):
        twice * 0
    with pytest.raises(ValueError, match="names of their own"):
        nn.Sequential({"a": nn.ReLU()}).insert(0, nn.ReLU())


def test_an_edited_sequential_predicts_anew():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU()).eval()
    for _ in range(4):
        fd.predict(model, X[:1])
    model.insert(1, nn.Linear(4, 2))
    expected = np.maximum(model[1](model[0](X[:1])).numpy(), 0)
    assert np.allclose(fd.predict(model, X[:1]), expected, atol=1e-6)
    model.pop(2)
    assert np.allclose(fd.predict(model, X[:1]), model[1](model[0](X[:1])), atol=1e-6)


def test_module_dict(tmp_path):
    found = nn.ModuleDict([("a", nn.Linear(4, 2)), ("b", nn.ReLU())])
    assert list(found.keys()) == ["a", "b"] and len(found) == 2 and "a" in found
    assert [name for name, _ in found.items()] == list(found) and len(found.values()) == 2
    found.update({"b": nn.Tanh(), "c": nn.Dropout(0.2)})
    assert isinstance(found["b"], nn.Tanh) and found["b"] is found.b
    fd.save(found, tmp_path / "a")
    again = fd.load(tmp_path / "a")
    assert type(again) is nn.ModuleDict and repr(again) == repr(found)
    assert isinstance(found.pop("b"), nn.Tanh) and "b" not in found
    del found["a"]
    found.clear()
    assert not len(found)
    for key, module, error in (
        ("a.b", nn.ReLU(), ValueError),
        ("keys", nn.ReLU(), KeyError),
        ("a", 3, TypeError),
    ):
        with pytest.raises(error):
            found[key] = module
    with pytest.raises(KeyError):
        found["missing"]
    with pytest.raises(TypeError, match="modules must be a mapping"):
        nn.ModuleDict(3)


def test_parameter_list_and_dict():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.many = nn.ParameterList([np.ones((4, 4), np.float32), fd.tensor([1.0] * 4)])
            self.named = nn.ParameterDict({"w": np.ones((4, 2), np.float32), "size": 3})

        def forward(self, x):
            for p in self.many:
                x = x @ p if p.ndim == 2 else x * p
            return x @ self.named["w"]

    model = Model()
    assert [name for name, _ in model.named_parameters()] == ["many.0", "many.1", "named.w"]
    model(X).sum().backward()
    assert np.allclose(model.many[1].grad, 2 * X.sum() * np.ones(4), atol=1e-4)
    many, named = model.many, model.named
    many.append(nn.Parameter(np.zeros(2))).extend(["text"])
    many += [np.zeros(1)]
    assert len(many) == 5 and many[3] == "text" and many[-1].shape == (1,)
    assert [type(v).__name__ for v in many[1:4]] == ["Parameter", "Parameter", "str"]
    many[0] = np.zeros((4, 4), np.float32)
    assert "(3): 'text'" in repr(many) and isinstance(many[0], nn.Parameter)
    with pytest.raises(IndexError, match="index must be between -5 and 4"):
        many[5]
    with pytest.raises(TypeError, match="values must be an iterable"):
        nn.ParameterList(3)
    assert named["size"] == 3 and list(named) == ["w", "size"] and len(named) == 2
    assert named.get("none") is None and named.setdefault("b", fd.tensor([1.0])) is named["b"]
    assert named.pop("size") == 3 and named.popitem()[0] == "b"
    joined = named | {"v": np.zeros(1)}
    assert list(joined) == ["w", "v"] and joined["w"] is named["w"] and "v" not in named
    named |= {"v": np.zeros(1)}
    assert list(reversed(named)) == ["v", "w"] and list(named.keys()) == ["w", "v"]
    assert len(list(named.values())) == 2 and "w" in named and "Parameter" in repr(named)
    assert list(named.fromkeys(["x"], 1).items()) == [("x", 1)]
    copied = copy.deepcopy(model)
    assert copied.load_state_dict(model.state_dict()) == ([], [])
    named.clear()
    assert not len(named) and list(named.state_dict()) == []
    with pytest.raises(KeyError):
        named["w"]
