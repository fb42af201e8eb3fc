"""Lists and dicts of parameters that are part of the module which holds them."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.parameter import Parameter
from fastdrop.autograd.tensor import Tensor
from fastdrop.nn.module import Module

if TYPE_CHECKING:
    from typing import Self

__all__ = ["ParameterDict", "ParameterList"]


def _as_entry(value: Any) -> Any:
    """Tensors and arrays of floats become parameters; other values stay what they are."""
    if isinstance(value, Parameter):
        return value
    is_floats = isinstance(value, np.ndarray) and value.dtype.kind == "f"
    return Parameter(value) if isinstance(value, Tensor) or is_floats else value


def _text(values: Iterable[tuple[str, Any]], name: str) -> str:
    lines = [
        f"  ({key}): "
        + (
            f"Parameter containing: [float32 of shape {value.shape}]"
            if isinstance(value, Parameter)
            else repr(value)
        )
        for key, value in values
    ]
    return "\n".join([f"{name}(", *lines, ")"]) if lines else f"{name}()"


class ParameterList(Module):
    """A list of parameters that are part of the module which holds it.

    Parameters
    ----------
    values : iterable, optional
        The first entries. Tensors and float arrays become parameters; other values are kept, but
        are no part of the state.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> weights = nn.ParameterList([np.ones((2, 3)), np.zeros(3)])
    >>> [p.shape for p in weights], list(weights.state_dict())
    ([(2, 3), (3,)], ['0', '1'])
    """

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self._size = 0
        if values is not None:
            self.extend(values)

    def _name_at(self, index: int) -> str:
        number = operator.index(index)
        if not -self._size <= number < self._size:
            raise IndexError(
                f"index must be between {-self._size} and {self._size - 1}, got {number}"
            )
        return str(number % self._size)

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(list(self)[index])
        return getattr(self, self._name_at(index))

    def __setitem__(self, index: int, value: Any) -> None:
        setattr(self, self._name_at(index), _as_entry(value))

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Any]:
        return iter([getattr(self, str(i)) for i in range(self._size)])

    def __iadd__(self, values: Iterable[Any]) -> Self:
        return self.extend(values)

    def append(self, value: Any) -> Self:
        """Add a value at the end; returns self.

        Parameters
        ----------
        value : Parameter, Tensor, array, or anything

        Returns
        -------
        ParameterList
            The list itself.
        """
        self._size += 1
        self[self._size - 1] = value
        return self

    def extend(self, values: Iterable[Any]) -> Self:
        """Add values at the end; returns self.

        Parameters
        ----------
        values : iterable

        Returns
        -------
        ParameterList
            The list itself.
        """
        if isinstance(values, Tensor) or not isinstance(values, Iterable):
            raise TypeError(f"values must be an iterable of values, got {check.describe(values)}")
        for value in list(values):
            self.append(value)
        return self

    def __repr__(self) -> str:
        return _text(((str(i), value) for i, value in enumerate(self)), self._get_name())


class ParameterDict(Module):
    """A dict of parameters that are part of the module which holds it.

    Parameters
    ----------
    parameters : mapping of str, or iterable of pairs, optional
        The first entries. Tensors and float arrays become parameters; other values are kept, but
        are no part of the state.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> weights = nn.ParameterDict({"left": np.ones(2), "right": np.zeros(3)})
    >>> weights["left"].shape, list(weights.state_dict())
    ((2,), ['left', 'right'])
    """

    def __init__(self, parameters: Mapping[str, Any] | Iterable[Any] | None = None) -> None:
        super().__init__()
        self._names: dict[str, None] = {}
        if parameters is not None:
            self.update(parameters)

    def __getitem__(self, key: str) -> Any:
        if key not in self._names:
            raise KeyError(key)
        return getattr(self, key)

    def __setitem__(self, key: str, value: Any) -> None:
        if key not in self._names:
            self._check_name(key)
        self._names[key] = None
        setattr(self, key, _as_entry(value))

    def __delitem__(self, key: str) -> None:
        del self._names[key]
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __reversed__(self) -> Iterator[str]:
        return reversed(list(self._names))

    def __contains__(self, key: object) -> bool:
        return key in self._names

    def __or__(self, other: Mapping[str, Any]) -> Self:
        made = self.copy()
        made.update(other)
        return made

    def __ior__(self, other: Mapping[str, Any]) -> Self:
        self.update(other)
        return self

    def copy(self) -> Self:
        """A new dict with the same parameters.

        Returns
        -------
        ParameterDict
        """
        return type(self)(dict(self.items()))

    def clear(self) -> None:
        """Remove all entries."""
        for key in list(self._names):
            del self[key]

    def get(self, key: str, default: Any = None) -> Any:
        """The entry of that name, or the default.

        Parameters
        ----------
        key : str
        default

        Returns
        -------
        Parameter, or anything
        """
        return self[key] if key in self._names else default

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The entry of that name; the default is added where there is none.

        Parameters
        ----------
        key : str
        default

        Returns
        -------
        Parameter, or anything
        """
        if key not in self._names:
            self[key] = default
        return self[key]

    def pop(self, key: str) -> Any:
        """Remove an entry, and return it.

        Parameters
        ----------
        key : str

        Returns
        -------
        Parameter, or anything
        """
        found = self[key]
        del self[key]
        return found

    def popitem(self) -> tuple[str, Any]:
        """Remove the last entry, and return its name and value.

        Returns
        -------
        (str, value)
        """
        key = next(reversed(self))
        return key, self.pop(key)

    def fromkeys(self, keys: Iterable[str], default: Any = None) -> ParameterDict:
        """A new dict with these names, each with the default.

        Parameters
        ----------
        keys : iterable of str
        default

        Returns
        -------
        ParameterDict
        """
        return ParameterDict((key, default) for key in keys)

    def keys(self) -> Iterable[str]:
        """The names.

        Returns
        -------
        iterable of str
        """
        return self._names.keys()

    def items(self) -> Iterable[tuple[str, Any]]:
        """Pairs of names and values.

        Returns
        -------
        iterable of (str, value)
        """
        return [(key, getattr(self, key)) for key in self._names]

    def values(self) -> Iterable[Any]:
        """The values.

        Returns
        -------
        iterable
        """
        return [getattr(self, key) for key in self._names]

    def update(self, parameters: Mapping[str, Any] | ParameterDict | Iterable[Any]) -> None:
        """Add or replace entries.

        Parameters
        ----------
        parameters : mapping of str, or iterable of pairs
        """
        given: Any = parameters
        try:
            pairs = dict(given.items() if isinstance(given, ParameterDict) else given)
        except (TypeError, ValueError):
            raise TypeError(
                "parameters must be a mapping of names to values, or pairs of them, "
                f"got {check.describe(parameters)}"
            ) from None
        for key, value in pairs.items():
            self[key] = value

    def __repr__(self) -> str:
        return _text(self.items(), self._get_name())
