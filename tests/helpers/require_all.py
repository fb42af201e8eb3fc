"""With FASTDROP_REQUIRE_ALL=1 a skipped test is a failure.

Continuous integration sets it, so that a comparison with PyTorch, scikit-learn and others cannot
be lost because a package is missing. A skip for one of the reasons in ALLOWED stays a skip.
"""

import os

import pytest

ALLOWED = (
    "FASTDROP_DATA is not set",  # data sets are not part of the repository
    "SCIPY_ARRAY_API is not set",  # scikit-learn's check of an interface that estimators may lack
    "no headless browser is installed",  # beside the tests that read the pages as text
)


def _fail_if_skipped(report, where):
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    # A skip's longrepr is (file, line, "Skipped: reason").
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not any(allowed in reason for allowed in ALLOWED):
        report.outcome = "failed"
        report.longrepr = (
            f"{where}: FASTDROP_REQUIRE_ALL is set, but the test was skipped: {reason}"
        )


def _active():
    return os.environ.get("FASTDROP_REQUIRE_ALL", "0") not in ("", "0")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    if _active():
        _fail_if_skipped(outcome.get_result(), item.nodeid)


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector):
    outcome = yield
    if _active():
        _fail_if_skipped(outcome.get_result(), collector.nodeid)
