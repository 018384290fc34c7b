"""Which operations of different time steps do the same: those up to which their steps did the same, in the same order.

So a first step with its own loss, or the last one, which no other goes on from, has its states where the others have
them; and a decoder that does what its encoder did has the same states. No names are needed for it.

A first step may do less than the others before it does the same: what is made of constants only, such as [h, x] where
the first h is one, is not recorded. Its places are found from the end, and the constant that is there instead of an
operation has the place of that.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from ..views.figure import Edge, Node


def places(nodes: Iterable[Node], edges: Iterable[Edge] = ()) -> dict[str, int]:
    """A number for each operation of each step: the same number, the same place in its step."""
    steps: dict[int, list[Node]] = defaultdict(list)
    for n in nodes:
        if n.operation is not None and not n.again and n.step is not None and n.gap is None:
            steps[n.step].append(n)
    made = {step: tuple(str(n.operation) for n in inside) for step, inside in steps.items()}
    most = usual(made.values())
    from_the_end = {step: backwards(did, most) for step, did in made.items() if did != most[: len(did)]}
    number: dict[tuple[int, str], int] = {}
    in_order = _along(most, number)
    found: dict[str, int] = {}
    for step, inside in steps.items():
        at = from_the_end.get(step)
        numbers = _along(made[step], number) if at is None else [in_order[k] for k in at]
        found |= zip((n.id for n in inside), numbers, strict=True)
    return found | _instead(edges, found)


def usual(sequences: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """What most steps do; of as many the longest."""
    count = Counter(sequences)
    return max(count, key=lambda did: (count[did], len(did)), default=())


def backwards(did: Sequence[str], most: Sequence[str]) -> list[int] | None:
    """Where in `most` all of `did` is, in order, looked for from the end; None if it is not all there."""
    found: list[int] = []
    k = len(most)
    for operation in reversed(did):
        k = next((j for j in range(k - 1, -1, -1) if most[j] == operation), -1)
        if k < 0:
            return None
        found.append(k)
    return found[::-1]


def _along(did: Sequence[str], number: dict[tuple[int, str], int]) -> list[int]:
    """The numbers of operations, each told by that of the one before it."""
    found: list[int] = []
    for operation in did:
        found.append(number.setdefault((found[-1] if found else -1, operation), len(number)))
    return found


def _instead(edges: Iterable[Edge], place: Mapping[str, int]) -> dict[str, int]:
    """The places of leaves that are an input which at other steps an operation of the same step is."""
    leads_to: dict[tuple[int, int], int] = {}  # by the place and the slot of the consumer
    leaves: dict[str, tuple[int, int]] = {}
    for e in edges:
        if e.target in place and len(e.uses) == 1:
            use = place[e.target], e.uses[0][1]
            if e.source not in place:
                leaves.setdefault(e.source, use)
            elif not e.crossing:
                leads_to[use] = place[e.source]
    return {leaf: leads_to[use] for leaf, use in leaves.items() if use in leads_to}
