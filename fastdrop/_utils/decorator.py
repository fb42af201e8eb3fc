"""Context managers as decorators, also of generators and coroutines."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

Function = TypeVar("Function", bound="Callable[..., Any]")

# Flags of code objects, as in `inspect`, which would cost time at import.
_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200


class BlockDecorator:
    """Base of context managers that decorate functions, whose bodies then run inside the block.

    The body of a generator runs inside the block; the caller, between two values, does not.
    """

    def _recreate_cm(self) -> Any:
        """The context manager for one call."""
        return self

    def __call__(self, function: Function) -> Function:
        code = getattr(function, "__code__", None)
        flags = 0 if code is None else code.co_flags

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self._recreate_cm():
                return function(*args, **kwargs)

        @functools.wraps(function)
        async def call_coroutine(*args: Any, **kwargs: Any) -> Any:
            with self._recreate_cm():
                return await function(*args, **kwargs)

        @functools.wraps(function)
        def call_generator(*args: Any, **kwargs: Any) -> Iterator[Any]:
            block, generator = self._recreate_cm(), function(*args, **kwargs)
            resume: Any = generator.send
            values: tuple[Any, ...] = (None,)
            while True:
                try:
                    with block:
                        value = resume(*values)
                except StopIteration as end:
                    return end.value
                try:
                    resume, values = generator.send, ((yield value),)
                except GeneratorExit:
                    with block:
                        generator.close()
                    raise
                except BaseException as error:
                    resume, values = generator.throw, (error,)

        @functools.wraps(function)
        async def call_async_generator(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            block, generator = self._recreate_cm(), function(*args, **kwargs)
            resume: Any = generator.asend
            values: tuple[Any, ...] = (None,)
            while True:
                try:
                    with block:
                        value = await resume(*values)
                except StopAsyncIteration:
                    return
                try:
                    resume, values = generator.asend, ((yield value),)
                except GeneratorExit:
                    with block:
                        await generator.aclose()
                    raise
                except BaseException as error:
                    resume, values = generator.athrow, (error,)

        wrapper: Any = call
        if flags & _GENERATOR:
            wrapper = call_generator
        elif flags & _COROUTINE:
            wrapper = call_coroutine
        elif flags & _ASYNC_GENERATOR:
            wrapper = call_async_generator
        return wrapper
