"""Context managers that put a model into evaluation or training mode for the calling context."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdrop import random

if TYPE_CHECKING:
    from collections.abc import Set

    from fastdrop.nn.module import Module


class _Modes(random.ModeScope):
    __slots__ = ()

    def find_members(self) -> Set[int]:
        """The id() of each module below the model."""
        members: Set[int] = self.model.ids_below()
        return members


class evaluating(_Modes):  # noqa: N801 (a context manager)
    """Evaluation mode for a model and all modules below it, inside the block.

    Nothing is written to the modules: `Module.training` asks the calling context. So other threads
    and asyncio tasks may train the same model meanwhile, and a child that is forked meanwhile is
    not affected. Modes that are set inside the block hold until it ends.

    The block is not part of a forward pass that surrounds it.

    Parameters
    ----------
    model : Module
    """

    __slots__ = ()

    def __init__(self, model: Module) -> None:
        super().__init__(model, False)


class training(_Modes):  # noqa: N801 (a context manager)
    """Training mode for a module and all below it inside the block, as `evaluating`."""

    __slots__ = ()

    def __init__(self, model: Module) -> None:
        super().__init__(model, True)
