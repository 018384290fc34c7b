"""Which operations of different time steps do the same: those up to which their steps did the same, in the same order.

So a first step with its own loss, or the last one, which no other goes on from, has its states where the others have
them; and a decoder that does what its encoder did has the same states. No names are needed for it.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..views.figure import Node


def places(nodes: Iterable[Node]) -> dict[str, int]:
    """A number for each operation of each step: the same number, the same place in its step."""
    number: dict[tuple[int, str], int] = {}
    last: dict[int, int] = {}
    found: dict[str, int] = {}
    for n in nodes:
        if n.operation is not None and not n.again and n.step is not None and n.gap is None:
            so_far = last.get(n.step, -1), n.operation
            last[n.step] = found[n.id] = number.setdefault(so_far, len(number))
    return found
