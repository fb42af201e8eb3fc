"""Batches of sequences of similar length: BucketSampler and pad_collate."""

import functools

import numpy as np
import pytest

import fastdrop as fd
from fastdrop.data import BucketSampler, DataLoader, pad_collate

LENGTHS = np.random.default_rng(0).integers(1, 60, 1003)


def padding_of(batches):
    """The share of the padded batches that is padding."""
    tokens = sum(LENGTHS[b].sum() for b in batches)
    return 1 - tokens / sum(LENGTHS[b].max() * len(b) for b in batches)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("drop_last", [True, False])
def test_each_sample_is_in_one_batch(shuffle, drop_last):
    sampler = BucketSampler(LENGTHS, 20, shuffle=shuffle, drop_last=drop_last)
    batches = list(sampler)
    assert len(batches) == len(sampler) == 50 + (not drop_last)
    assert {len(b) for b in batches} == ({20} if drop_last else {20, 3})
    rows = np.concatenate(batches)
    assert len(set(rows.tolist())) == len(rows) == (1000 if drop_last else 1003)
    assert (rows.min() == 0 and rows.max() == 1002) or drop_last


def test_buckets_need_little_padding_and_change_from_epoch_to_epoch():
    sampler = BucketSampler(LENGTHS, 20)
    one, two = sampler.order(0, 7), sampler.order(1, 7)
    shuffled = np.random.default_rng(0).permutation(1000).reshape(50, 20)
    assert padding_of(one) < 0.1 < 0.4 < padding_of(shuffled)
    assert one == sampler.order(0, 7) and one != two and one != sampler.order(0, 8)
    means = [LENGTHS[b].mean() for b in one]  # the batches are shuffled, not sorted
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.5
    small_pools = BucketSampler(LENGTHS, 20, pool_batches=3).order(0, 7)
    assert padding_of(one) < padding_of(small_pools) < padding_of(shuffled)


def test_without_shuffling_the_samples_are_sorted():
    rows = np.concatenate(list(BucketSampler(LENGTHS, 20, shuffle=False)))
    assert (rows == np.argsort(LENGTHS, kind="stable")).all()


def test_the_run_or_a_generator_decides_the_order():
    fd.manual_seed(3)
    one = list(BucketSampler(LENGTHS, 20))
    assert one == list(BucketSampler(LENGTHS, 20))
    fd.manual_seed(4)
    assert one != list(BucketSampler(LENGTHS, 20))
    own = list(BucketSampler(LENGTHS, 20, generator=1))
    fd.manual_seed(3)
    assert own == list(BucketSampler(LENGTHS, 20, generator=1)) != one


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_takes_the_batches_of_its_epoch_and_seed(workers):
    data = [(np.full(n, i), i) for i, n in enumerate(LENGTHS)]
    sampler = BucketSampler(LENGTHS, 20)
    loader = DataLoader(
        data, batch_sampler=sampler, collate_fn=pad_collate, num_workers=workers, seed=5
    )
    assert len(loader) == 51
    for epoch in range(2):
        found = list(loader)
        assert [y.tolist() for _, _, y in found] == sampler.order(epoch, 5)
        for x, lengths, y in found:
            assert x.shape == (len(y), LENGTHS[y].max()) and (lengths == LENGTHS[y]).all()
    rest = [y.tolist() for _, _, y in loader.batches_of(1, 40)]
    assert rest == sampler.order(1, 5)[40:]


def test_fit_takes_buckets_and_goes_on_bit_for_bit(tmp_path):
    rng = np.random.default_rng(1)
    data = []
    for n in LENGTHS[:200]:
        numbers = rng.integers(2, 20, n)
        data.append((numbers, int(numbers[0] > 10)))

    def run(name, epochs, **more):
        fd.manual_seed(0)
        model = fd.models.text_classifier(20, 2, 8, 12, dropout=0.1, padding_idx=0)
        loader = DataLoader(
            data,
            batch_sampler=BucketSampler(LENGTHS[:200], 25),
            collate_fn=functools.partial(pad_collate, with_lengths=False),
        )
        history = fd.fit(
            model, loader, epochs=epochs, checkpoint=tmp_path / name, progress=False, **more
        )
        return model.state_dict(), history["loss"]

    whole, losses = run("a", 3)
    run("b", 1)
    continued, again = run("b", 3, resume=True)
    assert again == losses and losses[-1] < losses[0]
    assert all((whole[name] == continued[name]).all() for name in whole)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([1.5, 2.0], 2), TypeError, "1-d integers"),
        (([[1]], 2), TypeError, "1-d integers"),
        ((np.zeros(0, int), 2), ValueError, "for each sample"),
        (([-1, 2], 2), ValueError, "at least 0"),
        (([1, 2], 0), ValueError, "batch_size"),
    ],
)
def test_errors_of_buckets(arguments, error, message):
    with pytest.raises(error, match=message):
        BucketSampler(*arguments)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("rest", [(), (3,)])
@pytest.mark.parametrize("integers", [True, False])
def test_padding_is_that_of_torch(side, rest, integers):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    sequences = [rng.standard_normal((n, *rest)).astype(np.float32) * 9 for n in (3, 5, 1)]
    if integers:
        sequences = [s.astype(np.int64) for s in sequences]
    expected = torch.nn.utils.rnn.pad_sequence(
        list(map(torch.tensor, sequences)), batch_first=True, padding_value=7, padding_side=side
    )
    x, lengths = pad_collate(sequences, padding_value=7, padding_side=side)
    assert x.dtype == (np.int64 if integers else np.float32)
    assert (x == expected.numpy()).all() and lengths.tolist() == [3, 5, 1]


def test_other_parts_of_samples_are_stacked():
    samples = [([1, 2], 3, 0.5), (np.array([4]), 5, 1.5)]
    x, lengths, y, weight = pad_collate(samples)
    assert x.tolist() == [[1, 2], [4, 0]] and lengths.tolist() == [2, 1]
    assert y.tolist() == [3, 5] and y.dtype == np.int64 and weight.dtype == np.float32
    x, y, weight = pad_collate(samples, with_lengths=False)
    assert y.tolist() == [3, 5]
    assert pad_collate([[1.5], [2, 3]], with_lengths=False).tolist() == [[1.5, 0], [2, 3]]
    assert pad_collate([[], [2]], padding_value=0.5)[0].tolist() == [[0.5], [2.0]]


@pytest.mark.parametrize(
    ("samples", "options", "error", "message"),
    [
        ([], {}, ValueError, "at least one"),
        (["ab"], {}, TypeError, "sequences of numbers"),
        ([3], {}, TypeError, "sequences of numbers"),
        ([np.zeros((2, 3)), np.zeros((2, 4))], {}, ValueError, r"\(3,\) and \(4,\)"),
        ([[1]], {"padding_side": "top"}, ValueError, "padding_side"),
    ],
)
def test_errors_of_padding(samples, options, error, message):
    with pytest.raises(error, match=message):
        pad_collate(samples, **options)
