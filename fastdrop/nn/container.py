"""Modules that hold modules."""

from __future__ import annotations

from collections import OrderedDict

from fastdrop import random
from fastdrop._utils import validation as check
from fastdrop.autograd.grad_mode import is_grad_enabled
from fastdrop.autograd.tensor import as_tensor, wrap
from fastdrop.nn import module as structure
from fastdrop.nn.chain import Chain
from fastdrop.nn.module import Module


class _Numbered(Module):
    """What Sequential and ModuleList share: modules by number."""

    def _place(self, index):
        return list(self._modules)[check.integer(index, "index", -len(self), len(self) - 1)]

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules.values())

    def __contains__(self, module):
        return any(module is m for m in self)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return self._of(list(self._modules.items())[index])
        return self._modules[self._place(index)]

    def __setitem__(self, index, module):
        setattr(self, self._place(index), module)

    def __delitem__(self, index):
        delattr(self, self._place(index))
        kept = list(self._modules.values())
        if all(name.isdigit() for name in self._modules):
            self._modules.clear()
            for module in kept:
                self.append(module)

    def append(self, module: Module):
        """Add a module at the end; returns self."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules):
        """Add modules at the end; returns self."""
        for module in modules:
            self.append(module)
        return self


class Sequential(_Numbered):
    """Modules one after the other: Sequential(a, b)(x) = b(a(x)).

    Parameters
    ----------
    *modules : Module, or one OrderedDict of name to Module
    """

    _chain = (-1, None)  # the structure's version, and its small path of prediction, or None

    def __init__(self, *modules):
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], (OrderedDict, dict)):
            for name, module in modules[0].items():
                self.add_module(name, module)
        else:
            self.extend(modules)

    @classmethod
    def _of(cls, items):
        return cls(OrderedDict(items))

    def __call__(self, input):
        if (
            not (self.training or is_grad_enabled() or random.is_busy())
            and (y := self.evaluated(as_tensor(input, "input").data)) is not None
        ):
            return wrap(y)
        return super().__call__(input)

    def evaluated(self, x):
        """The output in evaluation for a float32 array, by the small path; None where that is not for this model, mode or input."""
        if random.is_busy() or type(self) is not Sequential:
            return None
        version, chain = self._chain
        if version != structure.version():
            chain = None if "forward" in self.__dict__ else Chain.of(self._flat())
            object.__setattr__(self, "_chain", (structure.version(), chain))
        return None if chain is None else chain(x)

    def __getstate__(self):
        return {name: value for name, value in self.__dict__.items() if name != "_chain"}

    def _flat(self):
        """The modules in the order of their calls, those of Sequentials inside in their place."""
        for module in self._modules.values():
            if type(module) is Sequential and "forward" not in module.__dict__:
                yield from module._flat()
            else:
                yield module

    def forward(self, input):
        for module in self._modules.values():
            input = module(input)
        return input


class ModuleList(_Numbered):
    """A list of modules; it has no forward of its own.

    Parameters
    ----------
    modules : iterable of Module
    """

    def __init__(self, modules=()):
        super().__init__()
        self.extend(modules)

    @classmethod
    def _of(cls, items):
        return cls(module for _, module in items)
