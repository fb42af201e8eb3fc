"""Vocabularies, text files, and batches for truncated backpropagation."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop.data import BPTTBatches, Vocabulary, read_text


def test_a_vocabulary_counts_and_sorts():
    words = Vocabulary.build(["b", "a", "b", "c", "a", "b"])
    assert words.tokens == ["<unk>", "b", "a", "c"]
    assert words.encode(["c", "d", "b"]).tolist() == [3, 0, 1]
    assert words.decode([1, 0]) == ["b", "<unk>"]
    assert len(words) == 4 and "a" in words and "d" not in words and words["c"] == 3
    assert Vocabulary.from_dict(words.to_dict()) == words
    assert Vocabulary.build(["b", "a", "b", "c", "a", "b"], min_count=2).tokens == [
        "<unk>",
        "b",
        "a",
    ]
    assert Vocabulary.build(["b", "a", "b", "c", "a", "b"], max_size=2).tokens == ["<unk>", "b"]
    assert repr(words) == "Vocabulary(4 tokens)"


def test_numbers_that_a_vocabulary_does_not_have():
    words = Vocabulary(["a", "b"])
    assert words.decode(np.array([1, 0], np.uint8)) == ["b", "a"]
    for number in (-1, 2, -(10**20)):
        with pytest.raises(IndexError, match=rf"the numbers 0 to 1, got {number}$"):
            words.decode([0, number])
    with pytest.raises(TypeError, match=r"integers, got 1\.5"):
        words.decode([1.5])
    with pytest.raises(IndexError, match="the vocabulary is empty, got the number 0"):
        Vocabulary([]).decode([0])


def test_a_vocabulary_of_a_file_has_neither_holes_nor_duplicates():
    assert Vocabulary.from_dict({"tokens": {"b": 1, "a": 0}}).tokens == ["a", "b"]
    for data, error, message in (
        ({"tokens": {"a": 0, "b": 2}}, ValueError, "0 to 1, but no token has 1"),
        ({"tokens": {"a": 0, "b": 0}}, ValueError, "'a' and 'b' have 0"),
        ({"tokens": {"a": 0, "b": -1}}, ValueError, "the number of 'b'"),
        ({"tokens": {"a": 0, "b": "1"}}, TypeError, "the number of 'b'"),
        ({"tokens": ["a", None]}, TypeError, "must be strings, got None"),
        ({"tokens": ["a", "b", "a"]}, ValueError, "'a' occurs twice"),
        ({"tokens": "abc"}, TypeError, "must be a list"),
        ({"words": []}, ValueError, "entry 'tokens'"),
        (["a"], ValueError, "entry 'tokens'"),
    ):
        with pytest.raises(error, match=message):
            Vocabulary.from_dict(data)


def test_errors_of_a_vocabulary():
    with pytest.raises(ValueError, match="no 'd'"):
        Vocabulary(["a"]).encode(["a", "d"])
    with pytest.raises(ValueError, match="'a' occurs twice"):
        Vocabulary(["a", "b", "a"])
    with pytest.raises(TypeError, match="strings"):
        Vocabulary([1])


def test_words_and_characters_of_a_file(tmp_path):
    file = tmp_path / "a.txt"
    file.write_bytes("\ufeffdas  Ei\r\nwar das Ei\n".encode())
    numbers, words = read_text(file)
    assert words.decode(numbers) == ["das", "Ei", "<eos>", "war", "das", "Ei", "<eos>"]
    other, same = read_text(file, vocabulary=words, end_of_line=None)
    assert same is words and words.decode(other) == ["das", "Ei", "war", "das", "Ei"]
    characters, letters = read_text(file, "char")
    assert "".join(letters.decode(characters)) == "das  Ei\nwar das Ei\n"
    assert "<unk>" not in letters


def test_errors_of_files(tmp_path):
    file = tmp_path / "a.txt"
    file.write_bytes(b"good\nb\xffd\n")
    with pytest.raises(ValueError, match=r"a\.txt', line 2: byte 0xff is not UTF-8"):
        read_text(file)
    file.write_bytes(b" \n")
    with pytest.raises(ValueError, match="is empty"):
        read_text(file)
    file.write_text("new")
    with pytest.raises(ValueError, match=r"a\.txt': the vocabulary has no 'e'"):
        read_text(file, "char", Vocabulary(["n"]))
    with pytest.raises(ValueError, match="level"):
        read_text(file, "syllable")
    with pytest.raises(FileNotFoundError):
        read_text(tmp_path / "none.txt")


def test_batches_go_through_the_text():
    batches = BPTTBatches(np.arange(23), batch_size=3, length=4)
    assert len(batches) == 2 and batches.steps == 7
    found = list(batches)
    tokens, targets = (np.concatenate(parts) for parts in zip(*found, strict=True))
    assert (targets == tokens + 1).all()
    assert tokens.T.tolist() == [list(range(i * 7, i * 7 + 7)) for i in range(3)]
    assert [len(t) for t, _ in found] == [4, 3]
    assert all(t.dtype == np.int64 and t.flags.c_contiguous for pair in found for t in pair)


def test_an_epoch_goes_on_in_its_middle():
    whole = [t.tolist() for t, _ in BPTTBatches(np.arange(50), 2, 5)]
    batches = BPTTBatches(np.arange(50), 2, 5)
    first = next(iter(batches))[0].tolist()
    state = batches.state_dict()
    again = BPTTBatches(np.arange(50), 2, 5)
    again.load_state_dict(state)
    assert [first, *(t.tolist() for t, _ in again)] == whole
    assert [t.tolist() for t, _ in again] == whole  # the next epoch begins at 0


def variable(length=70, batch_size=2, steps=20_000, **options):
    text = np.arange(batch_size * steps + 1)
    return BPTTBatches(text, batch_size, length, variable_length=True, **options)


def test_variable_lengths_are_those_of_awd_lstm():
    batches = variable(seed=1)
    found = np.array([len(t) for _ in range(20) for t, _ in batches])
    # A slow twin of the authors' program.
    rng, expected = np.random.default_rng(0), []
    while len(expected) < len(found):
        base = 70 if rng.random() < 0.95 else 35.0
        expected.append(max(5, int(rng.normal(base, 5))))
    full = found > 52
    assert abs(full.mean() - 0.95) < 0.01
    assert abs(found[full].mean() - 69.5) < 0.3 and abs(found[full].std() - 5) < 0.2
    assert abs(found.mean() - np.mean(expected)) < 0.5
    halves = found[(found < 53) & (found > 15)]  # without the ends of epochs
    assert abs(halves.mean() - 34.5) < 1.5
    short = [len(t) for t, _ in variable(length=6, seed=1)][:-1]
    assert min(short) == 5 and max(short) > 10


def test_variable_lengths_go_through_the_text_once():
    batches = variable(length=20, batch_size=3, steps=501, seed=4)
    for _ in range(2):
        count, found = len(batches), list(batches)
        assert len(found) == count
        tokens, targets = (np.concatenate(parts) for parts in zip(*found, strict=True))
        assert (targets == tokens + 1).all()
        assert tokens.T.tolist() == [list(range(i * 501, i * 501 + 501)) for i in range(3)]
        assert all(len(t) >= 5 for t, _ in found[:-1])


def test_variable_lengths_follow_from_seed_and_epoch():
    def epochs(count, **options):
        batches = variable(steps=700, **options)
        return [[len(t) for t, _ in batches] for _ in range(count)]

    one, two = epochs(2, seed=1)
    assert one != two and [one, two] == epochs(2, seed=1) and one != epochs(1, seed=2)[0]
    fd.manual_seed(1)
    run = epochs(2)
    fd.manual_seed(1)
    assert run == epochs(2) and run[0] == one

    batches = variable(steps=700, seed=1)
    list(batches)
    middle = len(next(iter(batches))[0])
    again = variable(steps=700, seed=1)
    again.load_state_dict(batches.state_dict())
    assert [middle, *(len(t) for t, _ in again)] == two
    again.load_state_dict({"position": 0})  # as older checkpoints have it
    assert [len(t) for t, _ in again] == one


def test_the_learning_rate_follows_the_length_of_a_batch():
    fd.manual_seed(0)
    model = fd.models.language_model(7, 4)
    batches = BPTTBatches(np.tile(np.arange(7), 200), 4, 20, variable_length=True, seed=2)
    optimizer = fd.optim.SGD(model.parameters(), lr=0.5)
    rates, step = [], optimizer.step

    def noting(*args):
        rates.append(optimizer.param_groups[0]["lr"])
        return step(*args)

    optimizer.step = noting
    history = fd.train.fit_text(model, batches, optimizer, 2)
    lengths = [len(t) for epoch in (0, 1) for t in pieces(batches, epoch)]
    assert rates == pytest.approx([0.5 * n / 20 for n in lengths])
    assert len(set(rates)) > 2 and optimizer.param_groups[0]["lr"] == 0.5
    assert [epoch.lr for epoch in history] == [0.5, 0.5]


def pieces(batches, epoch):
    batches.load_state_dict({"position": 0, "epoch": epoch})
    return [t for t, _ in batches]


def test_errors_of_batches():
    with pytest.raises(ValueError, match="more than batch_size"):
        BPTTBatches(np.arange(4), 4, 2)
    with pytest.raises(TypeError, match="integers"):
        BPTTBatches([0.5, 1.0], 1, 2)
    with pytest.raises(ValueError, match="length"):
        BPTTBatches(np.arange(40), 4, 0)


def model_and_text(**arguments):
    fd.manual_seed(0)
    model = fd.models.language_model(7, 12, **arguments)
    return model, BPTTBatches(np.tile(np.arange(7), 60), 4, 10)


def test_a_model_learns_a_text_and_goes_on_with_it():
    model, batches = model_and_text(dropout=0.1, recurrent_dropout=0.1)
    optimizer = fd.optim.Adam(model.parameters(), lr=0.02)
    seen = []
    history = fd.train.fit_text(
        model, batches, optimizer, 12, validation=BPTTBatches(np.arange(70) % 7, 2, 10),
        schedule=fd.optim.lr_scheduler.StepLR(optimizer, 6), callback=seen.append,
    )  # fmt: skip
    assert seen == history and len(history) == 12
    assert history[-1].perplexity < 1.5 < history[0].perplexity
    assert [e.lr for e in history[5:7]] == pytest.approx([0.02, 0.002])
    assert model.training
    found = model.generate(np.arange(14) % 7, 4, temperature=0.0)
    assert found.tolist() == (np.arange(18) % 7).tolist()
    assert (model.generate([2], 9, seed=1) == model.generate([2], 9, seed=1)).all()
    assert len(model.generate([2], 3, top_k=1)) == 4


def test_training_ends_where_the_callback_says_so():
    model, batches = model_and_text()
    optimizer = fd.optim.SGD(model.parameters(), lr=0.1)
    assert len(fd.train.fit_text(model, batches, optimizer, 9, callback=lambda e: True)) == 1


def test_a_loss_that_is_not_finite():
    model, batches = model_and_text()
    model.decoder.bias.data[...] = np.nan
    with pytest.raises(FloatingPointError, match="epoch 1"):
        fd.train.fit_text(model, batches, fd.optim.SGD(model.parameters(), lr=0.1), 1)


def test_the_loss_is_that_of_the_scores():
    model, batches = model_and_text(tie_weights=True)
    model.eval()
    tokens, targets = next(iter(batches))
    loss, state = model.loss(tokens, targets)
    scores, other = model(tokens)
    expected = fd.nn.functional.cross_entropy(scores.reshape(-1, 7), targets.reshape(-1))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert all((a.numpy() == b.numpy()).all() for a, b in zip(state, other, strict=True))
    assert not any(s.requires_grad for s in state)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("variational", [True, False])
def test_models_in_files(tmp_path, cell, variational):
    fd.manual_seed(0)
    model = fd.models.language_model(
        9, 6, num_layers=1, cell=cell, dropout=0.3, variational=variational, weight_drop=0.2,
        embedding_dropout=0.1, tie_weights=True,
    )  # fmt: skip
    fd.save(model, tmp_path / "a")
    again = fd.load(tmp_path / "a")
    assert repr(again) == repr(model)
    assert again.decoder.weight is again.embedding.weight
    tokens = np.arange(6).reshape(3, 2)
    assert (again.eval()(tokens)[0].numpy() == model.eval()(tokens)[0].numpy()).all()


def test_errors_of_models():
    with pytest.raises(ValueError, match="tie_weights"):
        fd.models.language_model(9, 6, 8, tie_weights=True)
    with pytest.raises(ValueError, match="cell"):
        fd.models.language_model(9, 6, cell="xlstm")
    model = fd.models.language_model(9, 6)
    with pytest.raises(ValueError, match="at least one"):
        model.generate([], 3)
    with pytest.raises(ValueError, match="temperature"):
        model.generate([1], 3, temperature=-1.0)
