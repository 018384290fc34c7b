"""What is laid over a figure: how its edges are drawn, numbers on them, nodes that step back, words for the legend.

Flow and highlighted routes are such overlays; the drawing of them knows neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..text.labels import Line, height, width

BLUE, ORANGE = "#0072B2", "#E69F00"  # of Okabe and Ito (2008)
DARK_BLUE, DARK_ORANGE = "#00507D", "#805800"  # the same for text, dark enough to read on white
FADED, FADED_TEXT = "#BDBDBD", "#767676"


@dataclass(frozen=True, slots=True)
class Stroke:
    """How an edge is drawn. caption: what stands on it, nothing if empty."""

    color: str
    pen: float
    dashed: bool = False
    caption: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """A stroke and what it means, for the legend."""

    stroke: Stroke
    words: str


@dataclass(frozen=True, slots=True)
class Room:
    """More room than a figure without captions needs: points between rows, between columns, between the nodes of a line
    on which a state runs, and to what is drawn below; beside a loop, for words; how many times as far nodes are
    apart sideways; from line to line where several leave one node, more than the widest of them; how far nodes
    of a cell that stand beside each other, and above each other, are apart at least; and for the widest of the numbers
    that are to stand between cells."""

    rows: float = 0.0
    columns: float = 0.0
    lines: float = 0.0
    below: float = 0.0
    loops: float = 90.0
    sideways: float = 1.0
    lanes: float = 6.0
    within: tuple[float, float] = (0.0, 0.0)
    numbers: float = 0.0


@dataclass(frozen=True, slots=True)
class Overlay:
    """strokes: one for each edge of the figure.

    faded: the nodes that step back. standing_out: by node that several things are drawn as, the name of the one that
    it is about. inside: more lines of text in nodes.
    boundaries: text below the boundary after a step. samples, notes: for the legend. longest_note: the one
    that there is to be room for, where pictures are to be of the same size.
    """

    strokes: tuple[Stroke, ...]
    faded: frozenset[str] = frozenset()
    standing_out: Mapping[str, str] = field(default_factory=dict)
    inside: Mapping[str, tuple[Line, ...]] = field(default_factory=dict)
    boundaries: Mapping[int, tuple[Line, ...]] = field(default_factory=dict)
    samples: tuple[Sample, ...] = ()
    notes: tuple[str, ...] = ()
    room: Room = field(default_factory=Room)
    longest_note: str = ""


def caption_size(caption: tuple[Line, ...]) -> tuple[float, float]:
    """Width and height of what stands on an edge."""
    return max(map(width, caption)) + 4, sum(map(height, caption)) - 1


FADED_STROKE = Stroke(FADED, 1.0)
