"""The text of the nodes of folded pictures: the names of landmarks, and signs for what is done to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

from .figure import Node, is_plain_number
from .labels import Line, Row, visible
from .style import Look, facts, fitting, is_mark, kind_of, leaf_names, lines, listed, size, telling
from .summary import gradient_text, number, value_text

SIGNS = {
    "multiply": "×",
    "add": "+",
    "subtract": "−",
    "divide": "÷",
    "negative": "−",
    "sigmoid": "σ",
    "square": "x²",
    "sqrt": "√",
    "abs": "|x|",
}


def part(t: Any) -> str:
    """What an operation is called within the node that it is drawn as part of: its name, or 1 − for 1.0 - z."""
    numbers = [(slot, x) for slot, x in enumerate(t.inputs) if is_plain_number(x) and x.value.dtype.kind in "biuf"]
    if len(t.inputs) == 2 and len(numbers) == 1 and t.primitive.name in SIGNS:
        (slot, x), sign = numbers[0], SIGNS[t.primitive.name]
        text = number(float(x.value.item()))
        return f"{text} {sign}" if slot == 0 else f"{sign} {text}"
    return str(t.primitive.name)


def cell_lines(node: Node, show: Collection[str] = ()) -> tuple[Line, ...]:
    """The text of a node of a folded picture. show: which facts, of those whose value is one tensor's."""
    if node.gap is not None or node.kind == "sink":
        return lines(node)
    found = _operation_lines(node) if node.kind == "operation" and not node.again else leaf_names(node)
    if node.steps and node.name and not show and not node.again and node.kind != "parameter":
        found += _over_time(node)
    elif node.value is not None and kind_of(node) != "mark":
        found += tuple(Line(text, 11) for text in facts(node, () if node.output else show))
        if node.tracked and "gradient" in show:
            found += (Line(gradient_text(node.gradient), 11),)
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
        return max(wide, 30.0), 30.0
    if kind_of(node) == "landmark":
        return max(wide, 46.0), high
    return wide, high


def lag_text(lag: int) -> str:
    """From which step a state comes in a rolled picture: t - 1."""
    return f"from t {'−' if lag > 0 else '+'} {abs(lag)}"
