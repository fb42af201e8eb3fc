"""Cases of the benchmark suite: checked in small sizes, and wrong results are refused."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("benchmarks.cases", reason="no benchmarks beside the tests")
from benchmarks import (  # noqa: E402
    cases,
    generation,
    memory,
    peers,
    small_networks,
    thinned,
    torch_transformers,
    transformers,
)
from fastdrop import bench  # noqa: E402

GPT, VIT = (30, 16, 2, 2, 32), (5, 16, 4, 16, 3, 2)
BUILDS = {
    "gpt": lambda: transformers.gpt(GPT, 3),
    "vit": lambda: transformers.vit(0.0, 0.1, VIT, 4),
    "vit with dropout": lambda: transformers.vit(0.1, 0.1, VIT, 4),
    "encoder layer": lambda: transformers.encoder_layer((2, 5), (16, 2, 32)),
    "generation from one token": lambda: generation.greedy(GPT, 1, 15),
    "generation": lambda: generation.greedy(GPT, 5, 11),
    "steps of texts": lambda: small_networks.texts(64, 5, 30, 6, 8, 8),
    "steps of one sample": lambda: small_networks.single_samples(30),
    "steps of one's own": lambda: small_networks.own_loop(30),
}


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", BUILDS)
def test_candidates_agree_and_are_timed(name):
    case, lines = BUILDS[name](), []
    rows = bench.measure(case, 1, lines.append, name=name)
    assert [row["candidate"] for row in rows] == list(case.candidates)
    assert {row["candidate"].partition(",")[0] for row in rows} >= {"fastdrop", "PyTorch"}
    assert all(row["median"] > 0 for row in rows)
    assert name == "encoder layer" or len(rows) < 4 or "p = 0.2" in rows[2]["candidate"]
    assert ("tokens/s" in lines[1]) == name.startswith("generation")


def test_thinned_steps_are_compared():
    case = thinned.steps(32, 9)
    rows = bench.measure(case, 1, lambda line: None)
    assert [row["candidate"] for row in rows] == list(case.candidates)
    assert all(row["median"] > 0 for row in rows)


@pytest.mark.parametrize("name", [name for name in cases.CASES if name.startswith("family ")])
def test_members_of_the_family_are_checked(name):
    cases.CASES[name]().check()


@pytest.mark.parametrize("targets", ["classes", "numbers", "counts", "labels"])
def test_estimators_are_compared(targets):
    case = small_networks.estimators(600, 5, (20,), 50, targets)
    rows = bench.measure(case, 1, lambda line: None)
    assert [row["candidate"] for row in rows] == [
        *("fastdrop", "fastdrop, steps by Python", "scikit-learn")
    ]


@pytest.mark.parametrize(
    ("name", "function"), [("generation", "generate"), ("vit", "load"), ("gpt", "load")]
)
def test_wrong_results_are_refused(name, function, monkeypatch):
    """Tokens that are not the most probable; PyTorch's own initial weights instead of ours."""
    wrong = {
        "generate": lambda model, tokens, count: [*tokens, *range(count)],
        "load": lambda theirs, ours, names: torch.manual_seed(3),
    }
    monkeypatch.setattr(torch_transformers, function, wrong[function])
    with pytest.raises(RuntimeError, match="wrong results"):
        BUILDS[name]().check()


def test_drop_path_of_pytorch():
    """A sample's branch is 0 or 1 / (1 - p) of itself; the rates grow linearly from 0."""
    model = torch_transformers.torch_vit(*VIT, drop_path=0.5)
    assert [layer.path.p for layer in model.layers] == [0.0, 0.25, 0.5]
    y = model.layers[2].path(torch.ones(4000, 3, 2)).numpy()
    assert set(np.unique(y)) == {0.0, 2.0} and (y == y[:, :1, :1]).all()
    assert abs(y.mean() - 1) < 6 / 4000**0.5
    model.eval()
    assert (model.layers[2].path(torch.ones(3, 1, 1)) == 1).all()


def test_caches_of_pytorch_change_no_scores():
    torch.manual_seed(0)
    model = torch_transformers.torch_gpt(*GPT, 0.0).eval()
    tokens = torch.randint(0, 30, (1, 9))
    with torch.inference_mode():
        caches, scores = torch.empty(model.cache_shape), []
        for at, stop in ((0, 4), (4, 5), (5, 6)):
            scores.append(model(tokens[:, at:stop], caches=caches, at=at))
            assert torch.allclose(scores[-1], model(tokens[:, :stop]), atol=1e-6)


def test_cases_have_names():
    names = [name for name in cases.CASES if name.startswith("transformer generate")]
    assert names == [f"transformer generate {name}" for name in generation.SHAPES]
    assert cases.CASES[names[0]].quick and not cases.CASES["transformer vit drop_path"].quick
    assert not peers.all_peers


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_growth_of_memory():
    """40 MiB that exist only while the step is built count, 10 MiB that stay are not added.

    In a process of its own, as in the benchmark: the pages of a large process come and go.
    """
    code = """
import numpy as np
from benchmarks import memory

def build():
    np.ones(10 * 2**20, np.float32)
    kept = np.ones(10 * 2**18, np.float32)
    return lambda: kept.sum()

print(memory.growth(build))
"""
    root = Path(memory.__file__).parent.parent
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert 39.5 < float(found.stdout) < 44


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("kind", ["gpt", "layer"])
def test_memory_of_a_step_holds_weights_and_gradients(kind):
    least = 2 * 4 * {"gpt": 0.8e6, "layer": 7.0e6}[kind] / 2**20
    assert least < memory.in_process("fastdrop", kind, memory.RATES[kind]) < 40 * least


def test_table_of_memory(monkeypatch, capsys):
    figures = {("fastdrop", 0.0): 10, ("fastdrop", 0.2): 20, ("torch", 0.0): 30, ("torch", 0.2): 50}
    monkeypatch.setattr(memory, "in_process", lambda library, kind, p: figures[library, p])
    assert memory.main(["gpt"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "4 x 128 units" in lines[0]
    assert lines[1].startswith("p = 0: fastdrop   10.0, PyTorch   30.0") and "3.00" in lines[1]
    assert lines[2].startswith("p = 0.2: fastdrop   20.0, PyTorch   50.0") and "1.50" in lines[2]
    with pytest.raises(SystemExit):
        memory.main(["bert"])
    assert "got 'bert'" in capsys.readouterr().err
