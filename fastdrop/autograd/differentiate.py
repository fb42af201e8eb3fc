"""`grad` and `backward`: gradients of several results, for some inputs or for all leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.graph import Node, cut_apart, edges_of, leaves_below, run_backward, set_aside
from fastdrop.autograd.tensor import Tensor, wrap

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array

__all__ = ["backward", "grad"]

_ROOT = np.zeros(0, np.float32)


class _Root(Node):
    """A node above several tensors, which hands out the gradients that backward begins with."""

    __slots__ = ("gradients",)

    def __init__(self, tensors: tuple[Tensor, ...], gradients: list[Float32Array]) -> None:
        self.edges, self.gradients, self.saved = edges_of(tensors), gradients, []
        self.channels_last, self.changed, self.freed = False, None, False

    def backward(self, grad: Float32Array) -> list[Float32Array]:
        return self.gradients


def _tensors(value: Any, name: str) -> tuple[Tensor, ...]:
    tensors = (value,) if isinstance(value, Tensor) else value
    if not isinstance(tensors, Sequence) or not all(isinstance(t, Tensor) for t in tensors):
        raise TypeError(
            f"{name} must be a Tensor or a sequence of Tensors, got {check.describe(value)}"
        )
    if not tensors:
        raise ValueError(f"{name} must hold at least one Tensor, got none")
    return tuple(tensors)


def _root(outputs: tuple[Tensor, ...], given: Any, names: tuple[str, str]) -> _Root:
    """The root above the outputs with the gradients that were given for them."""
    outputs_name, given_name = names
    if given is None or isinstance(given, (Tensor, np.ndarray)):
        given = [given] if given is not None else [None] * len(outputs)
    if len(given) != len(outputs):
        raise ValueError(
            f"{given_name} must have one gradient for each of the {len(outputs)} Tensors of "
            f"{outputs_name}, got {len(given)}"
        )
    gradients = []
    for i, (t, weight) in enumerate(zip(outputs, given)):
        if not t.requires_grad:
            raise RuntimeError(
                f"{outputs_name}[{i}] must require a gradient; no input of this tensor does"
            )
        if weight is None:
            if t.numel() != 1:
                raise RuntimeError(
                    f"{given_name} must be given for {outputs_name}[{i}], which has more than one "
                    f"element: its shape is {t.shape}"
                )
            gradients.append(np.ones(t.shape, np.float32))
            continue
        array = check.floats(weight, f"{given_name}[{i}]", any_format=True)
        if array.shape != t.shape:
            raise ValueError(f"{given_name}[{i}] must have shape {t.shape}, got {array.shape}")
        gradients.append(array)
        t._strided  # noqa: B018 (runs what is pending)
    return _Root(outputs, gradients)


def _gradients(root: _Root, inputs: tuple[Tensor, ...], retain_graph: bool) -> list[Any]:
    """The gradient of each input as an array; None where the outputs do not depend on it."""
    for i, t in enumerate(inputs):
        if not t.requires_grad:
            raise RuntimeError(f"inputs[{i}] must require a gradient, set requires_grad before use")
    found: dict[Node, Any] = {t._node: None for t in inputs if t._node is not None}
    cut_apart(root, found)
    leaves = {id(t) for t in inputs if t._node is None}
    with np.errstate(all="ignore"), set_aside(leaves_below(root)):
        run_backward(root, _ROOT, retain_graph, found, leaves)
        of_leaves = [None if t._grad is None else t._grad._array for t in inputs]
        nodes = [t._node for t in inputs]
        return [of if n is None else found[n] for of, n in zip(of_leaves, nodes)]


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: ArrayLike | Tensor | Sequence[ArrayLike | Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of outputs with respect to inputs, which leave every `grad` as it is.

    Computed is d sum(grad_outputs * outputs) / d input, summed over the outputs. Inputs may be
    leaves and results of operations. Only the part of the graph between both runs.

    Parameters
    ----------
    outputs : Tensor or sequence of Tensor
        What is differentiated.
    inputs : Tensor or sequence of Tensor
        The tensors with respect to which it is.
    grad_outputs : array, Tensor or sequence, optional
        The weight of each output, of its shape. Needed unless the output has one element, whose
        weight is 1.
    retain_graph : bool, optional
        Keep the graph for another backward. Default False.
    create_graph : bool, default False
        Must be False: there are no second derivatives.
    allow_unused : bool, optional
        Give None for an input that the outputs do not depend on, instead of an error. Default: the
        value of `materialize_grads`.
    materialize_grads : bool, default False
        Give zeros for such an input.

    Returns
    -------
    tuple of Tensor or None
        One for each input.

    Raises
    ------
    NotImplementedError
        With ``create_graph=True``.
    RuntimeError
        A tensor does not require a gradient, an output without a weight has several elements, or
        an input is not used and `allow_unused` is False.

    Examples
    --------
    >>> import fastdrop as fd
    >>> x = fd.tensor([1.0, 2.0], requires_grad=True)
    >>> h = x * 3
    >>> dx, dh = fd.autograd.grad((h * h).sum(), [x, h])
    >>> dx.tolist(), dh.tolist(), x.grad
    ([18.0, 36.0], [6.0, 12.0], None)
    """
    _refuse_graph(create_graph)
    results, wanted = _tensors(outputs, "outputs"), _tensors(inputs, "inputs")
    materialize = check.flag(materialize_grads, "materialize_grads")
    unused = materialize if allow_unused is None else check.flag(allow_unused, "allow_unused")
    if materialize and not unused:
        raise ValueError("allow_unused must not be False with materialize_grads=True")
    root = _root(results, grad_outputs, ("outputs", "grad_outputs"))
    arrays = _gradients(root, wanted, bool(retain_graph))
    for i, (t, array) in enumerate(zip(wanted, arrays)):
        if array is None and not unused:
            raise RuntimeError(
                f"inputs[{i}] has no gradient, because the outputs do not depend on it: pass "
                "allow_unused=True for None instead of this error"
            )
        if array is None and materialize:
            arrays[i] = np.zeros(t.shape, np.float32)
    return tuple(None if array is None else wrap(np.array(array)) for array in arrays)


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: ArrayLike | Tensor | Sequence[ArrayLike | Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Add the gradient of the sum of tensors to the `grad` of every leaf that requires it.

    Parameters
    ----------
    tensors : Tensor or sequence of Tensor
        What is differentiated.
    grad_tensors : array, Tensor or sequence, optional
        The weight of each tensor, of its shape. Needed unless the tensor has one element.
    retain_graph : bool, optional
        Keep the graph for another backward. Default False.
    create_graph : bool, default False
        Must be False: there are no second derivatives.
    inputs : Tensor or sequence of Tensor, optional
        Only these tensors get a gradient; they may be no leaves.

    Raises
    ------
    NotImplementedError
        With ``create_graph=True``.
    RuntimeError
        A tensor does not require a gradient, or one without a weight has several elements.

    Examples
    --------
    >>> import fastdrop as fd
    >>> x = fd.tensor([1.0, 2.0], requires_grad=True)
    >>> fd.autograd.backward([(x * x).sum(), x.sum()])
    >>> x.grad.tolist()
    [3.0, 5.0]
    """
    _refuse_graph(create_graph)
    root = _root(_tensors(tensors, "tensors"), grad_tensors, ("tensors", "grad_tensors"))
    if inputs is None:
        with np.errstate(all="ignore"):
            run_backward(root, _ROOT, bool(retain_graph))
        return
    wanted = _tensors(inputs, "inputs")
    for t, array in zip(wanted, _gradients(root, wanted, bool(retain_graph))):
        if array is not None:
            t._accumulate(array)


def _refuse_graph(create_graph: bool) -> None:
    if check.flag(create_graph, "create_graph"):
        raise NotImplementedError(
            "create_graph must be False: gradients have no graph, so there are no second "
            "derivatives, got True"
        )
