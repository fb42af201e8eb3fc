"""The names of what a module holds: iteration over submodules, parameters, buffers, and repr."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastdrop.nn.html import module_html

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

    import numpy.typing as npt

    from fastdrop.autograd.parameter import Parameter
    from fastdrop.autograd.tensor import Tensor
    from fastdrop.nn.module import Module


class NamedEntries:
    """Base of `Module`: iterators over what is registered in it and below, and its repr."""

    _modules: dict[str, Module | None]
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Any]
    training: bool

    if TYPE_CHECKING:

        def named_modules(
            self, prefix: str = "", remove_duplicate: bool = True
        ) -> Iterator[tuple[str, Module]]:
            """Defined by `Module`."""
            ...

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._parameters, *self._modules, *self._buffers})

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Pairs (name, module) of the submodules directly in this module.

        Returns
        -------
        iterator of (str, Module)
        """
        return ((name, child) for name, child in self._modules.items() if child is not None)

    def children(self) -> Iterator[Module]:
        """The submodules directly in this module.

        Returns
        -------
        iterator of Module
        """
        return (child for _, child in self.named_children())

    def _named(
        self, table: str, prefix: str, recurse: bool, once: bool = True
    ) -> Iterator[tuple[str, Any]]:
        """Pairs (dotted name, entry) of the named table of this module and those below."""
        seen = set()
        modules = self.named_modules(prefix, once) if recurse else [(prefix, self)]
        for name, module in modules:
            for key, value in getattr(module, table).items():
                if value is not None and not (once and id(value) in seen):
                    seen.add(id(value))
                    yield f"{name}.{key}" if name else key, value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Pairs (name, parameter), each parameter once.

        Parameters
        ----------
        prefix : str
            Put before every name, with a dot.
        recurse : bool
            Include the parameters of submodules.
        remove_duplicate : bool, default True
            False: a parameter that is shared stands under each of its names.

        Returns
        -------
        iterator of (str, Parameter)
        """
        return self._named("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters, each once, in registration order.

        Parameters
        ----------
        recurse : bool
            Include the parameters of submodules.

        Returns
        -------
        iterator of Parameter
        """
        return (p for _, p in self.named_parameters("", recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor | npt.NDArray[Any]]]:
        """Pairs (name, buffer), each buffer once.

        Parameters
        ----------
        prefix : str
            Put before every name, with a dot.
        recurse : bool
            Include the buffers of submodules.
        remove_duplicate : bool, default True
            False: a buffer that is shared stands under each of its names.

        Returns
        -------
        iterator of (str, Tensor or array)
        """
        return self._named("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor | npt.NDArray[Any]]:
        """The buffers, each once: float32 Tensors and integer arrays.

        Parameters
        ----------
        recurse : bool
            Include the buffers of submodules.

        Returns
        -------
        iterator of Tensor or array
        """
        return (b for _, b in self.named_buffers("", recurse))

    def get_submodule(self, target: str) -> Module:
        """The submodule with a dotted name.

        Parameters
        ----------
        target : str
            As `named_modules` gives it; "" is this module.

        Returns
        -------
        Module

        Raises
        ------
        AttributeError
            There is no such module.

        Examples
        --------
        >>> from fastdrop import nn
        >>> nn.Sequential(nn.Sequential(nn.ReLU())).get_submodule("0.0")
        ReLU()
        """
        module: Any = self
        for name in target.split(".") if target else ():
            found = module._modules.get(name)
            if found is None:
                raise AttributeError(
                    f"target must name a submodule, got {target!r}: {module._get_name()} has no "
                    f"module {name!r}"
                )
            module = found
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put a module in the place of a submodule with a dotted name.

        Parameters
        ----------
        target : str
            As `named_modules` gives it.
        module : Module
            The new one.
        strict : bool, default False
            Raise an error where there is no such submodule, instead of adding it.

        Raises
        ------
        AttributeError
            A module on the way is missing, or another attribute has the name.
        TypeError, ValueError
            `module` is no Module, or `target` is empty.
        """
        if not isinstance(module, NamedEntries):
            raise TypeError(f"module must be a Module, got {type(module).__name__}")
        path, _, name = target.rpartition(".")
        if not name:
            raise ValueError(f"target must name a submodule, got {target!r}")
        parent = self.get_submodule(path)
        if parent._modules.get(name) is None and (strict or hasattr(parent, name)):
            raise AttributeError(
                f"target must name a submodule, got {target!r}: {parent._get_name()} has no "
                f"module {name!r}"
            )
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter with a dotted name.

        Parameters
        ----------
        target : str
            As `named_parameters` gives it.

        Returns
        -------
        Parameter

        Raises
        ------
        AttributeError
            There is no such parameter.
        """
        return self._entry("_parameters", "parameter", target)

    def get_buffer(self, target: str) -> Tensor | npt.NDArray[Any]:
        """The buffer with a dotted name.

        Parameters
        ----------
        target : str
            As `named_buffers` gives it.

        Returns
        -------
        Tensor or array

        Raises
        ------
        AttributeError
            There is no such buffer.
        """
        return self._entry("_buffers", "buffer", target)

    def _entry(self, table: str, kind: str, target: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        found = getattr(module, table).get(name)
        if found is None:
            raise AttributeError(
                f"target must name a {kind}, got {target!r}: {module._get_name()} has no {kind} "
                f"{name!r}"
            )
        return found

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call a function on every submodule, then on this module; returns self.

        Parameters
        ----------
        fn : callable
            Takes a Module; its result is ignored.

        Returns
        -------
        Module
            The module itself.
        """
        for child in self.children():
            child.apply(fn)
        fn(self)  # type: ignore[arg-type]  # only Module derives from this class
        return self

    def _get_name(self) -> str:
        """The name of the class, as repr shows it."""
        return type(self).__name__

    def extra_repr(self) -> str:
        """The text between the brackets of repr; layers override it.

        Returns
        -------
        str
        """
        return ""

    def __repr__(self) -> str:
        children = [f"({name}): {child!r}" for name, child in self.named_children()]
        extra = self.extra_repr()
        if not children:
            return f"{self._get_name()}({extra})"
        lines = "\n".join(([extra] if extra else []) + children)
        return f"{self._get_name()}(\n  " + lines.replace("\n", "\n  ") + "\n)"

    def _repr_html_(self) -> str:
        """The tree of submodules, folded, with the number of parameters of each; for notebooks."""
        return module_html(self)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set whether the parameters get gradients; returns self.

        Parameters
        ----------
        requires_grad : bool
            False freezes the parameters.

        Returns
        -------
        Module
            The module itself.
        """
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of all parameters.

        Parameters
        ----------
        set_to_none : bool
            False fills existing gradients with zeros instead of removing them.
        """
        for p in self.parameters():
            grad = p.grad
            if grad is None:
                continue
            if set_to_none:
                p.grad = None
            else:
                grad._to_write("zero_grad()")[...] = 0.0
