"""Embedding: rows of a table by token number."""

from __future__ import annotations

import numpy as np

from fastdrop import random, schedules
from fastdrop._utils import validation as check
from fastdrop.autograd.parameter import Parameter
from fastdrop.autograd.tensor import Tensor
from fastdrop.functional.embedding import embedding
from fastdrop.nn import init
from fastdrop.nn.module import Module


class Embedding(Module):
    """Rows of a table by token number, with word dropout: in training whole word types dropped, kept ones times 2^32 / q.

    Parameters
    ----------
    num_embeddings, embedding_dim : int
    padding_idx : int, optional
        A token whose row is zero at first and gets no gradient.
    dropout : float in [0, 1], or Schedule
        Probability to drop a word type: one decision a token number and pass, applied at every occurrence.
    per_sample : bool
        Each sample drops its own word types.

    Attributes
    ----------
    weight : Parameter (num_embeddings, embedding_dim), standard normal at first, as PyTorch's

    References
    ----------
    Gal and Ghahramani, NeurIPS 2016. Merity, Keskar, Socher, "Regularizing and optimizing LSTM language models", ICLR 2018.
    """

    n_sites = 1

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        dropout: float = 0.0,
        per_sample: bool = False,
    ):
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
        embeddings,
        freeze: bool = True,
        padding_idx: int | None = None,
        *,
        dropout: float = 0.0,
        per_sample: bool = False,
    ) -> Embedding:
        """With this table (num_embeddings, embedding_dim), copied; freeze: it is not learned."""
        table = check.floats(embeddings, "embeddings", ndim=2)
        layer = cls(*table.shape, padding_idx, dropout=dropout, per_sample=per_sample)
        layer.weight.data[...] = table
        layer.weight.requires_grad_(not check.flag(freeze, "freeze"))
        return layer

    def reset_parameters(self) -> None:
        """Draw the initial table again."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            self.weight.data[self.padding_idx] = 0.0

    def forward(self, input) -> Tensor:
        return embedding(
            input,
            self.weight,
            self.padding_idx,
            random.rate_now(self.dropout),
            self.training,
            per_sample=self.per_sample,
            layer=self,
        )

    def extra_repr(self):
        more = [
            f"{name}={getattr(self, name)}"
            for name, usual in (("padding_idx", None), ("dropout", 0.0), ("per_sample", False))
            if getattr(self, name) != usual
        ]
        return ", ".join([f"{self.num_embeddings}, {self.embedding_dim}", *more])
