"""BERT: encoders of texts, with a head for classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import functional as F
from fastdrop import nn
from fastdrop._utils import validation as check
from fastdrop.autograd.passes import carries
from fastdrop.autograd.recording import computed
from fastdrop.autograd.tensor import Tensor

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike
    from fastdrop.schedules import Schedule

    Rate = float | Schedule

__all__ = ["Bert", "bert"]

POOLINGS = ("cls", "mean", "pooler", "none")
_ACTIVATIONS = ("gelu", "gelu_tanh", "relu")


class Bert(nn.Module):
    """BERT: an encoder of token sequences, with layers whose norms stand behind the sums.

    ``h = dropout(norm(words[input_ids] + positions + types[token_type_ids]))``, then
    num_hidden_layers layers ``h = norm1(h + dropout(attention(h)))``,
    ``h = norm2(h + dropout(W_2 gelu(W_1 h)))``. Pooling makes one vector of a sequence, and with
    `num_classes` the scores are ``classifier(dropout(pooled))``. Without type embeddings it is the
    shape of DistilBERT, with mean pooling that of MiniLM's sentence embeddings.

    ``model(input_ids, attention_mask=None, token_type_ids=None)`` takes integers (N, T), and a mask
    (N, T) in which 1 or True takes part and 0 or False is padding, as in Hugging Face's models. The
    output is (N, num_classes), or (N, hidden_size) without classes; with pooling "none" it has the
    positions as axis 1: (N, T, num_classes) or (N, T, hidden_size).

    Rates: 0.1 as published; up to 0.3 for `classifier_dropout` on small sets.

    Parameters
    ----------
    vocab_size : int
        Number of tokens.
    hidden_size : int
        Size of the vectors.
    num_hidden_layers, num_attention_heads : int
        Layers, and heads of each; num_attention_heads divides hidden_size.
    intermediate_size : int, optional
        Units of the hidden layers; 4 * hidden_size by default.
    max_position_embeddings : int
        The most positions.
    type_vocab_size : int
        Number of token types; 0: no type embeddings.
    num_classes : int, optional
        None: no head.
    pooling : {"cls", "mean", "pooler", "none"}
        The vector of the first token; the mean over the tokens that take part; BERT's
        ``tanh(pooler(first))``; or no pooling.
    dropout : float in [0, 1], or Schedule
        The rate of the softmax, of the branches before they are added, of the embeddings, and of
        the head's input.
    attention_dropout, residual_dropout, embedding_dropout, classifier_dropout : float or Schedule
        The rates of these places; `dropout` by default.
    head_dropout : float or Schedule
        The probability that a sample drops a head of the attention.
    drop_path : float
        Stochastic depth of the last layer's branches; it grows linearly from 0.
    layer_drop : float
        The probability that a training step skips a layer.
    word_dropout : float or Schedule
        The probability to drop a token's whole embedding, in all places of the batch.
    padding_idx : int, optional
        In calls without a mask, as those of `fastdrop.fit` and `fastdrop.mc_predict`, this token
        is padding.
    layer_norm_eps : float
    activation : {"gelu", "gelu_tanh", "relu"}
        Of the hidden layers; "gelu_tanh" is the approximation by tanh.
    pooler_activation : {"tanh", "relu"}
        "relu" is that of DistilBERT's classifier.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range. When called: the tokens are no whole
        numbers (N, T) of the vocabulary, there are more than max_position_embeddings positions, or
        the mask or the types have another shape or other values.

    References
    ----------
    - Devlin, Chang, Lee, Toutanova, "BERT: Pre-training of Deep Bidirectional Transformers for
      Language Understanding", NAACL 2019, arXiv:1810.04805.
    - Sanh, Debut, Chaumond, Wolf, "DistilBERT, a distilled version of BERT", 2019,
      arXiv:1910.01108.

    Examples
    --------
    >>> import fastdrop as fd
    >>> model = fd.models.bert(50, 16, 2, 4, num_classes=3, pooling="mean")
    >>> model([[2, 7, 3], [2, 3, 0]], attention_mask=[[1, 1, 1], [1, 1, 0]]).shape
    (2, 3)
    """

    def __init__(
        self,
        vocab_size: int,
        hidden_size: int = 768,
        num_hidden_layers: int = 12,
        num_attention_heads: int = 12,
        intermediate_size: int | None = None,
        max_position_embeddings: int = 512,
        type_vocab_size: int = 2,
        num_classes: int | None = None,
        *,
        pooling: str = "cls",
        dropout: Rate = 0.1,
        attention_dropout: Rate | None = None,
        residual_dropout: Rate | None = None,
        embedding_dropout: Rate | None = None,
        classifier_dropout: Rate | None = None,
        head_dropout: Rate = 0.0,
        drop_path: float = 0.0,
        layer_drop: float = 0.0,
        word_dropout: Rate = 0.0,
        padding_idx: int | None = None,
        layer_norm_eps: float = 1e-12,
        activation: str = "gelu",
        pooler_activation: str = "tanh",
    ) -> None:
        super().__init__()
        self.vocab_size = check.integer(vocab_size, "vocab_size", 1)
        self.hidden_size = check.integer(hidden_size, "hidden_size", 1)
        self.num_hidden_layers = check.integer(num_hidden_layers, "num_hidden_layers", 1)
        self.num_attention_heads = check.integer(num_attention_heads, "num_attention_heads", 1)
        if hidden_size % num_attention_heads:
            raise ValueError(
                "num_attention_heads must divide hidden_size, "
                f"got {num_attention_heads} and {hidden_size}"
            )
        if intermediate_size is None:
            intermediate_size = 4 * hidden_size
        self.intermediate_size = check.integer(intermediate_size, "intermediate_size", 1)
        self.max_position_embeddings = check.integer(
            max_position_embeddings, "max_position_embeddings", 1
        )
        self.type_vocab_size = check.integer(type_vocab_size, "type_vocab_size", 0)
        self.num_classes = (
            None if num_classes is None else check.integer(num_classes, "num_classes", 1)
        )
        self.pooling = check.choice(pooling, "pooling", POOLINGS)
        self.dropout = dropout
        self.attention_dropout = dropout if attention_dropout is None else attention_dropout
        self.residual_dropout = dropout if residual_dropout is None else residual_dropout
        self.embedding_dropout = dropout if embedding_dropout is None else embedding_dropout
        self.classifier_dropout = dropout if classifier_dropout is None else classifier_dropout
        self.head_dropout, self.drop_path = head_dropout, drop_path
        self.layer_drop, self.word_dropout = layer_drop, word_dropout
        self.padding_idx = (
            None
            if padding_idx is None
            else check.integer(padding_idx, "padding_idx", 0, vocab_size - 1)
        )
        self.layer_norm_eps = layer_norm_eps
        self.activation = check.choice(activation, "activation", _ACTIVATIONS)
        self.pooler_activation = check.choice(
            pooler_activation, "pooler_activation", ("tanh", "relu")
        )
        self.word_embeddings = nn.Embedding(vocab_size, hidden_size, dropout=word_dropout)
        self.position_embeddings = nn.LearnedPositionalEncoding(
            max_position_embeddings, hidden_size
        )
        self.token_type_embeddings = (
            nn.Embedding(type_vocab_size, hidden_size) if type_vocab_size else None
        )
        self.norm = nn.LayerNorm(hidden_size, layer_norm_eps)
        self.drop = nn.Dropout(self.embedding_dropout)
        layer = nn.TransformerEncoderLayer(
            *(hidden_size, num_attention_heads, intermediate_size, 0.0),
            activation=activation,
            layer_norm_eps=layer_norm_eps,
            batch_first=True,
            attention_dropout=self.attention_dropout,
            residual_dropout=self.residual_dropout,
            head_dropout=head_dropout,
        )
        self.layers = nn.TransformerEncoder(
            layer, num_hidden_layers, layer_drop=layer_drop, drop_path=drop_path
        )
        self.pooler = nn.Linear(hidden_size, hidden_size) if pooling == "pooler" else None
        self.classifier_drop = nn.Dropout(self.classifier_dropout)
        self.classifier = None if num_classes is None else nn.Linear(hidden_size, num_classes)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the initial weights again, from the generator "init" of the run.

        Normal with deviation 0.02; biases 0.
        """
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, 0.0, 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    if TYPE_CHECKING:

        def __call__(
            self,
            input_ids: Tensor | ArrayLike,
            attention_mask: Tensor | ArrayLike | None = None,
            token_type_ids: Tensor | ArrayLike | None = None,
        ) -> Tensor: ...

    @carries
    def forward(
        self,
        input_ids: Tensor | ArrayLike,
        attention_mask: Tensor | ArrayLike | None = None,
        token_type_ids: Tensor | ArrayLike | None = None,
    ) -> Tensor:
        """The scores, the pooled vectors or the hidden states of token sequences.

        Parameters
        ----------
        input_ids : integers (N, T)
        attention_mask : bool, or numbers 0 and 1 (N, T), optional
            1 where a token takes part; by default all do but `padding_idx`.
        token_type_ids : integers (N, T), optional
            0 by default.

        Returns
        -------
        Tensor
            See the class.

        Raises
        ------
        TypeError, ValueError
            See the class.
        """
        ids = _array(input_ids)
        if ids.ndim != 2 or not 1 <= ids.shape[1] <= self.max_position_embeddings:
            raise ValueError(
                "input_ids must have shape (N, T) with at least 1 and at most "
                f"max_position_embeddings = {self.max_position_embeddings} positions, "
                f"got shape {ids.shape}"
            )
        if attention_mask is None and self.padding_idx is not None:
            attention_mask = computed(np.not_equal, ids, self.padding_idx)
        taking_part = _mask(attention_mask, ids.shape)
        x = self.drop(self.norm(self._embedded(ids, token_type_ids)))
        padding = None if taking_part is None else computed(np.logical_not, taking_part)
        return self._head(self.layers(x, src_key_padding_mask=padding), taking_part)

    def _embedded(self, ids: npt.NDArray[Any], token_type_ids: Any) -> Tensor:
        """The sum of the embeddings, (N, T, hidden_size)."""
        x = self.position_embeddings(self.word_embeddings(ids))
        if token_type_ids is None:
            table = self.token_type_embeddings
            return x if table is None else x + table.weight[0]
        if self.token_type_embeddings is None:
            raise ValueError(
                "token_type_ids must be None in a model whose type_vocab_size is 0, "
                f"got {check.describe(token_type_ids)}"
            )
        types = _array(token_type_ids)
        if types.shape != ids.shape:
            raise ValueError(
                f"token_type_ids must have input_ids' shape {ids.shape}, got {types.shape}"
            )
        return x + self.token_type_embeddings(types)

    def _head(self, x: Tensor, taking_part: npt.NDArray[np.bool_] | None) -> Tensor:
        """Pooling and scores of the hidden states x (N, T, hidden_size)."""
        if self.pooling == "mean":
            shares = None if taking_part is None else computed(_shares, taking_part)
            x = F.mean(x, 1) if shares is None else F.sum(x * shares, 1)
        elif self.pooling != "none":
            x = x[:, 0]
        if self.pooler is not None:
            x = self.pooler(x)
            x = F.tanh(x) if self.pooler_activation == "tanh" else F.relu(x)
        return x if self.classifier is None else self.classifier(self.classifier_drop(x))


def _array(value: Any) -> npt.NDArray[Any]:
    return value.data if isinstance(value, Tensor) else np.asarray(value)


def _mask(mask: Any, shape: tuple[int, ...]) -> npt.NDArray[np.bool_] | None:
    """An attention mask as bool (N, T), or None where there is none."""
    if mask is None:
        return None
    array = _array(mask)
    if array.shape != shape:
        raise ValueError(f"attention_mask must have input_ids' shape {shape}, got {array.shape}")
    found: npt.NDArray[np.bool_] = computed(_bools, array)
    return found


def _bools(array: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = array != 0
    if array.dtype.kind != "b" and not np.array_equal(array, found):
        raise ValueError(
            "attention_mask must hold 1 where a token takes part and 0 where it is padding, "
            f"got {check.describe(array[array != found].flat[0])}"
        )
    return found


def _shares(taking_part: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """(N, T, 1): 1 / the number of tokens that take part at these tokens, 0 at the others."""
    counts = np.maximum(taking_part.sum(1, keepdims=True), 1)
    return (taking_part / counts).astype(np.float32)[..., None]


def bert(vocab_size: int, *args: Any, **kwargs: Any) -> Bert:
    """Build a `Bert`; by default of the size of BERT-Base.

    Parameters
    ----------
    vocab_size : int
        Number of tokens.
    *args, **kwargs
        The other arguments of `Bert`, in its order: hidden_size, num_hidden_layers,
        num_attention_heads, intermediate_size, max_position_embeddings, type_vocab_size,
        num_classes; and its keywords.

    Returns
    -------
    Bert

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range.

    References
    ----------
    Devlin, Chang, Lee, Toutanova, "BERT: Pre-training of Deep Bidirectional Transformers for
    Language Understanding", NAACL 2019, arXiv:1810.04805.

    Examples
    --------
    >>> import fastdrop as fd
    >>> model = fd.models.bert(100, 32, 2, 4, max_position_embeddings=16, num_classes=2)
    >>> model([[1, 2, 3]]).shape
    (1, 2)
    """
    return Bert(vocab_size, *args, **kwargs)
