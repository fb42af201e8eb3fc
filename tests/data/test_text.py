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
