"""The facts behind "Coming from PyTorch" and "Coming from scikit-learn" are what is really there.

A name that is listed as present must exist in fastdrop, and in the other library where that is
installed. A name that is listed as missing must not exist in fastdrop: whoever adds it moves it to
another table. The pages hold what ``docs/write_coming_from.py`` writes.
"""

import ast
import functools
import importlib
import importlib.util
import inspect
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastdrop as fd

DOCS = Path(__file__).resolve().parents[2] / "docs"
SCRIPT = DOCS / "write_coming_from.py"
NOT_COMPARED = {
    "input",
    "args",
    "kwargs",
    "self",
    "_stacklevel",
}  # positional only, or without a name of their own

pytestmark = pytest.mark.skipif(
    not SCRIPT.is_file(), reason="the documentation is not beside the tests"
)


@functools.cache
def script():
    """The script that writes the tables."""
    spec = importlib.util.spec_from_file_location("write_coming_from", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@functools.cache
def pytorch():
    return script().facts(script().PYTORCH)


@functools.cache
def sklearn():
    return script().facts(script().SKLEARN)


def found(path):
    """The object at a dotted path: a module's attribute, or an attribute of a class."""
    parts = path.removeprefix("fd.").split(".") if path.startswith("fd.") else path.split(".")
    if path.startswith("fd."):
        parts = ["fastdrop", *parts]
    for n in range(len(parts), 0, -1):
        try:
            value = importlib.import_module(".".join(parts[:n]))
        except ImportError:
            continue
        for part in parts[n:]:
            value = getattr(value, part)
        return value
    raise ImportError(path)


def has(path, name):
    try:
        found(f"{path}.{name}")
    except (AttributeError, ImportError):
        return False
    return True


def shared_arguments(ours, theirs):
    """The arguments that both functions have: a list of (name, default) in the order of each.

    None where a function has no signature.
    """
    try:
        signatures = [inspect.signature(f).parameters for f in (ours, theirs)]
    except (TypeError, ValueError):
        return None
    both = (signatures[0].keys() & signatures[1].keys()) - NOT_COMPARED
    empty = inspect.Parameter.empty

    def of(parameters):
        defaults = {name: parameters[name].default for name in parameters if name in both}
        return [
            (name, None if value is empty or value == () else value)
            for name, value in defaults.items()
        ]

    return of(signatures[0]), of(signatures[1])


def same_names():
    """(name, place in PyTorch, place in fastdrop) of all names that are the same."""
    return [
        (name, row["of"], pytorch()["twins"][row["of"]])
        for row in pytorch()["same"]
        for name in row["names"]
    ]


def different_names():
    """(path in PyTorch, path in fastdrop) of all names with a difference."""
    return [
        (name, script().here(name, pytorch()["twins"]))
        for row in pytorch()["different"]
        for name in row["names"]
    ]


def missing_names():
    return [(name, row["of"]) for row in pytorch()["missing"] for name in row["names"]]


def missing_arguments():
    return [
        (function, name)
        for row in pytorch()["missing_arguments"]
        for function in row["of"]
        for name in row["names"]
    ]


def test_the_pages_hold_the_tables_of_the_facts():
    """Otherwise: ``python docs/write_coming_from.py``."""
    for page, text in script().pages().items():
        assert page.read_text("utf-8") == text, page.name


def test_tables_are_written_in_their_sections():
    text = "# T\n\n## A\n\nx\n\n| a |\n|---|\n| old |\n\ny\n\n## B\n\n| b |\n|---|\n| 1 |\n"
    new = script().with_tables(text, {"A": [(["n", "m"], [["1", "2"], ["3", ""]])]})
    assert new == text.replace("| a |\n|---|\n| old |", "| n | m |\n|---|---|\n| 1 | 2 |\n| 3 | |")
    with pytest.raises(ValueError, match="'## B' must have 2 tables, got 1"):
        script().with_tables(text, {"B": [(["n"], [])] * 2})


def test_the_facts_are_read():
    assert len(same_names()) > 250
    assert len(missing_names()) > 10
    assert len(missing_arguments()) > 20
    assert len(different_names()) > 50
    assert ("Linear", "torch.nn", "fastdrop.nn") in same_names()


def test_names_listed_as_the_same_exist():
    assert [f"{ours}.{name}" for name, _, ours in same_names() if not has(ours, name)] == []


def test_names_listed_as_missing_do_not_exist():
    twins = pytorch()["twins"]
    assert [
        f"{twins[theirs]}.{name}" for name, theirs in missing_names() if has(twins[theirs], name)
    ] == []


def test_arguments_listed_as_missing_do_not_exist():
    taken = [
        (function, name)
        for function, name in missing_arguments()
        if name in inspect.signature(found(f"fastdrop.{function}")).parameters
    ]
    assert taken == []


def test_names_listed_as_different_exist():
    assert [ours for _, ours in different_names() if not has(*ours.rpartition(".")[::2])] == []


def test_pytorch_has_the_names_of_its_tables():
    pytest.importorskip("torch")
    listed = [(theirs, name) for name, theirs, _ in same_names()] + [
        (theirs, name) for name, theirs in missing_names()
    ]
    listed += [theirs.rpartition(".")[::2] for theirs, _ in different_names()]
    assert [f"{path}.{name}" for path, name in listed if not has(path, name)] == []
    unknown = [
        (function, name)
        for function, name in missing_arguments()
        if name not in inspect.signature(found(f"torch.{function}")).parameters
    ]
    assert unknown == []


def _named(arguments):
    """Functions that are defaults by their names: ``activation=torch.relu`` is "relu"."""
    return [(name, getattr(value, "__name__", value)) for name, value in arguments]


def test_same_names_have_the_same_arguments_as_pytorch():
    pytest.importorskip("torch")
    different = []
    for name, theirs, ours in same_names():
        if theirs in ("torch", "torch.Tensor"):
            continue  # written in C++, without signatures, or of a length of its own
        pair = shared_arguments(getattr(found(ours), name), getattr(found(theirs), name))
        if pair is not None and _named(pair[0]) != _named(pair[1]):
            different.append((name, *pair))
    assert different == []


def test_the_page_forgets_no_name_that_pytorch_has_too():
    pytest.importorskip("torch")
    listed = {(ours, name) for name, _, ours in same_names()}
    listed |= {ours.rpartition(".")[::2] for _, ours in different_names()}
    for theirs, ours in pytorch()["twins"].items():
        module = found(ours)
        if inspect.isclass(module) or ours in ("fastdrop", "fastdrop.data"):
            continue
        public = getattr(module, "__all__", None) or [
            n for n in vars(module) if n.endswith("_") and not n.startswith("_")
        ]
        forgotten = {
            n
            for n in public
            if has(theirs, n)
            and (ours, n) not in listed
            and not inspect.ismodule(getattr(module, n))
        }
        assert forgotten == set(), ours


def test_the_examples_with_pytorch_run():
    torch = pytest.importorskip("torch")
    text = script().PYTORCH.read_text(encoding="utf-8")
    names = {}
    examples = re.findall(r"^```(python|py)\n(.*?)^```", text, re.M | re.S)
    assert [kind for kind, _ in examples] == ["python", "py"]
    for kind, example in examples:
        exec(compile(example, f"PyTorch ({kind})", "exec"), names)
    assert names["torch"] is torch
    assert set(names["model"].state_dict()) == {"0.weight", "0.bias", "3.weight", "3.bias"}


# ---- scikit-learn ----


@pytest.fixture(scope="module")
def fitted():
    """Both pairs of estimators, fitted with a validation part: class name -> estimator."""
    pytest.importorskip("sklearn")
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    from fastdrop.sklearn import DropoutClassifier, DropoutRegressor

    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 4))
    options = {"hidden_layer_sizes": (4,), "max_iter": 2, "early_stopping": True, "random_state": 0}
    with pytest.warns(ConvergenceWarning):
        return {
            kind.__name__: kind(**options).fit(x, y)
            for kinds, y in (
                ((MLPClassifier, DropoutClassifier), x[:, 0] > 0),
                ((MLPRegressor, DropoutRegressor), x[:, 0]),
            )
            for kind in kinds
        }


def pairs(estimators):
    return [
        (estimators["DropoutClassifier"], estimators["MLPClassifier"]),
        (estimators["DropoutRegressor"], estimators["MLPRegressor"]),
    ]


def test_parameters_with_the_defaults_of_scikit_learn(fitted):
    defaults = sklearn()["defaults"]
    listed = {
        name: ast.literal_eval(value)
        for name, value in (defaults["both"] | defaults["regressor"]).items()
    }
    for ours, theirs in pairs(fitted):
        a, b = type(ours)().get_params(), type(theirs)().get_params()
        both = {name for name in listed if name not in defaults["regressor"] or name in b}
        assert {name: listed[name] for name in both} == {name: a[name] for name in a if name in b}
        assert {name: listed[name] for name in both} == {name: b[name] for name in a if name in b}
    assert defaults["regressor"] == {"loss": '"squared_error"'}


@pytest.mark.parametrize("status", ["same", "only_here"])
def test_names_beside_those_of_scikit_learn(fitted, status):
    twin = {type(a).__name__: b for pair in pairs(fitted) for a, b in (pair, pair[::-1])}
    assert {row["of"] for row in sklearn()[status]} <= twin.keys()
    for row in sklearn()[status]:
        estimator, other = fitted[row["of"]], twin[row["of"]]
        for name in row["names"]:
            if row["what"] == "parameters":
                here, there = name in estimator.get_params(), name in other.get_params()
            else:
                here, there = hasattr(estimator, name), hasattr(other, name)
            assert here, f"{row['of']} has no {name}"
            assert there == (status == "same"), f"{name} of {type(other).__name__}"


def test_the_tables_forget_no_parameter(fitted):
    for ours, theirs in pairs(fitted):
        kind = type(ours).__name__
        listed = {
            name
            for row in sklearn()["only_here"]
            if row["what"] == "parameters" and row["of"] == kind
            for name in row["names"]
        }
        assert listed == ours.get_params().keys() - theirs.get_params().keys()
        assert theirs.get_params().keys() <= ours.get_params().keys()


def test_no_method_or_attribute_of_scikit_learn_is_missing(fitted):
    listed = {(name, row["of"]) for row in sklearn()["same"] for name in row["names"]}
    for ours, theirs in pairs(fitted):
        public = {
            name
            for name in {*dir(type(theirs)), *vars(theirs)} - {"feature_names_in_", "loss"}
            if not name.startswith(("_", "set_")) and name not in theirs.get_params()
        }
        kind = type(ours).__name__
        forgotten = {name for name in public if (name, kind) not in listed}
        assert {name for name in forgotten if not hasattr(ours, name)} == set()
        assert forgotten <= {"get_metadata_routing"}


def test_what_scikit_learn_takes_and_we_refuse(fitted):
    kind = type(fitted["DropoutClassifier"])
    x, y = np.eye(4), np.array([0, 1, 0, 1])
    with pytest.raises(ValueError, match="dropout must be 0 with solver='lbfgs'"):
        kind(solver="lbfgs", max_iter=1).fit(x, y)
    with pytest.raises(ValueError, match="two classes, got one class"):
        kind(max_iter=1).fit(x, np.ones(4))
    with pytest.raises(AttributeError, match="coefs_"):
        fitted["DropoutClassifier"].coefs_ = []


def test_scikit_learns_own_tests_fail_only_where_the_page_says():
    pytest.importorskip("sklearn")
    runner = DOCS.parent / "tests" / "sklearn" / "run_test_mlp.py"
    run = subprocess.run([sys.executable, runner], capture_output=True, text=True, check=False)
    failed = set(re.findall(r"^FAILED (test_\w+).*:", run.stdout, re.M))
    listed = {name for row in sklearn()["own_tests"] for name in row["names"]}
    assert len(listed) > 10
    assert failed - listed == set(), run.stdout[-3000:] + run.stderr[-1000:]
    assert int(re.search(r"(\d+) passed, \d+ failed$", run.stdout.strip())[1]) >= 35


def test_differences_that_the_pytorch_page_names():
    x = np.array([[np.inf, np.nan]] * 8, np.float32)
    fd.manual_seed(0)
    y = fd.nn.Dropout(0.5)(x).numpy()
    assert (y == 0).any() and np.isinf(y).any() and np.isnan(y).any()
    with pytest.raises(ValueError, match="shape"):
        fd.nn.Dropout2d(0.5)(np.ones((2, 3, 4), np.float32))
    with pytest.raises(ValueError, match="shape"):
        fd.nn.functional.mse_loss(np.ones((3, 1), np.float32), np.ones(3, np.float32))
    t = fd.tensor(np.arange(6.0).reshape(2, 3))
    assert (
        isinstance(t.data, np.ndarray)
        and isinstance(t.argmax(1), fd.IntegerTensor)
        and isinstance(t > 0, fd.IntegerTensor)
    )
    assert t.dtype == np.float32
    linear = fd.nn.Linear(2, 1)
    assert linear.state_dict()["weight"] is linear.weight.data
    assert isinstance(fd.nn.utils.clip_grad_norm_([linear.weight], 1.0), float)
