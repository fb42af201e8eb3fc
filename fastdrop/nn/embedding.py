"""Embedding: a learned vector for each token number, with dropout of whole word types."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastdrop import functional as F
from fastdrop import random, schedules
from fastdrop._utils import validation as check
from fastdrop.autograd.parameter import Parameter
from fastdrop.nn import init
from fastdrop.nn.module import Module

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor
    from fastdrop.schedules import Schedule


class Embedding(Module):
    """Table of vectors, read by token number: ``y = weight[tokens]``, with word dropout.

    Input: integers (N, ...) in [0, num_embeddings); output (N, ..., embedding_dim). With `dropout`
    whole word types are dropped in training: one decision for each token number and pass, applied
    at every occurrence; rows of kept types are multiplied by 2^32 / q (about 1 / (1 - p)). In
    evaluation nothing is dropped. Rates: 0.05 to 0.1.

    Differences from ``torch.nn.Embedding``: no ``max_norm``, ``scale_grad_by_freq`` and ``sparse``.

    Parameters
    ----------
    num_embeddings : int
        Number of token numbers.
    embedding_dim : int
        Length of each vector.
    padding_idx : int, optional
        A token number whose vector is zero at first and gets no gradient.
    dropout : float in [0, 1], or Schedule
        Probability to drop a word type.
    per_sample : bool
        Make the decisions for each sample (axis 0 of the input) instead of for each pass.

    Attributes
    ----------
    weight : Parameter (num_embeddings, embedding_dim)
        The table, standard normal at first.

    References
    ----------
    - Gal, Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent Neural
      Networks", NeurIPS 2016, arXiv:1512.05287.
    - Merity, Keskar, Socher, "Regularizing and Optimizing LSTM Language Models", ICLR 2018,
      arXiv:1708.02182.

    Examples
    --------
    >>> from fastdrop import nn
    >>> table = nn.Embedding(1000, 16, padding_idx=0, dropout=0.1)
    >>> table([[5, 7, 0], [5, 9, 2]]).shape
    (2, 3, 16)
    """

    n_sites = 1
    weight: Parameter
    padding_idx: int | None
    dropout: float | Schedule

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        dropout: float | Schedule = 0.0,
        per_sample: bool = False,
    ) -> None:
        super().__init__()
        self.num_embeddings = check.integer(num_embeddings, "num_embeddings", 1)
        self.embedding_dim = check.integer(embedding_dim, "embedding_dim", 0)
        self.padding_idx = None
        if padding_idx is not None:
            self.padding_idx = (
                check.integer(padding_idx, "padding_idx", -num_embeddings, num_embeddings - 1)
                % num_embeddings
            )
        self.dropout = schedules.rate(dropout, "dropout")
        self.per_sample = check.flag(per_sample, "per_sample")
        self.weight = Parameter(np.empty((num_embeddings, embedding_dim), np.float32))
        self.reset_parameters()

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor | ArrayLike,
        freeze: bool = True,
        padding_idx: int | None = None,
        *,
        dropout: float | Schedule = 0.0,
        per_sample: bool = False,
    ) -> Embedding:
        """An embedding with a given table.

        Parameters
        ----------
        embeddings : array (num_embeddings, embedding_dim)
            The table, which is copied.
        freeze : bool
            True: the table is not learned.
        padding_idx : int, optional
            A token number whose vector gets no gradient; its vector is that of the given table.
        dropout : float in [0, 1], or Schedule
            Probability to drop a word type.
        per_sample : bool
            Make the decisions for each sample instead of for each pass.

        Returns
        -------
        Embedding

        Examples
        --------
        >>> from fastdrop import nn
        >>> nn.Embedding.from_pretrained([[1.0, 2.0], [3.0, 4.0]])([1]).tolist()
        [[3.0, 4.0]]
        """
        table = check.floats(embeddings, "embeddings", ndim=2)
        words, length = table.shape
        layer = cls(words, length, padding_idx, dropout=dropout, per_sample=per_sample)
        layer.weight._to_write("from_pretrained()")[...] = table
        layer.weight.requires_grad_(not check.flag(freeze, "freeze"))
        return layer

    def reset_parameters(self) -> None:
        """Draw the initial table again, from the generator "init" of the run."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            self.weight._to_write("reset_parameters()")[self.padding_idx] = 0.0

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.embedding(
            input,
            self.weight,
            self.padding_idx,
            random.rate_now(self.dropout),
            self.training,
            per_sample=self.per_sample,
            layer=self,
        )

    def extra_repr(self) -> str:
        more = [
            f"{name}={getattr(self, name)}"
            for name, default in (("padding_idx", None), ("dropout", 0.0), ("per_sample", False))
            if getattr(self, name) != default
        ]
        return ", ".join([f"{self.num_embeddings}, {self.embedding_dim}", *more])
