"""What each thread and each asyncio task knows: its run, its open forward pass, its modes.

`fastdrop._core.binding.CallingContext` lists the attributes. They are read here, and changed for a
block by a `Scope` only.
"""

from __future__ import annotations

from fastdrop._core import modes as thread_state

__all__ = ["thread_state"]
