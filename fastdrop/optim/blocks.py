"""Arrays piece by piece, so that the intermediate results of an update stay in the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdrop._utils.buffers import empty

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastdrop._utils.typing import Float32Array

# Elements of a piece: eight arrays of this size fit into 512 KiB.
SIZE = 1 << 14


def blocks(scratch: int, *arrays: Float32Array) -> Iterator[list[Float32Array]]:
    """Pieces of arrays of the same shape, as flat views, and uninitialised arrays beside them.

    Parameters
    ----------
    scratch : int
        Number of uninitialised arrays, for intermediate results.
    *arrays : array
        In C order.

    Yields
    ------
    list of array
        The pieces of `arrays`, then the uninitialised arrays, all of the same length.
    """
    flat = [array.reshape(-1) for array in arrays]
    total = flat[0].size
    room = [empty((min(total, SIZE),)) for _ in range(scratch)]
    for start in range(0, total, SIZE):
        pieces = [array[start : start + SIZE] for array in flat]
        yield [*pieces, *(array[: pieces[0].size] for array in room)]
