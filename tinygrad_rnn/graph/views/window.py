"""Which part of a long tape is shown: the first steps and the last, or the steps asked for; the rest becomes gaps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

FEW = 30  # operations, of which more steps are shown than of others
MOST_OPERATIONS = 300
MOST_OUTSIDE = 40  # operations outside any step, or in one step of a window
REFUSED = 20_000  # operations; no picture of so many can be read, and none is begun


@dataclass(frozen=True, slots=True)
class Fitting:
    """What fits a page: first, last, the steps that a window of its own choosing shows at each end; and most, how many
    steps are shown whole where their operations are few. As many as the window has, gap and all, are shown anyway."""

    first: int
    last: int
    most: int


HIGH, WIDE = Fitting(3, 3, 12), Fitting(2, 2, 8)  # for steps that are drawn high, as in `ops`, or wide, as in `cells`
NARROW = Fitting(1, 2, 4)  # for pictures that are looked at for half a second each


@dataclass(frozen=True, slots=True)
class Gap:
    """What is not drawn: operations, of the steps `first` to `last` or (None) of no step.

    whole: nothing of these steps is drawn.
    """

    first: int | None
    last: int | None
    steps: int
    operations: int
    whole: bool


def gaps_of(
    operations: Sequence[Any], steps: tuple[int, int] | None, fitting: Fitting = HIGH
) -> tuple[list[Gap], dict[int, int]]:
    """The gaps, and for every operation that is hidden, by index, which of them hides it.

    operations: of the tape, oldest first.
    steps: (a, b) shows the steps a, a + 1, ..., b - 1, as `range` counts; None chooses, and hides nothing if all fits.
    fitting: what fits.
    """
    by_step: dict[int | None, list[Any]] = defaultdict(list)
    for t in operations:
        by_step[t.place.step].append(t)
    axis = sorted(s for s in by_step if s is not None)
    shown = _asked_for(axis, steps) if steps is not None else _chosen(axis, len(operations), fitting)
    whole = [[t for _, s in run for t in by_step[s]] for run in _runs_not_in(axis, shown)]
    parts: list[list[Any]] = []
    if whole or len(operations) > MOST_OPERATIONS:
        crowded = (*sorted(shown), None) if steps is None else (None,)
        parts = [middle for middle in (_middle(by_step[s]) for s in crowded) if middle]
    hidden = [*whole, *parts]
    left = len(operations) - sum(map(len, hidden))
    if left > REFUSED:
        raise ValueError(
            f"{left:,} operations would be drawn, and no picture of more than {REFUSED:,} can be read: "
            "choose fewer steps, such as tg.draw(loss, steps=(0, 5)), or leave steps out to see the first and the last"
        )
    gaps = [_gap(members, True) for members in whole] + [_gap(members, False) for members in parts]
    return gaps, {t.index: k for k, members in enumerate(hidden) for t in members}


def _asked_for(axis: list[int], steps: tuple[int, int]) -> set[int]:
    try:
        first, end = steps
        wanted = range(first, end)
    except (TypeError, ValueError):
        raise TypeError(f"steps is a pair of numbers, as in tg.draw(loss, steps=(0, 5)); got {steps!r}") from None
    if not axis:
        raise ValueError(
            f"steps={steps!r}: nothing here was made inside a time step. Write the time loop with tg.steps, "
            "or leave steps out"
        )
    shown = {s for s in axis if s in wanted}
    if not shown:
        raise ValueError(
            f"steps=({first}, {end}) shows the steps from {first} up to but not including {end}, "
            f"and there is none: this tape has steps {axis[0]} to {axis[-1]}"
        )
    return shown


def _chosen(axis: list[int], operations: int, fitting: Fitting) -> set[int]:
    if len(axis) <= fitting.first + fitting.last + 1 or (len(axis) <= fitting.most and operations <= FEW):
        return set(axis)
    return {*axis[: fitting.first], *axis[-fitting.last :]}


def _runs_not_in(axis: list[int], shown: set[int]) -> Iterable[list[tuple[int, int]]]:
    """Neighbours on the time axis that are both hidden are one gap."""
    for is_shown, run in groupby(enumerate(axis), key=lambda item: item[1] in shown):
        if not is_shown:
            yield list(run)


def _middle(members: list[Any]) -> list[Any]:
    """All but the first and the last ones, where there are too many."""
    return members[MOST_OUTSIDE // 4 : -(MOST_OUTSIDE - MOST_OUTSIDE // 4)] if len(members) > MOST_OUTSIDE else []


def _gap(members: list[Any], whole: bool) -> Gap:
    steps = [t.place.step for t in members]
    if None in steps:
        return Gap(None, None, 0, len(members), False)
    return Gap(min(steps), max(steps), len(set(steps)), len(members), whole)
