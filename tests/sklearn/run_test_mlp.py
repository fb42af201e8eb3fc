"""Run scikit-learn's own tests of its networks against the estimators of fastdrop.

``python tests/sklearn/run_test_mlp.py`` prints one line for each test that fails; further
arguments are those of pytest. MLPClassifier and MLPRegressor become ours without dropout and
standardisation. Which tests fail, and why, is listed in docs/coming-from-scikit-learn.md.
"""

import functools
import os
import sys

import pytest


class Swap:
    """A plugin of pytest: our estimators under scikit-learn's names, and the failures by name."""

    def __init__(self):
        self.passed, self.failed = [], {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self):
        import sklearn.neural_network

        import fastdrop.sklearn as ours

        for name in ("Classifier", "Regressor"):
            kind = getattr(ours, f"Dropout{name}")
            plain = functools.partial(kind, dropout=0, standardize=False)
            plain.__name__ = f"MLP{name}"
            setattr(sklearn.neural_network, f"MLP{name}", plain)

    def pytest_runtest_logreport(self, report):
        if report.when != "call" and not report.failed:
            return
        name = report.nodeid.partition("::")[2]
        if report.failed:
            lines = str(report.longrepr.reprcrash.message).splitlines()
            self.failed[name] = lines[0] if lines else ""
        elif report.passed:
            self.passed.append(name)


def run(arguments=()):
    """The plugin after a run of test_mlp.py."""
    os.environ.setdefault("SKLEARN_SEED", "0")  # of tests without a random_state
    swap = Swap()
    options = ["--pyargs", "sklearn.neural_network.tests.test_mlp", "-q", "--no-header"]
    options += ["-p", "no:cacheprovider", "-o", "addopts=", "-o", "filterwarnings=", *arguments]
    pytest.main(options, plugins=[swap])
    return swap


if __name__ == "__main__":
    found = run(["--tb=no", *sys.argv[1:]])
    for name, message in found.failed.items():
        print(f"FAILED {name}: {message}")
    print(f"{len(found.passed)} passed, {len(found.failed)} failed")
