"""Module: parameters, buffers, submodules, and the forward pass that counts draws."""

from __future__ import annotations

import itertools
from collections import OrderedDict, namedtuple
from collections.abc import Mapping

import numpy as np

from fastdrop import random
from fastdrop._utils import validation as check
from fastdrop.autograd.parameter import Parameter
from fastdrop.autograd.pending import finish_pass
from fastdrop.autograd.tensor import Tensor, wrap

IncompatibleKeys = namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])

# Counts every change of any module's structure, so that the sites of an outermost module can be kept until then.
_structure = 0


def version() -> int:
    """Changes whenever any module's structure does."""
    return _structure


def _changed() -> None:
    global _structure
    _structure += 1


class Module:
    """Base class of all layers and models; `forward` says what it computes.

    The outermost module that is called opens a forward pass: its stochastic layers draw their masks at sites numbered in
    registration order, at the pass's `draw`, which advances after each pass in training mode (docs/mask-contract.md).

    Attributes
    ----------
    training : bool
        Set by `train` and `eval`.
    draw : int in [0, 2**32]
        Number of the next forward pass of which this is the outermost module; at 2**32 there is none left (RuntimeError).
        Part of a checkpoint, not of state_dict.
    """

    n_sites = 0  # how many random decisions a layer of this class makes in a call

    def __init__(self):
        put = object.__setattr__
        put(self, "training", True)
        put(self, "_parameters", {})
        put(self, "_buffers", {})
        put(self, "_modules", {})
        put(self, "_draw", 0)
        put(self, "_sites", (-1, {}, 0))
        put(self, "_below", (-1, ()))

    def forward(self, *args, **kwargs):
        raise TypeError(f"{type(self).__name__} must define forward()")

    # ---- calling ----

    def __call__(self, *args, **kwargs):
        if random.current() is not None:
            return self.forward(*args, **kwargs)
        try:
            version, sites, n_sites = self._sites
        except AttributeError:
            raise AttributeError(
                f"{type(self).__name__}.__init__ must call super().__init__() first"
            ) from None
        if version != _structure:
            sites, n_sites = self._number_sites()
        counts = self.training and not random.draw_is_fixed()
        if counts and self._draw > check.U32_MAX:
            raise random.used_up()
        with random.forward_pass(self._draw, sites, n_sites) as ps:
            result = self.forward(*args, **kwargs)
            finish_pass(ps)
        if counts:
            object.__setattr__(self, "_draw", self._draw + 1)
        return result

    def _number_sites(self):
        sites, n = {}, 0
        for module in self.modules():
            if module.n_sites:
                sites[id(module)] = n
                n += module.n_sites
        object.__setattr__(self, "_sites", (_structure, sites, n))
        return sites, n

    @property
    def draw(self) -> int:
        return self._draw

    @draw.setter
    def draw(self, value):
        object.__setattr__(self, "_draw", check.integer(value, "draw", 0, check.U32_MAX + 1))

    # ---- structure ----

    def __setattr__(self, name, value):
        tables = self.__dict__.get("_modules")
        if isinstance(value, (Module, Parameter)):
            if tables is None:
                raise AttributeError(
                    f"{type(self).__name__}.__init__ must call super().__init__() before it assigns {name}"
                )
            table = self._modules if isinstance(value, Module) else self._parameters
            if name not in table:  # else it keeps its place in the order
                self._forget(name)
            table[name] = value
            _changed()
        elif tables is not None and (
            name in tables or name in self._parameters or name in self._buffers
        ):
            if value is None:
                for table in (self._modules, self._parameters, self._buffers):
                    if name in table:
                        table[name] = None
                _changed()
            elif name in self._buffers:
                self._buffers[name] = _as_buffer(value, name)
            else:
                kind = "Module" if name in tables else "Parameter"
                raise TypeError(f"{name} must be a {kind} or None, got {check.describe(value)}")
        else:
            object.__setattr__(self, name, value)
            if name == "forward":
                _changed()

    def __getattr__(self, name):
        for table in ("_parameters", "_modules", "_buffers"):
            entries = self.__dict__.get(table)
            if entries is not None and name in entries:
                return entries[name]
        if "_modules" not in self.__dict__:
            raise AttributeError(
                f"{type(self).__name__}.__init__ must call super().__init__() before {name} is used"
            )
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __delattr__(self, name):
        if not self._forget(name):
            object.__delattr__(self, name)

    def _forget(self, name) -> bool:
        found = self.__dict__.pop(name, None) is not None
        for table in (self._parameters, self._modules, self._buffers):
            found |= table.pop(name, None) is not None
        _changed()
        return found

    def __dir__(self):
        return sorted({*super().__dir__(), *self._parameters, *self._modules, *self._buffers})

    def __setstate__(self, state):
        self.__dict__.update(state)
        object.__setattr__(self, "_sites", (-1, {}, 0))  # ids belong to the process that made them
        object.__setattr__(self, "_below", (-1, ()))
        _changed()

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter under name (None: a place that state_dict leaves out)."""
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"param must be a Parameter or None, got {check.describe(param)}")
        self._claim(name)
        self._parameters[name] = param
        _changed()

    def register_buffer(self, name: str, tensor) -> None:
        """Add an array that is part of the state but not trained."""
        self._claim(name)
        self._buffers[name] = None if tensor is None else _as_buffer(tensor, "tensor")

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a submodule under name."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"module must be a Module or None, got {check.describe(module)}")
        self._claim(name)
        self._modules[name] = module
        _changed()

    register_module = add_module

    def _claim(self, name):
        if not isinstance(name, str):
            raise TypeError(f"name must be a string, got {check.describe(name)}")
        if not name or "." in name:
            raise ValueError(f"name must not be empty or contain a dot, got {name!r}")
        if hasattr(type(self), name) or name in self.__dict__:
            raise KeyError(f"name {name!r} is taken by an attribute")

    # ---- walking ----

    def named_modules(self, prefix: str = ""):
        """(name, module) of this module and all below, each once, in registration order."""
        seen, stack = set(), [(prefix, self)]
        while stack:
            name, module = stack.pop()
            if module in seen:
                continue
            seen.add(module)
            yield name, module
            stack += [
                (f"{name}.{key}" if name else key, child)
                for key, child in reversed(module._modules.items())
                if child is not None
            ]

    def modules(self):
        """This module and all below, each once, in registration order."""
        version, below = self._below  # without this one: no circle that only the collector frees
        if version != _structure:
            below = tuple(module for _, module in self.named_modules())[1:]
            object.__setattr__(self, "_below", (_structure, below))
        return itertools.chain((self,), below)

    def named_children(self):
        return ((name, child) for name, child in self._modules.items() if child is not None)

    def children(self):
        return (child for _, child in self.named_children())

    def _named(self, table, prefix="", recurse=True, once=True):
        seen = set()
        for name, module in self.named_modules(prefix) if recurse else [(prefix, self)]:
            for key, value in getattr(module, table).items():
                if value is not None and not (once and id(value) in seen):
                    seen.add(id(value))
                    yield f"{name}.{key}" if name else key, value

    def named_parameters(self, prefix: str = "", recurse: bool = True):
        """(name, parameter), each parameter once."""
        return self._named("_parameters", prefix, recurse)

    def parameters(self, recurse: bool = True):
        return (p for _, p in self.named_parameters("", recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True):
        return self._named("_buffers", prefix, recurse)

    def buffers(self, recurse: bool = True):
        return (b for _, b in self.named_buffers("", recurse))

    def apply(self, fn):
        """Call fn on every submodule, then on this one; returns self."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    # ---- state ----

    def train(self, mode: bool = True):
        """Training mode (or, with False, evaluation) for this module and all below; returns self."""
        mode = check.flag(mode, "mode")
        for module in self.modules():
            object.__setattr__(module, "training", mode)
        return self

    def eval(self):
        """Evaluation mode; returns self."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True):
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients (or, with set_to_none=False, fill them with zeros)."""
        for p in self.parameters():
            if p.grad is None:
                continue
            if set_to_none:
                p.grad = None
            else:
                p.grad.data[...] = 0.0

    def _state(self):
        """(key, tensor or array) of everything in the state, shared places under each of their names as PyTorch does."""
        for name, module in _with_repeats(self, ""):
            for table in (module._parameters, module._buffers):
                for key, value in table.items():
                    if value is not None:
                        yield f"{name}.{key}" if name else key, value

    def state_dict(self) -> OrderedDict:
        """Name -> array of all parameters and buffers, under PyTorch's keys. The arrays are the module's own."""
        return OrderedDict(
            (key, value.data if isinstance(value, Tensor) else value)
            for key, value in self._state()
        )

    def load_state_dict(
        self, state_dict: Mapping, strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copy arrays (NumPy's, tensors of fastdrop or of PyTorch) into parameters and buffers.

        Parameters
        ----------
        state_dict : mapping of str to array
        strict : bool
            Its keys must be this module's.
        assign : bool
            Take float32 arrays over, where they can be written to, instead of copying them: they are the module's from then on.

        Raises
        ------
        KeyError
            With strict, when keys are missing or unexpected.
        ValueError, TypeError
            When an array has another shape or holds no numbers, or an integer buffer (num_batches_tracked) could not hold
            them exactly. Nothing is changed then.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(
                f"state_dict must be a mapping of names to arrays, got {check.describe(state_dict)}"
            )
        own = dict(self._state())
        missing = [key for key in own if key not in state_dict]
        unexpected = [key for key in state_dict if key not in own]
        if strict and (missing or unexpected):
            raise KeyError(
                f"state_dict must have this model's keys; missing: {missing or 'none'}, unexpected: {unexpected or 'none'}"
            )
        targets, values, taken = [], [], []
        for key, place in own.items():
            if key not in state_dict:
                continue
            target = place.data if isinstance(place, Tensor) else place
            value = _array_of(state_dict[key], f"state_dict[{key!r}]")
            if value.dtype.kind not in "fiu" and not (
                value.dtype.kind == "b" and target.dtype.kind == "b"
            ):
                raise TypeError(f"state_dict[{key!r}] must hold numbers, got dtype {value.dtype}")
            if value.shape != target.shape:
                raise ValueError(
                    f"state_dict[{key!r}] must have shape {target.shape}, got {value.shape}"
                )
            if target.dtype.kind in "iub":
                with np.errstate(invalid="ignore"):
                    cast = value.astype(target.dtype)
                if not np.array_equal(cast, value):
                    raise ValueError(
                        f"state_dict[{key!r}] must hold numbers that {target.dtype} can, got {check.describe(value)}"
                    )
            if (
                assign
                and isinstance(place, Parameter)
                and value.dtype == np.float32
                and value.flags.carray
            ):
                taken.append((place, value))
                continue
            targets.append(target)
            values.append(value)
        own_now = check.apart([value for _, value in taken], targets)  # before the first is written
        for target, value in zip(targets, check.apart(values, targets), strict=True):
            target[...] = value
        for (place, _), value in zip(taken, own_now, strict=True):
            place.data = value
        return IncompatibleKeys(missing, unexpected)

    # ---- repr ----

    def extra_repr(self) -> str:
        """What stands between the brackets of repr; for layers to override."""
        return ""

    def __repr__(self):
        children = [f"({name}): {_indented(repr(child))}" for name, child in self.named_children()]
        extra = self.extra_repr()
        if not children:
            return f"{type(self).__name__}({extra})"
        lines = ([extra] if extra else []) + children
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines) + "\n)"


def _with_repeats(module, name):
    yield name, module
    for key, child in module.named_children():
        yield from _with_repeats(child, f"{name}.{key}" if name else key)


def _as_buffer(value, name):
    """A buffer: float numbers as a tensor, integers as an array."""
    if isinstance(value, Tensor):
        return value
    array = check.as_array(value, name)
    if array.dtype.kind in "iub":
        return np.array(array)
    return wrap(np.array(check.floats(array, name)))


def _array_of(value, name) -> np.ndarray:
    """The array of a tensor of anybody's."""
    if isinstance(value, Tensor):
        return value.data
    if hasattr(value, "detach"):  # PyTorch
        value = value.detach().cpu()
        value = value.float().numpy() if str(value.dtype) == "torch.bfloat16" else value.numpy()
    return check.as_array(value, name)


def _indented(text):
    return text.replace("\n", "\n  ")
