"""The text of the nodes of folded pictures: the names of landmarks, and signs for what is done to them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection

from ..text.labels import Line, Row, height, visible, width
from ..text.summary import gradient_text, number, value_text
from ..views.cells import SIGNS
from ..views.figure import Node
from .style import Look, facts, fitting, is_mark, kind_of, leaf_names, lines, listed, size, telling


def cell_lines(node: Node, show: Collection[str] = ()) -> tuple[Line, ...]:
    """The text of a node of a folded picture. show: which facts, of those whose value is one tensor's."""
    if node.gap is not None or node.kind == "sink":
        return lines(node)
    over_time = (
        node.steps and node.name and not show and not node.output and not node.again and node.kind != "parameter"
    )
    found = _operation_lines(node) if node.kind == "operation" and not node.again else leaf_names(node)
    if over_time:
        found += _over_time(node)
    elif node.value is not None and kind_of(node) != "mark":
        found += tuple(Line(text, 11) for text in facts(node, () if node.output else show))
        if node.tracked and "gradient" in show:
            found += (Line(gradient_text(node.gradient), 11),)
    if node.made_at is not None:
        found += (Line(f"of step {node.made_at}", 11, italic=True),)
    return found


def _over_time(node: Node) -> tuple[Line, ...]:
    """The range over all steps, and the mean, of a value."""
    if node.value is None or node.value.mean is None or node.value.dtype == "bool":
        return ()
    mean = Line(f"mean {number(node.value.mean, 2)}", 12)
    return Line(" ", 4), Line(value_text(node.value), 12), mean


def _operation_lines(node: Node) -> tuple[Line, ...]:
    sign = SIGNS.get(node.operation or "", node.operation or "")
    if node.output:
        heading = [Line(visible(node.name), fitting(visible(node.name), 28), bold=True)] if node.name else []
        return (*heading, Line(value_text(node.value) if node.value is not None else sign, 16))
    if node.name:
        name = visible(node.name)
        return Line(name, fitting(name, 28), bold=True), Line(" ", 3), Line(sign, 15)
    parts = telling(node)
    if is_mark(node):
        sign = SIGNS.get(parts[0], parts[0])
        return (Line(sign, 22 if len(sign) < 2 else 15),)
    return tuple(listed([f"{name} ×{n}" if n > 1 else name for name, n in Counter(parts).items()]))


def cell_size(node: Node, text: tuple[Row, ...], look: Look) -> tuple[float, float]:
    """Width and height of a node of a folded picture: marks are round, landmarks no narrower than high."""
    wide, high = size(text, look)
    if kind_of(node) == "mark":
        if len(text) > 1:  # an ellipse around a box
            return round(math.sqrt(2) * max(map(width, text))) + 4.0, round(math.sqrt(2) * sum(map(height, text))) + 2.0
        return max(wide, 30.0), 30.0
    if kind_of(node) == "landmark":
        return max(wide, 46.0), high
    return wide, high


def lag_text(lag: int) -> str:
    """From which step a state comes in a rolled picture: t - 1."""
    return f"from t {'−' if lag > 0 else '+'} {abs(lag)}"
