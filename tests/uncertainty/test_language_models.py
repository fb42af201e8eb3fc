"""Entropies of language models: at every position, and of the next token."""

import warnings

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn

TOKENS = np.random.default_rng(0).integers(0, 11, (3, 12))


def gpt(**arguments):
    fd.manual_seed(0)
    model = fd.models.gpt(11, 12, 2, 2, 16, **{"dropout": 0.3, **arguments})
    for parameter in model.parameters():  # scores that differ
        parameter.data *= 8 if parameter.ndim == 2 else 1
    return model


class NextToken(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, tokens):
        return self.model(tokens, last=True)


def figures(scores):
    """Of the scores (N, passes, ..., C) of each pass, in float64."""
    p = np.exp(np.float64(scores) - scores.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    mean = p.mean(1)
    entropy, expected = -(mean * np.log(mean)).sum(-1), -(p * np.log(p)).sum(-1).mean(1)
    votes = np.stack([(p.argmax(-1) == c).sum(1) for c in range(p.shape[-1])], -1)
    return {
        "mean": mean,
        "variance": p.var(1),
        "entropy": entropy,
        "expected_entropy": expected,
        "mutual_information": entropy - expected,
        "variation_ratio": 1 - votes.max(-1) / p.shape[1],
    }


@pytest.mark.parametrize("batch_size", [4096, 12])
@pytest.mark.parametrize(("make", "shape"), [(gpt, (3, 12)), (lambda: NextToken(gpt()), (3,))])
def test_figures_are_those_of_the_passes(make, shape, batch_size):
    model, seen = make(), {"batch_size": batch_size}
    with warnings.catch_warnings():
        warnings.simplefilter("error", fd.uncertainty.MCWarning)  # passes side by side
        scores = fd.mc_predict(model, TOKENS, 8, output="raw", keep=True, **seen).passes
        found = fd.mc_predict(model, TOKENS, 8, output="softmax", **seen)
    for name, wanted in figures(scores).items():
        value = getattr(found, name)
        assert value.shape[: len(shape)] == shape
        np.testing.assert_allclose(value, wanted, atol=2e-6, err_msg=name)
    assert found.entropy.shape == found.variation_ratio.shape == shape
    assert found.mutual_information.min() > 1e-4
    y = np.random.default_rng(1).integers(0, 11, shape)
    likely = np.take_along_axis(figures(scores)["mean"], y[..., None], -1)[..., 0]
    np.testing.assert_allclose(found.log_likelihood(y), np.log(likely), atol=1e-4)
    with pytest.raises(ValueError, match="class numbers"):
        found.log_likelihood(np.zeros((3, 5), int))


def test_the_next_token_is_the_last_position():
    model = gpt()
    wanted = fd.mc_predict(model, TOKENS, 6, output="softmax")
    found = fd.mc_predict(NextToken(model), TOKENS, 6)
    np.testing.assert_allclose(found.entropy, wanted.entropy[:, -1], atol=1e-5)
    np.testing.assert_allclose(
        found.mutual_information, wanted.mutual_information[:, -1], atol=1e-5
    )
    model.eval()
    np.testing.assert_allclose(
        model(TOKENS, last=True).numpy(), model(TOKENS).numpy()[:, -1], atol=1e-5
    )
    with pytest.raises(ValueError, match="last must be False with targets"):
        model(TOKENS, TOKENS, last=True)


def test_more_passes_where_positions_are_uncertain():
    model = gpt()
    found = fd.mc_predict(model, TOKENS, 5, output="softmax", tolerance=0.05, max_samples=40)
    assert found.counts.max() > 5 and found.variation_ratio.shape == (3, 12)
    for n, count in enumerate(found.counts):
        one = fd.mc_predict(model, TOKENS[n : n + 1], int(count), output="softmax", row0=n)
        np.testing.assert_allclose(found.entropy[n], one.entropy[0], atol=1e-5)
        np.testing.assert_allclose(found.variation_ratio[n], one.variation_ratio[0])
