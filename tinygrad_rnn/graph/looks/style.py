"""How the nodes of a figure look: one shape and one colour for each kind, and the lines of text in them.

The colours are those of Okabe and Ito (2008), which colour-blind readers can tell apart, or tints of them; each kind
has a shape of its own too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ..text.labels import Line, Row, height, visible, width
from ..text.summary import gradient_text, number, shape_text, value_text
from ..views.figure import Node
from ..views.folding import ELEMENTWISE

FONT = "DejaVu Sans,Verdana,Arial,Helvetica,sans-serif"
BLACK, GREY, PALE, WHITE = "#000000", "#595959", "#9A9A9A", "#FFFFFF"
BLUE, GREEN, VERMILLION = "#0072B2", "#009E73", "#D55E00"
DARK_ORANGE, DARK_YELLOW = "#B87F00", "#8C8420"  # E69F00 and F0E442, darkened to be seen as lines on white
LIGHT_BLUE, LIGHT_GREEN, LIGHT_VERMILLION = "#CFE8F8", "#BFE6DA", "#F8D5BF"
LIGHT_ORANGE, LIGHT_YELLOW = "#FBE3B0", "#FBF7C4"

SMALL = 9
NAMES, LEAF_NAMES = 13, 17  # of several things that are drawn as one; leaves stand where there is room
MOST_LINES = 4  # of names in a node
SHOWN = ("shape", "value", "gradient")  # the facts in a node if nothing else is asked for


@dataclass(frozen=True, slots=True)
class Look:
    """attributes: for Graphviz. margin: between the text and the edge of the shape, in points."""

    attributes: Mapping[str, str]
    margin: tuple[float, float] = (7.0, 5.0)


def _look(shape: str, fill: str, line: str, style: str = "filled", pen: str = "1.2", **margins: float) -> Look:
    attributes = {"shape": shape, "style": style, "fillcolor": fill, "color": line, "penwidth": pen}
    return Look(attributes, (margins.get("x", 7.0), margins.get("y", 5.0)))


LOOKS = {
    "landmark": _look("box", LIGHT_BLUE, BLUE, "rounded,filled", "2.4"),
    "operation": _look("box", WHITE, GREY, "rounded,filled"),
    "sweep": _look("box", "#FDEFE4", VERMILLION, "rounded,filled", "1.6"),
    "mark": _look("ellipse", WHITE, GREY, pen="1.4", x=6.0, y=2.0),
    "folded": _look("box", WHITE, GREY, x=6.0, y=6.0),
    "parameter": _look("cylinder", LIGHT_ORANGE, DARK_ORANGE, y=8.0),
    "leaf": _look("folder", LIGHT_GREEN, GREEN, pen="1.6", y=7.0),
    "constant": _look("note", LIGHT_YELLOW, DARK_YELLOW, x=9.0),
    "output": _look("octagon", LIGHT_VERMILLION, VERMILLION, pen="2.4", x=14.0, y=9.0),
    "gap": _look("box", WHITE, PALE, "dashed,filled", x=10.0),
    "sink": _look("doubleoctagon", WHITE, VERMILLION, pen="1.6", x=14.0, y=9.0),
}
MEANINGS = {
    "landmark": "named result",
    "operation": "operation",
    "sweep": "operation of the backward sweep",
    "mark": "operation on named results",
    "folded": "operations, drawn as one",
    "parameter": "parameter, drawn beside each use",
    "leaf": "leaf that requires a gradient",
    "constant": "constant",
    "output": "loss or output",
    "gap": "not drawn",
    "sink": "where the losses are added up",
}


@dataclass(frozen=True, slots=True)
class Style:
    """What a picture looks like, as data: pass another one to `dot_text` for other colours."""

    looks: Mapping[str, Look] = field(default_factory=LOOKS.copy)
    meanings: Mapping[str, str] = field(default_factory=MEANINGS.copy)
    font: str = FONT
    edge: Mapping[str, str] = field(default_factory=lambda: {"color": GREY, "penwidth": "1.1", "arrowsize": "0.6"})
    crossing: Mapping[str, str] = field(
        default_factory=lambda: {"color": BLACK, "penwidth": "3.2", "arrowsize": "0.75"}
    )
    to_gap: Mapping[str, str] = field(default_factory=lambda: {"color": PALE, "style": "dashed"})
    step_box: Mapping[str, str] = field(default_factory=lambda: {"color": "#B5B5B5", "fillcolor": "#F5F5F5"})
    scope_box: Mapping[str, str] = field(default_factory=lambda: {"color": "#8FB3C9", "fillcolor": "#EBF1F5"})
    sweep_box: Mapping[str, str] = field(default_factory=lambda: {"color": "#E2B48F", "fillcolor": "#FBF6F0"})
    sweep_crossing: Mapping[str, str] = field(
        default_factory=lambda: {"color": VERMILLION, "penwidth": "3.2", "arrowsize": "0.75"}
    )


def kind_of(node: Node) -> str:
    """Which look a node has."""
    if node.output:
        return "output"
    if node.kind == "operation" and not node.name and node.members and not node.again:
        return "mark" if is_mark(node) else "folded"
    if is_of_sweep(node):
        return "sweep"
    return "landmark" if node.kind == "operation" and node.name else node.kind


def is_of_sweep(node: Node) -> bool:
    """Whether it is an operation that a backward sweep made, and so in the colours of such."""
    return node.sweep and node.kind == "operation" and not node.again and not node.output


# Operations that move numbers about and change none: not worth a word in a folded picture.
MOVING = frozenset({"slice", "reshape", "transpose", "broadcast_to", "identity", "astype"})


def telling(node: Node) -> list[str]:
    """What a folded node is folded from, without operations that only move numbers about."""
    return [name for name in node.parts if name not in MOVING] or list(node.parts)


def is_mark(node: Node) -> bool:
    """Whether a folded node is a single thing done to a landmark."""
    return len(telling(node)) == 1 and node.operation in ELEMENTWISE


def attributes(node: Node, style: Style) -> dict[str, str]:
    """What Graphviz needs to draw the shape of a node."""
    look = dict(style.looks[kind_of(node)].attributes)
    if is_of_sweep(node):
        look |= {what: style.looks["sweep"].attributes[what] for what in ("fillcolor", "color")}
    if node.again:
        look["style"] = look["style"].replace("filled", "filled,dashed")
    return look


def lines(node: Node, scope: str = "", show: Collection[str] = SHOWN) -> tuple[Line, ...]:
    """The text of a node. scope: where it is within the box that it is drawn in. show: which facts."""
    if node.gap is not None:
        return _gap_lines(node)
    if node.members and not node.operation:
        return leaf_names(node)
    if _is_plain_number(node):
        return (Line(number(node.value.low), 11),) if node.value and node.value.low is not None else ()
    scope = visible(scope) if scope and (show or not node.name) else ""  # few words where there are few facts
    operation = "/".join(filter(None, [scope, node.operation])) if node.operation else ""
    found = _heading(node, operation, larger=0 if show else 3)  # for slides, where there are few words
    if node.value is not None:
        found += [Line(text, SMALL if not node.output else 12) for text in facts(node, show)]
    if node.tracked and "gradient" in show:
        found.append(Line(gradient_text(node.gradient), SMALL))
    if node.made_at is not None:
        found.append(Line(f"of step {node.made_at}", 11, italic=True))
    if node.replaced:
        found.append(Line("data replaced since", SMALL, italic=True))
    return tuple(found)


def leaf_names(node: Node) -> tuple[Line, ...]:
    """The names of the leaves that a node stands for."""
    names = list(dict.fromkeys(visible(name) for name in node.parts if name))
    if len(names) == 1:
        return (Line(names[0], fitting(names[0], 17), bold=True),)
    if not names and node.again:
        return (Line(node.operation or "", 12),)
    room = (Line(" ", 4),) if node.kind == "parameter" and len(names) > 1 else ()
    return (*room, *listed(names, LEAF_NAMES)) or (Line(node.kind, 12, italic=True),)


def listed(names: list[str], size: int = NAMES) -> list[Line]:
    """Names below each other, of many only the first."""
    if len(names) > MOST_LINES:
        names = [*names[: MOST_LINES - 1], f"and {len(names) - MOST_LINES + 1:,} more"]
    spaced = [line for name in names for line in (Line(" ", 3), Line(name, size))]
    return spaced[1:]


def _heading(node: Node, operation: str, larger: int) -> list[Line]:
    name = visible(node.name) if node.name else ""
    kind = kind_of(node)
    if kind in ("landmark", "output") and name:
        room = Line(" ", 3)  # below letters such as g
        below = [Line(operation, 10 + larger)] if operation else []
        return [Line(name, fitting(name, 28 + larger), bold=True), room, *below]
    if operation:
        return [Line(operation, larger + (12 if "/" not in operation else 10))]
    if not name:
        return [Line(node.kind, 11 + larger, italic=True)]
    return [Line(name, fitting(name, 15 + larger), bold=True), Line(" ", 2)]


def fitting(name: str, size: int) -> int:
    """How large to print a name: longer names in smaller letters."""
    return max(10, min(size, int(size * 5 / max(5, len(name))))) if len(name) > 3 else size


def facts(node: Node, show: Collection[str]) -> list[str]:
    """The lines on shape and value that are asked for."""
    assert node.value is not None
    facts = {"shape": shape_text(node.value), "value": value_text(node.value)}
    found = [fact for what, fact in facts.items() if what in show]
    return [" ".join(found)] if node.value.shape == () and found else found


def _is_plain_number(node: Node) -> bool:
    """The 1 of 1 - z: a number that needs neither a name nor a shape."""
    return node.kind == "constant" and not node.name and node.value is not None and node.value.shape == ()


def _gap_lines(node: Node) -> tuple[Line, ...]:
    assert node.gap is not None
    count = f"{node.gap.operations:,} operation{'s' * (node.gap.operations != 1)}"
    if not node.gap.whole:
        return Line(f"… {count} …", 12), Line("not drawn", SMALL)
    steps = f"… {node.gap.steps:,} step{'s' * (node.gap.steps != 1)} …"
    span = str(node.gap.first) if node.gap.steps == 1 else f"{node.gap.first} to {node.gap.last}"
    return Line(steps, 18, bold=True), Line(f"step{'s' * (node.gap.steps != 1)} {span}", 11), Line(count, 11)


def size(lines_: tuple[Row, ...], look: Look) -> tuple[float, float]:
    """Width and height of a node, in points."""
    wide = max(map(width, lines_), default=0.0) + 2 * look.margin[0]
    high = sum(map(height, lines_)) + 2 * look.margin[1]
    return max(24.0, round(wide)), max(20.0, round(high))
