"""Where a NaN or an Inf begins: the first operation that makes one out of finite numbers, forward or backward.

A mask of -inf is no anomaly: an Inf that was given as a constant, and what keeps it, is left alone; so is a NaN that
stays in the branch that a `where` does not choose. Blamed is only what makes the loss or a gradient NaN or Inf; and of
that, what comes first.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..engine.annotate import Place
from ..engine.observed import observing_by_name
from ..engine.primitives import Array, Primitive
from ..engine.tensor import Tensor
from . import rules
from .labels import Labels, array_text
from .lines import NOT_RECORDED, Line, Lines, PlaceInFile, line_of
from .stop import made_of
from .timeline import Timeline


@dataclass(frozen=True, slots=True)
class Blame:
    """Which operation made it.

    made: what. node, slot: on the tape; slot None where it was made forward. operation: None for a tensor that was
    given with a NaN in it. text: all that is to be said.
    """

    direction: Literal["forward", "backward"]
    made: str
    node: int
    slot: int | None
    operation: str | None
    name: str | None
    scope: str
    step: int | None
    line: Line | None
    text: str


class AnomalyError(ArithmeticError):
    """A NaN or an Inf in the loss or in a gradient. `blame` says which operation made it."""

    def __init__(self, blame: Blame, timeline: Timeline | None = None) -> None:
        super().__init__(blame.text)
        self.blame, self.timeline = blame, timeline


# Forward ----------------------------------------------------------------------------------------------------------


def finite(values: Array) -> bool:
    return values.dtype.kind not in "fc" or bool(np.isfinite(values).all())


def forward_culprit(node: Tensor) -> Tensor | None:
    """The node that made what is not finite in this one; None where it is finite, or only passes on a given Inf."""
    if finite(node.value):
        return None
    chain: dict[int, Tensor] = {}
    to_visit = [node]
    while to_visit:
        one = to_visit.pop()
        if one.index not in chain:
            chain[one.index] = one
            to_visit.extend(x for x in one.inputs if not finite(x.value))
    tainted: dict[int, int] = {}  # node -> the node to blame, for those that are more than a given Inf
    for index in sorted(chain):
        one = chain[index]
        causes = [tainted[x.index] for x in one.inputs if x.index in tainted]
        if causes:
            tainted[index] = min(causes)
        elif _begins(one):
            tainted[index] = index
    return chain[tainted[node.index]] if node.index in tainted else None


def _begins(node: Tensor) -> bool:
    """Whether a NaN or an Inf begins here, where none of the operands has brought one (but a given Inf, perhaps)."""
    if node.primitive is None:
        return isinstance(node.place, PlaceOfBirth) or bool(np.isnan(node.value).any())
    return made_of(node.value, [x.value for x in node.inputs]) is not None


# Backward ---------------------------------------------------------------------------------------------------------


def backward_culprit(line: Timeline, bad: Iterable[int]) -> tuple[int, str] | None:
    """(position, what) of the first event that makes what is not finite in the gradients of the nodes in `bad`."""
    finals = line.cotangents()
    relevant = {index for index in bad if not finite(finals[index])}
    found: tuple[int, str] | None = None
    for k in range(len(line) - 1, line.backward_start - 1, -1):  # from the gradients back to the loss
        event = line[k]
        if event.producer not in relevant:
            continue
        made = made_of(line.contribution(k), [finals[event.node]])
        if made is None:
            if not finite(line.contribution(k)):
                relevant.add(event.node)
                continue
            total, before = line.total(event.producer, k + 1), line.total(event.producer, k)
            assert total is not None
            made = made_of(total, [line.contribution(k)] + ([] if before is None else [before]))
        elif not finite(finals[event.node]):
            relevant.add(event.node)
        if made is not None:
            found = k, made
    return found


def blame_of(line: Timeline, bad: Iterable[int] | None = None) -> Blame | None:
    """Which operation to blame for a loss, or for the gradients of the nodes in `bad` (all, if not said); or nobody."""
    for index in line.seeds:
        culprit = forward_culprit(line.order[index])
        if culprit is not None:
            return _forward(culprit, Labels(line))
    sources = [index for index in line.order if line.order[index].primitive is None]
    finals = line.cotangents()
    found = backward_culprit(line, [i for i in (sources if bad is None else bad) if i in finals])
    if found is None:
        return None
    event, labels = line[found[0]], Labels(line)
    node = line.order[event.node]
    for one in (*node.inputs, node):  # what the rule met was not finite already
        culprit = forward_culprit(one)
        if culprit is not None:
            return _forward(culprit, labels)
    return _backward(line, found[0], found[1], labels)


# What is said -----------------------------------------------------------------------------------------------------


def _forward(node: Tensor, labels: Labels | None) -> Blame:
    label = labels.label if labels is not None else lambda x: f"«{x.name}»" if x.name else "a tensor"
    place, line = node.place, line_of(node)
    made = "NaN" if np.isnan(node.value).any() else "Inf"
    where = _where(place, line)
    operation: str | None
    if isinstance(place, PlaceOfBirth):
        operation = place.birth.operation
        rows = [f"{made} is made by {operation}, forward, among constants: {where}", *place.birth.operands]
    elif node.primitive is None:
        rows = [f"{made} is in {label(node)} from the start: it was given, not computed ({place})"]
        operation = None
    else:
        operation = node.primitive.name
        formula = rules.formula_of(node)
        named = f"{label(node)} = {operation}(...)" if node.name else operation
        rows = [f"{made} is made by {named}, forward: {where}", f"    rule       {formula.forward}"]
        numbers = rules.forward_numbers(node)
        rows += [f"    e.g.       {numbers}"] if numbers else []
        for slot, x in enumerate(node.inputs[:6]):
            rows.append(f"    {formula.symbol_at(slot):<10} {label(x)}, shape {x.shape}: {array_text(x.value, False)}")
    return Blame(
        "forward", made, node.index, None, operation, node.name, place.scope, place.step, line, "\n".join(rows)
    )


def _backward(timeline: Timeline, position: int, made: str, labels: Labels) -> Blame:
    event = timeline[position]
    assert event.slot is not None
    node, x = timeline.order[event.node], timeline.order[event.producer]  # type: ignore[index]  # an edge, which has one
    assert node.primitive is not None
    formula, line = rules.formula_of(node), line_of(node)
    cotangent, part = timeline.cotangents()[node.index], timeline.contribution(position)
    named = f"{labels.label(node)} ({node.primitive.name})" if node.name else node.primitive.name
    what = f"{made} is made by {named}, backward, on its way to {labels.label(x)}: {_where(node.place, line)}"
    rows = [what, f"    rule       {formula.backward_at(event.slot)}"]
    numbers = rules.backward_numbers(node, event.slot, cotangent, part)
    rows += [f"    e.g.       {numbers}"] if numbers else []
    for slot, operand in enumerate(node.inputs[:6]):
        told = f"{labels.label(operand)}, shape {operand.shape}: {array_text(operand.value, False)}"
        rows.append(f"    {formula.symbol_at(slot):<10} {told}")
    rows += [f"    y          {array_text(node.value)}", f"    dy         {array_text(cotangent)}"]
    place = node.place
    return Blame(
        "backward", made, node.index, event.slot, node.primitive.name, node.name, place.scope, place.step, line,
        "\n".join(rows),
    )  # fmt: skip


def _where(place: Any, line: Line | None) -> str:
    return f'{place}; {line}: "{line.text}"' if line is not None else f"{place}; line {NOT_RECORDED}"


# While a program runs ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Birth:
    """Of a NaN or an Inf off the tape, among constants: the operation that made it, and lines on its operands."""

    operation: str
    operands: tuple[str, ...]


class PlaceOfBirth(PlaceInFile):
    """The place of a constant that holds a NaN or an Inf, and how that came about."""

    birth: Birth


class Anomalies(Lines):
    """Looks at each result, and at what each backward sweep starts from and finds."""

    def __init__(self) -> None:
        super().__init__()
        self._unused: dict[int, weakref.ref[Tensor]] = {}  # not finite, and nothing is computed from it so far

    def made(self, result: Tensor, primitive: Primitive, inputs: Sequence[Any], params: Mapping[str, Any]) -> None:
        super().made(result, primitive, inputs, params)
        if self._unused:
            for x in inputs:
                self._unused.pop(getattr(x, "index", -1), None)
        if finite(result.value):
            return
        self._unused[result.index] = weakref.ref(result)
        if result.primitive is not None:
            return
        operands = [x.value for x in inputs]
        if made_of(result.value, operands) is not None:
            birth = Birth(primitive.name, tuple(f"    operand    {array_text(x)}" for x in operands[:6]))
            result.place = _born(result.place, birth, line_of(result))
        else:
            for x in inputs:
                if isinstance(x.place, PlaceOfBirth) and not finite(x.value):
                    result.place = x.place
                    return

    def sweeping(self, order: dict[int, Tensor], seeds: Mapping[int, Any]) -> None:
        for index in seeds:
            node = order.get(index)
            culprit = None if node is None else forward_culprit(node)
            if culprit is not None:
                raise AnomalyError(_forward(culprit, Labels(Timeline(order, {}))))

    def swept(self, order: dict[int, Tensor], seeds: Mapping[int, Any], found: Mapping[int, Any]) -> None:
        arrays = {index: np.asarray(getattr(g, "value", g)) for index, g in found.items()}
        bad = [index for index, g in arrays.items() if not finite(g)]
        if not bad:
            return
        row = _first_row(arrays[bad[0]], order[bad[0]].value.ndim)
        starts = {i: np.asarray(getattr(g, "value", g)) for i, g in seeds.items() if i in order}
        line = Timeline(order, {i: _row_of(g, order[i].value.ndim, row) for i, g in starts.items()})
        blame = blame_of(line, bad)
        if blame is not None:
            raise AnomalyError(blame, line)

    def at_the_end(self) -> None:
        """Of what nothing was computed from, and what is still held: a forward pass may have been all there was."""
        for reference in self._unused.values():
            node = reference()
            culprit = None if node is None else forward_culprit(node)
            if culprit is not None:
                raise AnomalyError(_forward(culprit, None))


def _born(place: Place, birth: Birth, line: Line | None) -> PlaceOfBirth:
    made = PlaceOfBirth(*place)
    made.birth = birth
    if line is not None:
        made.line = line
    return made


def _first_row(gradient: Array, ndim: int) -> int:
    """Behind leading axes: the number of the first row that is not finite."""
    rows = gradient.reshape((-1, *gradient.shape[gradient.ndim - ndim :]))
    return next(k for k, row in enumerate(rows) if not finite(row))


def _row_of(seed: Array, ndim: int, row: int) -> Array:
    shape = seed.shape[seed.ndim - ndim :]
    return np.array(seed.reshape((-1, *shape))[row if seed.ndim > ndim else 0])


class detect_anomaly(observing_by_name):  # noqa: N801 - used like a function
    """``with tg.detect_anomaly():`` a NaN or an Inf in a loss or in a gradient is an error that names what made it.

    Named are the operation, its operands, the line of your program, scope and step. What -inf does in a mask is no
    anomaly, nor is a NaN that does not reach the loss or a gradient. Gradients that are wrong are not added to
    ``.grad``. Where there is no backward pass inside, what is left over at the end is looked at.
    Operations take about twice as long inside. Raises AnomalyError, an ArithmeticError.
    """

    __slots__ = ()

    make = Anomalies

    def __exit__(self, kind: Any, error: Any, at: Any) -> None:
        super().__exit__(kind, error, at)
        if kind is None:
            assert isinstance(self.observer, Anomalies)
            self.observer.at_the_end()
