"""What is entered by `with`, as a decorator: each call of the function is inside a context of its own."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
Fresh = Callable[[], AbstractContextManager[Any]]


def decorated(function: F, name: str, fresh: Fresh) -> F:
    """`function`, whose every call runs inside a `fresh()`; of a generator, only while it is not suspended.

    name: how the user calls it, for messages. Raises TypeError for what is not a function, and for async generators.
    """
    if isinstance(function, classmethod):
        raise TypeError(f"{name}(...) decorates the function itself: write it below @classmethod")
    if not inspect.isroutine(function):
        raise TypeError(
            f"{name}(...) decorates a function, not {function!r}; around other code write `with {name}(...):`"
        )
    if inspect.isasyncgenfunction(function):
        raise TypeError(f"{name}(...) cannot decorate an async generator; write `with {name}(...):` inside it")
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            return (yield from _each_resumption_within(fresh, function(*args, **kwargs)))

        return cast(F, generator)
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def coroutine(*args: Any, **kwargs: Any) -> Any:
            with fresh():
                return await function(*args, **kwargs)

        return cast(F, coroutine)

    @functools.wraps(function)
    def plain(*args: Any, **kwargs: Any) -> Any:
        with fresh():
            return function(*args, **kwargs)

    return cast(F, plain)


def _each_resumption_within(fresh: Fresh, inner: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
    resume: Callable[[Any], Any] = inner.send
    value: Any = None
    while True:
        try:
            with fresh():
                item = resume(value)
        except StopIteration as stop:
            return cast(T, stop.value)
        finally:
            value = None  # an error kept here would keep all its frames alive
        try:
            resume, value = inner.send, (yield item)
        except GeneratorExit:
            with fresh():
                inner.close()
            raise
        except BaseException as error:
            resume, value = inner.throw, error


def without_parentheses(name: str) -> TypeError:
    """The answer to `@tg.no_grad` over a function."""
    return TypeError(f"tg.{name} is called before it decorates or is entered: write @tg.{name}(), with parentheses")
