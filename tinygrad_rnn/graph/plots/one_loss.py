"""The ledger of a single loss: the share and the norm of what each use contributes to it, by step of the use."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...trace import percent
from .notes import at_step, range_in_words, range_notes, short_source, warnings_of, zero_note
from .numbers import Table, why_no_shares
from .plot import Plot
from .powers import draw_zeros, norm_axis, shade_too_small, ten_to
from .style import MOST_WRITTEN, begin, finish, index_ticks, percents, say, words, written_share

SPACED = 150  # bars that have space between them
MOST_MARKED = 60  # points on a line


def plot_one_loss(cells: Table, theme: str, size: str, title: str | None) -> Plot:
    """Above the share of each use as a bar, with its sign; below the norm as a point, since no bar reaches down to 0
    on a logarithmic axis."""
    ledger = cells.ledger
    canvas = begin(theme, size, 2, 1, sharex=True, height_ratios=[1, 1.1])
    shares, norms = canvas.axes[:, 0]
    words(canvas, shares, y="share")
    words(canvas, norms, x=_named_axis(cells), y="norm")
    for axes in (shares, norms):
        axes.grid(False, axis="x")
        for column in np.flatnonzero(~ledger.connected[0]):
            axes.axvspan(column - 0.5, column + 0.5, **_hatching(canvas.theme.grid))
    reason = why_no_shares(ledger.missing)
    if reason:
        say(canvas, shares, reason)
        shares.set_yticks([])
    else:
        _draw_shares(canvas, shares, ledger.shares[0])
    _draw_norms(canvas, norms, cells)
    index_ticks(norms.xaxis, ["none" if i is None else i for i in ledger.steps])
    shares.tick_params(labelbottom=False)
    norms.set_xlim(-0.6, len(ledger.steps) - 0.4)
    called = title or f"What each use of {short_source(ledger)} contributes to the loss"
    return finish(canvas, called, _in_words(cells, reason), _notes(cells, reason), warnings_of({"": ledger}))


def _named_axis(cells: Table) -> str:
    at = cells.ledger.loss_steps[0]
    return "step i at which it is used, counted from 0" + ("" if at is None else f"; the loss is at step {at}")


def _hatching(colour: str) -> dict[str, Any]:
    """The look of what has no path, as in a heat map."""
    return {"facecolor": "none", "edgecolor": colour, "hatch": "//", "linewidth": 0, "zorder": 0}


def _draw_shares(canvas: Any, axes: Any, shares: Any) -> None:
    signs, count = canvas.theme.signs, len(shares)
    colours = [signs[3] if share >= 0 else signs[1] for share in shares]
    axes.bar(range(count), shares, width=0.8 if count <= SPACED else 1.0, color=colours)
    axes.axhline(0, color=canvas.theme.muted, linewidth=canvas.format.line * 0.5)
    percents(axes.yaxis)
    if count > MOST_WRITTEN:
        return
    axes.margins(y=0.2)  # for the numbers
    for column in np.flatnonzero(shares):
        up = shares[column] > 0
        axes.annotate(
            written_share(shares[column]),
            (column, shares[column]),
            xytext=(0, canvas.format.text * (0.2 if up else -0.2)),
            textcoords="offset points",
            ha="center",
            va="bottom" if up else "top",
            fontsize=canvas.format.text * 0.8,
            color=canvas.theme.ink,
        )


def _draw_norms(canvas: Any, axes: Any, cells: Table) -> None:
    log10 = cells.log10[0]
    finite = log10[np.isfinite(log10)]
    columns = np.arange(len(log10))
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (-1.0, 0.0)
    high = max(high, low + 0.5)
    zero = norm_axis(canvas, axes, low, high, bool(cells.zero.any()))
    look = {"color": canvas.theme.series[1], "marker": "o"}
    if not finite.size:
        axes.set_yticks(*(([zero], ["0"]) if cells.zero.any() else ([], [])))
        say(canvas, axes, "No norms: no contribution is finite and other than 0.")
    with_step = np.array([i is not None for i in cells.ledger.steps])
    size = canvas.format.marker if len(log10) <= MOST_MARKED else 0.0
    there = np.where(np.isfinite(log10) & with_step, log10, np.nan)
    axes.plot(columns, there, markersize=size, linewidth=canvas.format.line, **look)
    axes.plot(columns[~with_step], log10[~with_step], markersize=canvas.format.marker, linestyle="", **look)
    draw_zeros(canvas, axes, np.flatnonzero(cells.zero[0]), zero, 1.1, **look)
    if cells.underflowed.any():
        smallest = float(np.log10(np.finfo(cells.ledger.uses.source.dtype).tiny))
        shade_too_small(canvas, axes, smallest, low, high, left=False)


def _notes(cells: Table, reason: str) -> list[str]:
    notes = [] if reason else ["Blue: with the gradient; orange: against it. Shares add up to 100 %, norms do not."]
    if not reason and len(cells.ledger.steps) <= MOST_WRITTEN and (np.abs(cells.ledger.shares) < 0.01).any():
        notes[0] += " – : less than 1 %."
    if not cells.ledger.connected.all():
        notes.append("Hatched: no path from that use to the loss.")
    if cells.zero.any():
        notes.append(zero_note(cells.certain))
    if _not_finite(cells):
        notes.append("Norms that are not finite are not drawn.")
    return notes + range_notes(cells)


def _not_finite(cells: Table) -> int:
    """How many uses contribute what is no finite number."""
    return int((cells.ledger.connected & np.isnan(cells.log10)).sum())


def _in_words(cells: Table, reason: str) -> str:
    ledger = cells.ledger
    count = len(ledger.steps)
    text = (
        f"Share and norm of what each use of {ledger.source}, contributes to the loss at "
        f"{at_step(ledger.loss_steps[0])}, by step of the use ({count} use{'s' * (count != 1)})."
    )
    if reason:
        text += f" {reason}"
    else:
        column = int(np.argmax(np.abs(ledger.shares[0])))
        largest = percent(float(ledger.shares[0, column]))
        text += f" The largest share, {largest}, is that of {at_step(ledger.steps[column])}."
    finite = cells.log10[np.isfinite(cells.log10)]
    if finite.size:
        text += f" Norms lie between {ten_to(float(finite.min()))} and {ten_to(float(finite.max()))}."
    if bad := _not_finite(cells):
        text += f" {bad} of {count} norms are not finite."
    return text + range_in_words(cells)
