"""Models, weights and checkpoints in safetensors files. Nothing in a file is executed."""

import importlib
from typing import TYPE_CHECKING

from fastdrop.io.checkpoint import load_checkpoint, save_checkpoint
from fastdrop.io.model_file import load, load_with_info, read_info, save
from fastdrop.io.safetensors import load_file, read_file, save_file

if TYPE_CHECKING:
    from fastdrop.io.huggingface import from_huggingface
    from fastdrop.io.timm_weights import from_timm_names, timm_names

__all__ = [
    "from_huggingface",
    "from_timm_names",
    "load",
    "load_checkpoint",
    "load_file",
    "load_with_info",
    "read_file",
    "read_info",
    "save",
    "save_checkpoint",
    "save_file",
    "timm_names",
]

# Imported on first use: they import all models, which loading a file does not need.
_LAZY = {
    "from_huggingface": "huggingface",
    "from_timm_names": "timm_weights",
    "timm_names": "timm_weights",
}


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(importlib.import_module(f"fastdrop.io.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
