"""GPT: causal language models made of transformer layers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import functional as F
from fastdrop import nn
from fastdrop._utils import validation as check
from fastdrop.autograd.grad_mode import no_grad
from fastdrop.autograd.passes import carries
from fastdrop.autograd.recording import of_library, record
from fastdrop.autograd.tensor import Tensor, wrap
from fastdrop.models.language_model import generation
from fastdrop.nn.evaluating import evaluating
from fastdrop.nn.hooks import runs_own_code

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike, Float32Array
    from fastdrop.autograd.recording import Recording
    from fastdrop.schedules import Schedule

    Rate = float | Schedule

__all__ = ["GPT", "gpt"]


class GPT(nn.Module):
    """A causal language model: embeddings, transformer layers, and scores of the next token.

    ``h = dropout(wte[tokens] + wpe[positions])``, then n_layer layers
    ``h = h + dropout(attention(norm(h)))``, ``h = h + dropout(W_2 gelu(W_1 norm(h)))``, and the
    scores ``norm(h) wte^T``: the weights of the first and the last layer are the same. Position t
    sees the positions up to t. It is the shape of GPT-2 and of nanoGPT.

    ``model(tokens)`` gives the scores (N, T, vocab_size); ``model(tokens, last=True)`` those of the
    last position alone, (N, vocab_size); ``model(tokens, targets)`` the mean cross-entropy of the
    targets, in nats, without storing the scores as a whole.

    Rates: 0 for large-scale pretraining, 0.1 to 0.2 where the text is read many times.

    Parameters
    ----------
    vocab_size : int
        Number of tokens.
    block_size : int
        The most positions.
    n_layer, n_head, n_embd : int
        Layers, heads of each, and the size of their inputs.
    dropout : float in [0, 1], or Schedule
        The rate of the three places of Vaswani et al.: the softmax, the branches before they are
        added, and the embeddings.
    bias : bool
        Whether products and norms have biases.
    attention_dropout, residual_dropout, embedding_dropout : float or Schedule, optional
        The rates of these places; `dropout` by default.
    word_dropout : float
        The probability to drop a token's whole embedding, in all places of the batch.
    drop_path : float
        Stochastic depth of the last layer's branches; it grows linearly from 0.
    layer_drop : float
        The probability that a training step skips a layer.
    head_dropout : float or Schedule
        The probability that a sample drops a head.
    activation : {"gelu", "gelu_tanh"}
        The exact GELU (nanoGPT), or its approximation by tanh (GPT-2).

    Raises
    ------
    ValueError
        When called: there are more positions than block_size.

    References
    ----------
    Radford, Wu, Child, Luan, Amodei, Sutskever, "Language Models are Unsupervised Multitask
    Learners", OpenAI 2019.

    Examples
    --------
    >>> import fastdrop as fd
    >>> model = fd.models.gpt(10, block_size=8, n_layer=1, n_head=2, n_embd=16)
    >>> model([[1, 2, 3]]).shape
    (1, 3, 10)
    >>> model.generate([1, 2], 3, temperature=0).shape
    (5,)
    """

    def __init__(
        self,
        vocab_size: int,
        block_size: int,
        n_layer: int = 12,
        n_head: int = 12,
        n_embd: int = 768,
        dropout: Rate = 0.0,
        bias: bool = True,
        *,
        attention_dropout: Rate | None = None,
        residual_dropout: Rate | None = None,
        embedding_dropout: Rate | None = None,
        word_dropout: float = 0.0,
        drop_path: float = 0.0,
        layer_drop: float = 0.0,
        head_dropout: Rate = 0.0,
        activation: str = "gelu",
    ) -> None:
        super().__init__()
        self.vocab_size = check.integer(vocab_size, "vocab_size", 1)
        self.block_size = check.integer(block_size, "block_size", 1)
        self.n_layer = check.integer(n_layer, "n_layer", 1)
        self.n_head, self.n_embd = n_head, check.integer(n_embd, "n_embd", 1)
        self.dropout, self.bias = dropout, check.flag(bias, "bias")
        self.attention_dropout = dropout if attention_dropout is None else attention_dropout
        self.residual_dropout = dropout if residual_dropout is None else residual_dropout
        self.embedding_dropout = dropout if embedding_dropout is None else embedding_dropout
        self.word_dropout, self.drop_path = word_dropout, drop_path
        self.layer_drop, self.head_dropout = layer_drop, head_dropout
        self.activation = check.choice(activation, "activation", ("gelu", "gelu_tanh"))
        self.wte = nn.Embedding(vocab_size, n_embd, dropout=word_dropout)
        self.wpe = nn.LearnedPositionalEncoding(block_size, n_embd)
        self.drop = nn.Dropout(self.embedding_dropout)
        layer = nn.TransformerEncoderLayer(
            *(n_embd, n_head, 4 * n_embd, 0.0),
            activation=activation,
            batch_first=True,
            norm_first=True,
            bias=bias,
            attention_dropout=self.attention_dropout,
            residual_dropout=self.residual_dropout,
            head_dropout=head_dropout,
        )
        norm = nn.LayerNorm(n_embd, bias=bias)
        self.h = nn.TransformerEncoder(
            layer, n_layer, norm, layer_drop=layer_drop, drop_path=drop_path
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the initial weights again, from the generator "init" of the run.

        Normal with deviation 0.02, and 0.02 / sqrt(2 n_layer) where a branch ends; biases 0.
        """
        ends = 0.02 / math.sqrt(2 * self.n_layer)
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1:
                last = name.endswith(("out_proj.weight", "linear2.weight"))
                nn.init.normal_(parameter, 0.0, ends if last else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    if TYPE_CHECKING:

        def __call__(
            self,
            tokens: Tensor | ArrayLike,
            targets: Any = None,
            *,
            caches: Sequence[nn.KeyValueCache] = (),
            last: bool = False,
        ) -> Tensor: ...

    def _features(
        self, tokens: Tensor | ArrayLike, caches: Sequence[nn.KeyValueCache] = ()
    ) -> Tensor:
        """What the scores are made of. With caches the tokens go on after earlier ones."""
        x = self.wpe(self.wte(tokens), offset=caches[0].length if caches else 0)
        return self.h(self.drop(x), is_causal=True, caches=caches)

    @carries
    def forward(
        self,
        tokens: Tensor | ArrayLike,
        targets: Any = None,
        *,
        caches: Sequence[nn.KeyValueCache] = (),
        last: bool = False,
    ) -> Tensor:
        x = self._features(tokens, caches)
        if check.flag(last, "last"):
            if targets is not None:
                raise ValueError("last must be False with targets, got True")
            x = x[:, -1]
        if targets is None:
            return F.linear(x, self.wte.weight)
        return F.linear_cross_entropy(x, self.wte.weight, targets)

    def loss(self, tokens: ArrayLike, targets: ArrayLike, state: Any = None) -> tuple[Tensor, None]:
        """The mean cross-entropy of the next tokens, as `LanguageModel.loss`.

        Parameters
        ----------
        tokens, targets : integers (T, N)
            See `fastdrop.data.RandomWindows` and `fastdrop.data.BPTTBatches`.
        state : None
            This model carries no state.

        Returns
        -------
        loss : Tensor
            0-d, in nats a token.
        state : None
        """
        rows = np.ascontiguousarray(np.asarray(tokens).T)
        return self(rows, np.ascontiguousarray(np.asarray(targets).T)), None

    def generate(
        self,
        idx: ArrayLike,
        max_new_tokens: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        seed: int | None = None,
    ) -> npt.NDArray[np.int64]:
        """Draw tokens that go on after given ones, in evaluation mode.

        The keys and values of earlier positions are kept. From block_size positions on a token
        depends on the block_size tokens before it, and all of them are computed again.

        Parameters
        ----------
        idx : integers (L,)
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
            `idx` is not at least one integer, or an argument is out of range.
        """
        given, count, draw = generation(idx, max_new_tokens, temperature, top_k, seed)
        found = given.tolist()
        following: _NextToken | None = None
        with evaluating(self), no_grad():
            for _ in range(count):
                if following is not None and following.position < self.block_size:
                    scores = following(found[-1])
                else:
                    following = _NextToken(self)
                    scores = following.begin(found[-self.block_size :])
                found.append(draw(scores))
        return np.array(found, np.int64)


def _is_known(model: GPT) -> bool:
    """Whether a model has its parts as they were made, and no code of the user in them."""
    parts = (type(model.wte), type(model.wpe), type(model.drop), type(model.h))
    return (
        parts == (nn.Embedding, nn.LearnedPositionalEncoding, nn.Dropout, nn.TransformerEncoder)
        and model.drop.inverted
        and all(
            of_library(module)
            and not runs_own_code(module)
            # activations
            and all(of_library(value) for value in vars(module).values() if callable(value))
            for module in model.modules()
        )
    )


class _NextToken:
    """The scores of the next token, from one token at a time.

    The calls for one token are always the same, so they are recorded once and then replayed
    (`fastdrop.autograd.recording`): Python needs longer for them than the core does.
    """

    def __init__(self, model: GPT) -> None:
        self.model = model
        self.caches = [nn.KeyValueCache(model.block_size) for _ in range(model.n_layer)]
        self.x = np.empty((1, 1, model.n_embd), np.float32)
        self.tokens = 0  # computed alone so far
        self.recording: Recording | None = None
        self.scores: Float32Array | None = None
        self.checked, self.known = False, _is_known(model)

    @property
    def position(self) -> int:
        """How many tokens are in the caches."""
        return self.caches[0].length

    def begin(self, tokens: list[int]) -> Float32Array:
        """The scores (vocab_size,) after tokens that follow those of the caches."""
        return self.model([tokens], caches=self.caches, last=True)._array[0]

    def __call__(self, token: int) -> Float32Array:
        """The scores (vocab_size,) after one more token."""
        self.tokens += 1
        if self.tokens == 1:  # packs the weights, which the recording of the second one needs
            for parameter in self.model.parameters():
                parameter.pack_next()
        if self.tokens == 1 or not self.known:
            return self.begin([token])
        words, places = self.model.wte.weight._array, self.model.wpe.weight._array
        np.add(words[token], places[self.position], out=self.x[0, 0])
        if self.recording is not None and self.scores is not None:
            self.recording.replay()
            return self.scores if self.checked else self._check(token, self.scores)
        self.scores, self.recording = record(self._from_embedding)
        return self.scores

    def _check(self, token: int, replayed: Float32Array) -> Float32Array:
        """The scores of a token whose calls were replayed, computed once more by the model.

        Where a layer computes with NumPy they differ, and the model computes the others too.
        """
        for cache in self.caches:
            cache.length -= 1
        scores = self.begin([token])
        self.checked = self.known = scores.tobytes() == replayed.tobytes()
        return scores

    def _from_embedding(self) -> Float32Array:
        h = self.model.h(wrap(self.x), is_causal=True, caches=self.caches)
        return F.linear(h, self.model.wte.weight)._array[0, 0]


def gpt(vocab_size: int, block_size: int, *args: Any, **kwargs: Any) -> GPT:
    """Build a `GPT`.

    Parameters
    ----------
    vocab_size : int
        Number of tokens.
    block_size : int
        The most positions.
    *args, **kwargs
        The other arguments of `GPT`, in its order: n_layer, n_head, n_embd, dropout, bias; and its
        keywords.

    Returns
    -------
    GPT

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.models.gpt(65, 64, 4, 4, 128, dropout=0.2).n_layer
    4
    """
    return GPT(vocab_size, block_size, *args, **kwargs)
