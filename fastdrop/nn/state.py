"""State of a module: the names of its arrays, and copying of given arrays into them."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.hooks import RemovableHandle
from fastdrop.autograd.parameter import Parameter
from fastdrop.autograd.tensor import Tensor, wrap

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike


EXTRA_STATE = "_extra_state"  # the key in the state of a module


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


class Buffer(Tensor):
    """A tensor that a module registers as a buffer when it is assigned to an attribute.

    Parameters
    ----------
    data : array or Tensor
        What ``Module.register_buffer`` takes: integers and bools become a NumPy array of the
        module.
    persistent : bool, default True
        False: ``Module.state_dict`` leaves it out.

    Examples
    --------
    >>> from fastdrop import nn
    >>> class Scaled(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.scale = nn.Buffer([2.0])
    ...
    ...     def forward(self, x):
    ...         return x * self.scale
    >>> list(Scaled().state_dict())
    ['scale']
    """

    __slots__ = ("given", "persistent")

    def __init__(self, data: ArrayLike | Tensor, *, persistent: bool = True) -> None:
        array: Any = data if isinstance(data, Tensor) else check.as_array(data, "data")
        is_bool = not isinstance(array, Tensor) and array.dtype.kind == "b"
        super().__init__(array.astype(np.float32) if is_bool else array)
        self.given: Any = data
        self.persistent = check.flag(persistent, "persistent")

    def __reduce__(self) -> Any:
        return functools.partial(Buffer, persistent=self.persistent), (self.given,)


class StatefulModule:
    """Base of `Module`: `state_dict`, `load_state_dict` and their hooks."""

    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Any]
    _modules: dict[str, Any]
    # Names of buffers that are no part of the state.
    _not_persistent: frozenset[str] = frozenset()
    # Hooks by their kind, each by the number of its handle. None until there is one.
    _state_hooks: dict[str, dict[int, Callable[..., Any]]] | None = None

    def _persist(self, name: str, persistent: bool) -> None:
        """Note whether a buffer of that name is a part of the state."""
        if persistent and name not in self._not_persistent:
            return
        names = self._not_persistent - {name} if persistent else self._not_persistent | {name}
        object.__setattr__(self, "_not_persistent", names)

    @overload
    def state_dict(
        self,
        *,
        destination: dict[str, Any] | None = None,
        prefix: str = "",
        keep_vars: Literal[False] = False,
    ) -> dict[str, npt.NDArray[Any]]: ...

    @overload
    def state_dict(
        self, *, destination: dict[str, Any] | None = None, prefix: str = "", keep_vars: bool
    ) -> dict[str, Any]: ...

    def state_dict(
        self,
        *,
        destination: dict[str, Any] | None = None,
        prefix: str = "",
        keep_vars: bool = False,
    ) -> dict[str, Any]:
        """All parameters and persistent buffers by name, under PyTorch's keys.

        Parameters
        ----------
        destination : dict, optional
            Where the entries are put. Default: a new OrderedDict.
        prefix : str, default ""
            Put before every name, as it is: "model." for a name with a dot.
        keep_vars : bool, default False
            Give the parameters and buffers themselves instead of their arrays.

        Returns
        -------
        OrderedDict of str to ndarray, or `destination`
            The module's own arrays, not copies: writing to them changes the module.
        """
        found: dict[str, Any] = OrderedDict() if destination is None else destination
        keep_vars = check.flag(keep_vars, "keep_vars")
        for name, module in _with_repeats(self, ""):
            before = f"{prefix}{name}." if name else prefix
            for hook in module._hooks_of_state("before"):
                hook(module, before, keep_vars)
            for key, value in _own_state(module):
                keeps = keep_vars or not isinstance(value, Tensor)
                found[before + key] = value if keeps else value.data
            if _has_extra_state(module):
                found[before + EXTRA_STATE] = module.get_extra_state()
        for name, module in reversed(list(_with_repeats(self, ""))):
            for hook in module._hooks_of_state("after"):
                hook(module, found, f"{prefix}{name}." if name else prefix, {})
        return found

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copy arrays into the parameters and buffers of the same names.

        Parameters
        ----------
        state_dict : mapping of str to array
            NumPy arrays, or tensors of fastdrop or PyTorch, as `state_dict` names them.
        strict : bool
            Require exactly the keys of this module.
        assign : bool
            Use writable float32 arrays as the parameters' own memory instead of copying them.

        Returns
        -------
        IncompatibleKeys
            The named tuple (missing_keys, unexpected_keys); both empty with ``strict=True``.

        Raises
        ------
        KeyError
            With ``strict=True``: keys are missing or unexpected.
        TypeError, ValueError
            An array has another shape or holds no numbers, or an integer buffer
            (num_batches_tracked) cannot represent its values. The module is unchanged then.
        """
        modules = list(_with_repeats(self, ""))
        if any(module._hooks_of_state("before_load") for _, module in modules):
            state_dict = OrderedDict(state_dict)  # hooks write to it
            lists: tuple[Any, ...] = ([], [], [])
            for name, module in modules:
                for hook in module._hooks_of_state("before_load"):
                    hook(module, state_dict, f"{name}." if name else "", {}, strict, *lists)
            if lists[2]:
                raise RuntimeError("; ".join(map(str, lists[2])))
        extra = {
            f"{name}.{EXTRA_STATE}" if name else EXTRA_STATE: module
            for name, module in modules
            if _has_extra_state(module)
        }
        arrays = state_dict
        if extra and isinstance(state_dict, Mapping):
            arrays = {key: value for key, value in state_dict.items() if key not in extra}
        found = load_arrays(dict(named_state(self)), arrays, strict, assign)
        for key, module in extra.items():
            if key in state_dict:
                module.set_extra_state(state_dict[key])
            elif strict:
                raise KeyError(f"state_dict must have {key!r}, which {type(module).__name__} gave")
            else:
                found.missing_keys.append(key)
        for _, module in reversed(modules):
            for hook in module._hooks_of_state("after_load"):
                hook(module, found)
        return found

    def get_extra_state(self) -> Any:
        """What `state_dict` has beside the arrays, under the key ``_extra_state``.

        A subclass that defines it, and `set_extra_state`, gets such an entry.

        Returns
        -------
        object
        """
        raise RuntimeError(f"{type(self).__name__} must define get_extra_state()")

    def set_extra_state(self, state: Any) -> None:
        """Restore what `get_extra_state` returned. `load_state_dict` calls it.

        Parameters
        ----------
        state : object
        """
        raise RuntimeError(f"{type(self).__name__} must define set_extra_state()")

    def _hooks_of_state(self, kind: str) -> list[Callable[..., Any]]:
        hooks = self._state_hooks
        return [] if hooks is None else list(hooks[kind].values())

    def _add_state_hook(self, kind: str, hook: Any) -> RemovableHandle:
        if not callable(hook):
            raise TypeError(f"hook must be a function, got {check.describe(hook)}")
        if self._state_hooks is None:
            kinds = ("before", "after", "before_load", "after_load")
            object.__setattr__(self, "_state_hooks", {each: {} for each in kinds})
        assert self._state_hooks is not None
        handle = RemovableHandle(self._state_hooks[kind])
        self._state_hooks[kind][handle.id] = hook
        return handle

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call a function before `state_dict` collects the entries of this module.

        Parameters
        ----------
        hook : callable
            hook(module, prefix, keep_vars) -> None.

        Returns
        -------
        RemovableHandle
            Its method `remove` removes the hook.
        """
        return self._add_state_hook("before", hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call a function after `state_dict` has collected the entries; it may change them.

        Parameters
        ----------
        hook : callable
            hook(module, state_dict, prefix, local_metadata) -> None; the last one is empty.

        Returns
        -------
        RemovableHandle
            Its method `remove` removes the hook.
        """
        return self._add_state_hook("after", hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call a function before `load_state_dict` reads the entries; it may change them.

        Parameters
        ----------
        hook : callable
            hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys,
            error_msgs) -> None. What it adds to error_msgs becomes a RuntimeError; local_metadata
            and the other lists are empty.

        Returns
        -------
        RemovableHandle
            Its method `remove` removes the hook.
        """
        return self._add_state_hook("before_load", hook)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call a function after `load_state_dict` has loaded the entries.

        Parameters
        ----------
        hook : callable
            hook(module, incompatible_keys) -> None.

        Returns
        -------
        RemovableHandle
            Its method `remove` removes the hook.
        """
        return self._add_state_hook("after_load", hook)


def named_state(module: Any) -> Iterator[tuple[str, Any]]:
    """Pairs (key, Tensor or array) of a module's parameters and persistent buffers.

    What several modules share appears under each of its names, as in PyTorch.
    """
    for name, each in _with_repeats(module, ""):
        for key, value in _own_state(each):
            yield f"{name}.{key}" if name else key, value


def _has_extra_state(module: Any) -> bool:
    return type(module).get_extra_state is not StatefulModule.get_extra_state


def _own_state(module: Any) -> Iterator[tuple[str, Any]]:
    for key, value in module._parameters.items():
        if value is not None:
            yield key, value
    for key, value in module._buffers.items():
        if value is not None and key not in module._not_persistent:
            yield key, value


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
