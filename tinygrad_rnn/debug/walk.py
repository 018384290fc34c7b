"""A walk through a timeline: a position in it, break points, and the moves of a debugger."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..engine.primitives import Array
from ..engine.tensor import Tensor
from . import cursor
from .conditions import Breakpoint, ConditionError, Test, condition, the_one_called
from .labels import Labels
from .shares import Shares
from .stop import Stop
from .timeline import Timeline


@dataclass(frozen=True, slots=True)
class State:
    """All that moving changes, in one piece: it is replaced as a whole, so an interrupt leaves nothing half done."""

    position: int = 0
    breakpoints: tuple[Breakpoint, ...] = ()
    reached: tuple[int, ...] = ()  # the numbers of the break points that are why it stopped


class Walk:
    """A position in a timeline, the moves from there, and when to stop. `Debugger` is one that is made of a loss.

    outputs: of which shares are; none where they are not single numbers. variables: of the program, for `p`.
    """

    def __init__(
        self,
        events: Timeline,
        outputs: Sequence[Tensor] = (),
        to: Tensor | None = None,
        variables: Mapping[str, Any] | None = None,
    ) -> None:
        if to is not None and (not isinstance(to, Tensor) or to.index not in events.order):
            got = f"; got {to!r}" * (not isinstance(to, Tensor))
            raise ValueError(f"to= is a tensor that the loss depends on and that requires a gradient{got}")
        self.timeline, self.outputs, self.variables = events, list(outputs), variables or {}
        self.labels = Labels(events)
        self.shares = Shares(events, self.outputs, to)
        self.state = State()
        self._numbered = 0

    # Where it is ---------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.timeline)

    def __repr__(self) -> str:
        return f"<Debugger at event {self.position} of {len(self)}>"

    @property
    def position(self) -> int:
        """How many events have happened."""
        return self.state.position

    @property
    def current(self) -> Stop:
        """Everything about the event that has just happened."""
        return self.stop_at(self.position)

    def stop_at(self, position: int) -> Stop:
        """Everything about another moment, without going there."""
        return Stop(self.timeline, position, self.labels, self.shares)

    def grad(self, of: Tensor | str) -> Array | None:
        """The gradient that a tensor has received so far, as a fresh array; None where that is nothing yet."""
        if isinstance(of, Tensor):
            index = of.index
            if index not in self.timeline.order:
                raise ValueError("this tensor is not on the way to the loss, or requires no gradient")
        elif isinstance(of, str):
            index = the_one_called(of, self.labels).index
        else:
            raise TypeError(f'the gradient is that of a Tensor or of its name, such as "h[3]"; got {of!r}')
        total = self.timeline.total(index, self.position)
        return None if total is None else np.array(total)

    # Moving --------------------------------------------------------------------------------------------------------

    def step(self, n: int = 1) -> Stop:
        """n events on; at the end it stays there."""
        return self._at(min(self.position + _count(n), len(self)))

    def back(self, n: int = 1) -> Stop:
        """n events back; at the beginning it stays there."""
        return self._at(max(self.position - _count(n), 0))

    def goto(self, position: int) -> Stop:
        """To the moment at which so many events have happened; negative numbers count from the end, -1 is the end."""
        if isinstance(position, bool) or not isinstance(position, (int, np.integer)):
            raise TypeError(
                f"goto takes a number of events, 0 to {len(self)}; got {position!r}. run_until takes a condition"
            )
        k = int(position) + len(self) + 1 if position < 0 else int(position)
        if not 0 <= k <= len(self):
            raise ValueError(f"there are {len(self)} events, so positions go from 0 to {len(self)}; got {position}")
        return self._at(k)

    def next(self) -> Stop:
        """To the next event that is not deeper in the model: what scopes inside do is stepped over."""
        return self._at(cursor.over(self.timeline, self.position))

    def finish(self, within: cursor.Within = "both") -> Stop:
        """To the last event of this scope, of this time step, or of this scope at this time step ("both")."""
        if within not in ("scope", "step", "both"):
            raise ValueError(f'finish takes "scope", "step" or "both"; got {within!r}')
        return self._at(cursor.finish(self.timeline, self.position, within))

    def run(self) -> Stop:
        """On to the next break point, or to the end."""
        while self.position < len(self):
            self._advance()
            if self.state.reached:
                break
        return self.current

    def run_back(self) -> Stop:
        """Back to the last break point before this moment, or to the beginning. Hits are not counted."""
        while self.position > 0:
            stop = self.stop_at(self.position - 1)
            met = tuple(b.number for b in self.state.breakpoints if b.enabled and b.test(stop))
            self.state = replace(self.state, position=self.position - 1, reached=met)
            if met:
                break
        return self.current

    def run_until(self, predicate: Test | str) -> Stop:
        """On to the next event where a function of the stop says so, or a condition such as "log and step 7".

        Goes to the end where there is none; `dbg.current` is then that of the last event.
        """
        test = self._test(predicate)
        while self.position < len(self):
            stop = self.step()
            if test(stop):
                break
        return self.current

    def _at(self, position: int) -> Stop:
        stop = self.stop_at(position)
        self.state = replace(self.state, position=position, reached=())
        return stop

    def _advance(self) -> None:
        """One event on, with what that means for the break points."""
        stop = self.stop_at(self.position + 1)
        kept, reached = [], []
        for one in self.state.breakpoints:
            if one.enabled and one.test(stop):
                let_pass = one.ignored > 0
                one = replace(one, hits=one.hits + 1, ignored=one.ignored - let_pass)
                if not let_pass:
                    reached.append(one.number)
                    if one.temporary:
                        continue
            kept.append(one)
        self.state = State(self.position + 1, tuple(kept), tuple(reached))

    # Break points --------------------------------------------------------------------------------------------------

    @property
    def breakpoints(self) -> tuple[Breakpoint, ...]:
        return self.state.breakpoints

    def break_at(
        self, when: str | Callable[[Stop], bool], temporary: bool = False, ignored: int = 0, watch: str | None = None
    ) -> Breakpoint:
        """Stop where a condition holds, such as "nan" or "op log and step 7", or a function of the stop says so.

        ignored: how many hits to let pass. Raises ConditionError, a ValueError, for what is no condition.
        """
        test = self._test(when)
        text = when if isinstance(when, str) else getattr(when, "__name__", repr(when))
        self._numbered += 1
        made = Breakpoint(self._numbered, text, test, ignored=ignored, temporary=temporary, watch=watch)
        self.state = replace(self.state, breakpoints=(*self.state.breakpoints, made))
        return made

    def _test(self, when: Test | str) -> Test:
        if isinstance(when, str):
            return condition(when, self.labels)
        if not callable(when):
            raise TypeError(f'a condition is a text, such as "log and step 7", or a function of the stop; got {when!r}')
        return when

    def watch(self, what: str) -> Breakpoint:
        """Stop whenever a tensor is made or, of `grad W`, its gradient changes."""
        if not isinstance(what, str):
            raise TypeError(f'watch takes a name, such as "h[3]" or "grad W"; got {what!r}')
        first = what.partition(" and ")[0].strip()
        return self.break_at(what, watch=first)

    def keep(self, one: Breakpoint) -> None:
        """Set a break point of another walk here, with its number and all. Raises ConditionError."""
        self._numbered = max(self._numbered, one.number)
        kept = replace(one, test=condition(one.text, self.labels))
        self.state = replace(self.state, breakpoints=(*self.state.breakpoints, kept))

    def change(self, number: int, **fields: Any) -> Breakpoint:
        """enabled=, ignored= of a break point. Raises ConditionError where there is none of that number."""
        found = [one for one in self.breakpoints if one.number == number]
        if not found:
            known = ", ".join(str(one.number) for one in self.breakpoints) or "none"
            raise ConditionError(f"there is no break point {number}; there are: {known}")
        changed = replace(found[0], **fields)
        kept = tuple(changed if one.number == number else one for one in self.breakpoints)
        self.state = replace(self.state, breakpoints=kept)
        return changed

    def clear(self, number: int | None = None) -> None:
        """Remove a break point, or all."""
        if number is not None:
            self.change(number)
        kept = tuple(one for one in self.breakpoints if number is not None and one.number != number)
        self.state = replace(self.state, breakpoints=kept, reached=())


def _count(n: int) -> int:
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 0:
        raise ValueError(f"a number of events is 0, 1, 2, ...; got {n!r}")
    return int(n)
