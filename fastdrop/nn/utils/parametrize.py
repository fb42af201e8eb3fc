"""Parametrizations: a parameter of a module is computed from others each time it is read.

A module with a parametrization gets a class of its own, in which the parameter's name is a
property. Code that knows layers by their class therefore calls them instead of reading parameters.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.grad_mode import no_grad
from fastdrop.autograd.parameter import Parameter
from fastdrop.autograd.tensor import Tensor
from fastdrop.nn.module import Module, checked_module
from fastdrop.nn.module_list import ModuleDict, ModuleList

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "ParametrizationList",
    "is_parametrized",
    "register_parametrization",
    "remove_parametrizations",
]


class ParametrizationList(ModuleList):
    """The parametrizations of one parameter, and what they compute it from.

    `register_parametrization` makes it. Its parameters are ``original``, or ``original0``,
    ``original1`` ... where the right_inverse of the first parametrization returns several.

    Parameters
    ----------
    modules : sequence of Module
        Called one after the other.
    original : Parameter
        The parameter as it was.
    unsafe : bool, default False
        Do not check that the result has the shape of the original.

    Examples
    --------
    See `register_parametrization`.
    """

    def __init__(
        self, modules: Sequence[Module], original: Parameter, unsafe: bool = False
    ) -> None:
        super().__init__(modules)
        self.unsafe = check.flag(unsafe, "unsafe")
        self.shape = original.shape
        value: Any = original
        with no_grad():
            for module in reversed(list(modules)):
                inverse = getattr(module, "right_inverse", None)
                if inverse is not None:
                    value = inverse(value)
        self.ntensors = len(value) if isinstance(value, (tuple, list)) else 1
        self.is_tensor = not isinstance(value, (tuple, list))
        for name, part in zip(self._names(), (value,) if self.is_tensor else value, strict=True):
            if part is original:
                self.register_parameter(name, original)
                continue
            array = np.array(part._array if isinstance(part, Tensor) else part)
            self.register_parameter(name, Parameter(array, original.requires_grad))

    def _names(self) -> list[str]:
        if self.is_tensor:
            return ["original"]
        return [f"original{i}" for i in range(self.ntensors)]

    @property
    def originals(self) -> tuple[Parameter, ...]:
        """The parameters that the value is computed from."""
        return tuple(getattr(self, name) for name in self._names())

    def forward(self) -> Tensor:
        value: Any = self.originals
        for number, module in enumerate(self):
            value = module(*value) if number == 0 else module(value)
        return value

    def right_inverse(self, value: Any) -> None:
        """Set the originals so that the value becomes a given one.

        Parameters
        ----------
        value : Tensor or array
        """
        with no_grad():
            for module in reversed(list(self)):
                inverse = getattr(module, "right_inverse", None)
                if inverse is None:
                    raise RuntimeError(
                        f"{type(module).__name__} must define right_inverse() for an assignment to "
                        "its parameter"
                    )
                value = inverse(value if isinstance(value, Tensor) else Tensor(value))
            for own, part in zip(self.originals, (value,) if self.is_tensor else value):
                array = part._array if isinstance(part, Tensor) else part
                own.data = np.array(array)


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Compute a parameter of a module from others each time it is read.

    Parameters
    ----------
    module : Module
        The owner of the parameter. Its class becomes one of its own.
    tensor_name : str
        The name of the parameter, which is a property from now on. Its state stands under
        ``parametrizations.<name>.original`` (or original0, original1 ...), as in PyTorch.
    parametrization : Module
        Its forward computes the parameter from the original. Its method ``right_inverse``, if it
        has one, computes the original from the present value. A second parametrization takes the
        result of the first.
    unsafe : bool, default False
        Do not check that the parameter keeps its shape.

    Returns
    -------
    Module
        The module itself.

    Raises
    ------
    ValueError
        There is no such parameter, or the parametrization changes its shape.

    Notes
    -----
    A model with parametrizations cannot be pickled. A file of `fastdrop.save` holds its weights,
    and `fastdrop.load` needs a model with the same parametrizations (``model=``).

    Examples
    --------
    >>> from fastdrop import nn
    >>> from fastdrop.nn.utils import parametrize
    >>> class Symmetric(nn.Module):
    ...     def forward(self, w):
    ...         return (w + w.T) * 0.5
    >>> layer = parametrize.register_parametrization(nn.Linear(3, 3), "weight", Symmetric())
    >>> bool((layer.weight.numpy() == layer.weight.numpy().T).all())
    True
    >>> list(layer.state_dict())
    ['bias', 'parametrizations.weight.original']
    """
    checked_module(module, "module")
    checked_module(parametrization, "parametrization")
    if is_parametrized(module, tensor_name):
        found = module.parametrizations[tensor_name]
        value = getattr(module, tensor_name)
        if not unsafe:
            with no_grad():
                _check_shape(parametrization(value), value.shape, parametrization)
        parametrization.train(module.training)
        found.append(parametrization)
        return module
    original = module._parameters.get(tensor_name)
    if original is None:
        raise ValueError(
            f"tensor_name must name a parameter of the module ({', '.join(module._parameters)}), "
            f"got {tensor_name!r}"
        )
    parametrization.train(module.training)
    made = ParametrizationList([parametrization], original, unsafe)
    if not unsafe:
        with no_grad():
            _check_shape(made(), original.shape, parametrization)
    if not is_parametrized(module):
        _give_own_class(module)
        module.parametrizations = ModuleDict()
    del module._parameters[tensor_name]
    setattr(type(module), tensor_name, property(*_accessors(tensor_name)))
    module.parametrizations[tensor_name] = made
    return module


def _check_shape(value: Any, shape: tuple[int, ...], parametrization: Module) -> None:
    if not isinstance(value, Tensor) or value.shape != shape:
        raise ValueError(
            f"{type(parametrization).__name__} must return a Tensor of the parameter's shape "
            f"{shape}, got {check.describe(value)}"
        )


def _accessors(name: str) -> Any:
    def get(module: Any) -> Any:
        return module.parametrizations[name]()

    def assign(module: Any, value: Any) -> None:
        module.parametrizations[name].right_inverse(value)

    return get, assign


def _give_own_class(module: Module) -> None:
    """Make the module the only one of a class, which may have properties for it alone."""
    base = type(module)

    def reduce(self: Any, protocol: Any = None) -> Any:
        raise RuntimeError(
            "a module with parametrizations cannot be pickled: save its state_dict(), or call "
            "remove_parametrizations() first"
        )

    def deepcopy(self: Any, memo: dict[int, Any]) -> Any:
        made = base.__new__(base)
        memo[id(self)] = made
        state = getattr(self, "__getstate__", lambda: self.__dict__)() or self.__dict__
        made.__setstate__(copy.deepcopy(dict(state), memo))
        _give_own_class(made)
        for name in made.parametrizations:
            setattr(type(made), name, property(*_accessors(name)))
        return made

    def assign(self: Any, name: str, value: Any) -> None:
        if isinstance(getattr(type(self), name, None), property):
            object.__setattr__(self, name, value)
        else:
            base.__setattr__(self, name, value)

    own = type(
        f"Parametrized{base.__name__}",
        (base,),
        {
            "__reduce_ex__": reduce,
            "__deepcopy__": deepcopy,
            "__setattr__": assign,
            "__module__": __name__,
        },
    )
    object.__setattr__(module, "__class__", own)


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a module has parametrizations.

    Parameters
    ----------
    module : Module
    tensor_name : str, optional
        Ask for this parameter alone.

    Returns
    -------
    bool

    Examples
    --------
    >>> from fastdrop import nn
    >>> from fastdrop.nn.utils import parametrizations, parametrize
    >>> layer = parametrizations.weight_norm(nn.Linear(3, 2))
    >>> parametrize.is_parametrized(layer), parametrize.is_parametrized(layer, "bias")
    (True, False)
    """
    found = module._modules.get("parametrizations")
    if not isinstance(found, ModuleDict) or not len(found):
        return False
    return tensor_name is None or tensor_name in found


def remove_parametrizations(
    module: Module, tensor_name: str, leave_parametrized: bool = True
) -> Module:
    """Make a parameter with parametrizations an ordinary one again.

    Parameters
    ----------
    module : Module
    tensor_name : str
        The name of the parameter.
    leave_parametrized : bool, default True
        Keep its present value. False: that of the original, where there is one alone.

    Returns
    -------
    Module
        The module itself. After the last one its class is the one that it had.

    Raises
    ------
    ValueError
        There is no such parametrization, or ``leave_parametrized=False`` with several originals.

    Examples
    --------
    >>> from fastdrop import nn
    >>> from fastdrop.nn.utils import parametrizations, parametrize
    >>> layer = parametrizations.weight_norm(nn.Linear(3, 2))
    >>> parametrize.remove_parametrizations(layer, "weight")
    Linear(in_features=3, out_features=2, bias=True)
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(
            f"tensor_name must name a parameter with parametrizations, got {tensor_name!r}"
        )
    found = module.parametrizations[tensor_name]
    if not check.flag(leave_parametrized, "leave_parametrized") and not found.is_tensor:
        raise ValueError(
            "leave_parametrized must be True where the parameter is computed from several tensors"
        )
    with no_grad():
        value = found()._array.copy() if leave_parametrized else None
    original = found.originals[0]
    if value is None:
        parameter = original
    elif found.is_tensor and original.shape == value.shape:
        original.data, parameter = value, original
    else:
        parameter = Parameter(value, original.requires_grad)
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    module.register_parameter(tensor_name, parameter)
    if not len(module.parametrizations):
        del module.parametrizations
        object.__setattr__(module, "__class__", type(module).__mro__[1])
    return module
