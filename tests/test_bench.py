"""The stopwatch: who is called how often, in which order; what comes out. No test of speed."""

import time

import pytest

from fastdrop import bench


def test_candidates_are_timed_in_turn(monkeypatch):
    """On a clock that only the candidates move, the figures are known."""
    now, order = [0.0], []
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def candidate(name, cost):
        def call():
            order.append(name)
            now[0] += cost

        return call

    figures = bench.compare({"a": candidate("a", 0.01), "b": candidate("b", 0.03)}, pairs=4)
    rounds = {tuple(order[i:i + 2]) for i in range(len(order) - 8, len(order), 2)}
    assert rounds == {("a", "b"), ("b", "a")}
    assert figures["a"] == pytest.approx({"median": 0.01, "ratio": 1, "low": 1, "high": 1})
    assert figures["b"] == pytest.approx({"median": 0.03, "ratio": 3, "low": 3, "high": 3})
    order.clear()
    figures = bench.compare({"a": candidate("a", 1e-3), "b": candidate("b", 0.03)}, pairs=1, reference="b")
    assert sorted(order[-3:]) == ["a", "a", "b"]  # short ones are repeated
    assert figures["a"]["ratio"] == pytest.approx(1 / 30) and figures["a"]["median"] == pytest.approx(1e-3)


@pytest.mark.parametrize("arguments", [({},), ([print],), ({"a": 3},), ({"a": print}, 0), ({"a": print}, 1, "b")])
def test_compare_refuses(arguments):
    with pytest.raises((TypeError, ValueError), match="candidates|pairs|reference"):
        bench.compare(*arguments)


def test_seconds():
    assert [bench.seconds(t) for t in (2.5, 0.0123, 4.56e-6, 7e-9)] == ["2.5 s", "12.3 ms", "4.56 µs", "7 ns"]
