"""The C core: its binding, loaded with less spinning in the OpenMP library that it brings along."""

from fastdrop._core.loader import load

load()

from fastdrop._core.binding import *  # noqa: E402, F403
