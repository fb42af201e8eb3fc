"""State of a module: the names of its arrays, and copying of given arrays into them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.parameter import Parameter
from fastdrop.autograd.tensor import Tensor, wrap

if TYPE_CHECKING:
    import numpy.typing as npt


class IncompatibleKeys(NamedTuple):
    """Result of ``Module.load_state_dict``: the keys that did not match.

    Attributes
    ----------
    missing_keys : list of str
        Keys of the module that the given mapping lacks.
    unexpected_keys : list of str
        Keys of the given mapping that the module does not have.
    """

    missing_keys: list[str]
    unexpected_keys: list[str]


def named_state(module: Any) -> Iterator[tuple[str, Any]]:
    """Pairs (key, Tensor or array) of a module's parameters and buffers.

    What several modules share appears under each of its names, as in PyTorch.
    """
    for name, each in _with_repeats(module, ""):
        for table in (each._parameters, each._buffers):
            for key, value in table.items():
                if value is not None:
                    yield f"{name}.{key}" if name else key, value


def _with_repeats(module: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Pairs (name, module) of the module and all below; a shared one under each of its names."""
    yield name, module
    for key, child in module.named_children():
        yield from _with_repeats(child, f"{name}.{key}" if name else key)


def load_arrays(
    own: dict[str, Any], state_dict: Mapping[str, Any], strict: bool, assign: bool
) -> IncompatibleKeys:
    """Copy `state_dict` into the tensors and arrays of `own`, key by key.

    Everything is checked before the first array is written. See ``Module.load_state_dict``.
    """
    if not isinstance(state_dict, Mapping):
        raise TypeError(
            f"state_dict must be a mapping of names to arrays, got {check.describe(state_dict)}"
        )
    missing = [key for key in own if key not in state_dict]
    unexpected = [key for key in state_dict if key not in own]
    if strict and (missing or unexpected):
        raise KeyError(
            f"state_dict must have the keys of this module; missing: {missing or 'none'}, "
            f"unexpected: {unexpected or 'none'}"
        )
    places, targets, values, adopted = [], [], [], []
    for key, place in own.items():
        if key not in state_dict:
            continue
        target = place._array if isinstance(place, Tensor) else place
        value = _checked_value(state_dict[key], target, f"state_dict[{key!r}]")
        if not target.flags.writeable:
            raise ValueError(f"the module's {key} must be writable, got a read-only array")
        if (
            assign
            and isinstance(place, Parameter)
            and value.dtype == np.float32
            and value.flags.carray
        ):
            adopted.append((place, value))
        else:
            places.append(place)
            targets.append(target)
            values.append(value)
    # Given arrays may share memory with the module's own: copy those before the first is written.
    adopted_arrays = check.apart([value for _, value in adopted], targets)
    copied = check.apart(values, targets)
    for place, target, value in zip(places, targets, copied, strict=True):
        if isinstance(place, Tensor):
            place._to_write("load_state_dict()")
        target[...] = value
    for (place, _), value in zip(adopted, adopted_arrays, strict=True):
        place.data = value
    return IncompatibleKeys(missing, unexpected)


def _checked_value(value: Any, target: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    """The value as an array that can be copied into `target` without loss of integers."""
    array = as_numpy(value, name)
    both_bool = array.dtype.kind == "b" and target.dtype.kind == "b"
    if array.dtype.kind not in "fiu" and not both_bool:
        raise TypeError(f"{name} must hold numbers, got dtype {array.dtype}")
    if array.shape != target.shape:
        raise ValueError(f"{name} must have shape {target.shape}, got {array.shape}")
    if target.dtype.kind in "iub":
        with np.errstate(invalid="ignore"):
            cast = array.astype(target.dtype)
        if not np.array_equal(cast, array):
            raise ValueError(
                f"{name} must hold numbers that {target.dtype} can represent, "
                f"got {check.describe(array)}"
            )
    return array


def as_buffer(value: Any, name: str) -> Tensor | npt.NDArray[Any]:
    """A module's buffer: real numbers as a Tensor, integers and bools as an array (copies)."""
    if isinstance(value, Tensor):
        return value
    array = check.as_array(value, name)
    if array.dtype.kind in "iub":
        return np.array(array)
    return wrap(np.array(check.floats(array, name)))


def as_numpy(value: Any, name: str) -> npt.NDArray[Any]:
    """The array of a Tensor, of a PyTorch tensor (bfloat16 as float32), or of anything else."""
    if isinstance(value, Tensor):
        return value.data
    if hasattr(value, "detach"):  # a PyTorch tensor
        value = value.detach().cpu()
        value = value.float().numpy() if str(value.dtype) == "torch.bfloat16" else value.numpy()
    return check.as_array(value, name)
