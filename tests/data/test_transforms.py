"""Augmentation: right pixels, and random numbers that belong to the sample."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop.data import transforms as T

rng = np.random.default_rng(0)

ALL = [
    T.RandomCrop(16, padding=3),
    T.RandomCrop((12, 20), padding=(1, 2, 3, 4), padding_mode="reflect"),
    T.RandomHorizontalFlip(),
    T.RandomResizedCrop(12),
    T.ColorJitter(0.4, 0.4, 0.4, 0.1),
    T.Cutout(5, holes=2),
    T.RandomErasing(0.7),
    T.RandomErasing(0.7, value="random"),
    T.Normalize([0.4, 0.5, 0.6], [0.2, 0.2, 0.3]),
    T.Resize(10),
    T.CenterCrop(7),
]


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("transform", ALL, ids=repr)
def test_a_sample_does_not_depend_on_its_batch(transform, dtype):
    images = rng.integers(0, 256, (9, 3, 16, 20), np.uint8)
    images = images if dtype == np.uint8 else images.astype(np.float32) / np.float32(255)
    before = images.copy()
    rows = np.array([5, 100, 3, 2**31, 8, 9, 10, 4, 7])
    both = T.Compose([T.RandomHorizontalFlip(), transform])
    whole = both(images, rows=rows, epoch=2, seed=7)
    assert (images == before).all()
    assert whole.dtype == (np.float32 if isinstance(transform, T.Normalize) else dtype)
    for chosen in (slice(2, 3), [8, 1, 4]):
        part = both(images[chosen], rows=rows[chosen], epoch=2, seed=7)
        assert (part == whole[chosen]).all()
    last = np.ascontiguousarray(np.moveaxis(images, 1, 3))
    assert (both(np.moveaxis(last, 3, 1), rows=rows, epoch=2, seed=7) == whole).all()
    for other in ({"epoch": 3, "seed": 7}, {"epoch": 2, "seed": 8}):
        assert not np.array_equal(both(images, rows=rows, **other), whole)


def test_calls_without_an_epoch_follow_from_the_seed():
    images, crop = rng.integers(0, 256, (9, 3, 16, 20), np.uint8), T.RandomCrop(8)
    fd.manual_seed(3)
    first, second = crop(images), crop(images)
    fd.manual_seed(3)
    assert (crop(images) == first).all() and not (second == first).all()
    assert crop(images[0]).shape == (3, 8, 8)


def test_crop_and_flip_move_pixels():
    images = rng.integers(1, 256, (50, 1, 6, 7), np.uint8)
    flipped = T.RandomHorizontalFlip(0.5)(images)
    kinds = [
        (bool((b == a).all()), bool((b == a[..., ::-1]).all())) for a, b in zip(images, flipped)
    ]
    assert set(kinds) == {(True, False), (False, True)}
    padded = np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2)))
    places = np.zeros((5, 5), int)
    for seed in range(20):
        for a, b in zip(padded, T.RandomCrop((6, 7), padding=2)(images, seed=seed, epoch=0)):
            found = [
                (y, x)
                for y in range(5)
                for x in range(5)
                if (a[:, y : y + 6, x : x + 7] == b).all()
            ]
            assert len(found) == 1
            places[found[0]] += 1
    assert places.min() > 15  # of 1000 in 25 places
    with pytest.raises(ValueError, match="size"):
        T.RandomCrop(9)(images)
    assert T.RandomCrop(9, pad_if_needed=True)(images).shape == (50, 1, 9, 9)


def test_scaling_is_exact_for_linear_images():
    ramp = (np.arange(40, dtype=np.float32) / 40 * np.ones((1, 1, 40, 1), np.float32)).repeat(2, 0)
    found = T.Resize((20, 10))(ramp)
    expected = (np.arange(10) * 4 + 1.5) / 40
    assert np.abs(found[0, 0, 3, 1:-1] - expected[1:-1]).max() < 1e-6
    same = T.RandomResizedCrop((40, 40), scale=(1, 1), ratio=(1, 1))(ramp)
    assert np.abs(same - ramp).max() < 1e-6


def test_scaling_against_pillow():
    library = pytest.importorskip("PIL.Image")
    image = rng.integers(0, 256, (33, 47, 3), np.uint8)
    for high, wide in ((16, 20), (50, 90), (33, 12)):
        found = T.Resize((high, wide))(np.moveaxis(image, 2, 0))
        expected = library.fromarray(image).resize((wide, high), library.Resampling.BILINEAR)
        difference = np.moveaxis(found, 0, 2).astype(int) - np.asarray(expected)
        assert np.abs(difference).max() <= 1


def test_normalize():
    images = rng.integers(0, 256, (4, 3, 5, 6), np.uint8)
    mean, std = np.array([0.4, 0.5, 0.6]), np.array([0.2, 0.3, 0.4])
    expected = (images / 255 - mean[:, None, None]) / std[:, None, None]
    found = T.Normalize(mean, std)(images)
    assert np.abs(found - expected).max() < 1e-5
    assert np.moveaxis(found, 1, 3).flags.c_contiguous  # channels-last in memory
    with pytest.raises(ValueError, match="std"):
        T.Normalize(0.5, 0)
    with pytest.raises(ValueError, match="mean"):
        T.Normalize([0.5, 0.5], 1)(images)


def test_colour_jitter_changes_what_it_says():
    images = rng.random((6, 3, 8, 8)).astype(np.float32) * 0.5
    assert np.allclose(T.ColorJitter(brightness=(0.5, 0.5))(images), images / 2)
    gray = images * 0 + images[:, :1]
    for jitter in (T.ColorJitter(saturation=0.9), T.ColorJitter(hue=0.5)):
        assert np.abs(jitter(gray) - gray).max() < 1e-4
    turned = T.ColorJitter(hue=(1 / 3, 1 / 3))(images)  # red becomes green
    assert np.abs(turned - np.roll(images, 1, axis=1)).max() < 1e-5
    flat = T.ColorJitter(contrast=(0, 0))(images)
    assert np.abs(flat - flat[:, :, :1, :1]).max() < 1e-6
    assert (T.ColorJitter()(images) == images).all()
    one = rng.integers(0, 256, (6, 1, 8, 8), np.uint8)
    assert (T.ColorJitter(saturation=0.5, hue=0.5)(one) == one).all()
    with pytest.raises(ValueError, match="hue"):
        T.ColorJitter(hue=0.6)


def test_cutout_and_erasing():
    ones = np.ones((200, 3, 16, 16), np.float32)
    cut = 1 - T.Cutout(4)(ones)[:, 0]
    assert cut.sum((1, 2)).max() == 16 and 4 <= cut.sum((1, 2)).min() < 16
    erased = T.RandomErasing(0.5, value=(2, 3, 4))(ones)
    changed = (erased != 1).any((1, 2, 3))
    assert 60 < changed.sum() < 140
    shares = (erased[changed, 0] == 2).mean((1, 2))
    assert shares.min() > 0.01 and shares.max() < 0.36
    noise = T.RandomErasing(1.0, scale=(0.3, 0.3), value="random")(ones)
    values = noise[noise != 1]
    assert abs(values.mean()) < 0.02 and abs(values.std() - 1) < 0.02


def test_mixup_and_cutmix_mix_targets_like_images():
    x = np.ones((8, 1, 10, 10), np.float32) * np.arange(8, dtype=np.float32)[:, None, None, None]
    y = np.arange(8)
    for transform in (T.MixUp(num_classes=8), T.CutMix(num_classes=8)):
        for epoch in range(10):
            images, targets = transform(x, y, epoch=epoch)
            assert np.allclose(targets.sum(1), 1) and targets.dtype == np.float32
            assert np.allclose(images.mean((1, 2, 3)), targets @ np.arange(8), atol=1e-5)
            soft = transform(x, np.eye(8, dtype=np.float32), epoch=epoch)[1]
            assert np.allclose(soft, targets)
    images, targets = T.MixUp(num_classes=8)(x, y)
    loss = fd.nn.functional.cross_entropy(np.zeros((8, 8), np.float32), targets)
    assert abs(loss.item() - np.log(8)) < 1e-5
    with pytest.raises(TypeError, match="Normalize"):
        T.MixUp(num_classes=8)(x.astype(np.uint8), y)
    with pytest.raises(ValueError, match="num_classes"):
        T.CutMix()(x, y)


def test_wrong_arguments():
    images = np.zeros((2, 3, 8, 8), np.uint8)
    flip = T.RandomHorizontalFlip()
    for call in (
        lambda: T.RandomHorizontalFlip(1.5),
        lambda: T.RandomCrop(0),
        lambda: T.RandomCrop(4, padding=(1, 2, 3)),
        lambda: T.RandomResizedCrop(4, scale=(1, 0.5)),
        lambda: T.RandomErasing(value="black"),
        lambda: T.Cutout(4, fill=300)(images),
        lambda: flip(np.zeros((2, 8))),
        lambda: flip(images, rows=[1]),
        lambda: flip(images, np.zeros(3)),
    ):
        with pytest.raises(ValueError):
            call()
    with pytest.raises(TypeError):
        flip(np.zeros((2, 3, 8, 8), np.int16))
    with pytest.raises(TypeError):
        T.Compose([lambda x: x])
