"""Recurrent language models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import functional as F
from fastdrop import nn
from fastdrop._utils import validation as check
from fastdrop.autograd.grad_mode import no_grad
from fastdrop.nn.evaluating import evaluating

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor
    from fastdrop.schedules import Schedule

    Rate = float | Schedule

__all__ = ["LanguageModel", "language_model"]

CELLS: dict[str, type[nn.RNNBase]] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


class LanguageModel(nn.Module):
    """Predicts each next token: embedding, recurrent layers, dense layer over the vocabulary.

    Called as ``scores, state = model(tokens, state)``; tokens are integers (T, N), scores
    (T, N, vocab_size), the state is that of the recurrent layers, None at the beginning.
    ``loss, state = model.loss(tokens, targets, state)`` computes the mean cross-entropy without the
    scores.

    Rates for words: `dropout` 0.2 to 0.5, `recurrent_dropout` 0.1 to 0.25, `embedding_dropout`
    0.1; for large models `weight_drop` 0.5. For characters about half of that.

    Parameters
    ----------
    vocab_size : int
        Number of tokens.
    embedding_size : int
        Length of a token's vector.
    hidden_size : int, optional
        Units of each recurrent layer; by default `embedding_size`.
    num_layers : int
        Recurrent layers.
    cell : {"lstm", "gru", "rnn"}
    dropout : float in [0, 1], or Schedule
        Rate of the vectors, between the layers, and of the last layer's output.
    input_dropout, output_dropout : float in [0, 1], or Schedule, optional
        The rates of the vectors and of the output where they differ from `dropout`.
    recurrent_dropout, weight_drop, zoneout, per_gate
        Of the recurrent layers; see `nn.LSTM`.
    variational : bool
        Whether all of these have one mask a sequence (Gal and Ghahramani), or `dropout` a fresh one
        in each step (Zaremba et al.).
    embedding_dropout : float in [0, 1], or Schedule
        Rate of whole word types.
    tie_weights : bool
        Whether decoder and embedding share their weight. Needs hidden_size = embedding_size.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range.

    References
    ----------
    - Zaremba, Sutskever, Vinyals, "Recurrent Neural Network Regularization", 2014,
      arXiv:1409.2329.
    - Gal, Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent Neural
      Networks", NeurIPS 2016, arXiv:1512.05287.
    - Merity, Keskar, Socher, "Regularizing and Optimizing LSTM Language Models", ICLR 2018,
      arXiv:1708.02182.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> model = fd.models.LanguageModel(50, 8)
    >>> scores, state = model(np.zeros((5, 2), int))
    >>> scores.shape
    (5, 2, 50)
    """

    def __init__(
        self,
        vocab_size: int,
        embedding_size: int = 200,
        hidden_size: int | None = None,
        num_layers: int = 2,
        *,
        cell: str = "lstm",
        dropout: Rate = 0.0,
        input_dropout: Rate | None = None,
        output_dropout: Rate | None = None,
        recurrent_dropout: Rate = 0.0,
        variational: bool = True,
        embedding_dropout: Rate = 0.0,
        weight_drop: Rate = 0.0,
        zoneout: Any = 0.0,
        per_gate: bool | None = None,
        tie_weights: bool = False,
    ) -> None:
        super().__init__()
        self.vocab_size = check.integer(vocab_size, "vocab_size", 1)
        self.embedding_size = check.integer(embedding_size, "embedding_size", 1)
        units = embedding_size if hidden_size is None else hidden_size
        self.hidden_size = check.integer(units, "hidden_size", 1)
        self.num_layers = check.integer(num_layers, "num_layers", 1)
        self.cell = check.choice(cell, "cell", tuple(CELLS))
        self.dropout, self.embedding_dropout = dropout, embedding_dropout
        self.input_dropout = dropout if input_dropout is None else input_dropout
        self.output_dropout = dropout if output_dropout is None else output_dropout
        self.recurrent_dropout, self.weight_drop = recurrent_dropout, weight_drop
        self.zoneout, self.variational = zoneout, check.flag(variational, "variational")
        self.tie_weights = check.flag(tie_weights, "tie_weights")
        of_sequence: dict[str, Any] = {}
        self.before = self.after = None
        if variational:
            of_sequence = {
                "input_dropout": self.input_dropout,
                "output_dropout": self.output_dropout,
            }
        else:
            self.before = nn.Dropout(self.input_dropout)
            self.after = nn.Dropout(self.output_dropout)
        self.embedding = nn.Embedding(vocab_size, embedding_size, dropout=embedding_dropout)
        self.recurrent = CELLS[cell](
            embedding_size,  # type: ignore[arg-type]
            units,
            num_layers,
            dropout=dropout if num_layers > 1 else 0.0,
            recurrent_dropout=recurrent_dropout,
            variational=variational,
            per_gate=per_gate,
            weight_drop=weight_drop,
            zoneout=zoneout,
            **of_sequence,
        )
        self.per_gate = self.recurrent.per_gate
        self.decoder = nn.Linear(units, vocab_size)
        if tie_weights:
            if units != embedding_size:
                raise ValueError(
                    f"tie_weights needs hidden_size = embedding_size, got {units} and "
                    f"{embedding_size}"
                )
            self.decoder.weight = self.embedding.weight

    def _features(self, tokens: Tensor | ArrayLike, state: Any) -> tuple[Tensor, Any]:
        """What the decoder reads, and the new state."""
        x = self.embedding(tokens)
        if self.before is not None:
            x = self.before(x)
        y, state = self.recurrent(x, state)
        if self.after is not None:
            y = self.after(y)
        return y, state

    if TYPE_CHECKING:

        def __call__(  # type: ignore[override]
            self, tokens: Tensor | ArrayLike, state: Any = None, targets: Any = None
        ) -> tuple[Tensor, Any]: ...

    def forward(
        self, tokens: Tensor | ArrayLike, state: Any = None, targets: Any = None
    ) -> tuple[Tensor, Any]:
        y, state = self._features(tokens, state)
        if targets is None:
            return self.decoder(y), state
        loss = F.linear_cross_entropy(
            y, self.decoder.weight, targets, linear_bias=self.decoder.bias
        )
        return loss, state

    def loss(
        self, tokens: Tensor | ArrayLike, targets: ArrayLike, state: Any = None
    ) -> tuple[Tensor, Any]:
        """The mean cross-entropy of the next tokens, and the state for the next piece.

        Parameters
        ----------
        tokens, targets : integers (T, N)
            See `fastdrop.data.BPTTBatches`.
        state : state of the recurrent layers, optional

        Returns
        -------
        loss : Tensor
            0-d, in nats a token; exp(loss) is the perplexity.
        state : Tensor or tuple of Tensor
            Detached: backpropagation ends at the beginning of the piece.
        """
        loss, state = self(tokens, state, targets)
        if isinstance(state, tuple):
            return loss, tuple(s.detach() for s in state)
        return loss, state.detach()

    def generate(
        self,
        tokens: ArrayLike,
        max_new_tokens: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        seed: int | None = None,
    ) -> npt.NDArray[np.int64]:
        """Draw tokens that go on after given ones, in evaluation mode.

        Parameters
        ----------
        tokens : integers (L,)
            The beginning, at least one.
        max_new_tokens : int
        temperature : float, default 1
            The scores are divided by it; 0: always the most probable token.
        top_k : int, optional
            Only the k most probable tokens are drawn.
        seed : int, optional
            Of NumPy's generator.

        Returns
        -------
        int64 array (L + max_new_tokens,)

        Raises
        ------
        TypeError, ValueError
            `tokens` are not at least one integer, or an argument is out of range.
        """
        given, count, draw = generation(tokens, max_new_tokens, temperature, top_k, seed)
        found = [int(t) for t in given]
        with evaluating(self), no_grad():
            scores, state = self(given[:, None])
            for i in range(count):
                found.append(draw(scores.numpy()[-1, 0]))
                if i + 1 < count:
                    scores, state = self(np.array([[found[-1]]]), state)
        return np.array(found, np.int64)


def generation(
    tokens: ArrayLike,
    max_new_tokens: int,
    temperature: float,
    top_k: int | None,
    seed: int | None,
) -> tuple[npt.NDArray[np.int64], int, Callable[[npt.NDArray[np.float32]], int]]:
    """The checked arguments of `generate`: the beginning, the count, and what draws a token."""
    given = np.asarray(tokens)
    if given.ndim != 1 or given.size == 0 or given.dtype.kind not in "iu":
        raise ValueError(
            f"tokens must be a 1-d sequence of integers, at least one, got {check.describe(tokens)}"
        )
    count = check.integer(max_new_tokens, "max_new_tokens", 0)
    temperature = check.real(temperature, "temperature", low=0.0)
    if top_k is not None:
        top_k = check.integer(top_k, "top_k", 1)
    rng = np.random.default_rng(seed)
    return given.astype(np.int64), count, lambda scores: _drawn(scores, temperature, top_k, rng)


def _drawn(
    scores: npt.NDArray[np.float32], temperature: float, top_k: int | None, rng: np.random.Generator
) -> int:
    """The number of a token, drawn by its probability."""
    if temperature == 0.0:
        return int(scores.argmax())
    z = scores.astype(np.float64) / temperature
    if top_k is not None and top_k < z.size:
        z[z < np.partition(z, -top_k)[-top_k]] = -np.inf
    p = np.exp(z - z.max())
    return int(rng.choice(z.size, p=p / p.sum()))


def language_model(vocab_size: int, *args: Any, **kwargs: Any) -> LanguageModel:
    """Build a `LanguageModel`.

    Parameters
    ----------
    vocab_size : int
        Number of tokens.
    *args, **kwargs
        Other arguments of `LanguageModel`.

    Returns
    -------
    LanguageModel

    Raises
    ------
    TypeError, ValueError
        As for `LanguageModel`.

    Examples
    --------
    >>> import fastdrop as fd
    >>> model = fd.models.language_model(100, 16, dropout=0.2, tie_weights=True)
    >>> model.decoder.weight is model.embedding.weight
    True
    """
    return LanguageModel(vocab_size, *args, **kwargs)
