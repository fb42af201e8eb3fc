"""The recipe of an activation, a dropout, or both, of a tensor that is no pending product."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastdrop import _core
from fastdrop._utils.memory_format import empty_like, flat, is_channels_last
from fastdrop.autograd.epilogue import (
    KEEP_EVERYTHING,
    NEEDS_INPUT,
    NONE,
    Epilogue,
    as_samples,
    result_before_dropout,
)
from fastdrop.autograd.map_dropout import drop_map
from fastdrop.autograd.memory import hold
from fastdrop.autograd.packer import InputPacker
from fastdrop.autograd.pending import Pending
from fastdrop.autograd.recording import noted
from fastdrop.autograd.reorder import ordered
from fastdrop.autograd.thinned_training import drop_rows

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array
    from fastdrop.autograd.epilogue import Drop
    from fastdrop.autograd.tensor import Tensor
    from fastdrop.autograd.thinned import Networks


class PendingPointwise(Pending):
    """dropout(act(z)) in one pass over the elements; each row of z stands for `repeat` rows.

    Attributes
    ----------
    z : Tensor
    repeat : int
        1, or the number of batched Monte Carlo passes of a z that is the same in all of them.
    saved : list
        z and the result, each None where backward does not need it.
    """

    __slots__ = ("repeat", "z")

    def __init__(
        self, z: Tensor, epilogue: Epilogue, repeat: int = 1, networks: Networks | None = None
    ) -> None:
        self.z, self.epilogue, self.repeat = z, epilogue, repeat
        self.networks = networks
        self.inputs = (z,)
        shape = z.shape
        self.shape = shape if repeat == 1 else (shape[0] * repeat, *shape[1:])
        self.out = self.changed = None
        self.saved, self.freed = [], False
        self.channels_last = is_channels_last(z._strided)

    def with_dropout(
        self, drop: Drop, networks: Networks | None, by_channel: bool = False
    ) -> PendingPointwise | None:
        e = self.epilogue
        if e.drop is not None or by_channel:
            return None
        return PendingPointwise(
            self.z, Epilogue(None, e.kind, e.alpha, drop), self.repeat, networks
        )

    def free(self) -> None:
        super().free()
        self.z = None  # type: ignore[assignment]

    def as_packer(self) -> InputPacker | None:
        e = self.epilogue
        if e.kind != NONE or e.drop is None:
            return None
        return InputPacker(self.z, e.drop, self.repeat)

    def _drop(self, out: Float32Array, x: Float32Array) -> None:
        """The dropout alone, which has a mask for each sample, one for all, or those of a pair."""
        drop, networks = self.epilogue.drop, self.networks
        assert drop is not None
        if networks is not None and networks.are_complementary:
            noted(drop_rows, out, x, drop, networks)
        else:
            drop_map(out, x, drop)

    def run(self) -> Float32Array:
        if self.out is None:
            z = self.z._strided
            if self.repeat != 1:
                z = np.repeat(z, self.repeat, axis=0)
            z = ordered(z, self.channels_last)
            out, e = empty_like(z), self.epilogue
            if self.recorded and e.kind != NONE:
                by_input = e.kind in NEEDS_INPUT
                self.saved = [z, None] if by_input else [None, out]
                if by_input:
                    hold(self, self.z)
            if e.drop is None:
                _core.act(flat(out), flat(z), e.kind, e.alpha)
            elif e.kind == NONE:
                self._drop(out, z)
            elif self.channels_last:
                _core.act(flat(out), flat(z), e.kind, e.alpha)
                drop_map(out, out, e.drop)
            else:
                _core.act_dropout(as_samples(out), as_samples(z), e.kind, e.alpha, *e.drop)
            self.out = out
        return self.out

    def gradients(self, grad: Float32Array) -> tuple[Float32Array]:
        dz, e = empty_like(grad), self.epilogue
        if e.kind == NONE:
            self._drop(dz, grad)
            return (dz,)
        drop = e.drop or KEEP_EVERYTHING
        z, out = self.saved
        if self.channels_last and e.drop is not None:  # the core knows masks in C order alone
            drop_map(dz, grad, e.drop)
            if out is not None:
                out = result_before_dropout(out, e.drop)
            grad, drop = dz, KEEP_EVERYTHING
        _core.act_backward(
            as_samples(flat(dz)),
            as_samples(flat(grad)),
            as_samples(flat(out if z is None else z)),
            e.kind,
            e.alpha,
            None,
            *drop,
        )
        return (dz,)
