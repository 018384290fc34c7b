"""An axis of exponents of ten, on which 10^-400 is not 0: its ticks, its numbers, and a line apart for what is 0."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ...trace import magnitude
from .style import Canvas

MOST_TICKS = 7
APART = 0.27  # how far below the lowest norm the line for 0 is, in parts of what norms take
LABEL = 1.1  # the height of a label with air around it, in the size of the text
ENDS = 1e-9  # a tick that rounding puts this far beyond an end of the axis is still on it


def power_ticks(low: float, high: float, room: int = MOST_TICKS) -> list[float]:
    """Exponents of ten for an axis from low to high: two to seven, none so near another that their labels would touch.

    The numbers 1, 2, 5, 10, 20, ..., or powers of ten. Where the axis is too short for three of these, numbers at even
    steps: 2.2, 2.4, 2.6. room: how many labels would fit above each other.
    """
    choices = list(_choices(low, high))
    thinned = [choices[0][::step] for step in (2, 3, 4)]  # where nothing else has room
    for most in range(max(2, room), MOST_TICKS + 1):
        gap = (high - low) / most
        fitting = [ticks for ticks in choices if _can_be_read(ticks, gap)]
        fitting = fitting or [ticks for ticks in thinned if _can_be_read(ticks, gap)]
        if fitting:
            return next((ticks for ticks in fitting if len(ticks) > 2), fitting[0])
    return [low, high]


def _choices(low: float, high: float) -> Iterator[list[float]]:
    """The best first."""
    wholes = range(math.floor(low), math.ceil(high) + 1)
    if high - low < MOST_TICKS:
        yield _within([whole + math.log10(digit) for whole in wholes for digit in (1, 2, 5)], low, high)
    for step in _steps(0):
        yield _within(range(-(-wholes[0] // step) * step, wholes[-1] + 1, int(step)), low, high)
        if step > high - low:
            break
    if high - low < MOST_TICKS:
        unit = math.floor(high)
        first, last = 10 ** (low - unit), 10 ** (high - unit)  # as numbers, which no number may hold without the unit
        for step in _steps(math.floor(math.log10(last - first)) - 1):
            multiples = np.arange(max(1, math.floor(first / step)), last / step + 1) * step
            yield _within(unit + np.log10(multiples), low, high)
            if step > last - first:
                break


def _steps(exponent: int) -> Iterator[Any]:
    """1, 2, 5, 10, 20, ... times this power of ten."""
    for k in itertools.count(exponent):
        yield from (digit * 10**k for digit in (1, 2, 5))


def _within(ticks: Any, low: float, high: float) -> list[float]:
    return [float(tick) for tick in ticks if low - ENDS <= tick <= high + ENDS]


def _can_be_read(ticks: Sequence[float], gap: float) -> bool:
    return 2 <= len(ticks) <= MOST_TICKS and min(np.diff(ticks)) >= gap


def written_powers(ticks: Sequence[float]) -> list[str]:
    """The labels of such ticks, all of one kind: 10⁻⁶; or 0.002; or 2 × 10⁻⁶."""
    if all(abs(tick - round(tick)) < ENDS for tick in ticks):
        return [power(tick) for tick in ticks]
    if min(ticks) > -4 - ENDS and max(ticks) < 4:
        return [f"{10.0**tick:.4g}" for tick in ticks]
    units = [math.floor(tick + ENDS) for tick in ticks]
    return [f"{10 ** (tick - unit):.4g} × {power(unit)}" for tick, unit in zip(ticks, units, strict=True)]


def power(exponent: float) -> str:
    """10 to this power as a tick writes it: 10⁻⁶."""
    digits = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    return f"10{str(round(exponent)).translate(digits)}"


def ten_to(exponent: float) -> str:
    """10 to this power as text, also where no number can hold it."""
    if abs(exponent) < 300:
        return magnitude(10.0**exponent)
    whole = math.floor(exponent)
    return f"{10 ** (exponent - whole):.3g}e{whole:+}"


def norm_axis(canvas: Canvas, axes: Any, low: float, high: float, zeros: bool) -> float:
    """Ticks and limits for norms from 10^low to 10^high; the height of the line for those that are 0, if there are any.

    That line stands clear of the axis, which ends above it: no distance on a logarithmic axis leads to 0.
    """
    span = high - low
    end, zero, top = low - 0.07 * span, low - APART * span, high + 0.07 * span
    if zeros:
        axes.axhline(zero, color=canvas.theme.muted, linestyle=":", linewidth=canvas.format.line * 0.4)
        axes.spines["left"].set_bounds(end, top)
    _set_ticks(axes, power_ticks(low, high), [zero] if zeros else [])
    axes.set_ylim(zero - 0.09 * span if zeros else end, top)
    return zero


def _set_ticks(axes: Any, ticks: list[float], zero: list[float]) -> None:
    axes.set_yticks([*zero, *ticks], [*("0" for _ in zero), *written_powers(ticks)])


def fit_ticks(canvas: Canvas, axes: Any, low: float, high: float, zero: list[float]) -> None:
    """Fewer ticks on a norm axis that has become low, beside a long legend and long notes. zero: the line for it."""
    canvas.figure.draw_without_rendering()  # to know how high it is
    bottom, top = axes.get_ylim()
    tall = axes.get_window_extent().height / canvas.figure.dpi * 72 * (high - low) / (top - bottom)
    label = LABEL * canvas.format.text / tall
    if label > 1 / MOST_TICKS:
        lowest = low + max(0.0, label - APART) * (high - low) if zero else low  # else it would touch the 0
        _set_ticks(axes, power_ticks(lowest, high, int(1 / label)), zero)


def draw_zeros(canvas: Canvas, axes: Any, at: Any, height: float, wide: float, **look: Any) -> None:
    """Hollow marks on the line for 0. at: their places along the axis; wide: the size of the marks, in markers."""
    if not len(at):
        return  # a line of no points would still take its place in the layout, in the corner of the figure
    hollow = {"markerfacecolor": canvas.theme.paper, "markeredgewidth": canvas.format.line * 0.7, "clip_on": False}
    wide *= canvas.format.marker
    axes.plot(at, np.full(len(at), height), linestyle="", markersize=wide, **{**look, **hollow})


def shade_too_small(canvas: Canvas, axes: Any, smallest: float, low: float, high: float, left: bool) -> None:
    """A ground for norms that no number can hold. smallest: log10 of the least that one can; left: where it says so."""
    span = high - low
    top = min(smallest, high + 0.07 * span)
    axes.axhspan(low - 0.07 * span, top, color=canvas.theme.grid, zorder=0, linewidth=0)
    axes.text(
        0.01 if left else 0.99,
        top - 0.02 * span,
        "too small for a number: the plain gradient has 0 here",
        transform=axes.get_yaxis_transform(),
        ha="left" if left else "right",
        va="top",
        color=canvas.theme.ink,
        fontsize=canvas.format.text * 0.8,
    )
