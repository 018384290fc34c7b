"""Where an operation is made: its scope, its time step, and whether it is recorded at all.

One context variable holds one immutable `Place`, so that threads and asyncio tasks do not see each other's, and so that
recording an operation reads a single variable.
"""

from __future__ import annotations

import functools
import itertools
import operator
import reprlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import Any, NamedTuple, TypeVar, cast

from .decorators import F, decorated, without_parentheses

T = TypeVar("T")


class Place(NamedTuple):
    """Where in the model (`scope`, such as ``encoder/lstm``), when (`step`, or None outside the time loop), and
    whether operations made here are put on the tape."""

    scope: str = ""
    step: int | None = None
    recording: bool = True

    def __str__(self) -> str:
        parts = [self.scope] if self.scope else []
        parts += [f"step {self.step}"] if self.step is not None else []
        return ", ".join(parts) or "no scope or step"


class SweepPlace(Place):
    """The place of an operation that a backward sweep made, so that no scope of the user's is taken for one.

    Its scope is ``backward/...``, its step that of the operation that the sweep goes back through.
    """

    __slots__ = ()


class LoopPlace(Place):
    """The place of one step of a time loop. `instead`: where to go back to, once the loop has ended out of its turn."""

    instead: Place | None = None


def _in_force(place: Place) -> Place:
    """The place to go back to: of a loop that has ended in the meantime, the one around it."""
    while type(place) is LoopPlace and place.instead is not None:
        place = place.instead
    return place


HERE: ContextVar[Place] = ContextVar("tinygrad_rnn_place", default=Place())
here = HERE.get  # looked up once, since every operation and every scope asks


class Within:
    """A context manager, and a decorator, that changes the place of what is made inside it.

    As a decorator of a generator function it is in force only while the generator runs, not while it is suspended.
    """

    __slots__ = ("_before", "_setting")

    def __init__(self, setting: Any) -> None:
        self._setting = setting
        self._before: Place | None = None

    def _inside(self, here: Place) -> Place:
        raise NotImplementedError

    def __enter__(self) -> None:
        if self._before is not None:  # another task or thread may be inside: whose place would be restored?
            raise RuntimeError(f"this tg.{type(self).__name__} is entered already: make a new one for each `with`")
        self._before = before = here()
        try:
            HERE.set(self._inside(before))
        except BaseException:  # an interrupt comes as soon as it is set, before the `with` block guards it
            self._before = None
            HERE.set(before)
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        before, self._before = self._before, None
        if before is not None:
            HERE.set(_in_force(before) if type(before) is LoopPlace and before.instead else before)

    def __call__(self, function: F) -> F:
        return decorated(function, f"tg.{type(self).__name__}", functools.partial(type(self), self._setting))


class scope(Within):  # noqa: N801 - used like a function: `with tg.scope("encoder"):`
    """``with tg.scope("encoder"):`` operations made inside are at ``encoder``; scopes nest, as ``encoder/lstm``."""

    __slots__ = ()

    def __init__(self, name: str) -> None:
        if type(name) is not str or not name:
            raise ValueError(f'a scope needs a name, a non-empty string, as in tg.scope("encoder"); got {name!r}')
        self._setting = name
        self._before = None

    def _inside(self, here: Place) -> Place:
        outer, step, recording = here
        # As Place(...), in half the time: a cell opens four scopes at every step.
        return tuple.__new__(Place, (f"{outer}/{self._setting}" if outer else self._setting, step, recording))


class step(Within):  # noqa: N801 - used like a function: `with tg.step(3):`
    """``with tg.step(t):`` operations made inside belong to time step `t`, an int on the one time axis of the model."""

    __slots__ = ()

    def __init__(self, step: int) -> None:
        super().__init__(_as_step(step))

    def _inside(self, here: Place) -> Place:
        return here._replace(step=self._setting)


class no_grad(Within):  # noqa: N801 - PyTorch's name
    """``with tg.no_grad():`` nothing made inside is recorded, so no gradient flows through it. Also a decorator."""

    __slots__ = ()

    def __init__(self, recording: bool = False) -> None:
        if not isinstance(recording, bool):
            raise without_parentheses("no_grad")
        super().__init__(recording)

    def _inside(self, here: Place) -> Place:
        return here._replace(recording=self._setting)


def steps(xs: Iterable[T], start: int = 0, reverse: bool = False) -> Generator[tuple[int, T], None, None]:
    """The time loop: yields ``(t, xs[t])`` for t = 0, 1, ..., each at time step `start` + t.

    xs: a Tensor, an array, a list or any iterable along time.
    start: the number of the first step, so that chunks and decoders continue one time axis.
    reverse: go through time from the last step to the first, as the backward half of a bidirectional network does.
    Raises RuntimeError where two such loops are interleaved, since an operation can be at one step only.
    The step ends with the loop, however that is left, and in whatever order several are. What holds on to the
    iterator, such as a variable or the traceback of an error inside a generator expression (in Python 3.11 also inside
    a comprehension), holds on to the step as well: a plain `for` does not.
    """
    if not isinstance(xs, Iterable) or isinstance(xs, (dict, set, str)):
        raise TypeError(f"tg.steps goes through a Tensor, an array or a list along time; got {type(xs).__name__}")
    first = _as_step(start, " as start=. Go through several sequences as tg.steps(zip(xs, ys))")
    times, items = _in_time(xs, first, reverse)
    outside = HERE.get()
    inside: Place = outside
    try:
        for t in times:
            inside = tuple.__new__(LoopPlace, (outside.scope, t, outside.recording))
            HERE.set(inside)
            item = next(items, _END)  # inside the step, since taking an element of a Tensor is an operation
            if item is _END:
                return
            yield t, cast(T, item)
            if HERE.get() is not inside:
                found = HERE.get()
                HERE.set(_in_force(outside))
                raise RuntimeError(
                    f"two tg.steps loops are interleaved: at the end of step {t} the place is «{found}». An operation "
                    "is made at one step only: go through both sequences in one loop, "
                    "for t, (a, b) in tg.steps(zip(xs, ys))."
                )
    finally:
        if HERE.get() is inside:
            HERE.set(_in_force(outside))
        elif type(inside) is LoopPlace:  # what was entered inside is not left yet, and must not go back to this step
            inside.instead = outside


_END = object()


def _in_time(xs: Iterable[T], start: int, reverse: bool) -> tuple[Iterator[int], Iterator[T]]:
    if not reverse:
        return itertools.count(start), iter(xs)
    sequence = cast(Sequence[T], xs if hasattr(xs, "__getitem__") else list(xs))
    backwards = range(len(sequence) - 1, -1, -1)
    return itertools.count(start + len(sequence) - 1, -1), map(sequence.__getitem__, backwards)


def _as_step(step: Any, hint: str = "") -> int:
    try:
        if not isinstance(step, bool):
            return operator.index(step)
    except TypeError:  # of an array with axes too
        pass
    raise TypeError(f"a time step is a whole number, such as 0, 1, 2; got {reprlib.repr(step)}{hint}")
