"""Data sets made of others, iterable ones, and samplers of parts, beside PyTorch's."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import data


class Lines(data.IterableDataset):
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return ((np.full(2, i, np.float32), i) for i in range(self.n))


class Own(data.Dataset):
    """As PyTorch's programs write them: no call of super().__init__()."""

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        return np.full(3, index, np.float32), index % 2


def test_the_same_samples_as_pytorch():
    torch = pytest.importorskip("torch")
    parts = [list("abc"), [], list("de")]
    for ours, theirs in (
        (data.ConcatDataset(parts), torch.utils.data.ConcatDataset(parts)),
        (data.StackDataset("abc", "xyz"), torch.utils.data.StackDataset("abc", "xyz")),
        (
            data.StackDataset(left="abc", right="xyz"),
            torch.utils.data.StackDataset(left="abc", right="xyz"),
        ),
    ):
        assert [ours[i] for i in range(len(ours))] == [theirs[i] for i in range(len(theirs))]
        assert ours[-1] == theirs[-1]
    assert data.ConcatDataset(parts).cumulative_sizes == [3, 3, 5]


def test_wrong_data_sets_are_sentences():
    with pytest.raises(ValueError, match="at least one"):
        data.ConcatDataset([])
    with pytest.raises(TypeError, match="ChainDataset joins"):
        data.ConcatDataset([Lines(2)])
    with pytest.raises(IndexError, match="index must be between -2 and 1, got 2"):
        data.ConcatDataset(["ab"])[2]
    with pytest.raises(ValueError, match="equal length, got 1, 2"):
        data.StackDataset("ab", "c")
    with pytest.raises(ValueError, match="positional or as named"):
        data.StackDataset()
    with pytest.raises(NotImplementedError, match="IterableDataset must define __iter__"):
        list(data.IterableDataset())


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("drop_last", [False, True])
def test_a_loader_of_an_iterable_data_set(workers, drop_last):
    chained = Lines(3) + Lines(4)
    loader = data.DataLoader(chained, 3, num_workers=workers, drop_last=drop_last)
    batches = [(x.shape, y.tolist()) for x, y in loader]
    expected = [((3, 2), [0, 1, 2]), ((3, 2), [0, 1, 2]), ((1, 2), [3])]
    assert batches == expected[: 2 if drop_last else 3]
    assert loader.first_sample()[1].tolist() == [0]
    with pytest.raises(ValueError, match="shuffle, sampler and batch_sampler"):
        data.DataLoader(chained, shuffle=True)
    with pytest.raises(TypeError, match="IterableDataset ChainDataset"):
        fd.fit(fd.models.mlp(2, [3], 2), loader)


def test_a_data_set_of_the_users_own():
    loader = data.DataLoader(Own(5), batch_size=2)
    assert [(x[:, 0].tolist(), y.tolist()) for x, y in loader] == [
        ([0, 1], [0, 1]),
        ([2, 3], [0, 1]),
        ([4], [0]),
    ]
    whole = data.DataLoader(data.Dataset(np.arange(6.0).reshape(3, 2), [0, 1, 1]), batch_size=3)
    assert [len(batch) for batch in next(iter(whole))] == [3, 3]
    assert len(data.random_split(data.ConcatDataset([Own(4), Own(6)]), [0.5, 0.5])[0]) == 5


def test_subset_random_sampler():
    fd.manual_seed(3)
    sampler = data.SubsetRandomSampler([4, 1, 3])
    loader = data.DataLoader(Own(5), batch_size=3, sampler=sampler)
    orders = [tuple(x[:, 0].astype(int)) for _ in range(8) for x, _ in loader]
    assert len(sampler) == 3 and all(sorted(order) == [1, 3, 4] for order in orders)
    assert len(set(orders)) > 1
    own = [list(data.SubsetRandomSampler(range(9), generator=5)) for _ in range(2)]
    assert own[0] == own[1]
