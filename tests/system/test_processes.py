"""Forks, threads, interrupts, process pools, memory limits and leaks."""

import multiprocessing
import os
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import kernels as K
from fastdrop import nn, optim

A = np.random.default_rng(0).standard_normal((300, 300), dtype=np.float32)


def work(_=None):
    return K.matmul(A, A).tobytes() + K.dropout(A, 0.3, seed=1).tobytes()


@pytest.fixture
def two_threads():
    before = fd.get_num_threads()
    fd.set_num_threads(2)
    yield
    fd.set_num_threads(before)


def works_in_a_fork(expected):
    with warnings.catch_warnings():
        # Newer versions of Python warn of every fork in a process with threads.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            code = 0 if work() == expected else 1
        except BaseException:
            code = 2
        os._exit(code)
    alarm = threading.Timer(20, os.kill, (child, 9))  # ends a child that hangs
    alarm.start()
    status = os.waitpid(child, 0)[1]
    alarm.cancel()
    return status == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_after_fork(two_threads):
    expected = work()
    assert works_in_a_fork(expected)
    assert work() == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_fork_while_other_threads_compute(two_threads):
    expected, stop = work(), threading.Event()

    def compute():
        while not stop.is_set():
            work()

    threads = [threading.Thread(target=compute) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        assert all(works_in_a_fork(expected) for _ in range(10))
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_multiprocessing(method, two_threads):
    expected = work()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with multiprocessing.get_context(method).Pool(2) as pool:
            assert pool.map_async(work, range(3)).get(60) == [expected] * 3


def train(seed):
    """Weights of a network after a few steps. They do not depend on the order of the threads."""
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((64, 50)), rng.integers(0, 3, 64)
    model = nn.Sequential(nn.Linear(50, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 3))
    for p in model.parameters():
        p.data[...] = rng.standard_normal(p.shape) / 8
    o = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    with fd.random.own_run(seed):
        for _ in range(30):
            o.zero_grad()
            fd.functional.cross_entropy(model(x), y).backward()
            o.step()
    return [p.data.copy() for p in model.parameters()]


def test_several_python_threads(two_threads):
    expected, alone = work(), [train(seed) for seed in range(4)]
    found, together = [], {}

    def run(seed):
        for _ in range(10):
            found.append(work() == expected)
        together[seed] = train(seed)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(found) and len(found) == 40
    for seed in range(4):
        assert all(np.array_equal(a, b) for a, b in zip(alone[seed], together[seed], strict=True))


def run_python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=120,
    )


def test_interrupt():
    code = """
import os, signal, threading, time
import numpy as np
from fastdrop import kernels as K
x = np.ones((15000, 15000), np.float32)
times = []
def interrupt():
    times.append(time.monotonic())
    os.kill(os.getpid(), signal.SIGINT)
threading.Timer(1.0, interrupt).start()
try:
    K.matmul(x, x)
    print("finished")
except KeyboardInterrupt:
    print("interrupted", time.monotonic() - times[0] < 2)
print(K.matmul(x[:50, :50], x[:50, :50])[0, 0])
"""
    assert run_python(code).stdout.split() == ["interrupted", "True", "50.0"]


def test_backward_of_activations_can_be_interrupted():
    """It stops between chunks, before the end of the output."""
    code = """
import signal
import numpy as np
from fastdrop import _core
_core.set_isa("scalar")
_core.set_num_threads(1)
x = np.full((1 << 15, 1 << 10), 0.5, np.float32)
dz = np.full_like(x, 7)
signal.signal(signal.SIGALRM, signal.default_int_handler)
signal.setitimer(signal.ITIMER_REAL, 0.05)
try:
    _core.act_backward(dz, x, x, _core.ACT_GELU, 0.0)
    print("finished")
except KeyboardInterrupt:
    print(dz[0, 0] != 7, dz[-1, -1] == 7)
"""
    assert run_python(code).stdout.split() == ["True", "True"]


def test_threadpoolctl():
    code = """
import fastdrop, sys
assert "threadpoolctl" not in sys.modules
fastdrop.set_num_threads(3)
import threadpoolctl
pools = [p for p in threadpoolctl.threadpool_info() if p["user_api"] == "fastdrop"]
assert len(pools) == 1 and pools[0]["num_threads"] == fastdrop.get_num_threads(), pools
with threadpoolctl.threadpool_limits(1, user_api="fastdrop"):
    assert fastdrop.get_num_threads() == 1
assert fastdrop.get_num_threads() == pools[0]["num_threads"]
with threadpoolctl.threadpool_limits(1):
    assert fastdrop.get_num_threads() == 1
"""
    for first in ("", "import threadpoolctl; import sys; del sys\n"):
        body = (
            code
            if not first
            else first + code.replace('assert "threadpoolctl" not in sys.modules\n', "")
        )
        result = run_python(body)
        assert result.returncode == 0, result.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="address space limits are Linux's")
def test_no_memory_is_a_memory_error():
    code = """
import resource
import numpy as np
from fastdrop import kernels as K
import fastdrop
fastdrop.set_num_threads(1)
x, out = np.ones((2000, 2000), np.float32), np.empty((2000, 2000), np.float32)
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 65536, -1))
held = []
try:
    while True:  # what is free inside the process, too
        held.append(bytearray(60000))
except MemoryError:
    pass
try:
    K.matmul(x, x, out=out)
    result = "enough"
except MemoryError:
    result = "MemoryError"
held = None
print(result)
resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
print(K.matmul(x, x, out=out)[0, 0])
"""
    assert run_python(code).stdout.split() == ["MemoryError", "2000.0"]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_ten_thousand_steps_do_not_leak():
    code = """
import numpy as np, fastdrop as fd
from fastdrop import nn, optim
fd.set_num_threads(1)
rng = np.random.default_rng(0)
x, y = rng.random((4, 20), np.float32), rng.integers(0, 3, 4)
model = nn.Sequential(
    nn.Dropout(0.2), nn.Linear(20, 128), nn.ReLU(), nn.Dropout(0.5), nn.LayerNorm(128),
    nn.Linear(128, 3),
)
optimizer = optim.Adam(model.parameters(), max_norm=2.0)
def steps(n):
    for _ in range(n):
        optimizer.zero_grad()
        fd.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return int(open("/proc/self/statm").read().split()[1]) * 4096
before = steps(1000)
print(steps(10000) - before)
"""
    result = run_python(code)
    assert int(result.stdout) < 1 << 20, result.stderr


def test_thread_count_is_checked():
    for wrong, error in (
        (0, ValueError),
        (-1, ValueError),
        (1.5, TypeError),
        ("2", TypeError),
        (10**6, ValueError),
    ):
        with pytest.raises(error, match="n must"):
            fd.set_num_threads(wrong)
    fd.show_config()


needs_limits = pytest.mark.skipif(
    not sys.platform.startswith("linux") or not fd.runtime.config()["OpenMP"].startswith("yes"),
    reason="sets Linux's limit of memory, for the threads of OpenMP",
)

NO_THREADS = """
import gc, resource, threading, warnings
import numpy as np
import fastdrop as fd
from fastdrop import kernels as K
x = np.random.default_rng(0).standard_normal((600, 600)).astype(np.float32)
out = np.empty_like(x)
fd.set_num_threads(1)
expected = K.matmul(x, x)
fd.set_num_threads(3)
if BEFORE:
    K.matmul(x, x, out=out)
def compute():
    fresh = np.empty_like(x)
    K.matmul(x, x, out=fresh)
    assert np.array_equal(fresh, expected)
thread = threading.Thread(target=compute) if OTHER else None
def pages():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
room = 12 << 20 if OTHER else 4 << 20
resource.setrlimit(resource.RLIMIT_AS, (pages() + room, resource.RLIM_INFINITY))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always", RuntimeWarning)
    if OTHER:
        thread.start()
        thread.join()
    for _ in range(3):
        K.matmul(x, x, out=out)
        assert np.array_equal(out, expected)
threads = fd.get_num_threads()
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
fd.set_num_threads(3)
K.matmul(x, x, out=out)
assert np.array_equal(out, expected) and fd.get_num_threads() == 3
print(threads, len(caught), caught[0].message if caught else "")
"""


@needs_limits
@pytest.mark.parametrize("other", [False, True], ids=["main thread", "other thread"])
def test_threads_that_cannot_be_created(other):
    """The stack of a thread is 8 MiB of addresses, and the limit leaves fewer."""
    code = NO_THREADS.replace("OTHER", str(other)).replace("BEFORE", "False")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    threads, warned, message = done.stdout.split(maxsplit=2)
    assert int(threads) < 3 and warned == "1"
    assert "refused to create" in message and "set_num_threads" in message


@needs_limits
def test_threads_that_exist_are_used():
    code = NO_THREADS.replace("OTHER", "False").replace("BEFORE", "True")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.split() == ["3", "0"], done.stderr


def test_a_huge_number_of_threads_is_capped():
    env = {**os.environ, "OMP_NUM_THREADS": "99999"}
    env.pop("FASTDROP_NUM_THREADS", None)
    code = "import fastdrop as fd; print(fd.get_num_threads())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert done.returncode == 0 and int(done.stdout) <= 1024, done.stderr
