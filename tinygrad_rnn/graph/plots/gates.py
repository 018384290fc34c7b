"""Gate activations over time: the mean and the range of every gate, and each of its units; what is saturated is marked.

A gate is a landmark that a sigmoid or tanh made: i, f, g, o of an LSTM, r, z, n of a GRU, h of an RNN.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...engine.tensor import Tensor
from ..text.labels import visible
from ..views.figure import ancestors
from .plot import Plot
from .style import Canvas, begin, colour_bar, dress, finish, frame, whole_ticks, with_minus, words

Array = npt.NDArray[Any]
MEANINGS = {
    ("i", "sigmoid"): "input gate",
    ("f", "sigmoid"): "forget gate",
    ("o", "sigmoid"): "output gate",
    ("r", "sigmoid"): "reset gate",
    ("z", "sigmoid"): "update gate",
    ("g", "tanh"): "candidate",
    ("n", "tanh"): "candidate",
    ("h", "tanh"): "hidden state",
}
FIXED = ("i", "f", "g", "o", "r", "z", "n", "h")  # each has its own colour and marker in every plot
LOWEST = {"sigmoid": 0.0, "tanh": -1.0}  # the highest is 1
MOST_GATES = 8
FLAT = 0.01  # a local derivative below this part of its largest
MOST_DOTS = 1500  # cells of a heat map in which saturation is marked one by one


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate through time.

    values: (steps, elements, units): elements are those of the batch.
    flat: of the same shape, where the local derivative is less than 1 % of its largest; saturated: where it rounds to 0
        in the gate's own precision, so that no gradient at all passes, although the truth is not 0.
    """

    name: str
    scope: str
    kind: str
    steps: tuple[int, ...]
    values: Array
    flat: Array
    saturated: Array


def gates_of(
    outputs: Tensor | Sequence[Tensor], names: Sequence[str] | None = None, scope: str | None = None
) -> list[Gate]:
    """The gates that lead to the outputs, in the order in which a step computes them."""
    listed = [outputs] if isinstance(outputs, Tensor) else outputs
    if not isinstance(listed, Sequence) or not listed or not all(isinstance(t, Tensor) for t in listed):
        raise TypeError("plot_gates takes a Tensor, such as the loss, or a list of Tensors")
    found: dict[tuple[str, str], list[Any]] = {}
    for t in ancestors(listed):
        kind = _kind(t)
        if kind is None or t.place.step is None or (names is not None and t.name not in names):
            continue
        if scope is None or t.place.scope == scope or t.place.scope.startswith(scope + "/"):
            found.setdefault((t.place.scope, t.name), []).append(t)
    if not found:
        wanted = "".join(
            [f" called {', '.join(map(repr, names))}" if names is not None else "", f" in {scope!r}" if scope else ""]
        )
        raise ValueError(
            f"there is no gate{wanted}: a gate is what a sigmoid or tanh made at a time step and .named(...) named"
        )
    if len(found) > MOST_GATES:
        scopes = ", ".join(sorted({repr(s) for s, _ in found}))
        raise ValueError(
            f"there are {len(found)} gates, and at most {MOST_GATES} fit: choose some with "
            f'names=("f", "i") or scope=...; there are the scopes {scopes}'
        )
    return [_gate(s, name, ts) for (s, name), ts in found.items()]


def plot_gates(
    outputs: Tensor | Sequence[Tensor],
    names: Sequence[str] | None = None,
    scope: str | None = None,
    *,
    theme: str = "light",
    size: str = "slide",
    title: str | None = None,
) -> Plot:
    """For every gate, over time: its mean with the range of its units, and each unit as a line of a heat map.

    outputs: the loss, or whatever the gates lead to. names, scope: which gates, if not all; at most eight.
    theme: "light" or "dark"; size: "slide" or "paper".
    Raises ValueError where there are no gates, or too many. Over a batch, the heat map shows the mean; a unit is marked
    as saturated where it is for every element.
    """
    gates = gates_of(outputs, names, scope)
    canvas = begin(theme, size, len(gates), 2, width_ratios=[1, 1.15], sharex="col")
    looks = looks_of(canvas, {gate.name for gate in gates})
    marked = False
    for k, gate in enumerate(gates):
        _draw_curve(canvas, canvas.axes[k, 0], gate, looks[gate.name], len(gates))
        marked |= _draw_units(canvas, canvas.axes[k, 1], gate)
    for axes in canvas.axes[-1]:
        axes.set_xlabel("step", fontsize=canvas.format.text, color=canvas.theme.ink)
    return finish(canvas, title or "Gate activations over time", _in_words(gates), _notes(gates, marked))


def _kind(t: Any) -> str | None:
    kind = t.primitive.name if t.primitive is not None and t.name else None
    return kind if kind in LOWEST else None


def _gate(scope: str, name: str, made: list[Any]) -> Gate:
    at = {t.place.step: t for t in made}
    steps = tuple(sorted(at))
    arrays = [np.asarray(at[step].value) for step in steps]
    units = arrays[0].shape[-1] if arrays[0].ndim else 1
    rows = [a.reshape(-1, units) for a in arrays if a.size == arrays[0].size]
    if len(rows) < len(arrays):
        raise ValueError(f"the gate {name!r} has other shapes at other steps, and cannot be plotted over time")
    values = np.stack(rows)
    kind = made[0].primitive.name
    slope = values * (1 - values) if kind == "sigmoid" else 1 - values * values  # as the rules compute it
    largest = 0.25 if kind == "sigmoid" else 1.0
    return Gate(name, scope, kind, steps, values, np.abs(slope) < FLAT * largest, slope == 0)


def looks_of(canvas: Canvas, names: Collection[str]) -> dict[str, dict[str, Any]]:
    """Colour, marker and kind of line of each gate by its name, so that f looks the same whatever is computed first.

    Names other than the usual ones are dashed, and have by the alphabet the colours that no other gate here has.
    """
    others = sorted(set(names) - set(FIXED))
    left = [k for k, name in enumerate(FIXED) if name not in names]
    looks = {name: {**canvas.series(FIXED.index(name)), "linestyle": "-"} for name in names if name in FIXED}
    return looks | {name: {**canvas.series(k), "linestyle": "--"} for name, k in zip(others, left, strict=False)}


def _draw_curve(canvas: Canvas, axes: Any, gate: Gate, look: dict[str, Any], many: int) -> None:
    dress(canvas, axes)
    over_units = gate.values.reshape(len(gate.steps), -1).astype(np.float64)
    lowest, highest = over_units.min(axis=1), over_units.max(axis=1)
    axes.fill_between(gate.steps, lowest, highest, color=look["color"], alpha=0.22, linewidth=0)
    marker = canvas.format.marker * 0.8 if len(gate.steps) <= 60 else 0.0
    axes.plot(gate.steps, over_units.mean(axis=1), markersize=marker, linewidth=canvas.format.line, **look)
    axes.set_xlim(gate.steps[0] - 0.5, gate.steps[-1] + 0.5)  # as the heat map beside it
    low = LOWEST[gate.kind]
    axes.set_ylim(low - 0.04 * (1 - low), 1 + 0.04 * (1 - low))
    axes.set_yticks([low, (low + 1) / 2, 1.0], [with_minus(f"{low:g}"), f"{(low + 1) / 2:g}", "1"])
    whole_ticks(axes.xaxis)
    meaning = MEANINGS.get((gate.name, gate.kind), gate.kind)
    where = f" · {visible(gate.scope)}" if gate.scope and (gate.name, gate.kind) not in MEANINGS else ""
    words(
        canvas,
        axes,
        f"{visible(gate.name)}  {meaning}{where}" if many <= 4 else "",
        y=visible(gate.name) if many > 4 else "",
    )


def _draw_units(canvas: Canvas, axes: Any, gate: Gate) -> bool:
    """The heat map; whether cells in it were marked."""
    frame(canvas, axes)
    units = gate.values.mean(axis=1).T  # (units, steps), the mean over the batch
    low = LOWEST[gate.kind]
    colours = canvas.theme.sizes if low == 0 else canvas.theme.signs
    edges = (gate.steps[0] - 0.5, gate.steps[-1] + 0.5, units.shape[0] - 0.5, -0.5)
    grid = _on_axis(gate, units)
    axes.imshow(
        grid, cmap=canvas.colours(colours), vmin=low, vmax=1.0, aspect="auto", interpolation="nearest", extent=edges
    )
    colour_bar(canvas, axes.images[0], axes, [low, 1.0], [with_minus(f"{low:g}"), "1"])
    axes.set_yticks([0, units.shape[0] - 1] if units.shape[0] > 1 else [0])
    axes.set_ylabel("unit", fontsize=canvas.format.text * 0.85, color=canvas.theme.ink)
    whole_ticks(axes.xaxis)
    flat, saturated = gate.flat.all(axis=1).T, gate.saturated.all(axis=1).T
    whole = f"{gate.flat.mean():.0%} flat" if gate.flat.any() else ""
    dead = f"{gate.saturated.mean():.0%} saturated" if gate.saturated.any() else ""
    axes.set_title(
        ", ".join(filter(None, (whole, dead))), loc="right", fontsize=canvas.format.text * 0.85, color=canvas.theme.ink
    )
    if units.size > MOST_DOTS or not flat.any():
        return False
    steps = np.array(gate.steps)
    look = {"markeredgecolor": canvas.theme.ink, "markerfacecolor": canvas.theme.paper}
    for where, marker, part in ((flat & ~saturated, "o", 0.6), (saturated, "X", 0.9)):
        rows, columns = np.nonzero(where)
        axes.plot(steps[columns], rows, linestyle="", marker=marker, markersize=part * canvas.format.marker, **look)
    return True


def _on_axis(gate: Gate, units: Array) -> Any:
    """One column for each step between the first and the last; a step without the gate stays empty."""
    first, last = gate.steps[0], gate.steps[-1]
    grid = np.ma.masked_array(np.zeros((units.shape[0], last - first + 1)), mask=True)
    grid[:, np.array(gate.steps) - first] = units
    return grid


def _notes(gates: list[Gate], marked: bool) -> list[str]:
    notes = ["Line: mean over the units; band: from the smallest to the largest; right: each unit."]
    if any(gate.flat.any() for gate in gates):
        dots = " (dots)" if marked else ""
        notes.append(f"flat{dots}: the local derivative is below 1 % of its largest, so little gradient passes.")
    if any(gate.saturated.any() for gate in gates):
        crosses = " (crosses)" if marked else ""
        notes.append(f"saturated{crosses}: the local derivative rounds to 0, so none passes; its true value is not 0.")
    return notes


def _in_words(gates: list[Gate]) -> str:
    first, last = min(g.steps[0] for g in gates), max(g.steps[-1] for g in gates)
    text = f"Activations of {len(gates)} gate{'s' * (len(gates) != 1)} from step {first} to {last}."
    for g in gates:
        text += (
            f" {g.name}: mean {g.values.mean():.2f}, between {g.values.min():.2f} and {g.values.max():.2f}, "
            f"{g.flat.mean():.0%} flat, {g.saturated.mean():.0%} saturated."
        )
    return text
