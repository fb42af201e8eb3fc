"""The keys and values of earlier positions, for generation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastdrop._utils import validation as check

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array


class KeyValueCache:
    """The keys and values that an attention computed for earlier positions of its samples.

    With a cache an attention adds the keys and values of its input to it, and its queries, which
    are numbered from the cache's length on, see all that is there up to their own position. There
    is no gradient.

    Parameters
    ----------
    max_len : int
        The most positions.

    Attributes
    ----------
    length : int
        The positions that are there.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.KeyValueCache(16).length
    0
    """

    def __init__(self, max_len: int) -> None:
        self.max_len = check.integer(max_len, "max_len", 1)
        self.length = 0
        self._keys: Float32Array | None = None
        self._values: Float32Array | None = None

    def extend(self, keys: Float32Array, values: Float32Array) -> tuple[Float32Array, Float32Array]:
        """Add keys and values, and give all that are there.

        Parameters
        ----------
        keys, values : float32 array (samples, heads, rows, size)

        Returns
        -------
        keys, values : float32 array (samples, heads, length, size)
            Views.

        Raises
        ------
        ValueError
            There would be more than `max_len` positions, or there are other samples or heads.
        """
        samples, heads, rows, size = keys.shape
        end = self.length + rows
        if end > self.max_len:
            raise ValueError(f"the cache holds {self.max_len} positions, got {end}")
        if self._keys is None or self._values is None:
            shape = (samples, heads, self.max_len, size)
            self._keys, self._values = np.empty(shape, np.float32), np.empty(shape, np.float32)
        if self._keys.shape[:2] != (samples, heads):
            raise ValueError(
                f"the cache is of {self._keys.shape[0]} samples and {self._keys.shape[1]} heads, "
                f"got {samples} and {heads}"
            )
        self._keys[:, :, self.length : end] = keys
        self._values[:, :, self.length : end] = values
        self.length = end
        return self._keys[:, :, :end], self._values[:, :, :end]
