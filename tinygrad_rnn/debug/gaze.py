"""What `up` and `down` look at: a node, its operands and what uses it, at one moment."""

from __future__ import annotations

from ..engine.tensor import Tensor
from .labels import array_text
from .lines import line_of
from .walk import Walk


class Gaze:
    """A node that is looked at, and the way that led there; where time has moved, that of the event again."""

    def __init__(self, debugger: Walk) -> None:
        self.debugger = debugger
        self._begin()

    def _begin(self) -> None:
        self.position, self.node = self.debugger.position, self.debugger.current.node
        self.trail: list[Tensor] = []  # the users to go back up to

    def up(self) -> str:
        """To a node that uses this one: to the one come from, or else the first. Raises ValueError where none does."""
        node, label = self._looked_at(), self.debugger.labels.label
        if self.trail:
            return self._at(self.trail.pop())
        users = [one for one in self.debugger.timeline.order.values() if any(x.index == node.index for x in one.inputs)]
        if not users:
            raise ValueError(f"nothing uses {label(node)}")
        names = ", ".join(map(label, users[:6])) + (", ..." if len(users) > 6 else "")
        several = f"({len(users)} nodes use it: {names})\n" if len(users) > 1 else ""
        return several + self._at(users[0])

    def down(self, k: int) -> str:
        """To operand k. Raises ValueError where there is none."""
        node = self._looked_at()
        if not node.inputs:
            raise ValueError(f"{self.debugger.labels.label(node)} is a leaf: it was given, and not computed")
        if k >= len(node.inputs):
            last = len(node.inputs) - 1
            raise ValueError(f"it has operands 0 to {last}" if last else "it has one operand, 0")
        self.trail.append(node)
        return self._at(node.inputs[k])

    def _looked_at(self) -> Tensor:
        if self.position != self.debugger.position:
            self._begin()
        if self.node is None:
            raise ValueError("nothing has happened yet")
        return self.node

    def _at(self, node: Tensor) -> str:
        self.node = node
        position, line, label = self.debugger.position, self.debugger.timeline, self.debugger.labels.label
        made = f"{node.primitive.name}({', '.join(map(label, node.inputs[:4]))})" if node.primitive else "given"
        at = line.made_at(node.index)
        when = f", event {at + 1}" if at >= 0 else ""
        where = "" if line_of(node) is None else f"  {line_of(node)}"
        rows = [f"{label(node)} = {made}{when}  ({node.place}){where}"]
        rows.append(f"    value      {array_text(node.value) if at < position else 'not made yet'}")
        if node.tracked:
            total = line.total(node.index, position)
            rows.append(f"    gradient   {'- (nothing yet)' if total is None else array_text(total)}")
        return "\n".join(rows)
