"""Dense layer, activation and dropout, alone or as one product.

Inside a module's forward pass these functions return pending tensors. An activation on a pending dense layer, and a
dropout on that, extend its recipe instead of running it; the last one runs as a single product with bias, activation
and dropout where its tiles leave the registers, and backward is one pass for the gradient of the sums and of the bias,
then the two products. A pending dropout that meets a dense layer is drawn where the product packs its input. Extending
copies the recipe: a tensor that is read as well computes itself. Outside a pass everything runs at once.

Dropout's key is drawn when the function is called, so the counting of draws does not know about any of this; a node
keeps the key, never a mask.
"""

from __future__ import annotations

import weakref

import numpy as np

from fastdrop import _core, random
from fastdrop._utils import validation as check
from fastdrop._utils.buffers import empty
from fastdrop.autograd import thinned
from fastdrop.autograd.tensor import (
    CannotCarry,
    Parameter,
    PassTensor,
    Tensor,
    as_tensor,
    carries,
    reading_passes,
    record,
    record_pending,
    wants_grad,
    wrap,
)
from fastdrop.kernels.elementwise import shared_axes

NONE, RELU, LEAKY_RELU, SIGMOID, TANH, SELU, SILU, GELU = range(8)
_FROM_INPUT = (
    SILU,
    GELU,
)  # their backward needs the input, so they cannot hide in a product that is recorded
_NO_DROP = (None, _core.KEEP_ALL, 1.0)


class _Dense:
    """dropout(act(dropout(x) w^T + b)) of 2-d (or more) x; each of its rows stands for `repeat` rows, which x_drop tells apart.

    recorded: whether backward will be asked for. thin: the number of passes where the masks of drop (or of what x stands for) hold for
    all samples of a pass.
    """

    __slots__ = (
        "alpha",
        "b",
        "drop",
        "kind",
        "out",
        "read",
        "recorded",
        "repeat",
        "shape",
        "thin",
        "w",
        "x",
        "x_drop",
    )

    def __init__(self, x, x_drop, w, b, kind=NONE, alpha=0.0, drop=None, repeat=1, thin=0):
        self.x, self.x_drop, self.w, self.b = x, x_drop, w, b
        self.kind, self.alpha, self.drop, self.repeat, self.thin = kind, alpha, drop, repeat, thin
        self.recorded = True
        self.out = None
        self.shape = (
            (*x.shape[:-1], w.shape[0]) if repeat == 1 else (x.shape[0] * repeat, w.shape[0])
        )

    def inputs(self):
        return (self.x, self.w) if self.b is None else (self.x, self.w, self.b)

    def run(self):
        if self.out is None:
            b = None if self.b is None else self.b.data
            out = empty(self.shape)
            parts = self._thinned_input()
            if parts is not None:
                parts.all_outputs(self._weight(), b, self.kind, self.alpha, out)
                if self.drop is not None:
                    _core.dropout(out, out, *self.drop)
                self.out, self.x = out, None  # so that nobody computes all of x
                return out
            x, rows, panels = _rows(self.x.data), _rows(out), None
            if self.recorded:
                w = self.w.data
                self.read = x, w  # backward needs these, whatever becomes of the tensors
            else:
                # passes of one sample leave out what its zeros meet, which pays for packing whatever their number
                panels = (
                    self.w.panels(1 if self.repeat > 1 else len(rows))
                    if type(self.w) is Parameter
                    else None
                )
                w = self.w.data if panels is None else None
            _core.gemm(
                rows,
                x,
                False,
                w,
                True,
                b,
                self.kind,
                self.alpha,
                self.drop,
                self.x_drop,
                repeat=self.repeat,
                panels=panels,
            )
            self.out = out
        return self.out

    def _thinned_input(self):
        """What the passes keep of x where its masks hold for all samples of a pass; else None."""
        if not self.thin:
            return None
        below = [
            self
        ]  # and what stands before it, down to where a mask meets all units; without recursion, however deep
        while (last := below[-1]).x_drop is None:
            p = last.x._pending
            if not (type(p) is _Dense and p.thin and p.drop is not None and p.out is None):
                break
            below.append(p)
        if last.x_drop is not None:
            parts = thinned.Parts.of(
                last.x.data,
                thinned.Kept(last.x_drop, last.x.shape[1], last.thin),
                last.thin,
                last.repeat > 1,
            )
        elif last is self:
            return None
        else:
            parts = thinned.Parts.whole(last.x.data, last.thin)
        for recipe in reversed(below[1:]):
            parts = recipe._kept_outputs(parts)
        return parts

    def _kept_outputs(self, parts):
        """The outputs that `drop` keeps, of each pass, from what the passes keep of x."""
        b = None if self.b is None else self.b.data
        return parts.kept_outputs(
            self._weight(),
            b,
            self.kind,
            self.alpha,
            thinned.Kept(self.drop, self.shape[1], self.thin),
        )

    def _weight(self):
        """The weight's array for reading at once, which leaves a Parameter's panels where they are."""
        return self.w._data if type(self.w) is Parameter else self.w.data

    def backward(self, grad):
        out, (x_read, w_read) = self.run(), self.read
        w, b = self.w, self.b
        if w.shape != w_read.shape:
            raise RuntimeError(
                f"weight must keep its shape {w_read.shape} from forward to backward, got {w.shape}"
            )
        wants_b = b is not None and b.requires_grad
        dz, db = grad, None
        if self.kind != NONE or self.drop is not None:
            dz = empty(self.shape)
            stream, q, scale = self.drop or _NO_DROP
            if wants_b:
                db = empty(self.shape[-1:])
            _core.act_backward(dz, grad, out, self.kind, self.alpha, db, stream, q, scale)
        elif wants_b:
            db = empty(self.shape[-1:])
            _core.col_sum(db, _rows(grad))
        rows, x = _rows(dz), self.x
        dw = dx = None
        if w.requires_grad:

            def write(out, accumulate):
                _core.gemm(
                    out, rows, True, x_read, False, b_drop=self.x_drop, accumulate=accumulate
                )

            if isinstance(w, Parameter) and w._node is None:
                w.gradient_into(write)
            else:
                dw = empty(w.shape)
                write(dw, False)
        if x.requires_grad:
            dx = empty((*self.shape[:-1], w_read.shape[1]))
            _core.gemm(_rows(dx), rows, False, w_read, False)
            if self.x_drop is not None:
                _core.dropout(dx, dx, *self.x_drop)
        return (dx, dw) if b is None else (dx, dw, db)


class _Pointwise:
    """dropout(act(z)), one pass; each row of z stands for `repeat` rows. recorded, thin: as in `_Dense`."""

    __slots__ = ("alpha", "drop", "kind", "out", "read", "recorded", "repeat", "shape", "thin", "z")

    def __init__(self, z, kind=NONE, alpha=0.0, drop=None, repeat=1, thin=0):
        self.z, self.kind, self.alpha, self.drop, self.repeat, self.thin = (
            z,
            kind,
            alpha,
            drop,
            repeat,
            thin,
        )
        self.out = None
        self.shape = z.shape if repeat == 1 else (z.shape[0] * repeat, *z.shape[1:])

    def inputs(self):
        return (self.z,)

    def run(self):
        if self.out is None:
            z = self.read = (
                self.z.data if self.repeat == 1 else np.repeat(self.z.data, self.repeat, axis=0)
            )
            out = empty(z.shape)
            if self.drop is None:
                _core.act(out, z, self.kind, self.alpha)
            elif self.kind == NONE:
                _core.dropout(_samples(out), _samples(z), *self.drop)
            else:
                _core.act_dropout(_samples(out), _samples(z), self.kind, self.alpha, *self.drop)
            self.out = out
        return self.out

    def backward(self, grad):
        dz = empty(grad.shape)
        if self.kind == NONE:
            _core.dropout(_samples(dz), _samples(grad), *self.drop)
        else:
            out = self.run()
            saved = self.read if self.kind in _FROM_INPUT else out
            _core.act_backward(
                _samples(dz),
                _samples(grad),
                _samples(saved),
                self.kind,
                self.alpha,
                None,
                *(self.drop or _NO_DROP),
            )
        return (dz,)


def _rows(array):
    """As (rows, features)."""
    return (
        array
        if array.ndim == 2
        else array.reshape(-1, array.shape[-1])
        if array.size
        else array.reshape(_count(array.shape[:-1]), array.shape[-1])
    )


def _samples(array):
    """With axis 0 as the sample; one sample for 0-d and 1-d arrays."""
    return array if array.ndim > 1 else array.reshape(1, -1)


def _count(shape):
    n = 1
    for length in shape:
        n *= length
    return n


def _result(recipe, inputs, passes: bool) -> Tensor:
    """The recipe's tensor: pending inside a pass, run outside. passes: its rows are of Monte Carlo passes side by side."""
    t = record_pending(recipe, inputs, recipe.backward, passes)
    recipe.recorded = t.requires_grad
    ps = random.current()
    if ps is None:
        t.data  # noqa: B018 (runs it)
    else:
        ps.pending.append(weakref.ref(t))
    return t


def _may_extend(t, inputs) -> bool:
    """Whether a recipe on the pending t may take t's inputs in its place: still pending, and not cut off from their
    gradient (made under no_grad, say)."""
    return t._pending.out is None and (t.requires_grad or not wants_grad(*inputs))


def finish_pass(ps) -> None:
    """Run every recipe of the pass that somebody could still read: outputs, and tensors that were kept."""
    with reading_passes():
        for reference in reversed(
            ps.pending
        ):  # what a thinned network did not need is gone when its turn comes
            t = reference()
            if t is not None:
                t.data  # noqa: B018
    ps.pending.clear()


def _complete(x) -> Tensor:
    """x with its data; what is the same in all Monte Carlo passes is computed once, also where they come in several groups."""
    ps = random.current()
    if ps is None or ps.known is None or type(x) is PassTensor:
        x.data  # noqa: B018
        return x
    array = ps.once(x.shape, lambda: x.data)
    return x if x._pending is None else wrap(array)


@carries
def linear(input, weight, bias=None) -> Tensor:
    """y = x w^T + b.

    Parameters
    ----------
    input : (..., in_features)
    weight : (out_features, in_features)
    bias : (out_features,), optional
    """
    x, w = as_tensor(input, "input"), as_tensor(weight, "weight")
    b = None if bias is None else as_tensor(bias, "bias")
    shape, w_shape = x.shape, w.shape
    if len(w_shape) != 2:
        raise ValueError(f"weight must have 2 dimensions, got shape {w_shape}")
    if not shape or shape[-1] != w_shape[1]:
        raise ValueError(
            f"input must have {w_shape[1]} features along its last axis to match weight, got shape {shape}"
        )
    if b is not None and b.shape != w_shape[:1]:
        raise ValueError(f"bias must have shape {w_shape[:1]} to match weight, got {b.shape}")
    x_drop, p, repeat, thin_, passes = None, x._pending, 1, 0, type(x) is PassTensor
    if (
        type(p) is _Pointwise
        and p.kind == NONE
        and p.drop is not None
        and len(shape) == 2
        and _may_extend(x, (p.z,))
    ):
        x, x_drop, repeat, thin_ = p.z, p.drop, p.repeat, p.thin
    if type(p) is _Dense and p.thin and p.drop is not None:
        thin_ = p.thin  # what its masks keep is all that is needed of it
    else:
        x = _complete(x)  # recipes never pile up
    recipe = _Dense(x, x_drop, w, b, repeat=repeat, thin=thin_)
    return _result(recipe, recipe.inputs(), passes)


@carries
def activation(input, kind: int, alpha: float = 0.0) -> Tensor:
    """act(z), z usually the output of a dense layer."""
    z = as_tensor(input, "input")
    p = z._pending
    if type(p) is _Dense and p.kind == NONE and p.drop is None:
        inputs = p.inputs()
        if _may_extend(z, inputs) and (kind not in _FROM_INPUT or not wants_grad(*inputs)):
            return _result(
                _Dense(p.x, p.x_drop, p.w, p.b, kind, alpha, repeat=p.repeat, thin=p.thin),
                inputs,
                type(z) is PassTensor,
            )
    z.data  # noqa: B018 (the same)
    return _result(_Pointwise(z, kind, alpha), (z,), type(z) is PassTensor)


def relu(input, inplace: bool = False) -> Tensor:
    """max(0, x), elementwise; NaN stays NaN. `inplace` is accepted for PyTorch's sake and changes nothing."""
    return activation(input, RELU)


def leaky_relu(input, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where x > 0, negative_slope * x elsewhere."""
    slope = check.real(negative_slope, "negative_slope")
    if slope >= 0.0:
        return activation(input, LEAKY_RELU, slope)
    z = as_tensor(input, "input")  # the kernels tell the side from the sign of the output
    factor = np.where(z.data > 0, np.float32(1.0), np.float32(slope))
    return record(z.data * factor, (z,), lambda g: (g * factor,))


def sigmoid(input) -> Tensor:
    """1 / (1 + exp(-x))."""
    return activation(input, SIGMOID)


def tanh(input) -> Tensor:
    """The hyperbolic tangent."""
    return activation(input, TANH)


def selu(input, inplace: bool = False) -> Tensor:
    """scale * (max(0, x) + min(0, alpha (exp(x) - 1))), alpha = 1.67326, scale = 1.0507 (Klambauer et al., 2017)."""
    return activation(input, SELU)


def silu(input, inplace: bool = False) -> Tensor:
    """x * sigmoid(x) (Hendrycks and Gimpel, 2016)."""
    return activation(input, SILU)


def gelu(input, approximate: str = "none") -> Tensor:
    """x * Phi(x), Phi the normal distribution function (Hendrycks and Gimpel, 2016); only the exact form."""
    check.choice(approximate, "approximate", ("none",))
    return activation(input, GELU)


@carries
def dropout(
    input,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    inverted: bool = True,
    share=(),
    layer=None,
) -> Tensor:
    """Dropout: y = x * 2^32 / q where kept, +0 where dropped; in evaluation the input itself.

    Parameters
    ----------
    input : (samples, ...)
        Axis 0 is the sample; a 1-d input is one sample.
    p : float in [0, 1]
        Probability to drop.
    training : bool
        Monte Carlo prediction (`fastdrop.mc_predict`) draws masks whatever stands here.
    inplace : bool
        Accepted for PyTorch's sake; changes nothing.
    inverted : bool
        False: y = x where kept, and k x in evaluation, k = q / 2^32 (the 2014 formulation).
    share : sequence of int
        Axes of the input with one decision for all elements along them (Keras' noise shape), 0 among them: for all samples.
    layer : Module, optional
        Whose site draws the mask; functional calls share one after all layers' (docs/mask-contract.md).

    Returns
    -------
    Tensor of input's shape; its node keeps the mask's key, never a mask.

    References
    ----------
    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15, 2014.
    """
    p = check.rate(p)
    x = as_tensor(input, "input")
    whole_batch, flags = shared_axes(share, x.ndim) if share != () else (False, None)
    if not random.draws(training):
        return x if inverted or p == 0.0 else _scaled(x, _core.keep_threshold(p) * 2.0**-32)
    if p == 0.0:
        return x
    q = _core.keep_threshold(p)
    samples, repeat = x.shape[0] if x.ndim > 1 else 1, 1
    if (
        random.side_by_side() and type(x) is not PassTensor
    ):  # the first stochastic layer: passes part here
        repeat = random.side_by_side()
        if x.ndim < 2 or samples != random.current().samples:
            raise CannotCarry("dropout of something else than the samples")
    stream = random.stream_for(layer, samples * repeat, shared=whole_batch, carries=True)
    scale = _core.keep_scale(q) if inverted else 1.0
    if whole_batch or flags:
        return masked(parted(x), stream, q, scale, share=flags)
    drop, r = (stream, q, scale), x._pending
    passes = random.side_by_side()
    thin_ = passes if x.ndim == 2 and random.thins() else 0
    if passes and type(x) is not PassTensor:
        x = _complete(x)
    elif r is not None and r.drop is None and _may_extend(x, r.inputs()):
        if type(r) is _Pointwise:
            return _result(
                _Pointwise(r.z, r.kind, r.alpha, drop, r.repeat, thin_), r.inputs(), passes > 0
            )
        if len(r.shape) == 2:
            return _result(
                _Dense(r.x, r.x_drop, r.w, r.b, r.kind, r.alpha, drop, r.repeat, r.thin or thin_),
                r.inputs(),
                passes > 0,
            )
    x.data  # noqa: B018
    return _result(_Pointwise(x, NONE, 0.0, drop, repeat, thin_), (x,), passes > 0)


def parted(x) -> Tensor:
    """x, with its rows repeated for each Monte Carlo pass where passes are computed side by side and part here."""
    passes = random.side_by_side()
    if not passes or type(x) is PassTensor:
        return x
    if x.ndim < 2 or x.shape[0] != random.current().samples:
        raise CannotCarry("a stochastic layer met something else than the samples")
    return wrap(np.repeat(x.data, passes, axis=0), PassTensor)


def masked(x, stream, q, scale, shift=0.0, fill=0.0, share=None) -> Tensor:
    """x * scale + shift where kept, fill where dropped (`_core.dropout`); the node keeps the key, the mask is drawn again."""
    out = empty(x.shape)
    _core.dropout(_samples(out), _samples(x.data), stream, q, scale, shift, fill, share)

    def backward(g):
        dx = empty(g.shape)
        _core.dropout(_samples(dx), _samples(g), stream, q, scale, share=share)
        return (dx,)

    return record(out, (x,), backward)


def _scaled(x, factor) -> Tensor:
    def scaled(array):
        out = empty(array.shape)
        _core.scale(out, array, factor)
        return out

    return record(scaled(x.data), (x,), lambda g: (scaled(g),))
