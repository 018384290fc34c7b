"""Text from users made safe to print: what has no glyph is made visible, what Graphviz would interpret is escaped.

A label is a few lines of different size, which Graphviz draws from its HTML-like labels. Everything that a user can
name goes through `visible` and `escaped`, so no name can open a tag, an entity, a link or a port, end a string, or
be replaced by the name of a node.
"""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass

LONGEST = 48  # characters of a name that are shown

_DELETE = 0x7F
_EDGE_SPACE = re.compile(r"^ | $|(?<= ) ")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a label, not yet escaped. room_for: another text that is to fit there too, without a new layout."""

    text: str
    size: int
    bold: bool = False
    italic: bool = False
    color: str = ""
    room_for: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a grid. color: of its ground. light: whether its text is white."""

    text: str
    color: str
    light: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """Shaded cells. wide: with room for a number in each."""

    rows: tuple[tuple[Cell, ...], ...]
    wide: bool


Row = Line | Grid
WIDE_CELL, NARROW_CELL = (34.0, 14.0), (10.0, 10.0)


def visible(text: str) -> str:
    """The text with control characters as pictures (␊), and other invisible ones, lone surrogates and the characters
    that turn the direction of writing as ‹U+202E›. Longer than `LONGEST` is cut, and how long it was is said."""
    shown = "".join(map(_visible, text[:LONGEST]))
    return shown if len(text) <= LONGEST else f"{shown}… ({len(text):,} characters)"


def _visible(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == _DELETE:
        return "\u2421"
    kind = unicodedata.category(character)
    if kind in ("Cc", "Cf", "Cs", "Zl", "Zp") or (kind == "Cn" and _is_noncharacter(code)):
        return f"‹U+{code:04X}›"
    return character


def _is_noncharacter(code: int) -> bool:
    return code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF


def escaped(text: str) -> str:
    """Text as the inside of an HTML-like label, to be shown as it is."""
    backslashes = text.replace("\\", "\\\\")  # else Graphviz puts the name of the node for \N, here too
    # Graphviz 2.43 stumbles over a line that ends in ], which to its parser could begin the end of a CDATA section.
    return html.escape(_EDGE_SPACE.sub("\u00a0", backslashes)).replace("]", "&#93;")


def html_label(rows: tuple[Row, ...]) -> str:
    """Lines and grids below each other as a Graphviz label; an empty label for none."""
    if any(isinstance(row, Grid) for row in rows):
        inside = (_grid(row) if isinstance(row, Grid) else _line(row) for row in rows)
        return f"<{TABLE}{''.join(f'<TR><TD>{row}</TD></TR>' for row in inside)}</TABLE>>"
    return f"<{'<BR/>'.join(_line(row) for row in rows if isinstance(row, Line))}>" if rows else ""


TABLE = '<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0">'


def _grid(grid: Grid) -> str:
    wide, high = WIDE_CELL if grid.wide else NARROW_CELL
    rows = ("".join(_cell(cell, wide, high) for cell in row) for row in grid.rows)
    # Of a fixed size, else it is stretched to the width of the longest line above it, with gaps between the cells.
    size = f'FIXEDSIZE="TRUE" WIDTH="{wide * len(grid.rows[0]) + 1:g}" HEIGHT="{high * len(grid.rows) + 1:g}"'
    inside = "".join(f"<TR>{row}</TR>" for row in rows)
    return f'<TABLE BORDER="0" CELLBORDER="1" CELLSPACING="0" CELLPADDING="0" COLOR="#8A8A8A" {size}>{inside}</TABLE>'


def _cell(cell: Cell, wide: float, high: float) -> str:
    ink = "#FFFFFF" if cell.light else "#000000"
    text = _line(Line(cell.text, fitting_size(cell.text), color=ink)) if cell.text else ""
    return f'<TD WIDTH="{wide:g}" HEIGHT="{high:g}" FIXEDSIZE="TRUE" BGCOLOR="{cell.color}">{text}</TD>'


def fitting_size(text: str) -> int:
    """How large a number is written in a cell: −0.00036 in smaller letters than 0.5."""
    return next((size for size in (8, 7, 6) if width(Line(text, size)) <= WIDE_CELL[0]), 5)


def _line(line: Line) -> str:
    text = escaped(line.text or " ")  # Graphviz refuses an empty element
    text = f"<B>{text}</B>" if line.bold else text
    text = f"<I>{text}</I>" if line.italic else text
    color = f' COLOR="{line.color}"' if line.color else ""
    return f'<FONT POINT-SIZE="{line.size}"{color}>{text}</FONT>'


# How wide the letters of DejaVu Sans are, a wide font, as parts of the font size.
_WIDTHS = {
    **dict.fromkeys("'ijlIJ", 0.29),
    **dict.fromkeys(" ,.·/:;|\\f-", 0.35),
    **dict.fromkeys("()[]!‹›rt\u00a0", 0.42),
    **dict.fromkeys('"*_`sz?cLFkvxyP', 0.57),
    **dict.fromkeys("UHNDGOQ&", 0.78),
    **dict.fromkeys("w#+−<=>~×M", 0.86),
    **dict.fromkeys("mW%@…", 1.0),
}


def width(line: Row) -> float:
    """About how wide the line is, in points, rather more than less."""
    if isinstance(line, Grid):
        return (WIDE_CELL if line.wide else NARROW_CELL)[0] * max(map(len, line.rows), default=0) + 4
    total = max(_width(line.text), _width(line.room_for))
    return total * line.size * (1.13 if line.bold else 1.0)


def _width(text: str) -> float:
    return sum(_WIDTHS.get(c, 1.05 if unicodedata.east_asian_width(c) in "WF" else 0.65) for c in text)


def height(line: Row) -> float:
    """How high the line is, in points."""
    if isinstance(line, Grid):
        return (WIDE_CELL if line.wide else NARROW_CELL)[1] * len(line.rows) + 4
    return line.size * 1.2
