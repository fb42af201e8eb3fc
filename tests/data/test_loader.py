"""DataLoader, samplers and parts of data sets."""

import threading

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import data
from fastdrop.data import transforms as T

rng = np.random.default_rng(0)
IMAGES = rng.integers(0, 256, (50, 3, 12, 12), np.uint8)
LABELS = np.arange(50) % 7
AUGMENT = T.Compose([T.RandomCrop(12, 2), T.ColorJitter(0.3), T.Normalize(0.5, 0.2)])


def loader_threads():
    return [t for t in threading.enumerate() if t.name.startswith("fastdrop-loader")]


def epochs(count=2, **options):
    fd.manual_seed(5)
    loader = data.DataLoader(data.TensorDataset(IMAGES, LABELS), shuffle=True, **options)
    return [[np.concatenate(part) for part in zip(*loader)] for _ in range(count)]


def test_batches_do_not_depend_on_workers_or_their_size():
    expected = epochs(batch_size=8, transform=AUGMENT)
    assert sorted(expected[0][1]) == sorted(LABELS)
    assert not (expected[0][1] == expected[1][1]).all()
    for options in ({"num_workers": 1}, {"num_workers": 3, "prefetch_factor": 1}):
        for size in (8, 50, 3):
            found = epochs(batch_size=size, transform=AUGMENT, **options)
            for one, other in zip(found, expected):
                assert (one[0] == other[0]).all() and (one[1] == other[1]).all()
    assert not loader_threads()


def test_a_loop_that_is_left_ends_its_threads():
    loader = data.DataLoader(data.TensorDataset(IMAGES, LABELS), batch_size=4, num_workers=2)
    for _ in loader:
        assert loader_threads()
        break
    assert not loader_threads()
    loop = iter(loader)
    next(loop)
    loop.close()
    assert not loader_threads()


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_of_a_worker_reaches_the_loop(workers):
    class Torn(list):
        def __getitem__(self, i):
            if i == 9:
                raise OSError("sample 9 is torn")
            return np.zeros(2), i

    seen = []
    with pytest.raises(OSError, match="sample 9"):
        for _, y in data.DataLoader(Torn(range(20)), batch_size=4, num_workers=workers):
            seen += y.tolist()
    assert seen == list(range(8)) and not loader_threads()


def test_a_part_of_an_epoch_is_the_same_as_in_the_whole():
    loader = data.DataLoader(
        data.TensorDataset(IMAGES, LABELS), 8, shuffle=True, transform=AUGMENT, seed=3
    )
    whole = list(loader.batches_of(4))
    for one, other in zip(loader.batches_of(4, 3), whole[3:], strict=True):
        assert (one[0] == other[0]).all() and (one[1] == other[1]).all()
    loader.set_epoch(4)
    assert (next(iter(loader))[0] == whole[0][0]).all() and loader.epoch == 5


def test_samplers():
    fd.manual_seed(1)
    sampler = data.RandomSampler(range(10))
    assert sorted(sampler) == list(range(10)) and list(sampler) != list(sampler)
    assert len(list(data.RandomSampler(range(3), num_samples=8))) == 8
    assert max(data.RandomSampler(range(3), replacement=True, num_samples=80)) == 2
    weighted = list(data.WeightedRandomSampler([1, 0, 3], 4000))
    assert 1 not in weighted and abs(weighted.count(2) - 3000) < 120
    assert sorted(data.WeightedRandomSampler([1, 2, 3], 3, replacement=False)) == [0, 1, 2]
    own = [list(data.RandomSampler(range(9), generator=4)) for _ in range(2)]
    assert own[0] == own[1]
    batches = data.BatchSampler(data.SequentialSampler(range(7)), 3, True)
    assert list(batches) == [[0, 1, 2], [3, 4, 5]] and len(batches) == 2
    loader = data.DataLoader(range(7), batch_sampler=[[6, 0], [3]])
    assert [x.tolist() for x in loader] == [[6, 0], [3]] and len(loader) == 2


def test_a_sample_that_comes_twice_is_augmented_twice():
    loader = data.DataLoader(
        data.TensorDataset(IMAGES, LABELS), 4, sampler=[7, 7, 3, 7, 3], transform=T.RandomCrop(5)
    )
    x = np.concatenate([x for x, _ in loader.batches_of(0)])
    assert len(np.unique(x[[0, 1, 3]], axis=0)) == 3 and not (x[2] == x[4]).all()
    other = data.DataLoader(loader.dataset, 2, sampler=[7, 7, 3, 7, 3], transform=T.RandomCrop(5))
    assert (np.concatenate([x for x, _ in other.batches_of(0)]) == x).all()


def test_collating():
    class Samples(list):
        def __getitem__(self, i):
            return {"x": np.full((2,), i, np.float32), "name": f"n{i}", "y": (i, 0.5)}

    batch = next(iter(data.DataLoader(Samples(range(3)), batch_size=3)))
    assert batch["x"].shape == (3, 2) and batch["name"] == ["n0", "n1", "n2"]
    assert batch["y"][0].tolist() == [0, 1, 2] and batch["y"][1].dtype == np.float32
    with pytest.raises(ValueError, match="one shape"):
        next(iter(data.DataLoader([np.zeros(2), np.zeros(3)], batch_size=2)))
    with pytest.raises(TypeError, match="collate_fn"):
        next(iter(data.DataLoader([object()])))
    loader = data.DataLoader([1, 2], batch_size=2, collate_fn=sum, transform=lambda x: x * 10)
    assert list(loader) == [30]


def test_subsets():
    whole = data.Dataset(IMAGES, LABELS)
    fd.manual_seed(0)
    first, second = data.random_split(whole, [0.7, 0.3])
    assert len(first) == 35 and len(second) == 15
    assert sorted([*first.indices, *second.indices]) == list(range(50))
    x, y = first.gather([3, 0])
    assert (x == IMAGES[first.indices[[3, 0]]]).all() and y[0] == first[3][1]
    assert [len(p) for p in data.random_split(range(10), [1 / 3] * 3)] == [4, 3, 3]
    for wrong in ([20, 20], [0.5, 0.4], [-1, 51]):
        with pytest.raises(ValueError, match="lengths"):
            data.random_split(whole, wrong)
    with pytest.raises(ValueError, match="indices"):
        data.Subset(whole, [50])
    last = data.TensorDataset(np.moveaxis(np.ascontiguousarray(np.moveaxis(IMAGES, 1, 3)), 3, 1))
    (x,) = last.gather([4, 2])
    assert (x == IMAGES[[4, 2]]).all() and np.moveaxis(x, 1, 3).flags.c_contiguous
    with pytest.raises(ValueError, match="equal length"):
        data.TensorDataset(np.zeros(3), np.zeros(4))


def test_wrong_arguments():
    sized = data.TensorDataset(np.zeros(4))
    for options in (
        {"shuffle": True, "sampler": [0]},
        {"batch_sampler": [[0]], "batch_size": 2},
        {"seed": 1, "generator": 2},
        {"batch_size": 0},
        {"num_workers": -1},
    ):
        with pytest.raises(ValueError):
            data.DataLoader(sized, **options)
    for options in ({"collate_fn": 3}, {"generator": "x"}, {"shuffle": 1.5}):
        with pytest.raises(TypeError):
            data.DataLoader(sized, **options)
    with pytest.raises(TypeError, match="dataset"):
        data.DataLoader(iter([1]))
