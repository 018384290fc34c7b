"""The spectrum: the gradient by lag and by how often a path crosses time in a landmark.

A sweep for each loss carries a row for each number of crossings that a path can have by then, and no more: half as many
on average as at the end. The uses are not added up (uses.py), so each gives its row of the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..engine.sweep import describe, tape
from .automaton import Paths
from .crossings import crossing_letter
from .expression import Letter
from .ledger import MOST_BYTES
from .measure import norms_over, percent, shares_of
from .missing import why_no_shares
from .oversights import warnings_about_lags
from .reads import last_steps
from .uses import Step, Uses, sweep_uses, uses_of

Array = npt.NDArray[Any]
MOST_COLUMNS = 20  # that are printed; the last adds up all more crossings


@dataclass(frozen=True, repr=False)
class Spectrum:
    """The gradient by lag and by the number of crossings in a landmark.

    lags: the lag of each row. gradients: (lags, crossings, *source.shape), which sum to the whole.
    connected: (lags, crossings); False is «no path», which is not a gradient of 0.
    missing: why nothing has a share, as in «the gradient is exactly 0»; empty where there are shares.
    warnings: what the ledger warns of: losses and steps that are probably not as they were meant.
    """

    name: str
    lags: tuple[int, ...]
    gradients: Array
    connected: npt.NDArray[np.bool_]
    whole: Array
    missing: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def shares(self) -> Array:
        """(lags, crossings): signed shares of the whole; they add up to 1."""
        return shares_of(self.gradients, self.whole)

    @property
    def norms(self) -> Array:
        """(lags, crossings)."""
        return norms_over(self.gradients, 2)

    @property
    def zero(self) -> npt.NDArray[np.bool_]:
        """(lags, crossings): where there is a path, and what it carries is 0, exactly or by underflow."""
        return np.asarray(self.connected & (self.norms == 0))

    def __str__(self) -> str:
        """Rows are lags, columns numbers of crossings; the last of many adds up all that are more."""
        return _table(self)

    __repr__ = __str__


@dataclass(frozen=True, repr=False)
class StreamingSpectrum:
    """The shares of a spectrum, measured as its gradients passed; none of them was kept.

    shares, connected, zero: (lags, crossings). name, lags, missing, warnings and these: as in a Spectrum.
    """

    name: str
    lags: tuple[int, ...]
    shares: Array
    connected: npt.NDArray[np.bool_]
    zero: npt.NDArray[np.bool_]
    missing: str = ""
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Rows are lags, columns numbers of crossings; the last of many adds up all that are more."""
        return _table(self)

    __repr__ = __str__


def _table(spectrum: Spectrum | StreamingSpectrum) -> str:
    shares, connected = spectrum.shares, spectrum.connected
    heads = [str(k) for k in range(shares.shape[1])]
    if len(heads) > MOST_COLUMNS:
        heads = [*heads[: MOST_COLUMNS - 1], "more"]
        first = len(heads) - 1  # of those that are added up
        shares = np.column_stack([shares[:, :first], shares[:, first:].sum(axis=1)])
        connected = np.column_stack([connected[:, :first], connected[:, first:].any(axis=1)])
    lines = [f"share by lag and by crossings in {spectrum.name}:", "  lag" + "".join(f"{head:>9}" for head in heads)]
    for lag, row, paths in zip(spectrum.lags, shares, connected, strict=True):
        cells = (percent(share) if any_ else "-" for share, any_ in zip(row.tolist(), paths, strict=True))
        lines.append(f"{lag:>5}" + "".join(f"{cell:>9}" for cell in cells))
    if not connected.all():
        lines.append("-: no path")
    if spectrum.missing:
        lines.append(f"The gradient {spectrum.missing}, so there are no shares.")
    elif spectrum.zero.any():
        lines.append("0: exactly 0, or underflowed; by_crossings() and the ledger tell which")
    lines += [f"Warning: {sentence}" for sentence in spectrum.warnings]
    return "\n".join(lines)


def spectrum(paths: Paths, name: str, whole: Array) -> Spectrum:
    """The gradient, apart by lag and by how often a path crosses time in a landmark.

    The lag of a path is that of the ledger: from the step of the loss back to the step at which the source is used.
    Raises MemoryError where the table would take more than `MOST_BYTES`.
    """
    source, letter = paths.source, crossing_letter(paths, name)
    lags, connected = _extent(paths, letter)
    size = connected.size * source.size * source.dtype.itemsize
    if size > MOST_BYTES:
        raise MemoryError(
            f"a spectrum keeps an array for each of {connected.shape[0]} lags and {connected.shape[1]} numbers of "
            f"crossings: {size / 1e9:.1f} GB for {describe(source)}. Ask .streaming_spectrum({name!r}), which keeps "
            "their shares only"
        )
    table = np.zeros((*connected.shape, *source.shape), source.dtype)

    def keep(row: int, part: Array) -> None:
        table[row, : len(part)] += part

    _sweep(paths, letter, lags, keep)
    warnings = warnings_about_lags(paths.order, paths.losses)
    return Spectrum(name, tuple(lags), table, connected, whole, why_no_shares(paths, whole), warnings)


def streaming_spectrum(paths: Paths, name: str, whole: Array) -> StreamingSpectrum:
    """The shares of `spectrum`, each of whose gradients is measured against the whole and let go."""
    letter = crossing_letter(paths, name)
    lags, connected = _extent(paths, letter)
    shares, carries = np.zeros(connected.shape), np.zeros(connected.shape, np.bool_)
    missing = why_no_shares(paths, whole)
    if missing:
        shares[:] = np.nan

    def measure(row: int, part: Array) -> None:
        shares[row, : len(part)] += shares_of(part, whole)
        carries[row, : len(part)] |= part.reshape(len(part), -1).any(axis=1)

    _sweep(paths, letter, lags, measure)
    warnings = warnings_about_lags(paths.order, paths.losses)
    return StreamingSpectrum(name, tuple(lags), shares, connected, connected & ~carries, missing, warnings)


@dataclass(frozen=True)
class _Counts:
    """How often the paths from one loss cross in a landmark, as sets of numbers: bit k is set where some path has k.

    at: by node. by_step: of the paths whose use is at this step. counted: the edges that cross there, by (index of the
    consumer, slot). last: the step of the loss.
    """

    uses: Uses
    last: int
    at: dict[int, int] = field(repr=False)
    by_step: dict[Step, int] = field(repr=False)
    counted: frozenset[tuple[int, int]] = field(repr=False)

    def rows(self, consumer: Any, producer: Any) -> int:
        """How many rows the contribution of an edge has, from 0 crossings on.

        To a node the same over all edges, as the sweep asks; but what uses give the source itself is not added up.
        """
        alone = producer is self.uses.source and len(self.uses.outside) == 1
        return (self.by_step[consumer.place.step] if alone else self.at[producer.index]).bit_length()

    def move(self, consumer: Any, slot: int, part: Array) -> Array:
        """What an edge does to the rows: one further where it crosses, and rows of 0 up to as many as there are."""
        first = int((consumer.index, slot) in self.counted)
        rows = self.rows(consumer, consumer.inputs[slot])
        if rows == len(part) and not first:
            return part
        moved = np.zeros((rows, *part.shape[1:]), part.dtype)
        moved[first : first + len(part)] = part
        return moved


def _counts(paths: Paths, letter: Letter) -> Iterator[_Counts]:
    """For each loss that a path leads to."""
    source = paths.source
    for loss in paths.losses:
        order = tape([loss], [source])
        if not order:
            continue
        uses = uses_of([loss], source, order)
        if None in uses.steps:
            raise ValueError(
                f"{describe(source)}, is used outside the time loop as well, where a path has no lag, and so no "
                "place in a spectrum: by_crossings() and the ledger take such paths in"
            )
        one = Paths((loss,), source, order)
        at, by_step, counted = {**dict.fromkeys(order, 0), loss.index: 1}, dict.fromkeys(uses.steps, 0), set()
        for consumer, slot, producer in one.edges():
            numbers, crossing = at[consumer.index], one.marks(consumer, producer)[1]
            if crossing is not None and letter.stands_for(crossing):
                counted.add((consumer.index, slot))
                numbers <<= 1
            at[producer.index] |= numbers
            if uses.is_use(consumer, producer):
                by_step[consumer.place.step] |= numbers
        yield _Counts(uses, last_steps(order)[loss.index], at, by_step, frozenset(counted))


def _extent(paths: Paths, letter: Letter) -> tuple[list[int], npt.NDArray[np.bool_]]:
    """The lags, and for each of them and each number of crossings whether there is a path: (lags, crossings)."""
    found: dict[int, int] = {}
    for counts in _counts(paths, letter):
        for step, numbers in counts.by_step.items():
            if numbers and step is not None:
                found[counts.last - step] = found.get(counts.last - step, 0) | numbers
    columns, lags = max((numbers.bit_length() for numbers in found.values()), default=1), sorted(found)
    connected = [[bool(found[lag] >> k & 1) for k in range(columns)] for lag in lags]
    return lags, np.array(connected, np.bool_).reshape(len(lags), columns)


def _sweep(paths: Paths, letter: Letter, lags: list[int], receive: Callable[[int, Array], None]) -> None:
    """A sweep for each loss; `receive` is given the number of a lag, and what has it, (crossings, *source.shape)."""
    row_of = {lag: row for row, lag in enumerate(lags)}
    for counts in _counts(paths, letter):
        uses, last = counts.uses, counts.last

        def pass_on(step: Step, part: Array, last: int = last) -> None:
            if step is not None:
                receive(row_of[last - step], part)

        (loss,) = uses.losses
        sweep_uses(uses, {loss.index: np.ones((1, *loss.shape), loss.dtype)}, pass_on, counts.move)
