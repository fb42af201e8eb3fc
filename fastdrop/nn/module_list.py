"""Containers of modules without a forward of their own: lists (`ModuleList`) and dicts."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, overload

from fastdrop._utils import validation as check
from fastdrop.nn.module import Module, checked_module

if TYPE_CHECKING:
    from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
    from typing import Self

__all__ = ["ModuleDict", "ModuleList", "ModuleSequence"]


class ModuleSequence(Module):
    """Modules in a sequence, as `Sequential` and `ModuleList` have them."""

    def _name_at(self, index: int) -> str:
        number, count = operator.index(index), len(self)
        if not -count <= number < count:
            raise IndexError(f"index must be between {-count} and {count - 1}, got {number}")
        return list(self._modules)[number]

    @classmethod
    def _from_items(cls, items: list[tuple[str, Any]]) -> Self:
        """A container of these (name, module) pairs."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())  # type: ignore[arg-type]

    def __contains__(self, module: object) -> bool:
        return any(module is m for m in self)

    @overload
    def __getitem__(self, index: int) -> Module: ...

    @overload
    def __getitem__(self, index: slice) -> Self: ...

    def __getitem__(self, index: int | slice) -> Module | Self:
        if isinstance(index, slice):
            return self._from_items(list(self._modules.items())[index])
        return self._modules[self._name_at(index)]  # type: ignore[return-value]

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, self._name_at(index), module)

    def __delitem__(self, index: int | slice) -> None:
        names = list(self._modules)[index] if isinstance(index, slice) else [self._name_at(index)]
        for name in names:
            delattr(self, name)
        if all(name.isdigit() for name in self._modules):
            self._rename(list(self._modules.values()))

    def _rename(self, modules: list[Any]) -> None:
        """Hold these modules, under their positions as names."""
        self._modules.clear()
        for i, module in enumerate(modules):
            self._modules[str(i)] = module
        self._structure_changed()

    def append(self, module: Module) -> Self:
        """Add a module at the end; returns self.

        Parameters
        ----------
        module : Module
            Registered under its position as a name.

        Returns
        -------
        Sequential or ModuleList
            The container itself.
        """
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add modules at the end; returns self.

        Parameters
        ----------
        modules : iterable of Module
            Registered under their positions as names.

        Returns
        -------
        Sequential or ModuleList
            The container itself.
        """
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Add a module before a position; returns self.

        Parameters
        ----------
        index : int
            Negative ones count from the end.
        module : Module
            The modules behind it get the next names.

        Returns
        -------
        Sequential or ModuleList
            The container itself.
        """
        count = len(self)
        if not -count <= operator.index(index) <= count:
            raise IndexError(f"index must be between {-count} and {count}, got {index}")
        if not all(name.isdigit() for name in self._modules):
            raise ValueError(
                "index must not be used to insert into modules that have names of their own, "
                f"got {index}"
            )
        modules: list[Any] = list(self._modules.values())
        modules.insert(index, checked_module(module, "module"))
        self._rename(modules)
        return self

    def pop(self, key: int | slice) -> Module | Self:
        """Remove the module at a position, and return it.

        Parameters
        ----------
        key : int or slice

        Returns
        -------
        Module, or a container of the modules of a slice
        """
        found = self[key]
        del self[key]
        return found

    def __add__(self, other: Iterable[Module]) -> Self:
        made = self[:]
        return made.extend(other)

    def __iadd__(self, other: Iterable[Module]) -> Self:
        return self.extend(other)


class ModuleList(ModuleSequence):
    """A list of modules that are part of the module which holds it. It has no forward of its own.

    A plain Python list would hide its modules: their parameters would not be trained, and their
    stochastic layers would have no site.

    Parameters
    ----------
    modules : iterable of Module, optional
        The first entries; `append`, `extend` and `insert` add more.

    Examples
    --------
    >>> from fastdrop import nn
    >>> layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
    >>> len(layers), len(list(layers.parameters()))
    (3, 6)
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend(() if modules is None else modules)

    @classmethod
    def _from_items(cls, items: list[tuple[str, Any]]) -> Self:
        return cls(module for _, module in items)


class ModuleDict(Module):
    """A dict of modules that are part of the module which holds it. It has no forward of its own.

    Parameters
    ----------
    modules : mapping of str to Module, or iterable of pairs, optional
        The first entries. Names have no dots and are no names of methods.

    Examples
    --------
    >>> from fastdrop import nn
    >>> heads = nn.ModuleDict({"price": nn.Linear(8, 1), "kind": nn.Linear(8, 3)})
    >>> list(heads), heads["kind"].out_features
    (['price', 'kind'], 3)
    >>> list(heads.state_dict())
    ['price.weight', 'price.bias', 'kind.weight', 'kind.bias']
    """

    _modules: dict[str, Any]

    def __init__(
        self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] | None = None
    ) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Module:
        found: Module = self._modules[key]
        return found

    def __setitem__(self, key: str, module: Module) -> None:
        if key in self._modules:
            self._modules[key] = checked_module(module, "module")
            self._structure_changed()
        else:
            self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]
        self._structure_changed()

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: object) -> bool:
        return key in self._modules

    def clear(self) -> None:
        """Remove all modules."""
        self._modules.clear()
        self._structure_changed()

    def pop(self, key: str) -> Module:
        """Remove a module, and return it.

        Parameters
        ----------
        key : str

        Returns
        -------
        Module
        """
        found = self[key]
        del self[key]
        return found

    def keys(self) -> KeysView[str]:
        """The names.

        Returns
        -------
        view of str
        """
        return self._modules.keys()

    def items(self) -> ItemsView[str, Module]:
        """Pairs of names and modules.

        Returns
        -------
        view of (str, Module)
        """
        return self._modules.items()

    def values(self) -> ValuesView[Module]:
        """The modules.

        Returns
        -------
        view of Module
        """
        return self._modules.values()

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add or replace modules.

        Parameters
        ----------
        modules : mapping of str to Module, or iterable of pairs
        """
        try:
            pairs = dict(modules)  # a ModuleDict has keys(), too
        except (TypeError, ValueError):
            raise TypeError(
                "modules must be a mapping of names to modules, or pairs of them, "
                f"got {check.describe(modules)}"
            ) from None
        for key, module in pairs.items():
            self[key] = module
