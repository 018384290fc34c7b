"""Heat maps: the ledger of several losses, loss by step of the use; and the spectrum, lag by number of crossings."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ...trace import GradientTrace, Ledger, Spectrum, StreamingSpectrum, percent
from ..text.labels import visible
from .notes import at_step, range_in_words, range_notes, short_source, warnings_of
from .numbers import Table, ledger_of, table, why_no_shares
from .one_loss import plot_one_loss
from .plot import Plot
from .powers import power, power_ticks, ten_to, written_powers
from .style import (
    MOST_WRITTEN,
    Canvas,
    begin,
    colour_bar,
    finish,
    frame,
    index_ticks,
    module,
    percents,
    say,
    with_minus,
    words,
    written_share,
)

Array = npt.NDArray[Any]
LEAST_SHARE = 0.0005  # of a spectrum, to draw a column for it


@np.errstate(invalid="ignore")  # where a gradient is not finite, that is said in words
def plot_ledger(
    source: Ledger | GradientTrace, *, theme: str = "light", size: str = "slide", title: str | None = None
) -> Plot:
    """The ledger: signed shares, and norms as powers of ten, by step of the use.

    Of several losses two heat maps, losses down and steps across; of one loss bars and points.

    source: a ledger, or the trace it is of.
    theme: "light" or "dark"; size: "slide" or "paper", which says how large the letters are.
    Where no path leads is hatched; contributions that are exactly 0 are grey cells, or hollow points on a line of their
    own: neither is drawn as small.
    """
    ledger = ledger_of(source)
    cells = table(ledger)
    rows, columns = ledger.connected.shape
    if rows == 1:
        return plot_one_loss(cells, theme, size, title)
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
    return finish(canvas, called, _ledger_in_words(cells), _ledger_notes(cells, masked), warnings_of({"": ledger}))


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
    index_ticks(axes.xaxis, crossings)
    index_ticks(axes.yaxis, lags)
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
    told = _spectrum_in_words(spectrum, spectrum.shares, reason)
    return finish(canvas, called, told, notes, warnings_of({"": spectrum}))


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
    far = _below(most)
    near = _below(far / 4)
    ticks = [-far, -near, 0.0, near, far]
    names = [with_minus(f"{100 * tick:+.3g} %") if tick else "0" for tick in ticks]
    colour_bar(canvas, image, axes if beside is None else beside, ticks, names, "square root scale")
    _write(canvas, axes, values, written_share)


def _below(most: float) -> float:
    """The largest of the numbers 1, 2, 5, 10, 20, ... that is not above it."""
    unit = 10.0 ** math.floor(math.log10(most))
    return next((digit * unit for digit in (5, 2) if digit * unit <= most), unit)


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
    colour_bar(canvas, image, axes, ticks, written_powers(ticks), "logarithmic scale")
    digits = 2 if values.shape[1] <= 8 else 1
    _write(canvas, axes, values, lambda exponent: _short(exponent, digits))


def _short(exponent: float, digits: int) -> str:
    """A norm in a cell: 0.39, 2e-5, 10⁻⁴⁰⁰."""
    if abs(exponent) > 99:
        return power(exponent)
    plain = exponent > (-3 if digits > 1 else -2.02)  # 0.002 is too long for a narrow cell
    return f"{10.0**exponent:.{digits}g}" if plain else with_minus(f"{10.0**exponent:.0e}".replace("e-0", "e-"))


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
    index_ticks(axes.xaxis, ["none" if i is None else i for i in ledger.steps])
    index_ticks(axes.yaxis, ["none" if tau is None else tau for tau in ledger.loss_steps])


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
    few = module("matplotlib.ticker").MaxNLocator
    above.set_xlim(axes.get_xlim())
    left.set_ylim(axes.get_ylim())
    percents(above.yaxis)
    percents(left.xaxis)
    above.yaxis.set_major_locator(few(3))
    left.xaxis.set_major_locator(few(3))
    above.tick_params(labelbottom=False, bottom=False)
    index_ticks(left.yaxis, lags)
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
    return notes + range_notes(cells)


def _ledger_in_words(cells: Table) -> str:
    ledger = cells.ledger
    rows, columns = ledger.connected.shape
    text = (
        f"Heat map of what each use of {ledger.source}, contributes to {rows} losses, "
        f"by step of the loss and of the use ({columns} column{'s' * (columns != 1)})."
    )
    reason = why_no_shares(ledger.missing)
    if reason:
        text += f" {reason}"
    else:
        row, column = np.unravel_index(np.argmax(np.abs(ledger.shares)), ledger.shares.shape)
        text += (
            f" The largest share, {percent(float(ledger.shares[row, column]))}, is that of "
            f"{at_step(ledger.steps[column])} in the loss at {at_step(ledger.loss_steps[row])}."
        )
    finite = cells.log10[np.isfinite(cells.log10)]
    if finite.size:
        text += f" Norms lie between {ten_to(float(finite.min()))} and {ten_to(float(finite.max()))}."
    return text + range_in_words(cells)


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
