"""Modes of a context: generators, asyncio tasks, threads, copies of a context, decorators."""

import asyncio
import contextvars
import gc
import threading

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn

MODES = {
    "no_grad": (fd.no_grad, lambda: not fd.is_grad_enabled()),
    "mask_state": (lambda: fd.mask_state(draw=7), fd.random.draw_is_fixed),
    "own_run": (lambda: fd.random.own_run(77), lambda: fd.initial_seed() == 77),
    "monte_carlo": (
        lambda: fd.random.monte_carlo(0, 1, 0, "shared", passes=2, samples=3),
        lambda: fd.random.batched_passes() == 2,
    ),
}


@pytest.fixture(params=MODES)
def mode(request):
    """A mode: the function that makes its block, and whether the caller is inside of one."""
    make, is_inside = MODES[request.param]
    assert not is_inside()
    yield make, is_inside
    assert not is_inside()


def steps(make):
    """A generator whose first value is given inside of a block, and whose second one after it."""
    with make():
        yield
    yield


@pytest.mark.parametrize("first", [0, 1])
def test_blocks_of_generators_may_end_in_any_order(mode, first):
    make, is_inside = mode
    both = steps(make), steps(make)
    for generator in both:
        next(generator)
    next(both[first])
    assert is_inside()
    next(both[1 - first])
    assert not is_inside()


def test_a_block_ends_inside_of_a_later_one_of_another_kind(mode):
    make, is_inside = mode
    generator = steps(make)
    next(generator)
    with fd.mask_state(row0=5), fd.no_grad():
        next(generator)
        assert not is_inside() or make is fd.no_grad
        assert fd.random.modes.overrides["row0"] == 5 and not fd.is_grad_enabled()
    assert fd.random.modes.overrides == {} and fd.is_grad_enabled()


def test_values_of_mask_state_are_merged_without_the_block_that_ended():
    outer = steps(lambda: fd.mask_state(seed=1, row0=2))
    next(outer)
    with fd.mask_state(seed=3, draw=4):
        assert fd.random.modes.overrides == {"seed": 3, "row0": 2, "draw": 4}
        next(outer)
        assert fd.random.modes.overrides == {"seed": 3, "draw": 4}


def test_an_exception_ends_the_block(mode):
    make, is_inside = mode
    with pytest.raises(ZeroDivisionError), make():
        assert is_inside()
        raise ZeroDivisionError


def test_the_same_object_may_be_entered_twice():
    block = fd.no_grad()
    with block:
        with block:
            pass
        assert not fd.is_grad_enabled()
    assert fd.is_grad_enabled()
    with pytest.raises(RuntimeError, match="no_grad ended without having been entered"):
        block.__exit__(None, None, None)


def test_tasks_have_modes_of_their_own(mode):
    make, is_inside = mode

    async def task(seconds):
        before = is_inside()
        with make():
            await asyncio.sleep(seconds)
            inside = is_inside()
        await asyncio.sleep(seconds)
        return before, inside, is_inside()

    async def main():
        return await asyncio.gather(*(task(0.003 * n) for n in (3, 1, 2)))

    assert asyncio.run(main()) == [(False, True, False)] * 3


def test_a_task_keeps_the_gradient_mode_that_it_was_created_in():
    async def task():
        await asyncio.sleep(0)
        return fd.is_grad_enabled()

    async def main():
        with fd.no_grad():
            created = asyncio.create_task(task())
        return await created, fd.is_grad_enabled()

    assert asyncio.run(main()) == (False, True)


def test_an_async_generator_that_is_given_up_leaves_no_mode_behind(mode):
    """The event loop closes it in another context than the one that it was used in."""
    make, is_inside = mode

    async def values():
        with make():
            yield 1
            yield 2

    async def main():
        async for _ in values():
            break
        gc.collect()
        for _ in range(5):
            await asyncio.sleep(0)
        return is_inside()

    assert asyncio.run(main()) is False


def test_a_generator_may_be_closed_in_another_thread(mode):
    make, is_inside = mode
    generator = steps(make)
    next(generator)
    assert is_inside()
    thread = threading.Thread(target=generator.close)
    thread.start()
    thread.join()
    assert not is_inside()


def test_new_threads_are_in_no_mode(mode):
    make, is_inside = mode
    found = []
    with make():
        # An empty context, also where threads inherit one (Python 3.14 without the GIL).
        context = contextvars.Context()
        thread = threading.Thread(target=context.run, args=(lambda: found.append(is_inside()),))
        thread.start()
        thread.join()
    assert found == [False]


def test_copies_of_a_context_leave_passes_that_have_ended():
    copies = []

    class Model(nn.Module):
        def forward(self, x):
            copies.append(contextvars.copy_context())
            return x

    model = nn.Sequential(Model(), nn.Dropout(0.5))
    x = np.ones((2, 3), np.float32)
    fd.predict(model, x)
    fd.mc_predict(model, x, 2, progress=False)
    model(x)
    for context in copies:
        assert context.run(fd.random.current) is None
        assert context.run(lambda: fd.random.modes.overrides) == {}
        assert context.run(lambda: model.training)


# ---- decorators ----


def test_decorated_generators_run_inside_and_their_callers_outside():
    @fd.no_grad()
    def values():
        """Values."""
        received = yield fd.is_grad_enabled()
        try:
            yield received, fd.is_grad_enabled()
        except ZeroDivisionError:
            yield "caught", fd.is_grad_enabled()
        return "end"

    assert values.__doc__ == "Values."
    generator = values()
    assert next(generator) is False and fd.is_grad_enabled()
    assert generator.send("sent") == ("sent", False) and fd.is_grad_enabled()
    assert generator.throw(ZeroDivisionError()) == ("caught", False) and fd.is_grad_enabled()
    with pytest.raises(StopIteration, match="end"):
        next(generator)
    assert fd.is_grad_enabled()


def test_closing_a_decorated_generator_runs_its_end_inside():
    ends = []

    @fd.no_grad
    def values():
        try:
            yield
        finally:
            ends.append(fd.is_grad_enabled())

    generator = values()
    next(generator)
    generator.close()
    assert ends == [False] and fd.is_grad_enabled()


def test_decorated_coroutines_and_async_generators_run_inside():
    @fd.no_grad()
    async def coroutine():
        await asyncio.sleep(0)
        return fd.is_grad_enabled()

    @fd.mask_state(draw=3)
    async def values():
        received = yield fd.random.draw_is_fixed()
        await asyncio.sleep(0)
        yield received, fd.random.draw_is_fixed()

    async def main():
        generator = values()
        first = await generator.asend(None)
        outside = fd.random.draw_is_fixed()
        second = await generator.asend("sent")
        await generator.aclose()
        return await coroutine(), fd.is_grad_enabled(), first, outside, second

    assert asyncio.run(main()) == (False, True, True, False, ("sent", True))


def test_decorated_functions_start_their_own_run_anew():
    @fd.random.own_run(5)
    def numbers():
        return fd.random.generator("mine").random(3).tolist()

    @fd.random.own_run(5)
    def one_by_one():
        for _ in range(3):
            yield fd.random.generator("mine").random()

    assert numbers() == numbers() == list(one_by_one()) == list(one_by_one())


def test_a_seed_that_is_set_inside_of_a_block_holds_until_the_run_ends():
    with fd.random.own_run(5):
        with fd.no_grad(), fd.mask_state(draw=1):
            fd.manual_seed(6)
        assert fd.initial_seed() == 6
    assert fd.initial_seed() != 6
