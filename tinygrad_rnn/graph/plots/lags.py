"""Share and norm of contributions by lag, for one trace or several, before and after, with bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...trace import GradientTrace, Ledger, percent
from ..text.labels import visible
from .notes import short_source, warnings_of, zero_note
from .numbers import ByLag, by_lag, ledger_of
from .plot import Plot
from .powers import draw_zeros, fit_ticks, norm_axis, shade_too_small, ten_to
from .style import Canvas, begin, finish, key, labelled, percents, say, series_label, whole_ticks, words

Source = Ledger | GradientTrace
MOST_MARKED = 24  # points of a line


@np.errstate(invalid="ignore")  # where a gradient is not finite, that is said in words
def plot_lags(
    sources: Source | Mapping[str, Source] | Mapping[str, Mapping[str, Source]],
    *,
    bounds: Mapping[str, Sequence[float]] | None = None,
    theme: str = "light",
    size: str = "slide",
    title: str | None = None,
) -> Plot:
    """Above the share of the gradient by lag, and of all lags up to there; below the norm, as powers of ten.

    sources: a trace or a ledger; several by name, drawn as lines; or a dict of such dicts, drawn beside each other, as
        {"Before training": {"RNN": ..., "LSTM": ...}, "After training": {...}}.
    bounds: curves to be drawn beside the norms, by name: values for lag 0, 1, 2, ...
    theme: "light" or "dark"; size: "slide" or "paper".
    Contributions that are exactly 0 stand on a line of their own below the axis; what underflowed is drawn at its true
    size.
    """
    panels = _panels(sources)
    ledgers = {where: {name: ledger_of(one) for name, one in lines.items()} for where, lines in panels.items()}
    numbers = {where: {name: by_lag(one) for name, one in lines.items()} for where, lines in ledgers.items()}
    canvas = begin(theme, size, 2, len(panels), sharex=True, sharey="row", height_ratios=[1, 1.25])
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    low, high = _range(numbers, bounds)
    zero = low
    zeros = any(np.isneginf(line.log10).any() for lines in numbers.values() for line in lines.values())
    for column, (where, lines) in enumerate(numbers.items()):
        shares, norms = canvas.axes[0, column], canvas.axes[1, column]
        words(canvas, shares, visible(where) if where else "", y="" if column else "share")
        words(
            canvas,
            norms,
            x="lag: steps from the loss back to the use" if len(panels) < 3 else "lag",
            y="" if column else "norm",
        )
        _draw_shares(canvas, shares, lines, names, ledgers[where])
        zero = norm_axis(canvas, norms, low, high, zeros)
        _draw_bounds(canvas, norms, bounds or {})
        _draw_norms(canvas, norms, lines, names, zero)
        if under := [line.smallest for line in lines.values() if line.underflowed.any()]:
            shade_too_small(canvas, norms, max(under), low, high, left=True)
        key(canvas, shares, labelled(shares, norms), 0.9 / len(panels), below=True)
    sources_named = {short_source(ledger) for lines in ledgers.values() for ledger in lines.values()}
    of = f" with respect to {sources_named.pop()}" if len(sources_named) == 1 else ""
    called = title or f"Where the gradient{of} comes from"
    by_name = {_called(where, name): one for where, lines in ledgers.items() for name, one in lines.items()}
    alt_text = _in_words(numbers, ledgers, bounds or {})
    plot = finish(canvas, called, alt_text, _notes(numbers), warnings_of(by_name))
    fit_ticks(canvas, canvas.axes[1, 0], low, high, [zero] if zeros else [])
    return plot


def _panels(sources: Any) -> dict[str, dict[str, Source]]:
    if isinstance(sources, (Ledger, GradientTrace)):
        return {"": {"": sources}}
    if not isinstance(sources, Mapping) or not sources:
        raise TypeError(
            "plot_lags takes a trace or a ledger, or a dict of them by name, such as "
            f'{{"RNN": trace, "LSTM": other}}; got {type(sources).__name__}'
        )
    if all(isinstance(inner, Mapping) and inner for inner in sources.values()):
        return {str(where): {str(name): one for name, one in inner.items()} for where, inner in sources.items()}
    return {"": {str(name): one for name, one in sources.items()}}


def _range(
    numbers: Mapping[str, Mapping[str, ByLag]], bounds: Mapping[str, Sequence[float]] | None
) -> tuple[float, float]:
    """The lowest and the highest exponent of ten of all that is drawn."""
    found = [line.log10[np.isfinite(line.log10)] for lines in numbers.values() for line in lines.values()]
    low = min((float(values.min()) for values in found if values.size), default=-1.0)
    for curve in (bounds or {}).values():
        positive = np.asarray(curve, np.float64)
        found.append(np.log10(positive[(positive > 0) & np.isfinite(positive)]))
    high = max((float(values.max()) for values in found if values.size), default=0.0)
    return low, max(high, low + 0.5)


def _draw_shares(
    canvas: Canvas, axes: Any, lines: Mapping[str, ByLag], names: list[str], ledgers: Mapping[str, Ledger]
) -> None:
    missing = []
    axes.axhline(0, color=canvas.theme.muted, linewidth=canvas.format.line * 0.5)
    for name, line in lines.items():
        if line.why_no_shares:
            missing.append((f"{visible(name)}: " if name else "") + line.why_no_shares)
            continue
        look = canvas.series(names.index(name))
        axes.plot(
            line.lags,
            line.shares,
            label=series_label(_label(name, ledgers[name])),
            linewidth=canvas.format.line,
            **_markers(canvas, line),
            **look,
        )
        axes.plot(line.lags, line.cumulative, color=look["color"], linestyle=":", linewidth=canvas.format.line)
    percents(axes.yaxis)
    whole_ticks(axes.xaxis)
    if missing:
        say(canvas, axes, " ".join(missing))


def _label(name: str, ledger: Ledger) -> str:
    horizon = ledger.horizon(0.99)
    reach = f"99 % within {horizon} step{'s' * (horizon != 1)}" if horizon is not None else "never at a time step"
    return f"{visible(name)}: {reach}" if name else reach


def _markers(canvas: Canvas, line: ByLag) -> dict[str, Any]:
    """Not more of them than can be told apart."""
    return {"markersize": canvas.format.marker, "markevery": -(-len(line.lags) // MOST_MARKED) or 1}


def _draw_bounds(canvas: Canvas, axes: Any, bounds: Mapping[str, Sequence[float]]) -> None:
    for k, (called, curve) in enumerate(bounds.items()):
        positive = np.asarray(curve, np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            exponents = np.where(positive > 0, np.log10(positive), np.nan)
        look = {"color": canvas.theme.muted, "linestyle": ("--", "-.", ":")[k % 3], "linewidth": canvas.format.line}
        axes.plot(
            range(len(positive)),
            np.where(np.isfinite(exponents), exponents, np.nan),
            label=series_label(visible(called)),
            **look,
        )


def _draw_norms(canvas: Canvas, axes: Any, lines: Mapping[str, ByLag], names: list[str], zero: float) -> None:
    for k, (name, line) in enumerate(lines.items()):
        look = canvas.series(names.index(name))
        lags = np.array(line.lags)
        there = np.where(np.isfinite(line.log10), line.log10, np.nan)
        axes.plot(lags, there, linewidth=canvas.format.line, **_markers(canvas, line), **look)
        wide = 1.1 + 0.5 * (len(lines) - 1 - k)  # one around the other
        draw_zeros(canvas, axes, lags[np.isneginf(line.log10)], zero, wide, **look)


def _notes(numbers: Mapping[str, Mapping[str, ByLag]]) -> list[str]:
    lines = [line for group in numbers.values() for line in group.values()]
    notes = ["Dotted: the share of this lag and all nearer ones. Shares add up to 100 %, norms do not."]
    if any(np.isneginf(line.log10).any() for line in lines):
        notes.append(zero_note(all(line.certain for line in lines)))
    return notes


def _in_words(
    numbers: Mapping[str, Mapping[str, ByLag]],
    ledgers: Mapping[str, Mapping[str, Ledger]],
    bounds: Mapping[str, Sequence[float]],
) -> str:
    text = "Share and norm of the contributions to the gradient, by lag."
    for where, lines in numbers.items():
        for name, line in lines.items():
            called = _called(where, name) or "The gradient"
            text += f" {called}: {_line_in_words(line, ledgers[where][name])}."
    return text + (f" Beside them {len(bounds)} bounds: {', '.join(bounds)}." if bounds else "")


def _called(where: str, name: str) -> str:
    return ", ".join(filter(None, (where, name)))


def _line_in_words(line: ByLag, ledger: Ledger) -> str:
    if not line.lags:
        return "no contribution is at a time step"
    said = []
    if line.why_no_shares:
        said.append(line.why_no_shares.rstrip("."))
    else:
        nearest = ", ".join(
            f"{percent(float(share))} at lag {lag}" for lag, share in zip(line.lags[:3], line.shares[:3], strict=True)
        )
        said.append(nearest)
        horizon = ledger.horizon(0.99)
        if horizon is not None:
            said.append(f"99 % within the last {horizon} step{'s' * (horizon != 1)}")
    finite = np.flatnonzero(np.isfinite(line.log10))
    if finite.size:
        first, last = int(finite[0]), int(finite[-1])
        said.append(
            f"norm {ten_to(float(line.log10[first]))} at lag {line.lags[first]}"
            + (f", {ten_to(float(line.log10[last]))} at lag {line.lags[last]}" if last != first else "")
        )
    zero = "exactly 0" if line.certain else "0 or underflowed"
    for what, found in ((zero, np.isneginf(line.log10)), ("not finite", np.isnan(line.log10))):
        lags = [line.lags[k] for k in np.flatnonzero(found)]
        if lags:
            at = f"lag {lags[0]}" if len(lags) == 1 else f"{len(lags)} lags from {lags[0]} to {lags[-1]}"
            said.append(f"{what} at {at}")
    return "; ".join(said)
