"""Module, the base class of layers and models: parameters, buffers, submodules, forward passes."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fastdrop import random
from fastdrop._utils import validation as check
from fastdrop.autograd.parameter import Parameter
from fastdrop.autograd.recording import is_open, note_pass
from fastdrop.autograd.tensor import Tensor
from fastdrop.nn.conversions import Conversions
from fastdrop.nn.hooks import SOME_MODULE_HAS_HOOKS, HookedModule, with_hooks
from fastdrop.nn.named_entries import NamedEntries
from fastdrop.nn.state import Buffer, StatefulModule, as_buffer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Self

    from fastdrop._utils.typing import ArrayLike

# Counts every change of any module's structure. Site numbers and lists of submodules that were
# computed at one value are valid as long as the value stays.
_structure = 0


def structure_version() -> int:
    """A number that changes whenever the structure of any module changes."""
    return _structure


def _structure_changed() -> None:
    global _structure
    _structure += 1
    random.modes.structure_changed()


def may_draw(model: Module) -> bool:
    """Whether some layer of a model may draw masks or noise.

    True for a layer with rate 0, whose rate may change; a recurrent layer has masks only where it
    was given a rate.
    """
    return any(m.n_sites and getattr(m, "has_masks", True) for m in model.modules())


def passes_differ(model: Module) -> bool:
    """Whether some layer of a model draws as it is: it has noise, or a rate above 0 or a schedule.

    Then the passes of Monte Carlo dropout differ.
    """

    def draws(module: Module) -> bool:
        rate = getattr(module, "p", getattr(module, "dropout", None))
        return bool(getattr(module, "has_masks", rate is None or callable(rate) or rate > 0.0))

    return any(m.n_sites and draws(m) for m in model.modules())


def checked_module(value: Any, name: str) -> Module:
    """The value, if it is a Module; else TypeError that names the argument."""
    if not isinstance(value, Module):
        hint = " (its attribute 'model' is one)" * isinstance(getattr(value, "model", None), Module)
        raise TypeError(f"{name} must be a Module, got {check.describe(value)}{hint}")
    return value


class Module(HookedModule, StatefulModule, Conversions, NamedEntries):
    """Base class of all layers and models.

    A subclass calls ``super().__init__()``, assigns parameters and submodules to attributes, and
    defines `forward`. Assigned `Parameter` and `Module` objects are registered under the
    attribute's name, as in ``torch.nn.Module``.

    The outermost module that is called opens a forward pass. Stochastic layers inside it draw
    their masks at sites, which are numbered in registration order, and at the pass number `draw`.
    `draw` increases by one after each pass in training mode and after each pass that drew a mask,
    so every pass has new masks and the same `draw` gives the same masks again. Each outermost
    module of a run has an instance, a number which makes its masks differ from those of the others
    (see ``docs/mask-contract.md``).

    Differences from ``torch.nn.Module``: there are no devices or dtypes (everything is float32 on
    the CPU); `state_dict` returns NumPy arrays; integer buffers are NumPy arrays; hooks of all
    modules of the process are missing.

    Attributes
    ----------
    training : bool
        Whether the module is in training mode. Set by `train` and `eval`; True at first. False in
        the thread or asyncio task that predicts with the module (`fastdrop.predict`), for as long
        as it does: other threads may train the module meanwhile.
    draw : int in [0, 2**32]
        Number of the next forward pass of which this module is the outermost one. At 2**32 the
        next call that draws raises RuntimeError. Saved in checkpoints, not in `state_dict`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> class TwoInputs(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.left = nn.Linear(4, 8)
    ...         self.right = nn.Linear(3, 8)
    ...     def forward(self, a, b):
    ...         return self.left(a) + self.right(b)
    >>> model = TwoInputs()
    >>> model(np.ones((2, 4)), np.ones((2, 3))).shape
    (2, 8)
    >>> [name for name, _ in model.named_parameters()]
    ['left.weight', 'left.bias', 'right.weight', 'right.bias']
    """

    # Number of random decisions that a layer of this class makes in one call; each is one site.
    n_sites: int = 0
    # Where files of models find a constructor's argument that is no attribute of its name: the path
    # of another attribute; None: it is left out, because other arguments give the same.
    argument_paths: ClassVar[Mapping[str, str | None]] = {}
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Any]
    _modules: dict[str, Module | None]
    training = random.TrainingMode()
    _training: bool  # the module's own mode; `training` is the mode in the calling context
    _draw: int
    # Structure version, the first site of each module by its id(), and the number of all sites.
    _sites: tuple[int, dict[int, int | None], int]
    # Structure version, all modules below this one, and the id() of each.
    _descendants: tuple[int, tuple[Module, ...], frozenset[int]]

    def __init__(self) -> None:
        put = object.__setattr__
        put(self, "_training", True)
        put(self, "_parameters", {})
        put(self, "_buffers", {})
        put(self, "_modules", {})
        put(self, "_draw", 0)
        put(self, "_sites", (-1, {}, 0))
        put(self, "_descendants", (-1, (), frozenset()))

    if TYPE_CHECKING:
        # Declared as an attribute so that a subclass may define any arguments and any result.
        forward: Callable[..., Any]
    else:

        def forward(self, *args, **kwargs):
            """Compute the output. Call the module instead: that opens the forward pass.

            Parameters
            ----------
            *args, **kwargs
                As the subclass defines them: arrays or tensors whose axis 0 is the sample.
            """
            raise TypeError(f"{type(self).__name__} must define forward()")

    # ---- calling ----

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        result: Tensor
        forward = self.forward
        if SOME_MODULE_HAS_HOOKS:
            forward = with_hooks(self, forward)
        ps = random.current()
        # A layer belongs to the pass that is open. So do models, unless they are no part of the
        # one that was called: training another model in forward() has passes of its own.
        if ps is not None and (
            not self._modules or id(self) in ps.sites or random.is_monte_carlo()
        ):
            result = forward(*args, **kwargs)
            return result
        try:
            version, sites, n_sites = self._sites
        except AttributeError:
            raise AttributeError(
                f"{type(self).__name__}.__init__ must call super().__init__() first"
            ) from None
        if version != _structure:
            sites, n_sites = self._number_sites()
        training, counts = self.training, not random.draw_is_fixed(self)
        if training and counts and self._draw > check.U32_MAX:
            raise random.used_up()
        with random.forward_pass(self._draw, sites, n_sites, self) as ps:
            result = forward(*args, **kwargs)
        counts = counts and (training or ps.instance >= 0)
        if is_open():
            note_pass(self, ps.draw, ps.instance, counts)
        if counts:
            object.__setattr__(self, "_draw", self._draw + 1)
        return result

    def _number_sites(self) -> tuple[dict[int, int | None], int]:
        """Number the sites of all stochastic layers in registration order, and keep the result."""
        sites: dict[int, int | None] = {}
        n = 0
        for module in self.modules():
            sites[id(module)] = n if module.n_sites else None
            n += module.n_sites
        object.__setattr__(self, "_sites", (_structure, sites, n))
        return sites, n

    @property
    def draw(self) -> int:
        """Number of the next forward pass of which this module is the outermost one."""
        return self._draw

    @draw.setter
    def draw(self, value: int) -> None:
        object.__setattr__(self, "_draw", check.integer(value, "draw", 0, check.U32_MAX + 1))

    # ---- structure ----

    def _structure_changed(self) -> None:
        """What `HookedModule` calls."""
        _structure_changed()

    def __setattr__(self, name: str, value: Any) -> None:
        tables = self.__dict__.get("_modules")
        if isinstance(value, (Module, Parameter)):
            if tables is None:
                raise AttributeError(
                    f"{type(self).__name__}.__init__ must call super().__init__() "
                    f"before it assigns {name}"
                )
            table: Any = self._modules if isinstance(value, Module) else self._parameters
            if name not in table:  # an existing entry keeps its place in the order
                self._remove(name)
            table[name] = value
            _structure_changed()
        elif isinstance(value, Buffer) and tables is not None:
            self._remove(name)
            self.register_buffer(name, value.given, value.persistent)
        elif tables is not None and (
            name in tables or name in self._parameters or name in self._buffers
        ):
            if value is None:
                for table in (self._modules, self._parameters, self._buffers):
                    if name in table:
                        table[name] = None
                _structure_changed()
            elif name in self._buffers:
                self._buffers[name] = as_buffer(value, name)
                random.modes.options_changed()
            else:
                kind = "Module" if name in tables else "Parameter"
                raise TypeError(f"{name} must be a {kind} or None, got {check.describe(value)}")
        else:
            object.__setattr__(self, name, value)
            random.modes.options_changed()
            if name == "forward":
                _structure_changed()

    def __getattr__(self, name: str) -> Any:
        for table in ("_parameters", "_modules", "_buffers"):
            entries = self.__dict__.get(table)
            if entries is not None and name in entries:
                return entries[name]
        if "_modules" not in self.__dict__:
            raise AttributeError(
                f"{type(self).__name__}.__init__ must call super().__init__() before {name} is used"
            )
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __delattr__(self, name: str) -> None:
        if not self._remove(name):
            object.__delattr__(self, name)

    def _remove(self, name: str) -> bool:
        """Remove the attribute, parameter, submodule or buffer; returns whether there was one."""
        found = self.__dict__.pop(name, None) is not None
        for table in (self._parameters, self._modules, self._buffers):
            found |= table.pop(name, None) is not None
        self._persist(name, True)
        _structure_changed()
        return found

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickled module. Buffers that joblib mapped read-only are copied."""
        self.__dict__.update(state)
        if "training" in state:  # pickled by version 0.1
            object.__setattr__(self, "_training", bool(self.__dict__.pop("training")))
        for name, value in self._buffers.items():
            if isinstance(value, np.ndarray):
                self._buffers[name] = check.owned(value)
        # Keys of `_sites` are ids of the process that pickled the module: compute them again.
        object.__setattr__(self, "_sites", (-1, {}, 0))
        object.__setattr__(self, "_descendants", (-1, (), frozenset()))
        if "_hooks" in state:
            SOME_MODULE_HAS_HOOKS[:] = [True]
        _structure_changed()

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter under a name.

        Parameters
        ----------
        name : str
            Attribute under which the parameter is found; no dots, not taken yet.
        param : Parameter or None
            None reserves the name: `state_dict` leaves it out.
        """
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"param must be a Parameter or None, got {check.describe(param)}")
        self._check_name(name)
        self._parameters[name] = param
        _structure_changed()

    def register_buffer(
        self, name: str, tensor: Tensor | ArrayLike | None, persistent: bool = True
    ) -> None:
        """Add an array that is part of the state but is not trained.

        Parameters
        ----------
        name : str
            Attribute under which the buffer is found; no dots, not taken yet.
        tensor : Tensor, array or None
            A float array is kept as a `Tensor`, an integer or bool array as a NumPy array (copied
            unless it is a Tensor already). None reserves the name: `state_dict` leaves it out.
        persistent : bool, default True
            False: `state_dict` leaves it out.
        """
        self._check_name(name)
        self._persist(name, check.flag(persistent, "persistent"))
        self._buffers[name] = None if tensor is None else as_buffer(tensor, "tensor")

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a submodule under a name.

        Parameters
        ----------
        name : str
            Attribute under which the submodule is found; no dots, not taken yet.
        module : Module or None
            None reserves the name.
        """
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"module must be a Module or None, got {check.describe(module)}")
        self._check_name(name)
        self._modules[name] = module
        _structure_changed()

    register_module = add_module

    def _check_name(self, name: str) -> None:
        """Raise unless a parameter, buffer or submodule can be registered under this name."""
        if not isinstance(name, str):
            raise TypeError(f"name must be a string, got {check.describe(name)}")
        if not name or "." in name:
            raise ValueError(f"name must not be empty or contain a dot, got {name!r}")
        if hasattr(type(self), name) or name in self.__dict__:
            raise KeyError(f"name {name!r} is taken by an attribute")

    # ---- iteration ----

    def named_modules(
        self, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Pairs (name, module) of this module and all below, each once, in registration order.

        Parameters
        ----------
        prefix : str
            Put before every name, with a dot.
        remove_duplicate : bool, default True
            False: a module that is shared stands under each of its names.

        Yields
        ------
        (str, Module)
            The dotted name below this module, and the module; this one has the name `prefix`.
        """
        seen: set[int] = set()  # by identity: a module may define __eq__
        stack: list[tuple[str, Module]] = [(prefix, self)]
        while stack:
            name, module = stack.pop()
            if remove_duplicate:
                if id(module) in seen:
                    continue
                seen.add(id(module))
            yield name, module
            stack += [
                (f"{name}.{key}" if name else key, child)
                for key, child in reversed(module._modules.items())
                if child is not None
            ]

    def modules(self) -> Iterator[Module]:
        """This module and all below, each once, in registration order.

        Returns
        -------
        iterator of Module
        """
        # The kept tuple leaves out `self`: no reference cycle that only the collector would free.
        return itertools.chain((self,), self._below()[1])

    def _below(self) -> tuple[int, tuple[Module, ...], frozenset[int]]:
        """`_descendants` at the present structure."""
        kept = self._descendants
        if kept[0] != _structure:
            version = _structure
            below = tuple(module for _, module in self.named_modules())[1:]
            kept = version, below, frozenset(map(id, below))
            object.__setattr__(self, "_descendants", kept)
        return kept

    def ids_below(self) -> frozenset[int]:
        """The id() of each module below this one.

        Returns
        -------
        frozenset of int
        """
        return self._below()[2]

    # ---- modes ----

    def train(self, mode: bool = True) -> Self:
        """Put this module and all below into training mode; returns self.

        While a prediction with the module is running, the new mode holds for the thread or asyncio
        task that predicts, and until the prediction ends.

        Parameters
        ----------
        mode : bool
            False: evaluation mode.

        Returns
        -------
        Module
            The module itself.
        """
        mode = check.flag(mode, "mode")
        for module in self.modules():
            object.__setattr__(module, "training", mode)
        return self

    def eval(self) -> Self:
        """Put this module and all below into evaluation mode; returns self.

        Returns
        -------
        Module
            The module itself.
        """
        return self.train(False)
