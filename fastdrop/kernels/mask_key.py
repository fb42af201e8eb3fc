"""The coordinates of a mask as named fields.

The core computes with a `Stream`, the mask key in packed form. In this folder only this file
builds one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastdrop._core import Stream
from fastdrop._utils import validation as check

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike

# The domain of a stream separates kinds of random numbers (docs/mask-contract.md).
KEEP_BITS, UNIFORM, NORMAL = 0, 1, 2


class MaskKey(NamedTuple):
    """Coordinates of a mask as the caller gave them. Immutable; the stream methods validate them.

    A named tuple is immutable without the cost of a frozen dataclass, which sets each field by
    `object.__setattr__`. Creating one costs 7000 instructions with keywords, 4200 without.

    Attributes
    ----------
    seed : int in [0, 2**64)
    site, draw, row0, sub, call : int in [0, 2**32)
    domain : int
        KEEP_BITS, UNIFORM or NORMAL.
    instance : int in [0, 2**24)
    """

    seed: int = 0
    site: int = 0
    draw: int = 0
    row0: int = 0
    sub: int = 0
    call: int = 0
    domain: int = KEEP_BITS
    instance: int = 0

    def replace(self, **changes: int) -> MaskKey:
        """A copy with these fields changed."""
        return self._replace(**changes)

    def sample_stream(self, rows: int | ArrayLike) -> tuple[int, Stream]:
        """(number of rows, stream) where each row of an array is a sample.

        `rows` is a count of rows that are numbered from row0 on, or the number of each row.
        """
        seed, site, draw, row0, sub, call, domain, instance = self.validated()
        count, numbers = check.row_numbers(rows, row0)
        return count, Stream(
            seed, site, call, draw, row0, sub, domain, numbers, False, None, instance
        )

    def batch_stream(self, count: int) -> Stream:
        """The stream of one decision for the batch: all `count` rows have the number 2**32 - 1."""
        seed, site, draw, _, sub, call, domain, instance = self.validated()
        numbers = np.full(count, check.SHARED_ROW, np.uint32)
        return Stream(seed, site, call, draw, 0, sub, domain, numbers, False, None, instance)

    def weight_stream(self, row: int = check.SHARED_ROW) -> Stream:
        """The stream of a weight matrix: row i of the array has `sub` = i and row number `row`."""
        seed, site, draw, _, _, call, domain, instance = self.validated()
        return Stream(seed, site, call, draw, row, 0, domain, None, True, None, instance)

    def validated(self) -> MaskKey:
        """The same key with Python integers in range. TypeError or ValueError names a wrong one."""
        seed, site, draw, row0, sub, call, domain, instance = self
        # One test for the usual case; five calls of `check.integer` cost 8000 instructions more.
        # The OR of integers is in [0, 2**32) exactly if each of them is.
        if (
            type(seed) is type(site) is type(draw) is type(row0) is type(sub) is type(call) is int
            and type(instance) is int
            and 0 <= seed <= check.U64_MAX
            and 0 <= site | draw | row0 | sub | call <= check.U32_MAX
            and 0 <= instance <= check.INSTANCE_MAX
        ):
            return self
        return MaskKey(
            row0=check.integer(row0, "row0"),
            seed=check.integer(seed, "seed", 0, check.U64_MAX),
            site=check.integer(site, "site"),
            call=check.integer(call, "call"),
            draw=check.integer(draw, "draw"),
            sub=check.integer(sub, "sub"),
            domain=domain,
            instance=check.integer(instance, "instance", 0, check.INSTANCE_MAX),
        )


def sample_rows(count: int, rows: Any) -> Any:
    """`rows` as `MaskKey.sample_stream` takes it: `count`, or the caller's `count` row numbers."""
    if rows is None:
        return count
    numbers = check.as_array(rows, "rows")
    if numbers.shape != (count,):
        raise ValueError(
            f"rows must list one row number for each of the {count} samples, "
            f"got {check.describe(rows)}"
        )
    return numbers
