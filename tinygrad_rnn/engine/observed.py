"""To be told of each operation as it is made, and of each backward sweep.

While nobody observes, nothing here is in the way: functions are replaced, not asked. Observers belong to a context, as
places do, so that other threads and tasks are not seen.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import Any, ClassVar

from . import derivatives, functions, tensor
from .decorators import F, decorated, without_parentheses
from .primitives import Primitive
from .sweep import sweep
from .tensor import Tensor


class Observer:
    """What is told; each method does nothing until it is overridden. What it raises reaches the user's program."""

    def made(self, result: Tensor, primitive: Primitive, inputs: Sequence[Any], params: Mapping[str, Any]) -> None:
        """An operation has been computed; `result` is on the tape if it has a primitive."""

    def sweeping(self, order: dict[int, Tensor], seeds: Mapping[int, Any]) -> None:
        """A backward sweep is about to begin, for `backward`, `grad` or another derivative."""

    def swept(self, order: dict[int, Tensor], seeds: Mapping[int, Any], found: Mapping[int, Any]) -> None:
        """It has ended, and `found` these gradients, by index."""


OBSERVERS: ContextVar[tuple[Observer, ...]] = ContextVar("tinygrad_rnn_observers", default=())

_record, _sweep = tensor.record, sweep
_lock = threading.RLock()
_observing: list[object] = []  # those that observe, in whatever context


def _observed_record(primitive: Primitive, inputs: tuple[Any, ...], params: Any = tensor._NO_PARAMS) -> Tensor:
    result = _record(primitive, inputs, params)
    for observer in OBSERVERS.get():
        observer.made(result, primitive, inputs, params)
    return result


def _observed_sweep(order: dict[int, Any], seeds: Mapping[int, Any], *args: Any, **kwargs: Any) -> dict[int, Any]:
    observers = OBSERVERS.get()
    for observer in observers:
        observer.sweeping(order, seeds)
    found = _sweep(order, seeds, *args, **kwargs)
    for observer in observers:
        observer.swept(order, seeds, found)
    return found


def _install() -> None:
    record: Callable[..., Tensor] = _observed_record if _observing else _record
    go_back: Callable[..., Any] = _observed_sweep if _observing else _sweep
    Tensor.record = staticmethod(record)  # type: ignore[method-assign]
    for module in (tensor, functions):
        module.record = record  # type: ignore[attr-defined]
    for module in (tensor, derivatives):
        module.sweep = go_back  # type: ignore[attr-defined]


class observing:  # noqa: N801 - used like a function: `with observing(Lines()):`
    """``with observing(observer):`` it is told of what this context makes inside."""

    __slots__ = ("_before", "observer")

    def __init__(self, observer: Observer) -> None:
        self.observer = observer
        self._before: tuple[Observer, ...] | None = None

    def __enter__(self) -> Observer:
        if self._before is not None:
            raise RuntimeError("this is entered already: make a new one for each `with`")
        self._before = before = OBSERVERS.get()
        try:
            with _lock:
                _observing.append(self)
                _install()
            OBSERVERS.set((*before, self.observer))
        except BaseException:  # an interrupt, before the `with` block guards it
            self._leave(before)
            raise
        return self.observer

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        before = self._before
        if before is None:
            return
        try:
            self._leave(before)
        except BaseException:  # an interrupt on the way out: the whole again
            self._leave(before)
            raise

    def _leave(self, before: tuple[Observer, ...]) -> None:
        OBSERVERS.set(before)
        with _lock:
            _observing[:] = [one for one in _observing if one is not self]
            _install()
        self._before = None


class observing_by_name(observing):  # noqa: N801 - the base of what users enter or decorate with
    """What users write as ``with tg.record_lines():`` and ``@tg.record_lines()``. make: a new observer."""

    __slots__ = ()

    make: ClassVar[type[Observer]]

    def __init__(self, *given: Any) -> None:
        if given:
            raise without_parentheses(type(self).__name__)
        super().__init__(self.make())

    def __call__(self, function: F) -> F:
        return decorated(function, f"tg.{type(self).__name__}", type(self))


@contextlib.contextmanager
def unobserved() -> Iterator[None]:
    """Inside, nobody is told of anything: for what an observer computes itself."""
    before = OBSERVERS.get()
    try:
        OBSERVERS.set(())
        yield
    finally:
        OBSERVERS.set(before)
