"""The ledger: what each use of a shared tensor, at each time step, contributes to the gradient of each loss.

    dL_tau/dtheta = sum over i of G[tau, i],    G[tau, i] = dL_tau/ds_i . d+s_i/dtheta

where d+ is the *direct* part, the use of theta at step i alone. Backpropagation through time adds these up as it goes;
here the uses are kept apart (uses.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ..engine.sweep import describe, sweep
from .automaton import Paths
from .measure import has_shares, is_beyond, magnitude, norms_over, percent, shares_of, smallest
from .missing import log10_of_whole, why_no_shares
from .oversights import warnings_about_lags
from .printed import Listed
from .reads import last_steps
from .scaled import log10_norms
from .uses import Step, Uses, connected, seeds_of, sweep_uses, uses_of

Array = npt.NDArray[Any]
LAGS = ("lag", "share", "sum of shares", "norm")
MOST_BYTES = 4e9  # of a table: refused before the machine runs out of memory


@dataclass(frozen=True, repr=False)
class Ledger:
    """The table G[tau, i]: rows are losses, columns the steps at which the source is used.

    contributions: (losses, columns, *source.shape); they sum to the gradient of the sum of the losses.
    connected: (losses, columns); False is «no path», which is not a contribution of 0.
    loss_steps: the time step of each loss; of one computed outside the time loop, the last step that leads to it.
    steps: the time step of each column; None, always last, stands for uses outside the time loop.
    source: how reports call the source.
    warnings: sentences on what may not be as the author of the model meant it.
    is_whole: whether it is about the whole source, and not about some elements of it, as one that `at` made.
    """

    contributions: Array
    connected: npt.NDArray[np.bool_]
    loss_steps: tuple[Step, ...]
    steps: tuple[Step, ...]
    source: str
    warnings: tuple[str, ...]
    uses: Uses = field(repr=False)
    is_whole: bool = True

    @cached_property
    def total(self) -> Array:
        """The sum of the table: the gradient of the sum of the losses, of the source's shape."""
        return np.asarray(self.contributions.sum(axis=(0, 1)))

    @cached_property
    def norms(self) -> Array:
        """(losses, columns): the Euclidean norm of each contribution. Norms do not add up; shares do."""
        return norms_over(self.contributions, 2)

    @cached_property
    def shares(self) -> Array:
        """(losses, columns): <G[tau, i], g> / <g, g>, signed; they add up to 1. All nan where the gradient g is 0,
        underflowed or is not finite."""
        return shares_of(self.contributions, self.total, self._dtype)

    @cached_property
    def log10_norms(self) -> Array:
        """(losses, columns): log10 of the norms, exact where a norm itself underflows; -inf for what is exactly 0.

        For the whole of the source, also in a ledger that `at` made.
        """
        return log10_norms(self.uses)

    @cached_property
    def missing(self) -> str:
        """Why nothing has a share, in words, as in «the gradient is exactly 0»; empty where there are shares."""
        if self.is_whole:
            return why_no_shares(_paths(self.uses), self.total)
        if not np.isfinite(self.total).all():
            return "is not finite"
        if has_shares(self.total, self._dtype):
            return ""
        is_zero = log10_of_whole(_paths(self.uses)) == -math.inf
        return "is exactly 0" if is_zero else "is 0 or underflowed (the ledger of the whole source can tell which)"

    def at(self, index: Any) -> Ledger:
        """The ledger of some elements of the source, by a NumPy index: `.at(3)` for row 3 of an embedding."""
        everywhere = (slice(None), slice(None))
        found = self.contributions[everywhere + (index if isinstance(index, tuple) else (index,))]
        called = f"{self.source}, elements [{_typed(index)}]"
        return replace(self, contributions=found, source=called, is_whole=False)

    def lags(self) -> list[Lag]:
        """The contributions by lag, the number of steps between the loss and the use, smallest first."""
        by_lag: dict[int, list[tuple[int, int]]] = {}
        for row, tau in enumerate(self.loss_steps):
            for column, i in enumerate(self.steps):
                if tau is not None and i is not None and self.connected[row, column]:
                    by_lag.setdefault(tau - i, []).append((row, column))
        sums = {lag: sum(self.contributions[at] for at in cells) for lag, cells in by_lag.items()}
        ordered = sorted(sums)
        together = np.stack([sums[lag] for lag in ordered]) if ordered else np.empty((0, *self.total.shape))
        norms, shares = norms_over(together, 1), shares_of(together, self.total, self._dtype)
        running = np.cumsum(shares)
        return Listed(Lag(lag, *map(float, row)) for lag, *row in zip(ordered, shares, norms, running, strict=True))

    def horizon(self, part: float = 0.99) -> int | None:
        """How many last steps it takes: all lags from there on are together less than 1 - `part` of the gradient.

        Judged by cumulative shares, none of which may leave that margin again; None where the gradient has no shares,
        as where it underflowed or overflowed, or is never at a time step.
        """
        return horizon_of(self.lags(), part)

    def half_life(self) -> float:
        """In how many steps the norm of a contribution halves, by a line through its logarithm against the lag.

        Infinite where norms do not fall; nan where fewer than two lags contribute. A lag whose norm is beyond the
        range of numbers counts by its logarithm, or not at all where it has several contributions.
        """
        return half_life_of([(at.lag, self._log10_alone(at)) for at in self.lags()])

    def _log10_alone(self, lag: Lag) -> float:
        """log10 of the norm at a lag; -inf where it is not known."""
        if not is_beyond(lag.norm, self._dtype):
            return math.log10(lag.norm)
        there = (self._lags == lag.lag) & self.connected
        return float(self.log10_norms[there][0]) if self.is_whole and there.sum() == 1 else -math.inf

    def __str__(self) -> str:
        """The ledger by lag, as a table; share first, since norms do not add up."""
        lines = [*_heading(self), _row(*LAGS)]
        for lag in self.lags():
            lines.append(_row(str(lag.lag), *self.written(lag)))
        if None in self.steps:
            share, all_shares = float(self.shares[:, -1].sum()), float(self.shares.sum())
            norm = float(norms_over(self.contributions[:, -1].sum(axis=0)[None], 1)[0])
            at_none = np.broadcast_to([i is None for i in self.steps], self.connected.shape)
            log10 = self._log10_of(norm, at_none) if is_beyond(norm, self._dtype) else None
            cells = _written(Lag(-1, share, norm, all_shares), log10, self._norm, self._dtype)
            lines.append(f"{_row('none', *cells)}   outside the time loop")
        if self.missing:
            lines.append(f"The gradient {self.missing}, so there are no shares.")
        lines += [f"Warning: {sentence}" for sentence in self.warnings]
        return "\n".join(lines)

    __repr__ = __str__

    def written(self, lag: Lag) -> tuple[str, str, str]:
        """The share, the sum of shares and the norm of one of the lags, as reports print them."""
        log10 = self._log10_of(lag.norm, self._lags == lag.lag) if is_beyond(lag.norm, self._dtype) else None
        return _written(lag, log10, self._norm, self._dtype)

    def _log10_of(self, norm: float, where: npt.NDArray[np.bool_]) -> float | None:
        """log10 of what a norm that is beyond the range of numbers is in truth; None where it is not known.

        where: (losses, columns), the contributions that it is of.
        """
        if norm < smallest(self._dtype) <= self.norms[where].max(initial=0.0):
            return math.log10(norm) if norm else -math.inf  # they cancel
        log10 = float(self.log10_norms[where].max())
        return log10 if self.is_whole or log10 == -math.inf else None  # of the whole source, not of some elements

    @property
    def _dtype(self) -> np.dtype[Any]:
        return self.uses.source.dtype

    @cached_property
    def _norm(self) -> float:
        return float(norms_over(self.total[None], 1)[0])

    @cached_property
    def _lags(self) -> Array:
        """(losses, columns): the lag of each contribution; nan where one of the two has no step."""
        losses, uses = (
            np.array([math.nan if t is None else t for t in steps]) for steps in (self.loss_steps, self.steps)
        )
        return np.asarray(np.subtract.outer(losses, uses))

    def log10_at(self, lag: int) -> float:
        """log10 of the norm of the largest contribution at this lag, exact even where no number can hold it.

        Raises ValueError for a lag that no loss and use have.
        """
        there = self._lags == lag
        if not there.any():
            raise ValueError(
                f"no use is {lag} steps before a loss; the lags are {[at.lag for at in self.lags()]!r:.60}"
            )
        return float(self.log10_norms[there].max())


@dataclass(frozen=True, repr=False)
class StreamingLedger:
    """The norms and shares of the table G[tau, i], measured as its entries passed; none of them was kept.

    shares, norms, connected: (losses, columns). total: the gradient of the sum of the losses, of the source's shape.
    loss_steps, steps, source, warnings: as in a Ledger.
    """

    shares: Array
    norms: Array
    total: Array
    connected: npt.NDArray[np.bool_]
    loss_steps: tuple[Step, ...]
    steps: tuple[Step, ...]
    source: str
    warnings: tuple[str, ...]
    uses: Uses = field(repr=False)

    @cached_property
    def log10_norms(self) -> Array:
        """(losses, columns): log10 of the norms, as `Ledger.log10_norms`; by one more sweep."""
        return log10_norms(self.uses)

    @cached_property
    def missing(self) -> str:
        """Why nothing has a share, as `Ledger.missing`."""
        return why_no_shares(_paths(self.uses), self.total)

    def lags(self) -> list[Lag]:
        """The contributions by lag, smallest first. Of one loss only: of several, norms of sums would need the sums."""
        if len(self.loss_steps) > 1:
            raise ValueError(
                "a streaming ledger of several losses has no norms by lag, since it kept no arrays to add up: read "
                ".shares and .norms, (losses, steps), or use .ledger()"
            )
        tau = self.loss_steps[0]
        cells = [
            (tau - i, float(self.shares[0, k]), float(self.norms[0, k]))
            for k, i in enumerate(self.steps)
            if tau is not None and i is not None and self.connected[0, k]
        ]
        running = np.cumsum([share for _, share, _ in sorted(cells)])
        return Listed(Lag(*cell, float(sum_)) for cell, sum_ in zip(sorted(cells), running, strict=True))

    def horizon(self, part: float = 0.99) -> int | None:
        """How many last steps it takes, as `Ledger.horizon`."""
        return horizon_of(self.lags(), part)

    def half_life(self) -> float:
        """In how many steps the norm of a contribution halves, as `Ledger.half_life`."""
        lags, logs = self.lags(), self._log10_by_lag()
        return half_life_of([(at.lag, logs[at.lag] if at.lag in logs else math.log10(at.norm)) for at in lags])

    def _log10_by_lag(self) -> dict[int, float]:
        """log10 of the norms at the lags of one loss that are beyond the range of numbers."""
        tau, dtype = self.loss_steps[0] or 0, self.uses.source.dtype
        beyond = {at.lag for at in self.lags() if is_beyond(at.norm, dtype)}
        logs = zip(self.steps, self.log10_norms[0].tolist(), strict=True) if beyond else ()
        return {tau - i: log10 for i, log10 in logs if i is not None and tau - i in beyond}

    def __str__(self) -> str:
        """By lag for one loss; by step of use for several."""
        lines = [*_heading(self)]
        if len(self.loss_steps) == 1:
            lines.append(_row(*LAGS))
            whole, logs, dtype = float(norms_over(self.total[None], 1)[0]), self._log10_by_lag(), self.uses.source.dtype
            lines += [_row(str(at.lag), *_written(at, logs.get(at.lag), whole, dtype)) for at in self.lags()]
        else:
            lines.append(f"{'step':>5} {'share':>11}   of all losses together")
            lost = self.norms.max(axis=0) < smallest(self.uses.source.dtype)
            sizes = np.where(lost, self.log10_norms.max(axis=0) if lost.any() else 0.0, -math.inf)
            shares = zip(self.steps, self.shares.sum(axis=0).tolist(), sizes.tolist(), strict=True)
            lines += [f"{'none' if i is None else i:>5} {percent(share, log10):>11}" for i, share, log10 in shares]
        if self.missing:
            lines.append(f"The gradient {self.missing}, so there are no shares.")
        lines += [f"Warning: {sentence}" for sentence in self.warnings]
        return "\n".join(lines)

    __repr__ = __str__


@dataclass(frozen=True)
class Lag:
    """What all uses `lag` steps before their loss contribute together: share, norm, and the shares up to this lag."""

    lag: int
    share: float
    norm: float
    cumulative: float


def ledger_of(paths: Paths) -> Ledger:
    """One backward sweep with a leading axis that has a row for each loss, in which the uses are not added up.

    Raises MemoryError where the table would take more than `MOST_BYTES`.
    """
    losses, source = paths.losses, paths.source
    uses = uses_of(losses, source, paths.order)
    column = {step: k for k, step in enumerate(uses.steps)}
    size = len(losses) * len(uses.steps) * source.size * np.dtype(np.float64).itemsize
    if size > MOST_BYTES:
        raise MemoryError(
            f"a ledger keeps an array for each of {len(losses)} losses and {len(uses.steps)} steps: "
            f"{size / 1e9:.1f} GB for {describe(source)}. Ask .streaming_ledger(), which keeps their shares and norms "
            "only, or for the ledgers of fewer losses"
        )
    table = np.zeros((len(losses), len(uses.steps), *source.shape))

    def keep(step: Step, part: Array) -> None:
        table[:, column[step]] += part

    sweep_uses(uses, seeds_of(uses), keep)
    return Ledger(contributions=table, uses=uses, **_table(uses))


def streaming_ledger_of(paths: Paths) -> StreamingLedger:
    """Two sweeps: one for the gradient, and one in which each contribution is measured against it and let go."""
    losses, source = paths.losses, paths.source
    uses = uses_of(losses, source, paths.order)
    column = {step: k for k, step in enumerate(uses.steps)}
    seeds = seeds_of(uses)
    alone = {i: np.asarray(seed.sum(axis=0) if len(losses) > 1 else seed) for i, seed in seeds.items()}
    whole = sweep(uses.order, alone, [source.index])[source.index]
    shares, norms = np.zeros((2, len(losses), len(uses.steps)))
    if not has_shares(whole):
        shares[:] = np.nan

    def measure(step: Step, part: Array) -> None:
        rows = part.reshape((len(losses), *source.shape))
        norms[:, column[step]] = norms_over(rows, 1)
        shares[:, column[step]] = shares_of(rows, whole)

    sweep_uses(uses, seeds, measure)
    return StreamingLedger(shares=shares, norms=norms, total=whole, uses=uses, **_table(uses))


def _paths(uses: Uses) -> Paths:
    return Paths(tuple(uses.losses), uses.source, uses.order)


def _table(uses: Uses) -> dict[str, Any]:
    last = last_steps(uses.order)
    return {
        "connected": connected(uses),
        "loss_steps": tuple(last.get(loss.index) for loss in uses.losses),
        "steps": uses.steps,
        "source": describe(uses.source),
        "warnings": warnings_about_lags(uses.order, uses.losses),
    }


def horizon_of(lags: list[Lag], part: float) -> int | None:
    if not lags or any(math.isnan(lag.share) for lag in lags):
        return None
    outside = [k for k, lag in enumerate(lags) if not abs(lag.cumulative - 1) < 1 - part]
    return lags[min(max(outside, default=-1) + 1, len(lags) - 1)].lag + 1


def half_life_of(logs: list[tuple[int, float]]) -> float:
    """logs: by lag log10 of the norm; one that is not finite does not count."""
    falling = [(lag, log10) for lag, log10 in logs if math.isfinite(log10)]
    if len(falling) < 2:
        return math.nan
    at, powers = np.transpose(falling)
    slope = float(np.polyfit(at, powers, 1)[0])
    return math.log10(2) / -slope if slope < 0 else math.inf


def _written(part: Lag, log10: float | None, whole: float, dtype: Any) -> tuple[str, str, str]:
    """Share, sum of shares and norm. log10: of the norm where that is beyond the range of numbers of this dtype.
    whole: |gradient|."""
    lost = part.norm > 0 and 0 < whole < math.inf and part.norm / whole == 0  # the share is too small, the norm is not
    share = percent(part.share, math.log10(part.norm) if lost and log10 is None else log10)
    return share, percent(part.cumulative), magnitude(part.norm, log10, dtype)


def _row(at: str, share: str, cumulative: str, norm: str) -> str:
    return f"{at:>5} {share:>11} {cumulative:>14} {norm:>10}"


def _typed(index: Any) -> str:
    """An index as it is typed: 3, or 1:4, 0."""
    if isinstance(index, tuple):
        return ", ".join(map(_typed, index))
    if isinstance(index, slice):
        return f"{'' if index.start is None else index.start}:{'' if index.stop is None else index.stop}"
    return str(index)


def _heading(table: Ledger | StreamingLedger) -> list[str]:
    return [
        f"Gradient with respect to {table.source}, by the lag from a loss back to the use.",
        _where(table.loss_steps, table.steps),
    ]


def _where(loss_steps: tuple[int | None, ...], steps: tuple[int | None, ...]) -> str:
    """Both ways of counting: the code's, from 0, and the textbooks', from 1."""
    used = [i for i in steps if i is not None]
    spans = [("Losses at", [tau for tau in loss_steps if tau is not None]), ("uses at", used)]
    said = [f"{what} steps {_span(at)} (counted from 1: {_span([t + 1 for t in at])})" for what, at in spans if at]
    return "; ".join(said) + "." if said else "No use is at a time step."


def _span(steps: list[int]) -> str:
    low, high = min(steps), max(steps)
    return f"{low}" if low == high else f"{low} to {high}"
