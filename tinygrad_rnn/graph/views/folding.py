"""Which operations are drawn as one: a tape folded by where its operations were made and by its landmarks.

Operations made at the same step in the same part of the model, a *cell*, are drawn in one box. Inside it stays visible
what has a name, what leaves the cell, and what is done to landmarks directly (the f * c of an LSTM). Every other
operation is drawn as part of the one visible operation that it leads to, or, where it leads to several, as one with all
that lead to the same several: the products that all gates of an LSTM share.

This is a partition of the operations, and what is drawn are its classes. So each use of a result is inside one node or
part of exactly one edge, nothing is counted twice, and what is conserved on the tape is conserved in the picture. No
class leads back to itself through another: a visible operation that it leads to would lead to itself.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ...engine.annotate import SweepPlace

MOST_AHEAD = 8  # visible operations that a hidden one may lead to

# What is drawn as a mark when it is done to a landmark: it scales, mixes or squashes, one element at a time.
ELEMENTWISE = frozenset(
    {"add", "subtract", "multiply", "divide", "negative", "power", "square", "sqrt", "exp", "log", "abs", "where"}
    | {"sigmoid", "tanh", "relu", "softplus", "maximum", "minimum", "clip"}
)


class Cell(NamedTuple):
    """A part of the model at one step (None: outside any step)."""

    step: int | None
    scope: str


@dataclass(frozen=True, slots=True)
class Folding:
    """drawn_as: for every operation, by index, the one that it is drawn as; its own index where it stays visible.
    cell: the cell of every visible operation. role: what an operation is in its cell, the same at every step."""

    drawn_as: dict[int, int]
    cell: dict[int, Cell]
    role: dict[int, int]


def fold(operations: Sequence[Any], outputs: Sequence[Any]) -> Folding:
    """Fold a tape. operations: all of them, oldest first, so that each comes before those that use it."""
    cell = _cells(operations)
    role = _roles(operations, cell)
    visible = _alike(operations, cell, role, _visible(operations, cell)) | {t.index for t in outputs}
    ahead: dict[int, set[int]] = defaultdict(set)  # for a hidden operation: the visible ones that it leads to first
    members: dict[tuple[Cell, frozenset[int]], list[int]] = defaultdict(list)
    drawn_as: dict[int, int] = {}
    for t in reversed(operations):
        leads_to = ahead.pop(t.index, set())
        if t.index in visible or len(leads_to) > MOST_AHEAD:
            leads_to = {t.index}
            drawn_as[t.index] = t.index
        elif len(leads_to) == 1:
            drawn_as[t.index] = next(iter(leads_to))
        else:
            together = members[cell[t.index], frozenset(leads_to)]
            together.append(t.index)
            drawn_as[t.index] = together[0]
        for x in t.inputs:
            if x.primitive is not None:
                ahead[x.index] |= leads_to
    return Folding(drawn_as, {k: cell[k] for k in set(drawn_as.values())}, role)


def crosses(producer: Any, consumer: Any) -> bool:
    """Whether this use of a result leads to another step. Leaves never do, although each was made somewhere."""
    here, there = producer.place.step, consumer.place.step
    return producer.primitive is not None and None not in (here, there) and here != there


def of_sweep(t: Any) -> bool:
    """Whether a backward sweep made it; the forward results that such an operation uses are drawn again beside it."""
    return isinstance(t.place, SweepPlace)


def common_scope(scopes: Sequence[str]) -> str:
    """The innermost scope that all of these are in."""
    shared = scopes[0].split("/") if scopes else []
    for scope in scopes[1:]:
        parts = scope.split("/")
        shared = shared[: next((k for k, (a, b) in enumerate(zip(shared, parts, strict=False)) if a != b), len(parts))]
    return "/".join(shared)


def _cells(operations: Sequence[Any]) -> dict[int, Cell]:
    """A state that goes from step to step within a scope makes that scope a cell, and all scopes inside it belong to
    it. Elsewhere each outermost scope in which an operation is made directly is one: the layers of a deep net; unless
    a state is made in no scope, as in a loop over a bare cell, whose gates then belong to it."""
    crossing = [(x.place.scope, t.place.scope) for t in operations for x in t.inputs if crosses(x, t)]
    recurrent = {common_scope(scopes) for scopes in crossing} - {""}
    is_bare = ("", "") in crossing
    own = {t.place.scope for t in operations} - {""}
    swept = {t.place.scope for t in operations if of_sweep(t)}
    found: dict[str, str] = {"": ""}
    for scope in own:
        parts = scope.split("/")
        around = ["/".join(parts[: k + 1]) for k in range(len(parts))]
        inner = [s for s in around if s in recurrent]
        found[scope] = (
            inner[-1] if inner else "" if is_bare and scope not in swept else next(s for s in around if s in own)
        )
    return {t.index: Cell(t.place.step, found[t.place.scope]) for t in operations}


def _visible(operations: Sequence[Any], cell: Mapping[int, Cell]) -> set[int]:
    found = set()
    for t in operations:
        if t.name:
            found.add(t.index)
        for x in t.inputs:
            if x.primitive is None:
                continue
            if cell[x.index] != cell[t.index]:
                found.add(x.index)
            is_state = x.name or crosses(x, t)  # a backward sweep uses them all, and would stay unfolded
            if is_state and of_sweep(x) == of_sweep(t) and t.place.step is not None and t.primitive.name in ELEMENTWISE:
                found.add(t.index)
    return found


def _alike(operations: Sequence[Any], cell: Mapping[int, Cell], role: Mapping[int, int], visible: set[int]) -> set[int]:
    """What is visible at one step is so at all: the last state too, which no step takes up."""
    roles = {role[t.index] for t in operations if t.index in visible and cell[t.index].step is not None}
    return visible | {t.index for t in operations if role[t.index] in roles and cell[t.index].step is not None}


def _roles(operations: Sequence[Any], cell: Mapping[int, Cell]) -> dict[int, int]:
    """What each operation is in its cell, a number that is the same at every step: a landmark is known by its name,
    any other by the input that it is of what it leads to first, or else by its order, from the end.

    So what differs before it does not matter: at the first step less is recorded, where states are constants still.
    """
    numbers: dict[object, int] = {}
    found: dict[int, int] = {}
    leads_to: dict[int, tuple[int, int]] = {}  # by producer: the role of its first consumer in the cell, the slot
    count: Counter[object] = Counter()
    for t in reversed(operations):
        here = cell[t.index]
        what: object = t.name or t.primitive.name
        if t.name or t.index not in leads_to:
            count[here, t.name, what] += 1
            key: object = here.scope, t.name, what, count[here, t.name, what]
        else:
            key = here.scope, what, leads_to[t.index]
        found[t.index] = numbers.setdefault(key, len(numbers))
        for slot, x in reversed(list(enumerate(t.inputs))):
            if x.primitive is not None and cell[x.index] == here:
                leads_to[x.index] = found[t.index], slot
    return found
