"""The losses have PyTorch's values and gradients."""

import numpy as np
import pytest

import fastdrop as fd
import fastdrop.nn.functional as F
from helpers.against_torch import compare

torch = pytest.importorskip("torch")
T = torch.nn.functional

RNG = np.random.default_rng(0)
SHAPES = [(), (5,), (4, 3), (2, 3, 4), (0, 3)]
SHARED = [((4, 3), (4, 1)), ((2, 3, 4), (3, 4)), ((3,), (2, 3))]
REDUCTIONS = ["mean", "sum", "none"]


def normal(*shape):
    return np.asarray(RNG.standard_normal(shape), np.float32)


def signs(*shape):
    return RNG.choice([-1, 1], shape).astype(np.int64)


def both(name, **options):
    """Our function and PyTorch's; arrays among the options become tensors for PyTorch."""
    theirs = {
        key: torch.tensor(value) if isinstance(value, np.ndarray) else value
        for key, value in options.items()
    }
    return (
        lambda *args: getattr(F, name)(*args, **options),
        lambda *args: getattr(T, name)(*args, **theirs),
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_binary_cross_entropy(shape, reduction):
    x, t = RNG.uniform(0.01, 0.99, shape), RNG.uniform(0, 1, shape)
    compare(*both("binary_cross_entropy", reduction=reduction), np.asarray(x), np.asarray(t))
    if len(shape) == 2:
        w = RNG.uniform(0, 2, shape[1:]).astype(np.float32)
        compare(*both("binary_cross_entropy", weight=w, reduction=reduction), x, t)


def test_binary_cross_entropy_at_its_ends():
    x = np.array([0.0, 1.0, 0.0, 1.0])
    t = np.array([0.0, 1.0, 1.0, 0.0])
    compare(
        lambda x: F.binary_cross_entropy(x, t, reduction="none"),
        lambda x: T.binary_cross_entropy(x, torch.tensor(t).float(), reduction="none"),
        x,
    )
    for wrong in ([1.5], [-0.1], [np.nan]):
        with pytest.raises(ValueError, match=r"input must lie in \[0, 1\]"):
            F.binary_cross_entropy(wrong, [1.0])


@pytest.mark.parametrize("reduction", [*REDUCTIONS, "batchmean"])
@pytest.mark.parametrize("log_target", [False, True])
@pytest.mark.parametrize("shapes", [(s, s) for s in SHAPES] + SHARED)
@pytest.mark.filterwarnings("ignore:reduction")
def test_kl_div(shapes, log_target, reduction):
    x, t = normal(*shapes[0]), normal(*shapes[1])
    t = t if log_target else np.asarray(np.exp(t))
    if 0 in shapes[0] and reduction == "batchmean":
        return compare(*both("kl_div", reduction="sum", log_target=log_target), x, t)
    compare(*both("kl_div", reduction=reduction, log_target=log_target), x, t)


def test_kl_div_without_a_class():
    x, t = normal(2, 3), np.array([[0, 0.25, 0.75], [1, 0, 0]], np.float32)
    compare(
        lambda x: F.kl_div(x, t, "sum"), lambda x: T.kl_div(x, torch.tensor(t), reduction="sum"), x
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("log_input", [False, True])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("shapes", [(s, s) for s in SHAPES] + SHARED)
def test_poisson_nll_loss(shapes, full, log_input, reduction):
    x = normal(*shapes[0]) if log_input else np.asarray(np.exp(normal(*shapes[0])))
    t = np.asarray(RNG.integers(1, 6, shapes[1]), np.float32)
    options = {"log_input": log_input, "full": full, "reduction": reduction}
    compare(*both("poisson_nll_loss", **options), x, t)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(
    "shapes",
    [
        ((4, 3), (4, 3), (4, 3)),
        ((4, 3), (4, 3), (4,)),
        ((4, 3), (4, 3), (4, 1)),
        ((4, 3), (4, 3), (1, 3)),
        ((2, 3, 4, 5), (2, 3, 4, 5), (2, 1, 4, 5)),
        ((4, 3), (4, 1), (4, 3)),
        ((4, 3), (3,), (4, 1)),
        ((5,), (5,), (5,)),
        ((5,), (5,), (1,)),
    ],
)
@pytest.mark.parametrize("full", [False, True])
def test_gaussian_nll_loss(shapes, full, reduction):
    x, t, v = normal(*shapes[0]), normal(*shapes[1]), np.exp(normal(*shapes[2]))
    v.flat[0] = 0.0
    options = {"full": full, "reduction": reduction, "eps": 0.5}
    compare(*both("gaussian_nll_loss", **options), x, t, v)


def test_gaussian_nll_loss_with_one_variance():
    x, t = normal(4, 3), normal(4, 3)
    compare(*both("gaussian_nll_loss", var=2.0), x, t)
    for wrong in (np.ones((3, 4)), np.ones((2, 4, 3)), np.ones((1, 1))):
        with pytest.raises(ValueError, match="var"):
            F.gaussian_nll_loss(x, t, wrong)


@pytest.mark.parametrize("shapes", [((4, 3), (4, 3)), ((4, 3), (1, 3)), ((2, 5, 3), (2, 1, 3))])
@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, 0.5, 0.0, np.inf, -np.inf])
def test_pairwise_distance(shapes, p):
    x, y = normal(*shapes[0]), normal(*shapes[1])
    compare(*both("pairwise_distance", p=p), x, y)
    compare(*both("pairwise_distance", p=p, keepdim=True, eps=0.1), x, y)


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0, 2.0, 3.0, np.inf])
@pytest.mark.parametrize("rows", [2, 5])
def test_pdist(p, rows):
    x = normal(rows, 4)
    compare(*both("pdist", p=p), x)
    for few in (0, 1):  # PyTorch crashes in backward
        y = fd.tensor(x[:few], requires_grad=True)
        F.pdist(y, p).sum().backward()
        assert y.grad.shape == (few, 4) and not y.grad.data.any()


def test_distances_of_equal_vectors_have_gradient_0():
    x = np.ones((2, 3), np.float32)
    compare(*both("pdist"), x)
    compare(*both("pairwise_distance", eps=0.0), x, x.copy())
    compare(*both("cosine_similarity"), x * 0, x)
    compare(*both("normalize"), x * 0)


@pytest.mark.parametrize("dim", [0, 1, -1])
@pytest.mark.parametrize("shapes", [((4, 3), (4, 3)), ((4, 3), (1, 3)), ((2, 3), (3,))])
def test_cosine_similarity(shapes, dim):
    x, y = normal(*shapes[0]), normal(*shapes[1])
    compare(*both("cosine_similarity", dim=dim), x, y)
    compare(*both("cosine_similarity", dim=dim, eps=3.0), x, y)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, np.inf])
@pytest.mark.parametrize("dim", [0, 1, -1, (0, 2)])
def test_normalize(p, dim):
    compare(*both("normalize", p=p, dim=dim), normal(2, 3, 4))
    compare(*both("normalize", p=p, dim=dim, eps=5.0), normal(2, 3, 4))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shapes", [(s, s) for s in SHAPES] + SHARED)
def test_losses_of_signs(shapes, reduction):
    x, t = normal(*shapes[0]), signs(*shapes[1])
    compare(*both("hinge_embedding_loss", reduction=reduction), x, t)
    compare(*both("hinge_embedding_loss", margin=0.3, reduction=reduction), x, t)
    if len(shapes[0]) >= len(shapes[1]):  # PyTorch broadcasts the target only
        compare(*both("soft_margin_loss", reduction=reduction), x, t)
    if len(shapes[0]) == len(shapes[1]):
        y = normal(*shapes[0])
        compare(*both("margin_ranking_loss", reduction=reduction), x, y, t)
        compare(*both("margin_ranking_loss", margin=0.5, reduction=reduction), x, y, t)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("margin", [0, 0.3, -0.5])
def test_cosine_embedding_loss(margin, reduction):
    options = {"margin": margin, "reduction": reduction}
    compare(*both("cosine_embedding_loss", **options), normal(6, 3), normal(6, 3), signs(6))
    compare(*both("cosine_embedding_loss", **options), normal(3), normal(3), np.array(-1))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("shape", [(6, 4), (4,)])
def test_triplet_margin_losses(shape, swap, reduction):
    arrays = [normal(*shape) for _ in range(3)]
    options = {"swap": swap, "reduction": reduction}
    compare(*both("triplet_margin_loss", **options), *arrays)
    compare(*both("triplet_margin_loss", margin=0.5, p=1, eps=0.01, **options), *arrays)
    compare(*both("triplet_margin_with_distance_loss", **options), *arrays)
    compare(
        lambda a, b, c: F.triplet_margin_with_distance_loss(
            a, b, c, distance_function=lambda x, y: (x - y).abs().sum(-1), **options
        ),
        lambda a, b, c: T.triplet_margin_with_distance_loss(
            a, b, c, distance_function=lambda x, y: (x - y).abs().sum(-1), **options
        ),
        *arrays,
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("rows", [None, 1, 5, 0])
@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_multi_margin_loss(rows, p, weighted, reduction):
    x = normal(4) if rows is None else normal(rows, 4)
    t = np.asarray(RNG.integers(0, 4, () if rows is None else rows))
    w = RNG.uniform(0, 2, 4).astype(np.float32) if weighted else None
    options = {"p": p, "margin": 0.7, "weight": w, "reduction": reduction}
    if rows == 0:
        loss = F.multi_margin_loss(x, t, **options)
        assert loss.shape == ((0,) if reduction == "none" else ())
    else:
        compare(*both("multi_margin_loss", **options), x, t)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_multilabel_margin_loss(reduction):
    t = np.array([[3, 0, -1, 1], [0, -1, -1, -1], [-1, 2, 1, 0], [1, 2, 3, 0], [2, 2, 1, -1]])
    x = normal(5, 4)
    compare(*both("multilabel_margin_loss", reduction=reduction), x, t)
    compare(*both("multilabel_margin_loss", reduction=reduction), x[0], t[0])


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(4,), (5, 4), (2, 3, 4), (0, 4)])
def test_multilabel_soft_margin_loss(shape, reduction):
    x, t = normal(*shape), RNG.integers(0, 2, shape).astype(np.float32)
    w = RNG.uniform(0, 2, 4).astype(np.float32)
    compare(*both("multilabel_soft_margin_loss", reduction=reduction), x, t)
    compare(*both("multilabel_soft_margin_loss", weight=w, reduction=reduction), x, t)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
def test_one_sample_of_cross_entropy_and_nll_loss(weighted, reduction):
    x, t = normal(4), np.array(2)
    w = RNG.uniform(0.1, 2, 4).astype(np.float32) if weighted else None
    options = {"weight": w, "reduction": reduction}
    compare(*both("nll_loss", **options), x, t)
    compare(*both("cross_entropy", **options), x, t)
    compare(*both("cross_entropy", label_smoothing=0.2, **options), x, t)
    compare(*both("cross_entropy", **options), x, RNG.dirichlet(np.ones(4)))
    if reduction != "mean":
        compare(*both("cross_entropy", ignore_index=2, **options), x, t)
    assert F.cross_entropy(x, fd.tensor(2)).item() == F.cross_entropy(x, 2).item()
    for loss in (F.cross_entropy, F.nll_loss):
        with pytest.raises(ValueError, match="target"):
            loss(x, [1, 2, 3])


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("blank", [0, 2])
@pytest.mark.parametrize("joined", [False, True])
def test_ctc_loss(joined, blank, reduction):
    x = normal(7, 4, 5)
    labels = np.array([[1, 1, 3, 4], [3, 4, 0, 0], [4, 4, 4, 0], [1, 3, 4, 3]])
    steps, long = np.array([7, 5, 6, 4]), np.array([3, 0, 3, 4])
    if joined:
        labels = np.concatenate([row[:n] for row, n in zip(labels, long)])
    options = {"blank": blank, "reduction": reduction}

    compare(
        lambda x: F.ctc_loss(F.log_softmax(x, -1), labels, steps, long, **options),
        lambda x: T.ctc_loss(
            T.log_softmax(x, -1), *map(torch.tensor, (labels, steps, long)), **options
        ),
        x,
    )
    if not joined:
        compare(
            lambda x: F.ctc_loss(F.log_softmax(x, -1), labels[0, :3], 7, 3, **options),
            lambda x: T.ctc_loss(
                T.log_softmax(x, -1), *map(torch.tensor, (labels[0, :3], 7, 3)), **options
            ),
            x[:, 0],
        )


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_ctc_loss_of_targets_that_are_too_long(reduction):
    x, labels = normal(3, 2, 4), np.array([[1, 1, 1], [1, 2, 3]])
    steps, long = np.array([3, 3]), np.array([3, 2])
    for zero in (False, True):
        options = {"reduction": reduction, "zero_infinity": zero}
        compare(
            lambda x, o=options: F.ctc_loss(F.log_softmax(x, -1), labels, steps, long, **o),
            lambda x, o=options: T.ctc_loss(
                T.log_softmax(x, -1), *map(torch.tensor, (labels, steps, long)), **o
            ),
            x,
        )


@pytest.mark.parametrize("name", ["soft_margin_loss", "multilabel_soft_margin_loss", "focal_loss"])
def test_large_scores_have_finite_losses_and_gradients(name):
    x = fd.tensor([[1e4, -1e4, 30.0, -30.0, 0.0]], requires_grad=True)
    for target in (1, -1 if name == "soft_margin_loss" else 0):
        x.grad = None
        getattr(F, name)(x, np.full((1, 5), target, np.float32), reduction="none").sum().backward()
        assert np.isfinite(x.grad.data).all()


LAYERS = [
    ("BCELoss", {}, (RNG.uniform(0.1, 0.9, (4, 3)), RNG.uniform(0, 1, (4, 3)))),
    ("BCELoss", {"weight": RNG.uniform(0, 1, 3)}, (RNG.uniform(0, 1, (4, 3)), np.zeros((4, 3)))),
    ("KLDivLoss", {"reduction": "batchmean"}, (normal(4, 3), np.exp(normal(4, 3)))),
    ("KLDivLoss", {"log_target": True, "reduction": "sum"}, (normal(4, 3), normal(4, 3))),
    ("PoissonNLLLoss", {}, (normal(4), np.arange(4.0))),
    ("PoissonNLLLoss", {"log_input": False, "full": True, "eps": 0.1}, (np.ones(4), np.ones(4))),
    ("GaussianNLLLoss", {}, (normal(4, 3), normal(4, 3), np.exp(normal(4)))),
    ("SoftMarginLoss", {}, (normal(4, 3), signs(4, 3))),
    ("MultiLabelSoftMarginLoss", {"weight": np.arange(3.0)}, (normal(4, 3), np.ones((4, 3)))),
    ("MultiMarginLoss", {}, (normal(4, 3), np.array([0, 2, 1, 1]))),
    (
        "MultiMarginLoss",
        {"p": 2, "margin": 0.5, "weight": np.ones(3)},
        (normal(3), np.array(1)),
    ),
    ("MultiLabelMarginLoss", {}, (normal(2, 3), np.array([[0, 2, -1], [1, -1, 0]]))),
    ("HingeEmbeddingLoss", {}, (normal(4, 3), signs(4, 3))),
    ("HingeEmbeddingLoss", {"margin": 0.1, "reduction": "sum"}, (normal(4, 3), signs(4, 3))),
    ("MarginRankingLoss", {}, (normal(4), normal(4), signs(4))),
    ("MarginRankingLoss", {"margin": 0.3}, (normal(4), normal(4), signs(4))),
    ("CosineEmbeddingLoss", {}, (normal(4, 3), normal(4, 3), signs(4))),
    ("CosineEmbeddingLoss", {"margin": 0.2}, (normal(4, 3), normal(4, 3), signs(4))),
    ("TripletMarginLoss", {}, (normal(4, 3), normal(4, 3), normal(4, 3))),
    ("TripletMarginLoss", {"p": 1.0, "swap": True, "eps": 0.1}, (normal(3), normal(3), normal(3))),
    ("TripletMarginWithDistanceLoss", {"margin": 2.0}, (normal(3), normal(3), normal(3))),
    ("CrossEntropyLoss", {}, (normal(3), np.array(1))),
    ("NLLLoss", {}, (normal(3), np.array(1))),
    ("CosineSimilarity", {}, (normal(4, 3), normal(4, 3))),
    ("CosineSimilarity", {"dim": 0, "eps": 1.0}, (normal(4, 3), normal(4, 3))),
    ("PairwiseDistance", {}, (normal(4, 3), normal(4, 3))),
    ("PairwiseDistance", {"p": 3.0, "eps": 0.1, "keepdim": True}, (normal(4, 3), normal(4, 3))),
]


@pytest.mark.parametrize(("name", "options", "arrays"), LAYERS)
def test_layers(name, options, arrays):
    theirs = {
        key: torch.tensor(value).float() if isinstance(value, np.ndarray) else value
        for key, value in options.items()
    }
    compare(getattr(fd.nn, name)(**options), getattr(torch.nn, name)(**theirs), *arrays)


def test_the_layer_of_ctc_loss():
    x, labels, steps, long = normal(7, 2, 5), np.array([[1, 2], [3, 3]]), [7, 6], [2, 2]
    compare(
        lambda x: fd.nn.CTCLoss(4, "sum")(fd.nn.LogSoftmax(2)(x), labels, steps, long),
        lambda x: torch.nn.CTCLoss(4, "sum")(
            torch.nn.LogSoftmax(2)(x), *map(torch.tensor, (labels, steps, long))
        ),
        x,
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 3.5])
def test_focal_loss_of_classes(gamma, reduction):
    """Against its formula in PyTorch."""
    w = RNG.uniform(0, 2, 3).astype(np.float32)
    for shape in ((5, 3), (2, 3, 4)):
        t = RNG.integers(0, 3, (shape[0], *shape[2:]))

        def theirs(x, t=t):
            log = T.log_softmax(x, 1).gather(1, torch.tensor(t)[:, None])[:, 0]
            losses = -torch.tensor(w)[t] * (1 - log.exp()) ** gamma * log
            return losses if reduction == "none" else getattr(losses, reduction)()

        options = {"gamma": gamma, "alpha": w, "reduction": reduction}
        compare(lambda x, t=t, o=options: F.focal_loss(x, t, **o), theirs, normal(*shape))
        layer = fd.nn.FocalLoss(gamma, w, reduction=reduction)
        compare(lambda x, t=t, layer=layer: layer(x, t), theirs, normal(*shape))


@pytest.mark.parametrize("alpha", [None, 0.25])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_loss_of_decisions(gamma, alpha):
    """Against the formula of torchvision.ops.sigmoid_focal_loss."""

    def theirs(x, t):
        p = torch.sigmoid(x)
        entropy = T.binary_cross_entropy_with_logits(x, t, reduction="none")
        losses = entropy * (1 - p * t - (1 - p) * (1 - t)) ** gamma
        if alpha is not None:
            losses = (alpha * t + (1 - alpha) * (1 - t)) * losses
        return losses.mean()

    compare(
        lambda x, t: F.focal_loss(x, t, gamma, alpha),
        theirs,
        normal(4, 3),
        RNG.uniform(0, 1, (4, 3)),
    )


def test_focal_loss_leaves_out_labels():
    x = normal(4, 3)
    full = F.focal_loss(x[[0, 2]], [1, 2]).item()
    left = F.focal_loss(x, [1, -100, 2, -100]).item()
    assert left == pytest.approx(full, rel=1e-6)
    assert F.focal_loss(x[0], 1).item() == pytest.approx(F.focal_loss(x[:1], [1]).item())
    assert F.focal_loss(x, [0, 1, 2, 1], gamma=0.0).item() == pytest.approx(
        F.cross_entropy(x, [0, 1, 2, 1]).item(), rel=1e-5
    )
    with pytest.raises(ValueError, match="gamma"):
        F.focal_loss(x, [0, 1, 2, 1], gamma=-1.0)
    with pytest.raises(ValueError, match="alpha must have shape"):
        F.focal_loss(x, [0, 1, 2, 1], alpha=[1.0, 2.0])


def test_ctc_loss_has_the_gradient_of_log_probs():
    """Also where they are no log probabilities: against differences."""

    def of(x):
        losses = F.ctc_loss(fd.tensor(x), [[1, 1], [2, 1]], [4, 3], [2, 1], reduction="none")
        return losses.data.astype(np.float64)

    x = RNG.standard_normal((4, 2, 3))
    t = fd.tensor(x, requires_grad=True)
    F.ctc_loss(t, [[1, 1], [2, 1]], [4, 3], [2, 1], reduction="sum").backward()
    step = RNG.standard_normal(x.shape)
    expected = (of(x + 1e-2 * step).sum() - of(x - 1e-2 * step).sum()) / 2e-2
    assert (t.grad.data * step).sum() == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss"])
def test_weights_of_losses_of_numbers(name, reduction):
    x, t, w = normal(4, 3), normal(4, 3), RNG.uniform(0, 2, (4, 3))
    compare(
        lambda x, t, w: getattr(F, name)(x, t, reduction, weight=w),
        lambda x, t, w: getattr(T, name)(x, t, reduction=reduction, weight=w),
        *(x, t, w),
    )
    with pytest.raises(ValueError, match="weight must have input's shape"):
        getattr(F, name)(x, t, weight=w[0])


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda x: F.kl_div(x, x[:, :2]), "input and target"),
        (lambda x: F.kl_div(x, x, "average"), "reduction"),
        (lambda x: F.binary_cross_entropy(x, x[:2]), "target"),
        (lambda x: F.poisson_nll_loss(x, x, eps=0.0), "eps"),
        (lambda x: F.cosine_similarity(x, x, dim=2), "dim"),
        (lambda x: F.pdist(x[0]), "input"),
        (lambda x: F.pdist(x, -1.0), "p must"),
        (lambda x: F.margin_ranking_loss(x, x[0], x), "same number of axes"),
        (lambda x: F.cosine_embedding_loss(x, x, x), "target"),
        (lambda x: F.triplet_margin_loss(x, x, x, margin=0.0), "margin"),
        (lambda x: F.triplet_margin_loss(x, x, x[0]), "same number of axes"),
        (lambda x: F.multi_margin_loss(x, [0, 1, 2, 3]), "target"),
        (lambda x: F.multi_margin_loss(x, [0, 1, 2, 2], p=3), "p must be 1 or 2"),
        (lambda x: F.multilabel_margin_loss(x, np.full((4, 3), 3)), "target"),
        (lambda x: F.ctc_loss(x[None], [[1]], [1] * 4, [1]), "targets"),
        (lambda x: F.ctc_loss(x[:, None], [[3]], [4], [1]), "targets"),
        (lambda x: F.ctc_loss(x[:, None], [[1]], [5], [1]), "input_lengths"),
        (lambda x: F.ctc_loss(x[:, None], [1, 1], [4], [1]), "target_lengths"),
        (lambda x: F.ctc_loss(x[:, None], [[1]], [4], [1], blank=3), "blank"),
    ],
)
def test_errors_name_the_argument(call, word):
    with pytest.raises(ValueError, match=word):
        call(normal(4, 3))
