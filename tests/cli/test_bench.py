"""Timing: the number and order of calls, the figures, and the cases' checks. No test of speed."""

import subprocess
import sys
import time

import numpy as np
import pytest

from fastdrop import bench
from fastdrop.bench import cases, timing


def test_candidates_are_timed_in_turn(monkeypatch):
    """With a clock that only the candidates advance, the figures are known."""
    now, order = [0.0], []
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def candidate(name, cost):
        def call():
            order.append(name)
            now[0] += cost

        return call

    figures = bench.compare({"a": candidate("a", 0.01), "b": candidate("b", 0.03)}, pairs=4)
    rounds = {tuple(order[i : i + 2]) for i in range(len(order) - 8, len(order), 2)}
    assert rounds == {("a", "b"), ("b", "a")}
    assert figures["a"] == pytest.approx({"median": 0.01, "ratio": 1, "low": 1, "high": 1})
    assert figures["b"] == pytest.approx({"median": 0.03, "ratio": 3, "low": 3, "high": 3})
    order.clear()
    figures = bench.compare(
        {"a": candidate("a", 1e-3), "b": candidate("b", 0.03)}, pairs=1, reference="b"
    )
    assert sorted(order[-3:]) == ["a", "a", "b"]  # short ones are repeated
    assert figures["a"]["ratio"] == pytest.approx(1 / 30) and figures["a"][
        "median"
    ] == pytest.approx(1e-3)


@pytest.mark.parametrize(
    "arguments", [({},), ([print],), ({"a": 3},), ({"a": print}, 0), ({"a": print}, 1, "b")]
)
def test_compare_refuses(arguments):
    with pytest.raises((TypeError, ValueError), match=r"candidates|pairs|reference"):
        bench.compare(*arguments)


def test_seconds():
    assert [bench.seconds(t) for t in (2.5, 0.0123, 4.56e-6, 7e-9)] == [
        "2.5 s",
        "12.3 ms",
        "4.56 µs",
        "7 ns",
    ]


def test_measure_checks_times_and_prints(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def takes(cost):
        def call():
            now[0] += cost

        return call

    checked, lines = [], []
    case = cases.Case(
        "work",
        {"fastdrop": takes(0.01), "other": takes(0.04)},
        lambda: checked.append(1),
        operations=1e9,
    )
    rows = bench.measure(case, pairs=3, say=lines.append, name="w")
    assert checked == [1]
    assert [(row["case"], row["candidate"], row["ratio"]) for row in rows] == [
        ("w", "fastdrop", 1),
        ("w", "other", pytest.approx(4)),
    ]
    title, ours, theirs = lines
    assert (
        "work" in title
        and "100 GFLOP/s" in ours
        and "25 GFLOP/s" in theirs
        and "4.00 times ours (4.00 to 4.00)" in theirs
    )


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_length_of_bars(encoding, monkeypatch):
    monkeypatch.setattr(sys, "stdout", type("terminal", (), {"encoding": encoding}))
    bars = [timing._bar(share, width=8) for share in (1.0, 0.5, 1e-9)]
    assert [len(bar) for bar in bars] == [8, 8, 8]
    assert [len(bar.strip()) for bar in bars] == [8, 4, 1]
    assert "".join(bars).isascii() == (encoding == "ascii")


def test_plot(tmp_path):
    rows = [
        {"case": "c", "threads": t, "candidate": name, "median": m, "ratio": 1, "low": 1, "high": 1}
        for t in (1, 2)
        for name, m in (("fastdrop", 0.1), ("other", 0.3))
    ]
    bench.plot(rows, tmp_path / "bars.svg")
    text = (tmp_path / "bars.svg").read_text()
    assert "<svg" in text
    with pytest.raises(ValueError, match="no rows"):
        bench.plot([], tmp_path / "none.svg")


def test_rerun_only_if_the_environment_differs(monkeypatch):
    started = []
    monkeypatch.setattr(
        subprocess,
        "run",
        lambda command, env: (
            started.append((command, env)) or subprocess.CompletedProcess(command, 3)
        ),
    )
    for name, value in timing._SPINNING.items():
        monkeypatch.setenv(name, value)
    assert bench.rerun(["-c", "pass"]) is None and not started
    monkeypatch.setenv("FASTDROP_ISA", "scalar")
    assert bench.rerun(["-c", "pass"], {"FASTDROP_ISA": "avx2"}) == 3
    assert bench.rerun(["-c", "pass"], {"FASTDROP_ISA": "scalar"}) is None
    monkeypatch.delenv("GOMP_SPINCOUNT")
    assert bench.rerun(["-c", "pass"]) == 3
    assert [env["FASTDROP_ISA"] for _, env in started] == ["avx2", "scalar"]
    assert started[1][1]["GOMP_SPINCOUNT"] == timing._SPINNING["GOMP_SPINCOUNT"] and started[0][
        0
    ] == [sys.executable, "-c", "pass"]


@pytest.mark.parametrize(
    "build",
    [
        lambda: cases.dropout(64, 0.3),
        lambda: cases.matmul(20, 30, 40, True),
        lambda: cases.matmul(20, 30, 40, False, True),
        lambda: cases.linear(8, 128),
        lambda: cases.mlp_step(16, 4),
    ],
    ids=["dropout", "matmul", "matmul^T", "linear", "mlp"],
)
def test_cases_pass_their_checks(build):
    case = build()
    case.check()
    for candidate in case.candidates.values():
        candidate()


def test_a_wrong_result_is_not_timed(monkeypatch):
    case = cases.matmul(20, 30, 40)
    right = cases.kernels.matmul
    monkeypatch.setattr(cases.kernels, "matmul", lambda a, b: right(a, b) + np.float32(1e-3))
    with pytest.raises(
        RuntimeError, match="the matrix product gives wrong results on this machine"
    ):
        bench.measure(case, say=pytest.fail)
