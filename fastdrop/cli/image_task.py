"""Images of ``fastdrop train``: data, network, augmentation and training."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import models, nn
from fastdrop._utils.png import png
from fastdrop.cli.task import Task
from fastdrop.cli.training_task import fit_arguments, optimizer_of
from fastdrop.data import DataLoader, Dataset, load_images, split
from fastdrop.data import transforms as T
from fastdrop.data.image_preprocessing import ImagePreparation
from fastdrop.data.readers.labelled_rows import class_numbers
from fastdrop.nn.module import passes_differ
from fastdrop.random import manual_seed
from fastdrop.train.fit import fit

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    import numpy.typing as npt

    from fastdrop.data.transforms import Transform
    from fastdrop.train import History

__all__ = ["MODELS", "ImageTask", "augmentation", "image_task", "is_image_task", "patch_size"]

DEFAULT_MODEL = "resnet20"
# The options of each network: the option's name to the argument's.
_PLAIN = {"dropout": "dropout"}
_PATHS = {"dropout": "dropout", "drop_path": "drop_path_rate"}
_VIT = _PATHS | {"patch_dropout": "patch_dropout", "attention_dropout": "attention_dropout"}
_RESNET = _PATHS | {"channel_dropout": "channel_dropout", "drop_block": "drop_block"}
MODELS: dict[str, dict[str, str]] = {
    "lenet5": _PLAIN,
    "convnet": _PLAIN,
    "all_cnn": _PLAIN,
    **{f"resnet{depth}": _RESNET for depth in (20, 32, 44, 56, 110, 18, 34, 50)},
    "wide_resnet": _PATHS,
    **{f"convnext_{size}": _PATHS for size in ("cifar", "tiny", "small")},
    **dict.fromkeys(("vit", "vit_tiny", "vit_small", "deit_tiny"), _VIT),
}
_SIZED = ("lenet5", "convnet")  # they are built for square images of one size
_OPTIONS = (
    *("dropout", "drop_path", "channel_dropout", "drop_block"),
    *("patch_dropout", "attention_dropout"),
)
_PATCHES = 49, 1024  # the fewest patches of an image, where it can be cut so, and the most
_BATCH = 256  # images evaluated at a time
_UNCERTAIN = 24  # images in the picture
_PASSES = 30  # Monte Carlo passes for it


def is_image_task(options: argparse.Namespace) -> bool:
    """Whether the options are for images: a folder, or a network for images."""
    return options.model not in (None, "mlp") or (
        options.model is None and options.data is not None and os.path.isdir(options.data)
    )


@dataclass
class ImageTask(Task):
    """Training and test images with a name; trains and tests networks on them."""

    name: str
    train: Dataset
    test: Dataset
    preparation: ImagePreparation
    at_once = _BATCH
    most_reported = 5000

    @property
    def train_targets(self) -> npt.NDArray[Any]:
        """The class numbers of the training images."""
        assert self.train.y is not None
        return self.train.y

    @property
    def test_targets(self) -> npt.NDArray[Any]:
        """The class numbers of the test images."""
        assert self.test.y is not None
        return self.test.y

    @property
    def test_inputs(self) -> npt.NDArray[Any]:
        """The test images as the network takes them."""
        return self.preparation.samples(self.test.x)

    @property
    def test_rows(self) -> npt.NDArray[np.int64]:
        """The number of each test image, from 0."""
        return np.arange(len(self.test))

    def pictures(self, chosen: Sequence[int]) -> list[bytes]:
        """PNG files of chosen test images."""
        top = 1 if self.test.x.dtype == np.uint8 else 255
        return [png((self.test.x[n] * top).astype(np.uint8)) for n in chosen]

    def describe(self, options: argparse.Namespace) -> str:
        """The network and its input in a few words."""
        channels, high, wide = self.preparation.shape
        return (
            f"{options.model or DEFAULT_MODEL} for {high} x {wide} pixels, {channels} "
            f"channel{'s' * (channels > 1)}, {self.outputs} classes"
        )

    def network(self, dropout: Any, options: argparse.Namespace) -> nn.Module:
        """A new network. `dropout` 0 means that there is no dropout of any kind."""
        name = options.model or DEFAULT_MODEL
        known, arguments = MODELS[name], {}
        channels, high, wide = self.preparation.shape
        for option in _OPTIONS:
            value = dropout if option == "dropout" else getattr(options, option)
            if dropout == 0.0 and option in known:
                value = 0.0
            if value is None or (option not in known and dropout == 0.0):
                continue
            if option not in known:
                raise ValueError(f"--{option.replace('_', '-')} is not for the network {name}")
            arguments[known[option]] = value
        if name in _SIZED:
            if high != wide:
                raise ValueError(
                    f"the network {name} takes square images, these are {high} x {wide} pixels: "
                    "give --size N for pictures, or another --model"
                )
            arguments["size"] = high
        if known is _VIT:
            arguments["image_size"] = (high, wide)
            arguments["patch_size"] = patch_size(high, wide)
        build = getattr(models, name)
        model: nn.Module = build(num_classes=self.outputs, in_channels=channels, **arguments)
        return model

    def learn(
        self, dropout: Any, seed: int, options: argparse.Namespace
    ) -> tuple[nn.Module, History]:
        """Train a network from this seed."""
        manual_seed(seed)
        model = self.network(dropout, options)
        optimizer = optimizer_of(model, options)
        train, held_out = self.train, self.test
        if options.validation is not None:
            train, held_out = train.split(options.validation)
        size = options.batch_size
        loader = DataLoader(
            train,
            size,
            shuffle=True,
            num_workers=1,
            # A batch of one sample has no variance for batch norm.
            drop_last=len(train) > size and len(train) % max(size, 1) == 1,
            transform=self._transform(options),
        )
        history = fit(
            model,
            loader,
            loss=nn.CrossEntropyLoss(label_smoothing=options.label_smoothing),
            validation=self._evaluated(held_out),
            **fit_arguments(optimizer, len(loader), options) | self.monitoring(options),
        )
        return model, history

    def draw_uncertain(self, model: nn.Module, path: str) -> None:
        """Draw the test images with the largest entropy of the mean of Monte Carlo passes."""
        # Imported here: other runs need neither.
        from fastdrop.cli.pictures import draw_images
        from fastdrop.uncertainty.monte_carlo import mc_predict

        assert self.test.y is not None
        passes = _PASSES if passes_differ(model) else 1
        found = mc_predict(
            model, self.test_inputs, passes, output="softmax", batch_size=_BATCH, progress=False
        )
        rows = np.argsort(-found.entropy, kind="stable")[:_UNCERTAIN]
        labels = self.preparation.classes or []
        titles = [
            f"{labels[self.test.y[row]]}, taken for {labels[found.mean[row].argmax()]}\n"
            f"entropy {found.entropy[row]:.2f}"
            for row in rows.tolist()
        ]
        draw_images(self.test.x[rows], titles, path)

    def _evaluated(self, data: Dataset) -> DataLoader:
        return DataLoader(data, _BATCH, num_workers=1, transform=self.preparation.normalize)

    def _transform(self, options: argparse.Namespace) -> Transform:
        """Augmentation and normalisation, in this order except for what follows the latter."""
        items = list(options.augment)
        if options.mixup:
            items.append(f"mixup={options.mixup}")
        before, behind = augmentation(items, self.preparation.shape[1:], self.outputs)
        return T.Compose([*before, self.preparation.normalize, *behind])


def patch_size(high: int, wide: int) -> int:
    """The side of a vision transformer's patches: 4 for 32 pixels, 16 for 224.

    The largest divisor of both sides up to 16 with at least 7 x 7 patches.

    Raises
    ------
    ValueError
        There would be more than 1024 patches.
    """
    fewest, most = _PATCHES
    size = max(
        size
        for size in range(1, 17)
        if high % size == wide % size == 0 and (size == 1 or high * wide >= fewest * size**2)
    )
    if high * wide > most * size**2:
        raise ValueError(
            f"images of {high} x {wide} pixels cannot be cut into at most {most} square patches "
            "for a vision transformer: give --size N for pictures, or another --model"
        )
    return size


def augmentation(
    items: list[str], size: tuple[int, int], classes: int
) -> tuple[list[Transform], list[Transform]]:
    """The transforms of --augment before and behind the normalisation.

    An item is a name, or a name and a number: crop=4.
    """
    short = min(size)
    kinds: dict[str, tuple[bool, float, Any]] = {  # whether behind, the default number, a builder
        "crop": (False, max(1, short // 8), lambda n: T.RandomCrop(size, padding=_whole(n))),
        "flip": (False, 0.5, T.RandomHorizontalFlip),
        "resized_crop": (False, 0.25, lambda n: T.RandomResizedCrop(size, scale=(n, 1.0))),
        "color": (False, 0.4, lambda n: T.ColorJitter(n, n, n, min(n / 4, 0.5))),
        "cutout": (True, max(1, short // 2), lambda n: T.Cutout(_whole(n))),
        "erase": (True, 0.5, T.RandomErasing),
        "mixup": (True, 0.2, lambda n: T.MixUp(alpha=n, num_classes=classes)),
        "cutmix": (True, 1.0, lambda n: T.CutMix(alpha=n, num_classes=classes)),
    }
    found: tuple[list[Transform], list[Transform]] = ([], [])
    for item in items:
        name, _, text = item.strip().replace("-", "_").partition("=")
        if name not in kinds:
            raise ValueError(
                f"--augment must hold names of {', '.join(kinds)}, or NAME=NUMBER, got {item!r}"
            )
        behind, default, build = kinds[name]
        try:
            transform = build(float(text) if text else default)
        except (TypeError, ValueError) as error:
            raise ValueError(f"--augment {item}: {error}") from None
        found[behind].append(transform)
    return found


def _whole(number: float) -> int:
    if number != int(number):
        raise ValueError(f"the number must be an integer, got {number:g}")
    return int(number)


def image_task(options: argparse.Namespace) -> ImageTask:
    """The images of --data."""
    path = options.data
    if path is None:
        raise ValueError(f"--model {options.model} needs --data with images")
    if options.task == "regression":
        raise ValueError("--task must be classification for images, got regression")
    if not os.path.isdir(path) and not path.endswith(".npz"):
        raise ValueError(
            f"--data must be a folder of images or a .npz archive for a network for images, "
            f"got {path!r}"
        )
    train, test = load_images(path, options.size)
    if options.test is not None:
        if test is not None:
            raise ValueError(f"--test must be left out: {path!r} holds test data")
        test = _read_test(options.test, train, options)
    if test is None:
        train, test = split(train, options.test_fraction)
    if len(train.classes or []) < 2:
        raise ValueError(
            f"{path!r} must have at least two classes to tell apart, got {train.classes}"
        )
    preparation = ImagePreparation.of_images(train)
    augmentation(options.augment, preparation.shape[1:], len(train.classes or []))
    name = os.path.basename(os.path.abspath(path)).removesuffix(".npz")
    return ImageTask(name, train, test, preparation)


def _read_test(path: str, train: Dataset, options: argparse.Namespace) -> Dataset:
    """The images of --test, with the class numbers of the training images."""
    first, second = load_images(path, options.size, channels=train.x.shape[1])
    found = first if second is None else second
    if found.x.shape[1:] != train.x.shape[1:]:
        raise ValueError(
            f"--test must hold images of shape {train.x.shape[1:]} as --data, got "
            f"{found.x.shape[1:]} in {path!r}"
        )
    assert found.y is not None
    labels, classes = found.classes or [], train.classes or []
    return Dataset(found.x, class_numbers(found.y, labels, classes, path), classes)
