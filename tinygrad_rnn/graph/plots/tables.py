"""Heat maps: the ledger, loss by step of the use; and the spectrum, lag by number of crossings."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...trace import GradientTrace, Ledger, Spectrum, StreamingSpectrum, magnitude, percent
from ..text.labels import visible
from .numbers import Table, ledger_of, table, why_no_shares
from .plot import Plot
from .style import Canvas, begin, colour_bar, finish, frame, module, power, say, words

Array = npt.NDArray[Any]
LEAST_SHARE = 0.0005  # of a spectrum, to draw a column for it
MOST_WRITTEN = 12  # rows and columns of a table whose numbers are written into its cells


@np.errstate(invalid="ignore")  # where a gradient is not finite, that is said in words
def plot_ledger(
    source: Ledger | GradientTrace, *, theme: str = "light", size: str = "slide", title: str | None = None
) -> Plot:
    """The ledger as two heat maps, losses down and steps across: signed shares, and norms as powers of ten.

    source: a ledger, or the trace it is of.
    theme: "light" or "dark"; size: "slide" or "paper", which says how large the letters are.
    Cells to which no path leads are hatched, contributions that are exactly 0 are grey: neither is drawn as small.
    """
    ledger = ledger_of(source)
    cells = table(ledger)
    rows, columns = ledger.connected.shape
    flat = 3 * rows < columns
    canvas = begin(theme, size, *((2, 1) if flat else (1, 2)))
    for axes in canvas.axes.flat:
        frame(canvas, axes)
    shares, norms = canvas.axes.flat
    _ledger_axes(canvas, shares, ledger, "Share of the gradient", below=not flat)
    _ledger_axes(canvas, norms, ledger, "Norm of the contribution", left=flat)
    masked = np.ma.masked_array(ledger.shares, mask=~ledger.connected | cells.zero | np.isnan(ledger.shares))
    reason = why_no_shares(ledger.missing)
    _no_path(canvas, shares)
    if reason:
        say(canvas, shares, reason)
    else:
        draw_shares(canvas, shares, masked)
        _grey(canvas, shares, cells.zero)
    _no_path(canvas, norms)
    _draw_norms(canvas, norms, cells)
    _grey(canvas, norms, cells.zero)
    called = title or f"What each use of {short_source(ledger)} contributes to each loss"
    return finish(canvas, called, _ledger_in_words(cells), _ledger_notes(cells, masked))


@np.errstate(invalid="ignore")  # where a gradient is not finite, that is said in words
def plot_spectrum(
    spectrum: Spectrum | StreamingSpectrum, *, theme: str = "light", size: str = "slide", title: str | None = None
) -> Plot:
    """Shares of the gradient by lag and by the number of crossings in a landmark, each also added up over the other.

    spectrum: of `trace.spectrum("h")` or `trace.streaming_spectrum("h")`. theme, size: as for `plot_ledger`.
    """
    if not isinstance(spectrum, (Spectrum, StreamingSpectrum)):
        raise TypeError(f'a spectrum is plotted, such as trace.spectrum("h"); got {type(spectrum).__name__}')
    canvas = begin(theme, size, 2, 2, width_ratios=[1, 4], height_ratios=[1, 3.2])
    name = visible(spectrum.name)
    reason = why_no_shares(spectrum.missing)
    few = spectrum.shares.shape[1] if reason else _columns_that_show(spectrum.shares)
    values, connected = spectrum.shares[:, :few], spectrum.connected[:, :few]
    zero = spectrum.zero[:, :few]
    corner, above, left, axes = canvas.axes.flat
    corner.set_axis_off()
    lags = np.array(spectrum.lags)
    crossings = np.arange(values.shape[1])
    words(canvas, axes, x=f"crossings in {name}: how often a path crosses time in it")
    frame(canvas, axes)
    _index_ticks(axes.xaxis, crossings)
    _index_ticks(axes.yaxis, lags)
    axes.tick_params(labelleft=False)
    if reason:
        say(canvas, axes, reason)
        axes.set(xlim=(-0.5, len(crossings) - 0.5), ylim=(len(lags) - 0.5, -0.5))
        above.set_axis_off()
        left.set_axis_off()
    else:
        draw_shares(canvas, axes, np.ma.masked_array(values, mask=~connected | zero), beside=[above, axes])
        _no_path(canvas, axes)
        _grey(canvas, axes, zero)
        _margins(canvas, axes, above, left, spectrum.shares, few, lags)
    notes = [
        "Blue: with the gradient; orange: against it. Bars: added up over lags (above) and over crossings (left).",
        "Hatched: no such path.",
    ]
    if not reason and zero.any():
        notes.append("Grey: a path is there, and carries 0, exactly or by underflow.")
    if few < spectrum.shares.shape[1]:
        rest = percent(float(spectrum.shares[:, few:].sum()))
        notes.append(f"Not drawn: paths with {few} or more crossings, {rest} of the gradient in all.")
    called = title or f"The gradient by lag and by crossings in {name}"
    return finish(canvas, called, _spectrum_in_words(spectrum, spectrum.shares, reason), notes)


def _columns_that_show(shares: Array) -> int:
    """How many columns of a spectrum to draw: up to the last with a share that can be seen, and at least two."""
    seen = np.flatnonzero((np.abs(shares) >= LEAST_SHARE).any(axis=0))
    last = int(seen[-1]) if seen.size else 0
    return min(int(shares.shape[1]), max(2, last + 1))


def draw_shares(canvas: Canvas, axes: Any, values: Any, beside: Any = None) -> None:
    """A table of signed shares: blue above 0, orange below, the ground's own colour at 0.

    The colour goes with the square root, so that a share of 1 % can still be seen beside one of 60 %.
    beside: the axes that the colour bar stands beside, if not these alone.
    """
    most = float(np.ma.abs(values).max()) if values.count() else 1.0
    most = most if math.isfinite(most) and most > 0 else 1.0
    scale = module("matplotlib.colors").FuncNorm((_signed_root, _signed_square), vmin=-most, vmax=most)
    colours = canvas.colours(canvas.theme.signs)
    image = axes.imshow(values, cmap=colours, norm=scale, aspect="auto", interpolation="nearest")
    ticks = [-most, -most / 4, 0.0, most / 4, most]
    names = [f"{100 * tick:+.3g} %" if tick else "0" for tick in ticks]
    colour_bar(canvas, image, axes if beside is None else beside, ticks, names)
    _write(canvas, axes, values, lambda share: f"{share:.0%}" if abs(share) >= 0.01 else "–")


def _signed_root(x: Any) -> Any:
    return np.sign(x) * np.sqrt(np.abs(x))


def _signed_square(x: Any) -> Any:
    return np.sign(x) * np.square(x)


def _draw_norms(canvas: Canvas, axes: Any, cells: Table) -> None:
    values = np.ma.masked_invalid(cells.log10)
    if not values.count():
        say(canvas, axes, "No norms: no contribution is finite and other than 0.")
        axes.set(xlim=(-0.5, cells.log10.shape[1] - 0.5), ylim=(cells.log10.shape[0] - 0.5, -0.5))
        return
    low, high = float(values.min()), float(values.max())
    low = low if high - low > 0.5 else high - 0.5
    colours = canvas.colours(canvas.theme.sizes)
    image = axes.imshow(values, cmap=colours, vmin=low, vmax=high, aspect="auto", interpolation="nearest")
    ticks = power_ticks(low, high)
    colour_bar(canvas, image, axes, ticks, [written_power(tick, high - low) for tick in ticks])
    digits = 2 if values.shape[1] <= 8 else 1
    _write(canvas, axes, values, lambda exponent: _short(exponent, digits))


def _short(exponent: float, digits: int) -> str:
    """A norm in a cell: 0.39, 2e-5, 10⁻⁴⁰⁰."""
    if abs(exponent) > 99:
        return power(exponent)
    plain = exponent > (-3 if digits > 1 else -2.02)  # 0.002 is too long for a narrow cell
    return f"{10.0**exponent:.{digits}g}" if plain else f"{10.0**exponent:.0e}".replace("e-0", "e-")


def short_source(ledger: Ledger) -> str:
    """The source of a ledger as a title names it."""
    return visible(re.sub(r", shape \([^()]*\)$", "", ledger.source))


def power_ticks(low: float, high: float) -> list[float]:
    """Exponents of ten for an axis from low to high: whole ones, unless there are too few."""
    ticker = module("matplotlib.ticker")
    chosen = ticker.MaxNLocator(nbins=6, integer=high - low >= 2).tick_values(low, high)
    return [float(tick) for tick in chosen if low - 1e-9 <= tick <= high + 1e-9]


def written_power(exponent: float, span: float) -> str:
    """A tick of such an axis."""
    if span >= 2:
        return power(exponent)
    return f"{10.0**exponent:.2g}" if abs(exponent) < 300 else ten_to(exponent)


def _write(canvas: Canvas, axes: Any, values: Any, format: Callable[[float], str]) -> None:
    """The numbers themselves, where the table is small enough for them."""
    rows, columns = values.shape
    if rows > MOST_WRITTEN or columns > MOST_WRITTEN:
        return
    image = axes.images[-1]
    written = {(row, k): format(float(values[row, k])) for row, k in np.argwhere(~np.ma.getmaskarray(values))}
    cell = axes.get_position().width * canvas.format.inches[0] * 72 / columns  # in points, as on the empty page
    small = min(canvas.format.text * 0.8, cell / (0.6 * max(map(len, written.values()), default=1)))
    for (row, column), text in written.items():
        red, green, blue, _ = image.cmap(image.norm(values[row, column]))
        is_light = 0.3 * red + 0.59 * green + 0.11 * blue > 0.55
        colour = "#000000" if is_light else "#FFFFFF"
        axes.text(column, row, text, color=colour, ha="center", va="center", fontsize=small)


def _no_path(canvas: Canvas, axes: Any) -> None:
    """What shows through where a table is masked."""
    axes.patch.set(hatch="//", edgecolor=canvas.theme.grid, linewidth=0)


def _grey(canvas: Canvas, axes: Any, where: Array) -> None:
    """Cells that are exactly 0."""
    if where.any():
        colours = module("matplotlib.colors").ListedColormap([canvas.theme.zero]).with_extremes(bad=(0, 0, 0, 0))
        axes.imshow(np.ma.masked_array(np.zeros(where.shape), mask=~where), cmap=colours, aspect="auto")
        if max(where.shape) <= MOST_WRITTEN:
            for row, column in zip(*np.nonzero(where), strict=True):
                axes.text(
                    column,
                    row,
                    "0",
                    ha="center",
                    va="center",
                    color=canvas.theme.ink,
                    fontsize=canvas.format.text * 0.7,
                )


def _ledger_axes(canvas: Canvas, axes: Any, ledger: Ledger, title: str, below: bool = True, left: bool = True) -> None:
    x = "step i at which it is used (counted from 0)" if below else ""
    words(canvas, axes, title, x, "step τ of the loss" if left else "")
    _index_ticks(axes.xaxis, ["none" if i is None else i for i in ledger.steps])
    _index_ticks(axes.yaxis, ["none" if tau is None else tau for tau in ledger.loss_steps])


def _index_ticks(axis: Any, names: Sequence[Any] | Array) -> None:
    """Ticks at whole positions, written as what stands there; the last one always, since it may have no step."""
    count = len(names)
    every = max(1, -(-count // 10))
    every = next(n for n in (1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000, every) if n >= every)
    at = list(range(0, count, every))
    if names[-1] == "none" and at[-1] != count - 1:
        at = [k for k in at if k <= count - 1 - every / 2] + [count - 1]
    axis.set_ticks(at, [str(names[k]) for k in at])


def _margins(canvas: Canvas, axes: Any, above: Any, left: Any, values: Array, columns: int, lags: Array) -> None:
    signs = canvas.theme.signs
    for bars, sums, horizontal in ((above, values[:, :columns].sum(axis=0), False), (left, values.sum(axis=1), True)):
        colours = [signs[3] if share >= 0 else signs[1] for share in sums]
        positions = np.arange(len(sums))
        if horizontal:
            bars.barh(positions, sums, color=colours)
            bars.axvline(0, color=canvas.theme.muted, linewidth=canvas.format.line * 0.4)
        else:
            bars.bar(positions, sums, color=colours)
            bars.axhline(0, color=canvas.theme.muted, linewidth=canvas.format.line * 0.4)
    percents = module("matplotlib.ticker").PercentFormatter(1.0, decimals=0)
    few = module("matplotlib.ticker").MaxNLocator
    above.set_xlim(axes.get_xlim())
    left.set_ylim(axes.get_ylim())
    above.yaxis.set_major_formatter(percents)
    left.xaxis.set_major_formatter(percents)
    above.yaxis.set_major_locator(few(3))
    left.xaxis.set_major_locator(few(3))
    above.tick_params(labelbottom=False, bottom=False)
    _index_ticks(left.yaxis, lags)
    words(canvas, above, y="share")
    words(canvas, left, x="share", y="lag: steps back from the loss")


def _ledger_notes(cells: Table, shares: Any) -> list[str]:
    notes = ["Blue: with the gradient; orange: against it. Shares add up to 100 %, norms do not."]
    if max(shares.shape) <= MOST_WRITTEN and (np.ma.abs(shares) < 0.01).any():
        notes[0] += " – : less than 1 %."
    if not cells.ledger.connected.all():
        notes.append("Hatched: no path from that use to that loss.")
    if cells.zero.any():
        notes.append(
            "Grey: a path exists and carries exactly 0."
            if cells.certain
            else "Grey: 0, exactly or by underflow; the ledger of the whole source can tell which."
        )
    if cells.underflowed.any():
        notes.append("Some norms are too small for a number: the ledger holds 0 there, the plot their true size.")
    if cells.overflowed.any():
        notes.append("Some norms are too large for a number: the ledger holds inf there, the plot their true size.")
    if None in cells.ledger.steps:
        notes.append("none: uses outside the time loop.")
    notes += [f"Warning: {sentence}" for sentence in cells.ledger.warnings]
    return notes


def _ledger_in_words(cells: Table) -> str:
    ledger = cells.ledger
    rows, columns = ledger.connected.shape
    text = (
        f"Heat map of what each use of {ledger.source}, contributes to {rows} loss{'es' * (rows != 1)}, "
        f"by step of the loss and of the use ({columns} column{'s' * (columns != 1)})."
    )
    reason = why_no_shares(ledger.missing)
    if reason:
        text += f" {reason}"
    else:
        row, column = np.unravel_index(np.argmax(np.abs(ledger.shares)), ledger.shares.shape)
        text += (
            f" The largest share, {percent(float(ledger.shares[row, column]))}, is that of "
            f"{_at(ledger.steps[column])} in the loss at {_at(ledger.loss_steps[row])}."
        )
    finite = cells.log10[np.isfinite(cells.log10)]
    if finite.size:
        text += f" Norms lie between {ten_to(float(finite.min()))} and {ten_to(float(finite.max()))}."
    zeros, none, under = int(cells.zero.sum()), int((~ledger.connected).sum()), int(cells.underflowed.sum())
    if zeros:
        text += f" {zeros} of {rows * columns} cells {'are exactly 0' if cells.certain else 'are 0 or underflowed'}."
    if under:
        text += f" {under} underflowed: their norms are shown by logarithm."
    if over := int(cells.overflowed.sum()):
        text += f" {over} overflowed: their norms are shown by logarithm."
    if none:
        text += f" To {none} of {rows * columns} cells there is no path."
    return text


def ten_to(exponent: float) -> str:
    """10 to this power as text, also where no number can hold it."""
    if abs(exponent) < 300:
        return magnitude(10.0**exponent)
    whole = math.floor(exponent)
    return f"{10 ** (exponent - whole):.3g}e{whole:+}"


def _at(step: int | None) -> str:
    return "no step" if step is None else f"step {step}"


def _spectrum_in_words(spectrum: Spectrum | StreamingSpectrum, values: Array, reason: str) -> str:
    text = (
        f"Heat map of the gradient by lag, {spectrum.lags[0]} to {spectrum.lags[-1]}, and by crossings in "
        f"{spectrum.name}, 0 to {values.shape[1] - 1}."
    )
    if reason:
        return f"{text} {reason}"
    row, column = np.unravel_index(np.argmax(np.abs(values)), values.shape)
    sums = values.sum(axis=0)
    shown = ", ".join(f"{percent(float(share))} with {k}" for k, share in enumerate(sums[:4]))
    shown += f", and {percent(float(sums[4:].sum()))} with more" if len(sums) > 4 else ""
    return (
        f"{text} The largest share, {percent(float(values[row, column]))}, has lag {spectrum.lags[row]} and {column} "
        f"crossings. Of the whole, {shown}."
    )
