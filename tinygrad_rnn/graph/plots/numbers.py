"""The numbers of plots: contributions as logarithms, so that 10^-400 is not 0, and what is missing told apart.

A norm may be exactly 0, too small for a number (underflowed), not there since no path leads to it, or not finite: four
different answers, none of which is ever drawn as another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...trace import GradientTrace, Ledger

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Table:
    """A ledger and its norms as logarithms.

    log10: (losses, columns); -inf where a contribution is exactly 0, nan where there is no path or it is not finite.
    underflowed: (losses, columns); the norm in the ledger is 0, or lost digits, and the true one, in log10, is not 0.
    overflowed: (losses, columns); the norm in the ledger is not finite, and the true one, in log10, is.
    certain: False if a 0 may also be an underflow, since this is the ledger of some elements of the source only.
    """

    ledger: Ledger
    log10: Array
    underflowed: Array
    overflowed: Array
    certain: bool

    @property
    def zero(self) -> Array:
        """(losses, columns): there is a path, and what it carries is 0."""
        return np.asarray(self.ledger.connected & np.isneginf(self.log10))


@dataclass(frozen=True, slots=True)
class ByLag:
    """The same by lag, smallest first. shares and cumulative are all nan where the gradient is 0 or not finite.

    smallest: log10 of the smallest number that the ledger holds without losing digits.
    """

    lags: tuple[int, ...]
    shares: Array
    cumulative: Array
    log10: Array
    underflowed: Array
    certain: bool
    why_no_shares: str
    smallest: float


def ledger_of(source: Ledger | GradientTrace) -> Ledger:
    """The ledger itself. Raises TypeError for what has none."""
    if not isinstance(source, (Ledger, GradientTrace)):
        raise TypeError(
            f"a ledger is plotted, or the trace it is of: tg.trace_gradient(loss, to=w); got {type(source).__name__}"
        )
    return source if isinstance(source, Ledger) else source.ledger()


def table(ledger: Ledger) -> Table:
    """The numbers of a ledger, which are looked at more closely, by another sweep, where any is 0 or nearly."""
    log10 = np.where(ledger.connected, _log10(ledger.norms), np.nan)
    small = ledger.connected & (ledger.norms < np.finfo(ledger.uses.source.dtype).tiny)
    large = ledger.connected & ~np.isfinite(ledger.norms)
    beyond = small | large
    if beyond.any() and ledger.is_whole:
        log10[beyond] = _finite_or_zero(ledger.log10_norms[beyond])
    known = np.isfinite(log10) & ledger.is_whole
    return Table(ledger, log10, small & known, large & known, ledger.is_whole or not small.any())


def by_lag(ledger: Ledger) -> ByLag:
    """The numbers of a ledger, added up by lag."""
    cells = table(ledger)
    lags = ledger.lags()
    log10 = _log10(np.array([lag.norm for lag in lags]))
    underflowed = np.zeros(len(lags), bool)
    at: dict[int, list[tuple[int, int]]] = {}
    for row, column in zip(*np.nonzero(ledger.connected), strict=True):
        tau, i = ledger.loss_steps[row], ledger.steps[column]
        if tau is not None and i is not None:
            at.setdefault(tau - i, []).append((row, column))
    certain = cells.certain
    for k, lag in enumerate(lags):
        places = at[lag.lag]
        hidden = [place for place in places if cells.underflowed[place] or cells.overflowed[place]]
        if hidden and len(places) == 1:
            underflowed[k], log10[k] = cells.underflowed[hidden[0]], cells.log10[hidden[0]]
        elif hidden and lag.norm == 0:  # of several losses, which may also cancel
            certain = False
    return ByLag(
        lags=tuple(lag.lag for lag in lags),
        shares=np.array([lag.share for lag in lags]),
        cumulative=np.array([lag.cumulative for lag in lags]),
        log10=log10,
        underflowed=underflowed,
        certain=certain,
        why_no_shares=why_no_shares(ledger.missing),
        smallest=float(np.log10(np.finfo(ledger.uses.source.dtype).tiny)),
    )


def why_no_shares(missing: str) -> str:
    """A sentence for where shares do not exist, else "". missing: what the gradient is, of a ledger or a spectrum."""
    return f"No shares: the gradient {missing}." if missing else ""


def _log10(norms: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return _finite_or_zero(np.log10(norms))


def _finite_or_zero(log10: Array) -> Array:
    return np.where(np.isposinf(log10), np.nan, log10)
