"""fastdrop.linalg beside torch.linalg: values and gradients of stacks of matrices."""

import numpy as np
import pytest

import fastdrop as fd
from helpers.against_torch import compare

torch = pytest.importorskip("torch")
RNG = np.random.default_rng(3)
LOOSE = dict(rtol=1e-4, atol=1e-5, grad_rtol=2e-3, grad_atol=2e-4)


def normal(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def upright(*shape):
    return normal(*shape) + 3 * np.eye(shape[-1], dtype=np.float32)


def definite(*shape):
    x = normal(*shape)
    return x @ np.swapaxes(x, -1, -2) + 2 * np.eye(shape[-1], dtype=np.float32)


def narrow(*shape):
    return normal(*shape) / 4


def both(function, *arrays):
    """The same expression of both libraries."""
    compare(lambda *x: function(fd, *x), lambda *x: function(torch, *x), *arrays, **LOOSE)


def condition(m, x):
    """The backward of torch.linalg.cond with p=1 fails, so that PyTorch gets the definition."""
    if m is fd:
        return fd.linalg.cond(x, 1)
    return torch.linalg.matrix_norm(x, 1) * torch.linalg.matrix_norm(torch.linalg.inv(x), 1)


ONE_MATRIX = {
    "inv": (upright, lambda m, x: m.linalg.inv(x)),
    "det": (upright, lambda m, x: m.linalg.det(x)),
    "logdet": (definite, lambda m, x: m.logdet(x)),
    "slogdet": (upright, lambda m, x: m.linalg.slogdet(x)[1]),
    "slogdet method": (upright, lambda m, x: x.slogdet().logabsdet),
    "pinv": (upright, lambda m, x: m.linalg.pinv(x)),
    "cholesky": (definite, lambda m, x: m.linalg.cholesky(x)),
    "cholesky upper": (definite, lambda m, x: m.linalg.cholesky(x, upper=True)),
    "cholesky method": (definite, lambda m, x: x.cholesky()),
    "cholesky_inverse": (upright, lambda m, x: m.cholesky_inverse(x.tril())),
    "cholesky_inverse upper": (upright, lambda m, x: m.cholesky_inverse(x.triu(), True)),
    "eigvalsh": (definite, lambda m, x: m.linalg.eigvalsh(x)),
    "eigh": (definite, lambda m, x: m.linalg.eigh(x)[1].abs()),
    "eigh upper": (definite, lambda m, x: m.linalg.eigh(x, UPLO="U").eigenvectors ** 2),
    "svdvals": (normal, lambda m, x: m.linalg.svdvals(x)),
    "svd U": (normal, lambda m, x: m.linalg.svd(x, full_matrices=False).U ** 2),
    "svd Vh": (normal, lambda m, x: m.linalg.svd(x, full_matrices=False)[2] ** 2),
    "svd square": (normal, lambda m, x: m.linalg.svd(x).U.abs()),
    "svd method": (normal, lambda m, x: x.svd()[2].abs()),
    "qr Q": (normal, lambda m, x: m.linalg.qr(x)[0].abs()),
    "qr R": (normal, lambda m, x: m.linalg.qr(x).R.abs()),
    "qr method": (normal, lambda m, x: x.qr()[1] ** 2),
    "matrix_exp": (narrow, lambda m, x: m.linalg.matrix_exp(x)),
    "matrix_power": (upright, lambda m, x: m.linalg.matrix_power(x, -3)),
    "norm": (normal, lambda m, x: m.linalg.norm(x)),
    "cond": (upright, lambda m, x: m.linalg.cond(x)),
    "cond 1": (upright, lambda m, x: condition(m, x)),
    "cond -2": (upright, lambda m, x: m.linalg.cond(x, -2)),
    "triangular": (upright, lambda m, x: m.linalg.solve_triangular(x, x, upper=True)),
    "triangular right": (
        upright,
        lambda m, x: m.linalg.solve_triangular(x, x * 2, upper=False, left=False),
    ),
    "triangular of ones": (
        upright,
        lambda m, x: m.linalg.solve_triangular(x, x, upper=False, unitriangular=True),
    ),
}


@pytest.mark.filterwarnings("ignore:torch.* is deprecated")
@pytest.mark.parametrize("shape", [(3, 3), (2, 4, 4), (1, 1)])
@pytest.mark.parametrize("name", ONE_MATRIX)
def test_function_of_a_matrix(name, shape):
    make, function = ONE_MATRIX[name]
    both(function, make(*shape))


@pytest.mark.filterwarnings("ignore:torch.* is deprecated")
@pytest.mark.parametrize("shape", [(4, 2), (2, 2, 4)])
@pytest.mark.parametrize("name", ["pinv", "svdvals", "svd U", "svd Vh", "svd method"])
def test_matrices_that_are_not_square(name, shape):
    both(ONE_MATRIX[name][1], normal(*shape))


@pytest.mark.parametrize("name", ["qr Q", "qr R"])
def test_qr_of_tall_matrices(name):
    both(ONE_MATRIX[name][1], normal(2, 5, 3))


ORDERS = ["fro", "nuc", 1, -1, 2, -2, float("inf"), float("-inf")]


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("order", ORDERS)
def test_norm_of_matrices(order, keepdim):
    both(lambda m, x: m.linalg.matrix_norm(x, order, (0, 2), keepdim), normal(3, 2, 4))
    both(lambda m, x: m.linalg.norm(x, order, keepdim=keepdim), normal(3, 4))


@pytest.mark.parametrize("order", [2, 1, 0, 3, 0.5, float("inf"), float("-inf")])
def test_norm_of_vectors(order):
    both(lambda m, x: m.linalg.vector_norm(x, order, 1, True), normal(3, 4))
    both(lambda m, x: m.linalg.norm(x, order, 0), normal(3, 4))
    both(lambda m, x: m.linalg.norm(x, order), normal(5))


SHAPES = [((3, 3), (3,)), ((3, 3), (3, 2)), ((2, 3, 3), (2, 3)), ((2, 3, 3), (3, 2))]


@pytest.mark.parametrize(("left", "right"), SHAPES)
def test_solve(left, right):
    both(lambda m, a, b: m.linalg.solve(a, b), upright(*left), normal(*right))


def test_solve_from_the_right():
    both(lambda m, a, b: m.linalg.solve(a, b, left=False), upright(2, 3, 3), normal(2, 4, 3))


def test_solve_from_a_cholesky_factor():
    both(lambda m, b, f: m.cholesky_solve(b, f.tril()), normal(2, 3, 2), upright(2, 3, 3))
    both(lambda m, b, f: b.cholesky_solve(f.triu(), True), normal(3, 2), upright(3, 3))


@pytest.mark.parametrize("right", [(5, 2), (4, 5, 2), (4, 5)])
def test_least_squares(right):
    a, b = normal(4, 5, 3) if len(right) > 1 and right[0] == 4 else normal(5, 3), normal(*right)
    both(lambda m, a, b: m.linalg.lstsq(a, b).solution, a, b)
    ours = fd.linalg.lstsq(a, b)
    theirs = torch.linalg.lstsq(torch.tensor(a), torch.tensor(b), driver="gelsd")
    if b.ndim == a.ndim:
        np.testing.assert_allclose(ours.residuals.numpy(), theirs.residuals.numpy(), rtol=1e-3)
    np.testing.assert_array_equal(ours.rank.numpy(), theirs.rank.numpy())
    values = theirs.singular_values.numpy()
    np.testing.assert_allclose(ours.singular_values.numpy(), values, rtol=1e-4)


def test_least_squares_with_a_rank_that_is_not_full():
    a = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]], np.float32)
    solution, residuals, rank, _ = fd.linalg.lstsq(a, [[2.0], [4.0], [6.0]])
    np.testing.assert_allclose(solution.numpy(), [[1.0], [1.0]], atol=1e-5)
    assert rank.item() == 1 and residuals.numel() == 0


def test_products_of_several_matrices():
    both(
        lambda m, *x: m.linalg.multi_dot(x), normal(2, 5), normal(5, 3), normal(3, 4), normal(4, 2)
    )
    both(lambda m, *x: m.linalg.multi_dot(x), normal(5), normal(5, 3), normal(3))


def test_tensors_as_matrices():
    a = upright(6, 6).reshape(2, 3, 6)
    both(lambda m, a, b: m.linalg.tensorsolve(a, b), a, normal(2, 3))
    b = upright(6, 6).reshape(6, 2, 3)
    both(lambda m, a, b: m.linalg.tensorsolve(a, b, (0,)), b, normal(2, 3))
    both(lambda m, a: m.linalg.tensorinv(a), a)
    both(lambda m, x, y: m.linalg.vecdot(x, y, dim=0), normal(3, 4), normal(3, 1))
    both(lambda m, x: m.linalg.diagonal(x, offset=1), normal(2, 3, 4))


def test_ranks():
    x = normal(3, 4, 4)
    x[1, 3] = x[1, 0]
    ours, theirs = fd.linalg.matrix_rank(x), torch.linalg.matrix_rank(torch.tensor(x))
    assert ours.tolist() == theirs.tolist() == [4, 3, 4]
    assert fd.linalg.matrix_rank(np.diag([3.0, 0.5]), tol=1.0).item() == 1


def test_determinant_of_singular_matrices_has_the_cofactors_as_gradient():
    x = fd.tensor([[1.0, 1.0], [1.0, 1.0]], requires_grad=True)
    fd.det(x).backward()
    np.testing.assert_allclose(x.grad.numpy(), [[1.0, -1.0], [-1.0, 1.0]], atol=1e-6)


def test_signs_of_determinants():
    x = np.array([np.eye(2), np.eye(2)[::-1], np.zeros((2, 2))], np.float32)
    sign, logarithm = fd.slogdet(x)
    assert sign.tolist() == [1.0, -1.0, 0.0]
    assert logarithm.tolist() == [0.0, 0.0, -np.inf]
    assert np.array_equal(fd.logdet(x).numpy(), [0.0, np.nan, -np.inf], equal_nan=True)


def test_complete_decompositions():
    x = normal(4, 2)
    u, s, vt = fd.linalg.svd(x)
    np.testing.assert_allclose(u.numpy()[:, :2] * s.numpy() @ vt.numpy(), x, atol=1e-5)
    q, r = fd.linalg.qr(x, "complete")
    np.testing.assert_allclose(q.numpy() @ r.numpy(), x, atol=1e-5)
    assert u.shape == q.shape == (4, 4)
    empty, same = fd.linalg.qr(x, "r")
    np.testing.assert_allclose(same.numpy(), r.numpy()[:2], atol=1e-5)
    assert empty.numel() == 0
    assert [t.shape for t in fd.tensor(x).svd(compute_uv=False)] == [(4, 4), (2,), (2, 2)]


def test_what_has_no_gradient_is_refused():
    x = fd.tensor(normal(2, 4), requires_grad=True)
    with pytest.raises(ValueError, match="full_matrices=False"):
        fd.linalg.svd(x).Vh.sum().backward()
    with pytest.raises(ValueError, match="as many columns as A"):
        fd.linalg.qr(x).R.sum().backward()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fd.linalg.inv(np.ones((2, 3))), "A must hold square matrices"),
        (lambda: fd.linalg.inv([1.0]), "A must have at least two axes"),
        (lambda: fd.linalg.solve(np.eye(2), np.ones((3, 1))), "B must have 2 rows"),
        (lambda: fd.linalg.lstsq(np.eye(2), np.ones((3, 1))), "B must have 2 rows"),
        (lambda: fd.linalg.norm(np.eye(2), 3), "ord must be 'fro'"),
        (lambda: fd.linalg.norm(np.ones((2, 2, 2)), 2), "A must have one or two axes"),
        (lambda: fd.linalg.norm([1.0], "fro"), "ord must be a number"),
        (lambda: fd.linalg.vector_norm([1.0], "fro"), "ord must be a number"),
        (lambda: fd.linalg.matrix_norm(np.eye(2), dim=(0,)), "dim must name two axes"),
        (lambda: fd.linalg.qr(np.eye(2), "full"), "mode must be one of"),
        (lambda: fd.linalg.eigh(np.eye(2), "X"), "UPLO must be one of"),
        (lambda: fd.linalg.multi_dot([np.eye(2)]), "at least two matrices"),
        (lambda: fd.linalg.inv(np.zeros((2, 2))), "Singular matrix, for matrices of shape"),
        (lambda: fd.linalg.cholesky(-np.eye(2)), "not positive definite, for matrices"),
    ],
)
def test_refusals(call, message):
    with pytest.raises((ValueError, np.linalg.LinAlgError), match=message):
        call()


@pytest.mark.parametrize("given", [(), (4,), (2,)], ids=str)
def test_powers_of_a_vector(given):
    compare(
        lambda x: fd.linalg.vander(x, *given),
        lambda x: torch.linalg.vander(x, N=(*given, None)[0]),
        normal(3),
    )


def test_matrices_with_nan_have_no_finite_solution():
    a = upright(3, 2, 2)
    a[1, 0, 0] = np.nan
    with np.errstate(invalid="raise"):
        inverse, solution = fd.linalg.inv(a), fd.linalg.solve(a, np.ones((3, 2, 1), np.float32))
    for found in (inverse.data, solution.data):
        assert np.isnan(found[1]).all() and np.isfinite(found[[0, 2]]).all()
