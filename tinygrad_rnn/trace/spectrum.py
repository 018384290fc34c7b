"""The spectrum: the gradient by lag and by how often a path crosses time in a landmark."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ..engine.sweep import describe, tape
from .automaton import Paths, Reading, mover, read
from .crossings import crossing_letter, number_of_crossings
from .measure import norms_over, percent, shares_of
from .missing import why_no_shares
from .oversights import last_steps
from .uses import Step, Uses, sweep_uses, uses_of

Array = npt.NDArray[Any]


@dataclass(frozen=True, repr=False)
class Spectrum:
    """The gradient by lag and by the number of crossings in a landmark.

    lags: the lag of each row. gradients: (lags, crossings, *source.shape), which sum to the whole.
    connected: (lags, crossings); False is «no path», which is not a gradient of 0.
    missing: why nothing has a share, as in «the gradient is exactly 0»; empty where there are shares.
    """

    name: str
    lags: tuple[int, ...]
    gradients: Array
    connected: npt.NDArray[np.bool_]
    whole: Array
    missing: str = ""

    @property
    def shares(self) -> Array:
        """(lags, crossings): signed shares of the whole; they add up to 1."""
        return shares_of(self.gradients, self.whole)

    @property
    def norms(self) -> Array:
        """(lags, crossings)."""
        return norms_over(self.gradients, 2)

    def __str__(self) -> str:
        """Rows are lags, columns numbers of crossings."""
        width = range(self.gradients.shape[1])
        lines = [f"share by lag and by crossings in {self.name}:", "  lag" + "".join(f"{k:>9}" for k in width)]
        for lag, row, paths in zip(self.lags, self.shares, self.connected, strict=True):
            cells = (percent(share) if any_ else "-" for share, any_ in zip(row.tolist(), paths, strict=True))
            lines.append(f"{lag:>5}" + "".join(f"{cell:>9}" for cell in cells))
        if not self.connected.all():
            lines.append("-: no path")
        if self.missing:
            lines.append(f"The gradient {self.missing}, so there are no shares.")
        elif (self.connected & (self.norms == 0)).any():
            lines.append("0: exactly 0, or underflowed; by_crossings() and the ledger tell which")
        return "\n".join(lines)

    __repr__ = __str__


def spectrum(paths: Paths, name: str, whole: Array) -> Spectrum:
    """The gradient, apart by lag and by how often a path crosses time in a landmark.

    The lag of a path is that of the ledger: from the step of the loss back to the step at which the source is used.
    """
    found = _by_lag(paths, name, lambda part: part)
    lags, most = _extent(found)
    table = np.zeros((len(lags), most + 1, *paths.source.shape), paths.source.dtype)
    connected = np.zeros(table.shape[:2], np.bool_)
    for (lag, k), part in found.items():
        table[lags.index(lag), k], connected[lags.index(lag), k] = part, True
    return Spectrum(name, tuple(lags), table, connected, whole, why_no_shares(paths, whole))


def spectrum_of_shares(paths: Paths, name: str, whole: Array) -> dict[tuple[int, int], float]:
    """(lag, number of crossings) -> share, without keeping an array for each; no path, no entry."""
    return {key: float(share) for key, share in _by_lag(paths, name, lambda part: shares_of(part, whole)).items()}


def _extent(found: Mapping[tuple[int, int], Any]) -> tuple[list[int], int]:
    return sorted({lag for lag, _ in found}), max((crossings for _, crossings in found), default=0)


def _by_lag(paths: Paths, name: str, measure: Callable[[Array], Array]) -> dict[tuple[int, int], Array]:
    """(lag, number of crossings) -> what is measured of the gradient there, where there is a path.

    measure: linear, of (rows, *source.shape), for each row.
    """
    letter = crossing_letter(paths, name)
    found: dict[tuple[int, int], Array] = {}
    for loss in paths.losses:
        order = tape([loss], [paths.source])
        if not order:
            continue
        last = last_steps(order).get(loss.index)
        uses = uses_of([loss], paths.source, order)
        if None in uses.steps:
            raise ValueError(
                f"{describe(paths.source)}, is used outside the time loop as well, where a path has no lag, and so no "
                "place in a spectrum: by_crossings() and the ledger take such paths in"
            )
        reading = read(Paths((loss,), paths.source, order), 0, number_of_crossings(letter))
        there, states = _states_by_use(reading, uses), cast(list[int], reading.states)

        def receive(step: Step, part: Array, last: Step = last, there: Any = there, states: list[int] = states) -> None:
            measured = measure(part)
            for q in there[step]:
                key = cast(int, last) - cast(int, step), states[q]
                found[key] = found[key] + measured[q] if key in found else np.array(measured[q])

        sweep_uses(uses, reading.paths.seeds(len(states)), receive, mover(reading))
    return found


def _states_by_use(reading: Reading, uses: Uses) -> dict[Step, set[int]]:
    """By step of the use: the states in which some path gets there, if only carrying 0."""
    found: dict[Step, set[int]] = {}
    for consumer, slot, producer in reading.paths.edges():
        if uses.is_use(consumer, producer):
            moves = reading.moves.get((consumer.index, slot))
            after = reading.at[consumer.index] if moves is None else set(moves[1])
            found.setdefault(consumer.place.step, set()).update(after)
    return found
