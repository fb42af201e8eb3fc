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

        def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
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

    def _named(self, table: str, prefix: str, recurse: bool) -> Iterator[tuple[str, Any]]:
        """Pairs (dotted name, entry) of the named table of this module and those below."""
        seen = set()
        for name, module in self.named_modules(prefix) if recurse else [(prefix, self)]:
            for key, value in getattr(module, table).items():
                if value is not None and id(value) not in seen:
                    seen.add(id(value))
                    yield f"{name}.{key}" if name else key, value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Pairs (name, parameter), each parameter once.

        Parameters
        ----------
        prefix : str
            Put before every name, with a dot.
        recurse : bool
            Include the parameters of submodules.

        Returns
        -------
        iterator of (str, Parameter)
        """
        return self._named("_parameters", prefix, recurse)

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
        self, prefix: str = "", recurse: bool = True
    ) -> Iterator[tuple[str, Tensor | npt.NDArray[Any]]]:
        """Pairs (name, buffer), each buffer once.

        Parameters
        ----------
        prefix : str
            Put before every name, with a dot.
        recurse : bool
            Include the buffers of submodules.

        Returns
        -------
        iterator of (str, Tensor or array)
        """
        return self._named("_buffers", prefix, recurse)

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
            return f"{type(self).__name__}({extra})"
        lines = "\n".join(([extra] if extra else []) + children)
        return f"{type(self).__name__}(\n  " + lines.replace("\n", "\n  ") + "\n)"

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
