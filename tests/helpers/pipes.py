"""A slow pipe for tests of readers."""

import io
import os

from fastdrop.data.readers.source import Source


class SlowPipe(io.RawIOBase):
    """A pipe that gives pieces of these sizes; the last size repeats."""

    def __init__(self, data, *sizes):
        self.data, self.sizes = data, list(sizes)

    def read1(self, size=-1):
        piece = min(self.sizes.pop(0) if len(self.sizes) > 1 else self.sizes[0], size)
        out, self.data = self.data[:piece], self.data[piece:]
        return out

    def fileno(self):
        return PIPE_ENDS[0]


PIPE_ENDS = os.pipe()


def pipe(data, *sizes):
    return Source(SlowPipe(data, *(sizes or [3])), "pipe")
