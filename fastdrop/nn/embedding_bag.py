"""EmbeddingBag: sums, means or largest elements of the embeddings of bags of tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastdrop import functional as F
from fastdrop._utils import validation as check
from fastdrop.autograd.parameter import Parameter
from fastdrop.functional.embedding_bag import MODES
from fastdrop.nn import init
from fastdrop.nn.module import Module

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor


class EmbeddingBag(Module):
    """The sum, the mean or the largest elements of the embeddings of each bag of tokens.

    Input: integers (N, L), or (total,) with `offsets`, the places where bags begin; output
    (N, embedding_dim).

    Differences from ``torch.nn.EmbeddingBag``: no ``max_norm``, ``scale_grad_by_freq`` and
    ``sparse``.

    Parameters
    ----------
    num_embeddings : int
        Number of token numbers.
    embedding_dim : int
        Length of each vector.
    mode : {"sum", "mean", "max"}
        What becomes of a bag. A bag without tokens gives 0.
    include_last_offset : bool
        Whether offsets ends with the end of the last bag.
    padding_idx : int, optional
        A token that is left out; its vector is zero at first.

    Attributes
    ----------
    weight : Parameter (num_embeddings, embedding_dim)
        The table, standard normal at first.

    Examples
    --------
    >>> from fastdrop import nn
    >>> bags = nn.EmbeddingBag(1000, 16, "sum")
    >>> bags([[5, 7, 0], [5, 9, 2]]).shape, bags([5, 7, 0, 5], [0, 3]).shape
    ((2, 16), (2, 16))
    """

    weight: Parameter

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        mode: str = "mean",
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> None:
        super().__init__()
        self.num_embeddings = check.integer(num_embeddings, "num_embeddings", 1)
        self.embedding_dim = check.integer(embedding_dim, "embedding_dim", 0)
        self.mode = check.choice(mode, "mode", MODES)
        self.include_last_offset = check.flag(include_last_offset, "include_last_offset")
        self.padding_idx: int | None = None
        if padding_idx is not None:
            self.padding_idx = (
                check.integer(padding_idx, "padding_idx", -num_embeddings, num_embeddings - 1)
                % num_embeddings
            )
        self.weight = Parameter(np.empty((num_embeddings, embedding_dim), np.float32))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the initial table again, from the generator "init" of the run."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            self.weight._to_write("reset_parameters()")[self.padding_idx] = 0.0

    def forward(
        self,
        input: Tensor | ArrayLike,
        offsets: Tensor | ArrayLike | None = None,
        per_sample_weights: Tensor | ArrayLike | None = None,
    ) -> Tensor:
        return F.embedding_bag(
            input,
            self.weight,
            offsets,
            self.mode,
            per_sample_weights,
            self.include_last_offset,
            self.padding_idx,
        )

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}, mode={self.mode!r}{padding}"
