"""A tape as the data of a page: nodes, edges, events and a picture, all of it lists, texts and numbers.

Tensors are given by their position in `nodes`, in the order in which they were made.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..engine.sweep import describe, sweep, tape
from ..engine.tensor import Tensor
from ..graph import Geometry, ancestors, geometry, summarise, visible
from . import rules
from .linear import Arrays, map_of
from .timeline import Timeline, timeline

MOST_OPERATIONS = 20_000  # on a page
MOST_DRAWN = 6_000  # operations; of more, the first and the last steps are drawn
MOST_TOLD = 10_000  # events; of more, the rule of an edge is told without numbers
MOST_VALUES = 64  # elements of an array that are shown one by one
DIGITS = 6

Data = dict[str, Any]


def tape_data(losses: Sequence[Tensor], source: Tensor | None) -> Data:
    """All that the page knows.

    nodes: name (and, where it holds invisible characters, how it is `shown`), op, scope, step, shape, dtype, low, mean,
        high, nans, values (of small arrays), inputs, tracked; rule, and the same with the numbers of one element.
    edges: [consumer, slot, producer, its map (see linear.py) or None, rule, derivative, rule with numbers or None].
    texts: the rules, by number.
    events: [kind, node or edge]: 0, a node is made; 1, the cotangent of a loss is given; 2, an edge passes it on.
    norms: of the contribution of each edge. about: a sentence about the whole.
    sources: whose gradients may be asked for, the first one to begin with.
    """
    order = tape(losses)
    nodes = ancestors(losses)
    operations = sum(t.primitive is not None for t in nodes)
    if operations > MOST_OPERATIONS:
        raise ValueError(
            f"{operations:,} operations are too many for a page, which holds at most {MOST_OPERATIONS:,}: explore a "
            "shorter sequence, or step through this one with tg.debug(loss)"
        )
    at = {t.index: k for k, t in enumerate(nodes)}
    arrays, texts = Arrays(), Texts()
    line = timeline(list(losses))
    edges, number = _edges(line, at, arrays, texts)
    events = []
    for event in line:
        if event.slot is not None:
            events.append([2, number[event.node, event.slot]])
        else:
            events.append([0 if event.kind == "forward" else 1, at[event.node]])
    contributions, cotangents = _norms(order, losses)
    drawn = geometry(losses, steps=_all_steps(nodes, operations))
    return {
        "nodes": [_node(t, at, order, cotangents, texts) for t in nodes],
        "edges": edges,
        "texts": texts.list,
        "norms": [_rounded(contributions[use]) if use in contributions else None for use in number],
        "events": events,
        "losses": [at[loss.index] for loss in losses],
        "sources": [at[t.index] for t in _sources(order, source)],
        "arrays": arrays.table,
        **arrays.base64(),
        "picture": _picture(drawn, at, number),
        "about": _about(nodes, operations),
    }


class Texts:
    """Texts by number; equal ones are kept once, as a rule is that every step uses."""

    def __init__(self) -> None:
        self.list: list[str] = []
        self._number: dict[str, int] = {}

    def number(self, text: str) -> int:
        found = self._number.setdefault(text, len(self.list))
        if found == len(self.list):
            self.list.append(text)
        return found


def _edges(
    line: Timeline, at: Mapping[int, int], arrays: Arrays, texts: Texts
) -> tuple[list[list[Any]], dict[tuple[int, int], int]]:
    """The edges that gradient flows along, and the number of each by (index of the consumer, slot)."""
    edges: list[list[Any]] = []
    number: dict[tuple[int, int], int] = {}
    for event in sorted(line[line.backward_start :], key=lambda one: (one.node, one.slot)):
        node, slot = line.order[event.node], event.slot
        assert slot is not None
        assert event.producer is not None
        number[event.node, slot] = len(edges)
        formula = rules.formula_of(node)
        told = [texts.number(formula.backward_at(slot)), texts.number(_derivative(formula, slot))]
        numbers = None
        if len(line) <= MOST_TOLD:
            part = line.contribution(event.position)
            numbers = rules.backward_numbers(node, slot, line.cotangents()[node.index], part)
        edges.append([at[event.node], slot, at[event.producer], map_of(node, slot, arrays), *told, numbers])
    return edges, number


def _derivative(formula: rules.Formula, slot: int) -> str:
    return f"dy/d{formula.symbol_at(slot)} = {formula.derivative_at(slot)}"


def _norms(order: dict[int, Tensor], losses: Sequence[Tensor]) -> tuple[dict[tuple[int, int], float], dict[int, float]]:
    """Of the contribution of every edge, and of the cotangent of every node."""
    contributions: dict[tuple[int, int], float] = {}

    def measure(consumer: Tensor, slot: int, part: Any) -> Any:
        contributions[consumer.index, slot] = _norm(part)
        return part

    seeds: dict[int, Any] = {}
    for loss in losses:
        seeds[loss.index] = seeds.get(loss.index, 0.0) + np.ones(loss.shape, loss.dtype)
    with np.errstate(all="ignore"):
        found = sweep(order, seeds, order, at_edge=dict.fromkeys(order, measure))
    return contributions, {index: _norm(g) for index, g in found.items()}


def _norm(array: Any) -> float:
    flat = np.abs(np.asarray(array, np.float64)).reshape(-1)
    largest = float(flat.max(initial=0.0))
    if largest == 0 or not math.isfinite(largest):
        return largest
    return largest * float(np.sqrt(np.square(flat / largest).sum()))


def _node(
    t: Tensor, at: Mapping[int, int], order: Mapping[int, Tensor], cotangents: Mapping[int, float], texts: Texts
) -> Data:
    value = summarise(t.value)
    found: Data = {
        "op": t.primitive.name if t.primitive is not None else None,
        "scope": t.place.scope,
        "step": t.place.step,
        "shape": list(value.shape),
        "dtype": value.dtype,
        "range": [_rounded(value.low), _rounded(value.mean), _rounded(value.high)],
        "inputs": [at[x.index] for x in t.inputs],
        "tracked": t.index in order,
        "norm": _rounded(cotangents.get(t.index)),
    }
    if t.name is not None:
        found["name"] = t.name
        if visible(t.name) != t.name:
            found["shown"] = visible(t.name)
    if visible(t.place.scope) != t.place.scope:
        found["shownScope"] = visible(t.place.scope)
    if value.nans:
        found["nans"] = value.nans
    if 1 < t.value.size <= MOST_VALUES and t.value.dtype.kind in "fiub":
        found["values"] = [_rounded(float(x)) for x in t.value.reshape(-1)]
    if t.primitive is not None:
        found["rule"] = texts.number(rules.formula_of(t).forward)
        if (numbers := rules.forward_numbers(t)) is not None:
            found["numbers"] = numbers
    return found


def _rounded(x: float | None) -> float | str | None:
    """To so many significant digits; what JSON has no number for as text."""
    if x is None or math.isfinite(x):
        return x if x is None else float(f"{x:.{DIGITS}g}")
    return str(x)


def _sources(order: Mapping[int, Tensor], first: Tensor | None) -> list[Tensor]:
    """The leaves, the one to begin with first: the one asked for, else a weight that states are multiplied with."""
    leaves = [t for t in order.values() if t.primitive is None]
    if first is not None:
        if first.index not in order:
            raise RuntimeError(f"no path leads from {describe(first)}, to the loss")
        return [first, *(t for t in leaves if t is not first)]
    met = _recurrence(order)
    return sorted(leaves, key=lambda t: -met.get(t.index, 0))


def _recurrence(order: Mapping[int, Tensor]) -> dict[int, int]:
    """For each leaf how often it meets what comes from another step, weights (2-d) counted first."""
    found: dict[int, int] = {}
    for node in order.values():
        steps = {x.place.step for x in node.inputs if x.primitive is not None}
        if node.place.step is not None and steps - {None, node.place.step}:
            for x in node.inputs:
                if x.primitive is None and x.index in order:
                    found[x.index] = found.get(x.index, 0) + (1000 if x.ndim > 1 else 1)
    return found


def _about(nodes: Sequence[Tensor], operations: int) -> str:
    steps = {t.place.step for t in nodes if t.primitive is not None} - {None}
    names = dict.fromkeys(visible(t.name) for t in nodes if t.primitive is not None and t.name)
    text = f"{operations:,} operations" + (f", {len(steps):,} time steps" if steps else "")
    listed = ", ".join(list(names)[:12]) + (", …" if len(names) > 12 else "")
    return f"{text}. Named results: {listed}." if names else f"{text}."


def _all_steps(nodes: Sequence[Tensor], operations: int) -> tuple[int, int] | None:
    steps = {t.place.step for t in nodes if t.primitive is not None and t.place.step is not None}
    return (min(steps), max(steps) + 1) if steps and operations <= MOST_DRAWN else None


def _picture(g: Geometry, at: Mapping[int, int], number: Mapping[tuple[int, int], int]) -> Data:
    """width, height; nodes, edges and boxes as lists, see the lines below for their order."""
    ids = {n.id: k for k, n in enumerate(g.nodes)}
    return {
        "width": g.width,
        "height": g.height,
        "nodes": [
            [
                *(at.get(n.index, -1), n.look, int(n.again), n.x, n.y, n.width, n.height, n.gradient_line),
                [[line.text, line.size, int(line.bold) + 2 * int(line.italic)] for line in n.lines],
            ]
            for n in g.nodes
        ],
        "edges": [
            [
                *(ids[e.source], ids[e.target], [number[use] for use in e.uses if use in number], e.slot),
                *(int(e.crossing), [c for p in e.points for c in p], [*e.tip], [*e.label], [*e.number]),
            ]
            for e in g.edges
        ],
        "boxes": [[b.step, b.depth, b.left, b.top, b.right, b.bottom, b.heading.text] for b in g.boxes],
    }
