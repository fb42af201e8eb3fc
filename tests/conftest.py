"""Fixtures: instruction sets and thread counts, which are restored after the test."""

import pytest

import fastdrop
from fastdrop import _core
from helpers.require_all import (  # noqa: F401 (hooks)
    pytest_make_collect_report,
    pytest_runtest_makereport,
)


@pytest.fixture(params=fastdrop.available_isas())
def isa(request):
    """Run the test once with each instruction set of this machine."""
    before = _core.isa()
    _core.set_isa(request.param)
    yield request.param
    _core.set_isa(before)


@pytest.fixture
def each_isa():
    """A function that yields each instruction set in turn, after selecting it."""
    before = _core.isa()

    def switch():
        for name in fastdrop.available_isas():
            _core.set_isa(name)
            yield name

    yield switch
    _core.set_isa(before)


@pytest.fixture
def each_thread_count():
    """A function that yields 1, 2 and 3 threads in turn, after selecting them."""
    before = fastdrop.get_num_threads()

    def switch():
        for n in (1, 2, 3):
            fastdrop.set_num_threads(n)
            yield n

    yield switch
    fastdrop.set_num_threads(before)


@pytest.fixture(autouse=True)
def seeded():
    """Start every test with seed 0."""
    fastdrop.manual_seed(0)
