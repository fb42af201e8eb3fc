"""Augmentation of batches of images, under the names of torchvision.transforms.v2.

A transform takes a batch (N, C, H, W) of uint8 or float32 and gives a new one. What happens to a
sample is a function of the seed, the epoch and the number of the sample in its data set. It does
not depend on the batch that the sample is in, or on threads. A `fastdrop.data.DataLoader` passes
these numbers; a direct call may leave them out.

`MixUp` and `CutMix` combine the samples of a batch and their targets. They draw once for a batch,
from the number of its first sample.
"""

from fastdrop.data.transforms.base import Compose, Transform
from fastdrop.data.transforms.color import ColorJitter, Normalize
from fastdrop.data.transforms.erase import Cutout, RandomErasing
from fastdrop.data.transforms.geometry import (
    CenterCrop,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    Resize,
)
from fastdrop.data.transforms.mix import CutMix, MixUp

__all__ = [
    "CenterCrop",
    "ColorJitter",
    "Compose",
    "CutMix",
    "Cutout",
    "MixUp",
    "Normalize",
    "RandomCrop",
    "RandomErasing",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "Resize",
    "Transform",
]
