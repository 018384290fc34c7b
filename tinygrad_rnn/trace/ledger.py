"""The ledger: what each use of a shared tensor, at each time step, contributes to the gradient of each loss.

    dL_tau/dtheta = sum over i of G[tau, i],    G[tau, i] = dL_tau/ds_i . d+s_i/dtheta

where d+ is the *direct* part, the use of theta at step i alone. Backpropagation through time adds these up as it goes;
here the uses are kept apart. A path from theta to a loss belongs to the step of the first operation on it that has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ..engine.primitives import behind
from ..engine.sweep import describe, sweep, tape
from ..engine.tensor import Tensor
from .automaton import crosses
from .measure import magnitude, norms_over, percent, shares_of

Array = npt.NDArray[Any]


@dataclass(frozen=True, repr=False)
class Ledger:
    """The table G[tau, i]: rows are losses, columns the steps at which the source is used.

    contributions: (losses, columns, *source.shape); they sum to the gradient of the sum of the losses.
    connected: (losses, columns); False is «no path», which is not a contribution of 0.
    loss_steps: the time step of each loss; of one computed outside the time loop, the last step that leads to it.
    steps: the time step of each column; None, always last, stands for uses outside the time loop.
    source: how reports call the source.
    warnings: sentences on what may not be as the author of the model meant it.
    """

    contributions: Array
    connected: npt.NDArray[np.bool_]
    loss_steps: tuple[int | None, ...]
    steps: tuple[int | None, ...]
    source: str
    warnings: tuple[str, ...]

    @cached_property
    def total(self) -> Array:
        """The sum of the table: the gradient of the sum of the losses, of the source's shape."""
        return np.asarray(self.contributions.sum(axis=(0, 1)))

    @cached_property
    def norms(self) -> Array:
        """(losses, columns): the Euclidean norm of each contribution. Norms do not add up; shares do."""
        return norms_over(self.contributions, 2)

    @cached_property
    def shares(self) -> Array:
        """(losses, columns): <G[tau, i], g> / <g, g>, signed; they add up to 1. All nan where the gradient g is 0."""
        return shares_of(self.contributions, self.total)

    def lags(self) -> list[Lag]:
        """The contributions by lag, the number of steps between the loss and the use, smallest first."""
        by_lag: dict[int, list[tuple[int, int]]] = {}
        for row, tau in enumerate(self.loss_steps):
            for column, i in enumerate(self.steps):
                if tau is not None and i is not None and self.connected[row, column]:
                    by_lag.setdefault(tau - i, []).append((row, column))
        sums = {lag: sum(self.contributions[at] for at in cells) for lag, cells in by_lag.items()}
        ordered = sorted(sums)
        together = np.stack([sums[lag] for lag in ordered]) if ordered else np.empty((0, *self.total.shape))
        norms, shares = norms_over(together, 1), shares_of(together, self.total)
        running = np.cumsum(shares)
        return [Lag(lag, *map(float, row)) for lag, *row in zip(ordered, shares, norms, running, strict=True)]

    def horizon(self, part: float = 0.99) -> int | None:
        """How many last steps it takes: all lags from there on are together less than 1 - `part` of the gradient.

        Judged by cumulative shares, none of which may leave that margin again; None where the gradient is 0, or is
        never at a time step.
        """
        lags = self.lags()
        if not lags or not self.total.any():
            return None
        outside = [k for k, lag in enumerate(lags) if not abs(lag.cumulative - 1) < 1 - part]
        return lags[min(max(outside, default=-1) + 1, len(lags) - 1)].lag + 1

    def half_life(self) -> float:
        """In how many steps the norm of a contribution halves, by a line through its logarithm against the lag.

        Infinite where norms do not fall; nan where fewer than two lags contribute.
        """
        falling = [(lag.lag, np.log(lag.norm)) for lag in self.lags() if lag.norm > 0]
        if len(falling) < 2:
            return float("nan")
        lags, logs = np.transpose(falling)
        slope = float(np.polyfit(lags, logs, 1)[0])
        return float(np.log(2) / -slope) if slope < 0 else float("inf")

    def __str__(self) -> str:
        """The ledger by lag, as a table; share first, since norms do not add up."""
        lines = [f"Gradient with respect to {self.source}, by the lag from a loss back to the use."]
        lines.append(_where(self.loss_steps, self.steps))
        lines.append(f"{'lag':>5} {'share':>9} {'sum of shares':>14} {'norm':>10}")
        for lag in self.lags():
            lines.append(
                f"{lag.lag:>5} {percent(lag.share):>9} {percent(lag.cumulative):>14} {magnitude(lag.norm):>10}"
            )
        if None in self.steps:
            share = self.shares[:, -1].sum()
            norm = float(norms_over(self.contributions[:, -1].sum(axis=0)[None], 1)[0])
            lines.append(
                f"{'none':>5} {percent(share):>9} {percent(1.0):>14} {magnitude(norm):>10}   outside the time loop"
            )
        if not self.total.any():
            lines.append("The gradient is exactly 0, so there are no shares.")
        lines += [f"Warning: {sentence}" for sentence in self.warnings]
        return "\n".join(lines)

    __repr__ = __str__


@dataclass(frozen=True)
class Lag:
    """What all uses `lag` steps before their loss contribute together: share, norm, and the shares up to this lag."""

    lag: int
    share: float
    norm: float
    cumulative: float


def ledger_of(losses: Sequence[Tensor], source: Tensor) -> Ledger:
    """One backward sweep with a leading axis that has a row for each loss, in which the uses are not added up."""
    order = tape(losses, [source])
    outside = _made_outside_steps(order, source)
    used = {node.place.step for node in order.values() for x in node.inputs if _is_use(node, x, outside)}
    steps: tuple[int | None, ...] = tuple(sorted(used))
    if any(loss.index in outside for loss in losses):
        steps += (None,)
    column = {i: k for k, i in enumerate(steps)}
    # A single loss needs no axis of its own. What arrives, by the step it comes from, at the source and at each tensor
    # made of it outside any step:
    rows = (len(losses),) if len(losses) > 1 else ()
    arrived = {index: np.zeros((*rows, len(steps), *order[index].shape)) for index in outside}

    def keep_uses_apart(consumer: Tensor, slot: int, part: Array) -> Array | None:
        producer = consumer.inputs[slot]
        if _is_use(consumer, producer, outside):
            arrived[producer.index][behind(len(rows), (column[consumer.place.step],))] += part
        return None if producer is source else part

    seeds: dict[int, Array] = {}
    for row, loss in enumerate(losses):
        mine = (row,) if rows else ()
        if loss.index in order:
            seeds.setdefault(loss.index, np.zeros((*rows, *loss.shape), loss.dtype))[mine] = 1.0
        if loss.index in outside:
            arrived[loss.index][(*mine, column[None])] = 1.0
    at_uses = {node.index: keep_uses_apart for node in order.values() if any(x.index in outside for x in node.inputs)}
    sweep(order, seeds, keep=(), at_edge=at_uses)
    if len(outside) > 1:  # from there to the source, with the steps kept apart by a leading axis
        prefix = {index: node for index, node in order.items() if index in outside}
        arrived = sweep(prefix, arrived, keep=[source.index])
    last = last_steps(order)
    return Ledger(
        contributions=arrived[source.index].reshape((len(losses), len(steps), *source.shape)),
        connected=_connected(order, losses, outside, column),
        loss_steps=tuple(last.get(loss.index) for loss in losses),
        steps=steps,
        source=describe(source),
        warnings=tuple(warnings_about(order, losses)),
    )


def _made_outside_steps(order: dict[int, Any], source: Tensor) -> set[int]:
    """The source, and what operations outside any step make from it, such as a transposed weight."""
    made = {source.index}
    for index, node in order.items():
        if node.place.step is None and any(x.index in made for x in node.inputs):
            made.add(index)
    return made


def _is_use(consumer: Any, producer: Any, outside: set[int]) -> bool:
    """Whether this edge is where a path from the source enters its first operation that has a step."""
    return producer.index in outside and consumer.index not in outside


def _connected(
    order: dict[int, Any], losses: Sequence[Tensor], outside: set[int], column: dict[int | None, int]
) -> npt.NDArray[np.bool_]:
    """Which losses each column has a path to: one bit a loss, handed down from consumers to producers."""
    leads_to = dict.fromkeys(order, 0)
    table = np.zeros((len(losses), len(column)), np.bool_)
    for row, loss in enumerate(losses):
        if loss.index in order:
            leads_to[loss.index] |= 1 << row
        if loss.index in outside:
            table[row, column[None]] = True
    uses = dict.fromkeys(column.values(), 0)
    for index, node in reversed(order.items()):
        for x in node.inputs:
            if x.index in order:
                leads_to[x.index] |= leads_to[index]
                if _is_use(node, x, outside):
                    uses[column[node.place.step]] |= leads_to[index]
    for k, bits in uses.items():
        table[:, k] |= [bool(bits >> row & 1) for row in range(len(losses))]
    return table


def last_steps(order: dict[int, Any]) -> dict[int, int]:
    """For each node its own step; for one outside any step, the last of those that lead to it."""
    last: dict[int, int] = {}
    for index, node in order.items():
        if node.place.step is not None:
            last[index] = node.place.step
        elif earlier := [last[x.index] for x in node.inputs if x.index in last]:
            last[index] = max(earlier)
    return last


def warnings_about(order: dict[int, Any], losses: Sequence[Tensor]) -> list[str]:
    """Sentences on steps and losses that are probably not as they were meant."""
    return [
        *_no_steps(order),
        *_sums_of_losses(order, losses),
        *_bridges_outside_steps(order),
        *_names_met_twice(order),
    ]


def _no_steps(order: dict[int, Any]) -> list[str]:
    if any(node.place.step is not None for node in order.values()):
        return []
    return ["no operation is at a time step: put the loop into `for t, x in tg.steps(xs):`."]


def _sums_of_losses(order: dict[int, Any], losses: Sequence[Tensor]) -> list[str]:
    """One loss that reads many steps hides the lags: it has one step, they have many."""
    for loss in losses:
        carried = any(
            x.name is None and x.primitive is not None and x.ndim == 0 and crosses(x, node)
            for node in order.values()
            for x in node.inputs
            if x.index in order
        )
        if len(steps_read(order, loss)) > 1 or carried:
            return [
                f"{describe(loss)}, adds up the losses of several steps, and its lags are counted from the last of "
                "them. To count each from its own step, pass the list of losses: tg.trace_gradient(losses, to=...)."
            ]
    return []


def steps_read(order: dict[int, Any], loss: Tensor) -> set[int]:
    """The steps whose results a loss is made of directly, by nothing but operations outside any step."""
    read: set[int] = set()
    seen: set[int] = set()
    waiting = [loss]
    while waiting:
        node = waiting.pop()
        if node.index in seen or node.index not in order:
            continue
        seen.add(node.index)
        if node.place.step is None:
            waiting.extend(node.inputs)
        else:
            read.add(node.place.step)
    return read


def _names_met_twice(order: dict[int, Any]) -> list[str]:
    """Two loops that both count from 0 put two states of one name at one step, and lags are then wrong."""
    seen: set[tuple[Any, ...]] = set()
    for node in order.values():
        key = (node.name, node.place.scope, node.place.step)
        if node.name is not None and node.primitive is not None and node.place.step is not None:
            if key in seen:
                return [
                    f"two tensors are called «{node.name}» at step {node.place.step} in the same scope. If a second "
                    "loop continues the first, number its steps on, tg.steps(xs, start=T); else give each a tg.scope."
                ]
            seen.add(key)
    return []


def _bridges_outside_steps(order: dict[int, Any]) -> list[str]:
    """A path that goes from step to step through operations outside any step is probably an oversight."""
    before = last_steps(order)
    leads_to_step: set[int] = set()
    for index, node in reversed(order.items()):
        if index in leads_to_step or node.place.step is not None:
            leads_to_step.update(x.index for x in node.inputs if x.index in order)
    return [
        f"{describe(node)}, is computed outside any time step from step {before[index]}, and later steps use it: "
        "its paths have no step there. Compute it inside `with tg.step(t):` or the tg.steps loop."
        for index, node in order.items()
        if node.place.step is None and index in before and index in leads_to_step
    ]


def _where(loss_steps: tuple[int | None, ...], steps: tuple[int | None, ...]) -> str:
    """Both ways of counting: the code's, from 0, and the textbooks', from 1."""
    used = [i for i in steps if i is not None]
    spans = [("Losses at", [tau for tau in loss_steps if tau is not None]), ("uses at", used)]
    said = [f"{what} steps {_span(at)} (counted from 1: {_span([t + 1 for t in at])})" for what, at in spans if at]
    return "; ".join(said) + "."


def _span(steps: list[int]) -> str:
    low, high = min(steps), max(steps)
    return f"{low}" if low == high else f"{low} to {high}"
