"""RNN, LSTM and GRU: recurrent layers over sequences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastdrop._utils import validation as check
from fastdrop.nn.rnn_base import RNNBase

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor
    from fastdrop.schedules import Schedule


class LSTM(RNNBase):
    """Long short-term memory over sequences.

    With sigma the logistic function and * the product of elements, for each step t:

    - i, f, o = sigma(W_i x_t + b_i + W_hi h + b_hi), and so for f and o; h is the last output
    - g = tanh(W_g x_t + b_g + W_hg h + b_hg)
    - c = f * c + i * g, h = o * tanh(c); with a projection h = W_hr (o * tanh(c))

    Input (T, N, input_size), or (T, input_size) for one sequence, or a PackedSequence. Called as
    ``output, (h_n, c_n) = lstm(input, (h_0, c_0))``; without states they are 0. The output is
    (T, N, directions * H), states are (num_layers * directions, N, H); with a projection P stands
    for H in the output and in h. Where a long sequence is computed in pieces, ``first_step=`` is
    the number of a piece's first step, for the masks that differ from step to step.

    In training each kind of dropout is computed inside the kernels, with the bits of the mask
    contract; a sequence's masks do not depend on its batch.

    Differences from ``torch.nn.LSTM``: the arguments after `proj_size`; no ``device`` and
    ``dtype``; sigmoid and tanh are quotients of polynomials, off by at most 4e-7.

    Parameters
    ----------
    input_size : int
        Numbers of a step of the input.
    hidden_size : int
        Units H of a layer and direction.
    num_layers : int
        Layers, each of which reads the outputs of the one before.
    bias : bool
        Whether there are b_ih and b_hh.
    batch_first : bool
        Whether input and output are (N, T, ...) instead of (T, N, ...). States are not concerned.
    dropout : float in [0, 1], or Schedule
        Rate of the outputs of all layers but the last one.
    bidirectional : bool
        Whether each layer also reads its input from the end; outputs stand side by side.
    proj_size : int
        Size P < H of the projection of h (Sak et al.), which then stands for the units in all masks
        on h; 0: none.
    input_dropout : float in [0, 1], or Schedule
        Rate of the input of the first layer, one mask a sequence.
    recurrent_dropout : float in [0, 1], or Schedule
        Rate of h where W_hh multiplies it, one mask a sequence (Gal and Ghahramani; Keras).
    output_dropout : float in [0, 1], or Schedule
        Rate of the output of the last layer, one mask a sequence; h_n is not dropped.
    variational : bool
        Whether `dropout` has one mask a sequence instead of a fresh one each step.
    per_gate : bool, optional
        Whether `input_dropout` and `recurrent_dropout` have masks of their own for each gate.
        Default: False.
    update_dropout : float in [0, 1], or Schedule
        Rate of g in the new state (Semeniuta et al.).
    update_per_step : bool
        Whether `update_dropout` has a fresh mask each step, or one a sequence.
    zoneout : float in [0, 1], Schedule, or a pair of them
        Probability that a unit keeps its state in a step; a pair is for c and for h (Krueger et
        al.).
        In evaluation the state is p old + (1 - p) new.
    weight_drop : float in [0, 1], or Schedule
        Rate of the elements of W_hh, one mask a forward pass (Merity et al.).

    Attributes
    ----------
    weight_ih_l0, weight_hh_l0 : Parameter (4H, inputs), (4H, H or P)
        Of layer 0; the names of the others and of the reverse direction are those of PyTorch.
        Rows are the gates i, f, g, o.
    bias_ih_l0, bias_hh_l0 : Parameter (4H,)
    weight_hr_l0 : Parameter (P, H)
        With a projection; not dropped by `weight_drop`. All parameters are uniform in ±1 / sqrt(H)
        at first.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range. When called: the input or a state has
        another shape.

    Warns
    -----
    UserWarning
        `dropout` with one layer does nothing.

    References
    ----------
    - Gal, Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent Neural
      Networks", NeurIPS 2016, arXiv:1512.05287.
    - Krueger et al., "Zoneout: Regularizing RNNs by Randomly Preserving Hidden Activations",
      ICLR 2017, arXiv:1606.01305.
    - Merity, Keskar, Socher, "Regularizing and Optimizing LSTM Language Models", ICLR 2018,
      arXiv:1708.02182.
    - Semeniuta, Severyn, Barth, "Recurrent Dropout without Memory Loss", COLING 2016,
      arXiv:1603.05118.
    - Sak, Senior, Beaufays, "Long Short-Term Memory Recurrent Neural Network Architectures for
      Large Scale Acoustic Modeling", INTERSPEECH 2014, arXiv:1402.1128.
    - Hochreiter, Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> lstm = nn.LSTM(10, 20, num_layers=2, recurrent_dropout=0.25)
    >>> output, (h_n, c_n) = lstm(np.ones((5, 3, 10)))
    >>> output.shape, h_n.shape
    ((5, 3, 20), (2, 3, 20))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float | Schedule = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        input_dropout: float | Schedule = 0.0,
        recurrent_dropout: float | Schedule = 0.0,
        output_dropout: float | Schedule = 0.0,
        variational: bool = False,
        per_gate: bool | None = None,
        update_dropout: float | Schedule = 0.0,
        update_per_step: bool = True,
        zoneout: float | Schedule | tuple[float | Schedule, float | Schedule] = 0.0,
        weight_drop: float | Schedule = 0.0,
    ) -> None:
        super().__init__(
            "LSTM",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
            input_dropout=input_dropout,
            recurrent_dropout=recurrent_dropout,
            output_dropout=output_dropout,
            variational=variational,
            per_gate=per_gate,
            update_dropout=update_dropout,
            update_per_step=update_per_step,
            zoneout=zoneout,
            weight_drop=weight_drop,
        )

    if TYPE_CHECKING:

        def __call__(  # type: ignore[override]
            self, input: Tensor | ArrayLike, hx: Any = None, *, first_step: int = 0
        ) -> tuple[Tensor, tuple[Tensor, Tensor]]: ...

    def forward(self, input: Tensor | ArrayLike, hx: Any = None, *, first_step: int = 0) -> Any:
        if hx is not None and not (isinstance(hx, (tuple, list)) and len(hx) == 2):
            raise TypeError(f"hx must be a pair (h_0, c_0), got {check.describe(hx)}")
        h0, c0 = (None, None) if hx is None else hx
        y, h, c = self._run(input, h0, c0, first_step)
        return y, (h, c)


class GRU(RNNBase):
    """Gated recurrent unit over sequences.

    With sigma the logistic function and * the product of elements, for each step t:

    - r, z = sigma(W_r x_t + b_r + W_hr h + b_hr), and so for z; h is the last output
    - n = tanh(W_n x_t + b_n + r * (W_hn h + b_hn))
    - h = (1 - z) * n + z * h

    Input (T, N, input_size), or (T, input_size) for one sequence, or a PackedSequence. Called as
    ``output, h_n = gru(input, h_0)``; without h_0 it is 0. The output is (T, N, directions * H),
    the state (num_layers * directions, N, H). Where a long sequence is computed in pieces,
    ``first_step=`` is the number of a piece's first step, for the masks that differ from step to
    step.

    In training each kind of dropout is computed inside the kernels, with the bits of the mask
    contract; a sequence's masks do not depend on its batch.

    Differences from ``torch.nn.GRU``: the arguments after `bidirectional`; no ``device`` and
    ``dtype``; sigmoid and tanh are quotients of polynomials, off by at most 4e-7.

    Parameters
    ----------
    input_size : int
        Numbers of a step of the input.
    hidden_size : int
        Units H of a layer and direction.
    num_layers : int
        Layers, each of which reads the outputs of the one before.
    bias : bool
        Whether there are b_ih and b_hh.
    batch_first : bool
        Whether input and output are (N, T, ...) instead of (T, N, ...). States are not concerned.
    dropout : float in [0, 1], or Schedule
        Rate of the outputs of all layers but the last one.
    bidirectional : bool
        Whether each layer also reads its input from the end; outputs stand side by side.
    input_dropout : float in [0, 1], or Schedule
        Rate of the input of the first layer, one mask a sequence.
    recurrent_dropout : float in [0, 1], or Schedule
        Rate of h where W_hh multiplies it, one mask a sequence (Gal and Ghahramani; Keras).
    output_dropout : float in [0, 1], or Schedule
        Rate of the output of the last layer, one mask a sequence; h_n is not dropped.
    variational : bool
        Whether `dropout` has one mask a sequence instead of a fresh one each step.
    per_gate : bool, optional
        Whether `input_dropout` and `recurrent_dropout` have masks of their own for each gate.
        Default: True, since with masks shared by the gates large rates keep training from
        converging.
    update_dropout : float in [0, 1], or Schedule
        Rate of n in the new state (Semeniuta et al.).
    update_per_step : bool
        Whether `update_dropout` has a fresh mask each step, or one a sequence.
    zoneout : float in [0, 1], or Schedule
        Probability that a unit keeps its state in a step (Krueger et al.).
        In evaluation the state is p old + (1 - p) new.
    weight_drop : float in [0, 1], or Schedule
        Rate of the elements of W_hh, one mask a forward pass (Merity et al.).

    Attributes
    ----------
    weight_ih_l0, weight_hh_l0 : Parameter (3H, inputs), (3H, H)
        Of layer 0; the names of the others and of the reverse direction are those of PyTorch.
        Rows are the gates r, z, n.
    bias_ih_l0, bias_hh_l0 : Parameter (3H,)
        All parameters are uniform in ±1 / sqrt(H) at first.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range. When called: the input or a state has
        another shape.

    Warns
    -----
    UserWarning
        `dropout` with one layer does nothing.

    References
    ----------
    - Gal, Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent Neural
      Networks", NeurIPS 2016, arXiv:1512.05287.
    - Krueger et al., "Zoneout: Regularizing RNNs by Randomly Preserving Hidden Activations",
      ICLR 2017, arXiv:1606.01305.
    - Merity, Keskar, Socher, "Regularizing and Optimizing LSTM Language Models", ICLR 2018,
      arXiv:1708.02182.
    - Semeniuta, Severyn, Barth, "Recurrent Dropout without Memory Loss", COLING 2016,
      arXiv:1603.05118.
    - Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
      Translation", EMNLP 2014, arXiv:1406.1078.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> gru = nn.GRU(10, 20, zoneout=0.1)
    >>> output, h_n = gru(np.ones((5, 3, 10)))
    >>> output.shape, h_n.shape
    ((5, 3, 20), (1, 3, 20))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float | Schedule = 0.0,
        bidirectional: bool = False,
        *,
        input_dropout: float | Schedule = 0.0,
        recurrent_dropout: float | Schedule = 0.0,
        output_dropout: float | Schedule = 0.0,
        variational: bool = False,
        per_gate: bool | None = None,
        update_dropout: float | Schedule = 0.0,
        update_per_step: bool = True,
        zoneout: float | Schedule = 0.0,
        weight_drop: float | Schedule = 0.0,
    ) -> None:
        super().__init__(
            "GRU",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            input_dropout=input_dropout,
            recurrent_dropout=recurrent_dropout,
            output_dropout=output_dropout,
            variational=variational,
            per_gate=per_gate,
            update_dropout=update_dropout,
            update_per_step=update_per_step,
            zoneout=zoneout,
            weight_drop=weight_drop,
        )

    if TYPE_CHECKING:

        def __call__(  # type: ignore[override]
            self, input: Tensor | ArrayLike, hx: Any = None, *, first_step: int = 0
        ) -> tuple[Tensor, Tensor]: ...

    def forward(self, input: Tensor | ArrayLike, hx: Any = None, *, first_step: int = 0) -> Any:
        return self._run(input, hx, None, first_step)[:2]


class RNN(RNNBase):
    """Elman network over sequences: h = f(W_ih x_t + b_ih + W_hh h + b_hh) for each step t.

    Input (T, N, input_size), or (T, input_size) for one sequence, or a PackedSequence. Called as
    ``output, h_n = rnn(input, h_0)``; without h_0 it is 0. The output is (T, N, directions * H),
    the state (num_layers * directions, N, H). Where a long sequence is computed in pieces,
    ``first_step=`` is the number of a piece's first step, for the masks that differ from step to
    step.

    In training each kind of dropout is computed inside the kernels, with the bits of the mask
    contract; a sequence's masks do not depend on its batch.

    Differences from ``torch.nn.RNN``: the arguments after `bidirectional`; no ``device`` and
    ``dtype``; sigmoid and tanh are quotients of polynomials, off by at most 4e-7.

    Parameters
    ----------
    input_size : int
        Numbers of a step of the input.
    hidden_size : int
        Units H of a layer and direction.
    num_layers : int
        Layers, each of which reads the outputs of the one before.
    nonlinearity : {"tanh", "relu"}
        f.
    bias : bool
        Whether there are b_ih and b_hh.
    batch_first : bool
        Whether input and output are (N, T, ...) instead of (T, N, ...). States are not concerned.
    dropout : float in [0, 1], or Schedule
        Rate of the outputs of all layers but the last one.
    bidirectional : bool
        Whether each layer also reads its input from the end; outputs stand side by side.
    input_dropout : float in [0, 1], or Schedule
        Rate of the input of the first layer, one mask a sequence.
    recurrent_dropout : float in [0, 1], or Schedule
        Rate of h where W_hh multiplies it, one mask a sequence (Gal and Ghahramani; Keras).
    output_dropout : float in [0, 1], or Schedule
        Rate of the output of the last layer, one mask a sequence; h_n is not dropped.
    variational : bool
        Whether `dropout` has one mask a sequence instead of a fresh one each step.
    per_gate : bool, optional
        Whether `input_dropout` and `recurrent_dropout` have masks of their own for each gate.
        Default: False.
    update_dropout, update_per_step
        Not for an RNN, which has no gates; see `LSTM`.
    zoneout : float in [0, 1], or Schedule
        Probability that a unit keeps its state in a step (Krueger et al.).
        In evaluation the state is p old + (1 - p) new.
    weight_drop : float in [0, 1], or Schedule
        Rate of the elements of W_hh, one mask a forward pass (Merity et al.).

    Attributes
    ----------
    weight_ih_l0, weight_hh_l0 : Parameter (H, inputs), (H, H)
        Of layer 0; the names of the others and of the reverse direction are those of PyTorch.
    bias_ih_l0, bias_hh_l0 : Parameter (H,)
        All parameters are uniform in ±1 / sqrt(H) at first.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range. When called: the input or a state has
        another shape.

    Warns
    -----
    UserWarning
        `dropout` with one layer does nothing.

    References
    ----------
    - Gal, Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent Neural
      Networks", NeurIPS 2016, arXiv:1512.05287.
    - Krueger et al., "Zoneout: Regularizing RNNs by Randomly Preserving Hidden Activations",
      ICLR 2017, arXiv:1606.01305.
    - Merity, Keskar, Socher, "Regularizing and Optimizing LSTM Language Models", ICLR 2018,
      arXiv:1708.02182.
    - Elman, "Finding Structure in Time", Cognitive Science 14(2), 1990.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> rnn = nn.RNN(10, 20, nonlinearity="relu")
    >>> output, h_n = rnn(np.ones((5, 3, 10)))
    >>> output.shape, h_n.shape
    ((5, 3, 20), (1, 3, 20))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float | Schedule = 0.0,
        bidirectional: bool = False,
        *,
        input_dropout: float | Schedule = 0.0,
        recurrent_dropout: float | Schedule = 0.0,
        output_dropout: float | Schedule = 0.0,
        variational: bool = False,
        per_gate: bool | None = None,
        update_dropout: float | Schedule = 0.0,
        update_per_step: bool = True,
        zoneout: float | Schedule = 0.0,
        weight_drop: float | Schedule = 0.0,
    ) -> None:
        check.choice(nonlinearity, "nonlinearity", ("tanh", "relu"))
        super().__init__(
            f"RNN_{nonlinearity.upper()}",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            input_dropout=input_dropout,
            recurrent_dropout=recurrent_dropout,
            output_dropout=output_dropout,
            variational=variational,
            per_gate=per_gate,
            update_dropout=update_dropout,
            update_per_step=update_per_step,
            zoneout=zoneout,
            weight_drop=weight_drop,
        )
        self.nonlinearity = nonlinearity

    if TYPE_CHECKING:

        def __call__(  # type: ignore[override]
            self, input: Tensor | ArrayLike, hx: Any = None, *, first_step: int = 0
        ) -> tuple[Tensor, Tensor]: ...

    def forward(self, input: Tensor | ArrayLike, hx: Any = None, *, first_step: int = 0) -> Any:
        return self._run(input, hx, None, first_step)[:2]
