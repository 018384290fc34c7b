"""What may be asked to be shown inside nodes beyond their names: numbers in shaded cells, slopes, saturation."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..text.labels import Cell, Grid, Line, Row
from ..text.summary import number
from ..views.figure import Figure

FACTS = ("shape", "value", "gradient", "numbers", "slope", "saturation")
MOST_ACROSS, MOST_DOWN = 16, 8  # numbers of a tensor that is shown in shaded cells
MOST_WRITTEN = 8  # of them with the number written in each
MOST_STEPS, MOST_NODES = 3, 100  # of pictures that show facts unless others are asked for
FLAT = 0.01  # units whose local derivative is below it are counted
SMALL = 9
BLUE, ORANGE = (0, 114, 178), (230, 159, 0)  # of Okabe and Ito
# Elementwise functions of one input with their local derivative from their result y and their input x.
SLOPES = {
    "sigmoid": lambda y, x: y * (1 - y),
    "tanh": lambda y, x: 1 - y * y,
    "relu": lambda y, x: (x > 0) * 1.0,
    "softplus": lambda y, x: 1 - np.exp(-y),
    "exp": lambda y, x: y,
    "sin": lambda y, x: np.cos(x),
    "cos": lambda y, x: -np.sin(x),
    "square": lambda y, x: 2 * x,
}
SATURATING = ("sigmoid", "tanh")


@dataclass(frozen=True, slots=True)
class Contents:
    """inside: by node, what stands in it below its name. notes: for the legend."""

    inside: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def checked_facts(show: Sequence[str]) -> tuple[str, ...]:
    """Raises ValueError for facts that there are none of."""
    if isinstance(show, str) or not set(show) <= set(FACTS):
        raise ValueError(f"show is a list of facts, of {', '.join(map(repr, FACTS))}; got {show!r}")
    return tuple(show)


def has_room(figure: Figure) -> bool:
    """Whether small print can be read where the whole picture is shown on a slide."""
    steps = {n.step for n in figure.nodes if n.step is not None}
    return len(steps) <= MOST_STEPS and len(figure.nodes) <= MOST_NODES


def contents(figure: Figure, tape: Sequence[Any], show: Collection[str]) -> Contents:
    """The facts that need the tensors themselves."""
    wanted = [fact for fact in ("numbers", "slope", "saturation") if fact in show]
    tensors = {t.index: t for t in tape} if wanted else {}
    inside: dict[str, tuple[Row, ...]] = {}
    for n in figure.nodes:
        t = tensors.get(n.index)
        rows = [row for fact in wanted for row in _FACTS[fact](t)] if t is not None else []
        if rows:
            inside[n.id] = tuple(rows)
    return Contents(inside, tuple(_NOTES[fact] for fact in wanted) if inside else ())


def _numbers(t: Any) -> list[Row]:
    a = np.asarray(t.value)
    if a.size < 2 or a.dtype.kind not in "biuf" or a.shape[-1] > MOST_ACROSS or a.size > MOST_DOWN * a.shape[-1]:
        return []
    table = a.reshape((-1, a.shape[-1])).astype(np.float64)
    largest = float(np.nanmax(np.abs(table), initial=0.0))
    written = a.size <= MOST_WRITTEN
    return [Grid(tuple(tuple(_cell(float(v), largest, written) for v in row) for row in table), written)]


def _cell(v: float, largest: float, written: bool) -> Cell:
    depth = 1.0 if np.isinf(v) else abs(v) / largest if np.isfinite(v) and 0 < largest < np.inf else 0.0
    hue = BLUE if v > 0 else ORANGE
    color = "#" + "".join(f"{round(255 + (c - 255) * depth):02X}" for c in hue)
    text = number(v, 2) if written else "−" if v < 0 else "?" if np.isnan(v) else ""
    return Cell(text, color, v > 0 and depth > 0.85)


def slope(t: Any) -> npt.NDArray[Any] | None:
    """The local derivative of an elementwise function of one input, None for other operations."""
    if t.primitive is None or t.primitive.name not in SLOPES:
        return None
    return np.asarray(SLOPES[t.primitive.name](t.value, t.inputs[0].value))


def _slope(t: Any) -> list[Row]:
    d = slope(t)
    if d is None or d.size == 0:
        return []
    low, high = float(np.min(d)), float(np.max(d))
    return [Line(f"slope {number(low, 2)}" + (f" to {number(high, 2)}" if high > low else ""), SMALL)]


def _saturation(t: Any) -> list[Row]:
    d = slope(t)
    if d is None or d.size == 0 or t.primitive.name not in SATURATING:
        return []
    flat, saturated = int((d < FLAT).sum()), int((d == 0).sum())
    rows: list[Row] = [Line(f"flat {flat} of {d.size}", SMALL, bold=flat > 0)]
    return [*rows, Line(f"saturated {saturated} of {d.size}", SMALL, bold=True)] if saturated else rows


_FACTS = {"numbers": _numbers, "slope": _slope, "saturation": _saturation}
_NOTES = {
    "numbers": (
        f"Cells: the numbers of tensors of at most {MOST_DOWN} rows of {MOST_ACROSS}, blue above 0, orange (−) below, "
        "the darker the larger, each tensor by its own largest."
    ),
    "slope": "slope: the range of the units' local derivative, s(1 − s) of a sigmoid, 1 − t² of tanh.",
    "saturation": (
        f"flat: units whose local derivative is below {FLAT:g}. saturated: it rounds to 0, while the truth is not 0."
    ),
}
