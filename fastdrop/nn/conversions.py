"""Devices, dtypes and compilation, which a module does not have: methods that programs call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastdrop.autograd.tensor import Tensor

if TYPE_CHECKING:
    from typing import Self


class Conversions:
    """Base of `Module`: conversions to the CPU and to float32 change nothing, others are errors."""

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """This module, which is on the CPU and in float32 anyway.

        Parameters
        ----------
        *args, **kwargs
            ``device``, ``dtype``, or a tensor, as in PyTorch; also ``non_blocking`` and
            ``memory_format``, which have no effect.

        Returns
        -------
        Module
            The module itself.

        Raises
        ------
        TypeError, ValueError
            Another device than the CPU, or another dtype than float32.
        """
        unknown = kwargs.keys() - {"device", "dtype", "tensor", "non_blocking", "memory_format"}
        if unknown:
            raise TypeError(f"to() has no argument {sorted(unknown)[0]!r}")
        given = [kwargs[name] for name in ("device", "dtype") if kwargs.get(name) is not None]
        for value in (*(arg for arg in args if arg is not None), *given):
            if isinstance(value, (Tensor, bool)):  # bool: non_blocking
                continue
            name = str(getattr(value, "name", getattr(value, "__name__", value)))
            name = name.removeprefix("torch.").removeprefix("device(type='").removesuffix("')")
            if name in ("cpu", "float32", "float") or str(value).startswith("cpu"):
                continue
            if any(kind in name for kind in ("float", "int", "bool", "complex", "double", "half")):
                raise TypeError(f"dtype must be float32, as modules compute in it, got {name}")
            raise ValueError(f"device must be 'cpu', where fastdrop computes, got {name!r}")
        return self

    def cpu(self) -> Self:
        """This module, which is on the CPU anyway.

        Returns
        -------
        Module
            The module itself.
        """
        return self

    def float(self) -> Self:
        """This module, which is in float32 anyway.

        Returns
        -------
        Module
            The module itself.
        """
        return self

    def share_memory(self) -> Self:
        """This module: threads share it anyway, and processes get a copy when they are forked.

        Returns
        -------
        Module
            The module itself.
        """
        return self

    def cuda(self, device: Any = None) -> Self:
        """Not possible: fastdrop computes on the CPU. Raises ValueError.

        Parameters
        ----------
        device
        """
        raise ValueError(f"device must be 'cpu', where fastdrop computes, got cuda({device or ''})")

    def double(self) -> Self:
        """Not possible: modules compute in float32. Raises TypeError."""
        raise TypeError("dtype must be float32, as modules compute in it, got double()")

    def half(self) -> Self:
        """Not possible: modules compute in float32. Raises TypeError."""
        raise TypeError(
            "dtype must be float32, as modules compute in it, got half(); "
            "fastdrop.set_float32_matmul_precision('medium') multiplies in bfloat16"
        )

    def bfloat16(self) -> Self:
        """Not possible: modules compute in float32. Raises TypeError."""
        raise TypeError(
            "dtype must be float32, as modules compute in it, got bfloat16(); "
            "fastdrop.set_float32_matmul_precision('medium') multiplies in bfloat16"
        )

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: there is nothing to compile. `fastdrop.record` replays training steps.

        Parameters
        ----------
        *args, **kwargs
            Accepted for programs written for PyTorch.
        """
