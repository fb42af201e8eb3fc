"""The adaptive softmax: cross-entropy over clusters of classes of falling frequency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastdrop import functional as F
from fastdrop._utils import validation as check
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.classification_loss import labels_of
from fastdrop.functional.linear_cross_entropy import linear_cross_entropies
from fastdrop.nn.container import Sequential
from fastdrop.nn.linear import Linear
from fastdrop.nn.module import Module
from fastdrop.nn.module_list import ModuleList

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike, IntArray


class AdaptiveSoftmaxLoss(NamedTuple):
    """What `AdaptiveLogSoftmaxWithLoss` returns.

    Attributes
    ----------
    output : Tensor (N,)
        The log probability of each target.
    loss : Tensor
        0-d: the mean of -output.
    """

    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    r"""Log softmax over many classes in clusters, at the cost of those that occur, and its loss.

    Class numbers are sorted by falling frequency. The head has the scores of the classes below the
    first cutoff and one score for each cluster of rarer classes; a cluster has a softmax of its own
    over a projection of the input, smaller for rarer classes. With the cluster k of class c:

    .. math::
        \log p(c) = \log\mathrm{softmax}(h)_{k} + \log\mathrm{softmax}(V_k U_k x)_{c}, \qquad
        h = W x + b

    and :math:`\log\mathrm{softmax}(h)_c` alone for a class of the head. Only the rows of a batch
    whose targets lie in a cluster are multiplied by its matrices, and scores are never stored as a
    whole (`functional.linear_cross_entropy`).

    Input (N, in_features), target (N,), or (in_features,) and one class number. Called as
    ``output, loss = layer(input, target)``. Differences from
    ``torch.nn.AdaptiveLogSoftmaxWithLoss``: errors are ValueError; no ``device`` and ``dtype``.

    Parameters
    ----------
    in_features : int
        Size of the last axis of the input.
    n_classes : int
        Number of classes.
    cutoffs : sequence of int
        The first class of each cluster, increasing, in [1, n_classes - 1].
    div_value : float
        Cluster k (from 1 on) projects to ``in_features // div_value**k`` numbers.
    head_bias : bool
        Whether the head has a bias.

    Attributes
    ----------
    head : Linear
        W and b.
    tail : ModuleList
        For each cluster a Sequential of two Linear: U and V.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range. When called: shapes that do not match, or
        targets outside of [0, n_classes).

    References
    ----------
    Grave, Joulin, Cissé, Grangier, Jégou, "Efficient softmax approximation for GPUs", ICML 2017,
    arXiv:1609.04309.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> layer = nn.AdaptiveLogSoftmaxWithLoss(16, 1000, cutoffs=[100, 400])
    >>> output, loss = layer(np.ones((3, 16)), [5, 120, 999])
    >>> output.shape, loss.shape
    ((3,), ())
    >>> layer.log_prob(np.ones((3, 16))).shape
    (3, 1000)
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
    ) -> None:
        super().__init__()
        self.in_features = check.integer(in_features, "in_features", 1)
        self.n_classes = check.integer(n_classes, "n_classes", 2)
        if not isinstance(cutoffs, (list, tuple, range, np.ndarray)) or len(cutoffs) == 0:
            raise TypeError(
                f"cutoffs must be a sequence of class numbers, got {check.describe(cutoffs)}"
            )
        first = [check.integer(c, "cutoffs", 1, self.n_classes - 1) for c in cutoffs]
        if sorted(set(first)) != first:
            raise ValueError(f"cutoffs must increase, got {first}")
        self.cutoffs = [*first, self.n_classes]
        self.div_value = check.real(div_value, "div_value", low=0.0, open_low=True)
        self.head_bias = check.flag(head_bias, "head_bias")
        self.shortlist_size, self.n_clusters = first[0], len(first)
        self.head_size = self.shortlist_size + self.n_clusters
        sizes = [int(self.in_features // self.div_value ** (k + 1)) for k in range(len(first))]
        if min(sizes) < 1:
            raise ValueError(
                f"div_value must leave each cluster a projection of at least 1 number, got "
                f"{div_value} with in_features = {in_features}, which leaves {sizes}"
            )
        self.head = Linear(self.in_features, self.head_size, self.head_bias)
        self.tail = ModuleList(
            Sequential(
                Linear(self.in_features, size, False),
                Linear(size, self.cutoffs[k + 1] - self.cutoffs[k], False),
            )
            for k, size in enumerate(sizes)
        )

    def reset_parameters(self) -> None:
        """Draw all parameters again, as those of `Linear`."""
        for module in self.modules():
            if isinstance(module, Linear):
                module.reset_parameters()

    if TYPE_CHECKING:

        def __call__(  # type: ignore[override]
            self, input: Tensor | ArrayLike, target: Tensor | ArrayLike
        ) -> AdaptiveSoftmaxLoss: ...

    def forward(self, input: Tensor | ArrayLike, target: Tensor | ArrayLike) -> Any:
        x = as_tensor(input, "input")
        single = x.ndim == 1
        numbers: Any = [target] if single else target
        if single:
            x = F.unsqueeze(x, 0)
        self._check_input(x)
        t, counts, _, _ = labels_of(numbers, x.shape[:1], self.n_classes, None, -100)
        if not counts.all():
            raise ValueError(f"target must be in [0, {self.n_classes - 1}], got -100")
        clusters = np.searchsorted(self.cutoffs, t, side="right")
        in_head = np.where(clusters == 0, t, self.shortlist_size + clusters - 1)
        losses, total = linear_cross_entropies(x, self.head.weight, in_head, self.head.bias)
        for k in np.unique(clusters[clusters > 0]) - 1:
            rows = np.flatnonzero(clusters == k + 1)
            more, its_total = self._of_cluster(k, x, rows, t[rows] - self.cutoffs[k])
            losses, total = losses + _spread(more, rows, len(t)), total + its_total
        output = -losses
        return AdaptiveSoftmaxLoss(output[0] if single else output, total * (1.0 / max(1, len(t))))

    def _check_input(self, x: Tensor) -> None:
        if x.ndim != 2 or x.shape[1] != self.in_features:
            raise ValueError(
                f"input must have shape (N, {self.in_features}) or ({self.in_features},), "
                f"got {x.shape}"
            )

    def _of_cluster(
        self, k: int, x: Tensor, rows: IntArray, target: IntArray
    ) -> tuple[Tensor, Tensor]:
        """The losses of some rows in the softmax of cluster k, and their sum."""
        cluster: Any = self.tail[int(k)]
        first, last = cluster
        part = x if len(rows) == x.shape[0] else x[rows]
        return linear_cross_entropies(first(part), last.weight, target)

    def log_prob(self, input: Tensor | ArrayLike) -> Tensor:
        """The log probabilities of all classes.

        Parameters
        ----------
        input : Tensor or array (N, in_features)

        Returns
        -------
        Tensor (N, n_classes)
        """
        x = as_tensor(input, "input")
        self._check_input(x)
        head = F.log_softmax(self.head(x), 1)
        parts = [head[:, : self.shortlist_size]]
        for k, cluster in enumerate(self.tail):
            at = self.shortlist_size + k
            parts.append(F.log_softmax(cluster(x), 1) + head[:, at : at + 1])
        return F.cat(parts, 1)

    def predict(self, input: Tensor | ArrayLike) -> npt.NDArray[np.int64]:
        """The most probable class of each row.

        Rows whose best score in the head is that of a class need no cluster: a cluster's classes
        are at most as probable as the cluster.

        Parameters
        ----------
        input : Tensor or array (N, in_features)

        Returns
        -------
        array of int64 (N,)
        """
        x = as_tensor(input, "input")
        self._check_input(x)
        best = self.head(x).numpy().argmax(1)
        rows = np.flatnonzero(best >= self.shortlist_size)
        if len(rows):
            best[rows] = self.log_prob(x[rows]).numpy().argmax(1)
        return best

    def extra_repr(self) -> str:
        return (
            f"{self.in_features}, {self.n_classes}, cutoffs={self.cutoffs[:-1]}, "
            f"div_value={self.div_value}, head_bias={self.head_bias}"
        )


def _spread(values: Tensor, rows: IntArray, count: int) -> Tensor:
    """`count` numbers: the values in their rows, 0 in the others."""
    if len(rows) == count:
        return values
    at = np.full(count, len(rows))
    at[rows] = np.arange(len(rows))
    return F.cat([values, np.zeros(1, np.float32)], 0)[at]
