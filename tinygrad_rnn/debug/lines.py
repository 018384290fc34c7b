"""Which line of the user's program made each operation.

Looked for only where it is asked for, since finding it takes about as long as a small operation.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from ..engine.annotate import Place
from ..engine.observed import Observer, observing_by_name
from ..engine.primitives import Primitive
from ..engine.tensor import Tensor

OURS = tuple(str(Path(file).parent) + "/" for file in (Path(__file__).parent, np.__file__))

NOT_RECORDED = (
    "not recorded: compute inside `with tg.record_lines():` or `with tg.detect_anomaly():`, or run the program by "
    "`python -m tinygrad_rnn debug FILE.py`"
)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the user's program."""

    file: str
    number: int
    function: str

    @property
    def text(self) -> str:
        """The line itself, empty where the file cannot be read."""
        return linecache.getline(self.file, self.number).strip()

    def __str__(self) -> str:
        return f"{Path(self.file).name}:{self.number}"


class PlaceInFile(Place):
    """A place that knows its line, too. Equal to the place without it."""

    line: Line


def line_of(node: Tensor) -> Line | None:
    """The line that made a node; None where lines were not recorded."""
    return getattr(node.place, "line", None)


def outside(frame: FrameType | None) -> FrameType | None:
    """The innermost frame that is the user's, neither ours nor NumPy's."""
    while frame is not None and frame.f_code.co_filename.startswith(OURS):
        frame = frame.f_back
    return frame


class Lines(Observer):
    """Notes the line of each operation, with its place."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, int], Line] = {}

    def made(self, result: Tensor, primitive: Primitive, inputs: Sequence[Any], params: Mapping[str, Any]) -> None:
        frame = outside(sys._getframe(1))
        if frame is None:
            return
        code, number = frame.f_code, frame.f_lineno
        line = self._known.get((code, number))
        if line is None:
            line = self._known[code, number] = Line(code.co_filename, number, code.co_name)
        place = PlaceInFile(*result.place)
        place.line = line
        result.place = place


class record_lines(observing_by_name):  # noqa: N801 - used like a function
    """``with tg.record_lines():`` the line of your program that makes each operation is recorded with it.

    The debugger, and its break points, then know lines. Operations take about twice as long inside.
    """

    __slots__ = ()

    make = Lines
