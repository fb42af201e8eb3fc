"""torch.nn.functional's names: the functions of `fastdrop.functional`."""

from fastdrop.functional import *  # noqa: F403
from fastdrop.functional import __all__  # noqa: F401
