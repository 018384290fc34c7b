"""A drawing that has been made: its DOT text, files of it, and the picture in a notebook."""

from __future__ import annotations

import math
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any, final

from ...engine.files import check_place, write
from ..looks.alt import alt_text
from ..looks.contents import Contents
from ..looks.overlay import Overlay
from ..looks.style import SHOWN
from ..views.figure import Figure
from ..views.flow import Currents
from .accessible import described_png, described_svg
from .dot import dot_text
from .render import FORMATS, RenderError, render

TITLE = "Computation graph"


@final
class Drawing:
    """A picture of a computation. `print(d.dot)`, `d.save("lstm.png")`; in a notebook it shows itself.

    dot: the text that Graphviz draws. alt_text: a sentence for those who cannot see it.
    figure: the nodes and edges, as data. currents: what flows on them, if that was asked for.
    """

    __slots__ = ("_svg", "alt_text", "currents", "dot", "figure")

    def __init__(
        self,
        figure: Figure,
        overlay: Overlay | None = None,
        show: Collection[str] = SHOWN,
        contents: Contents | None = None,
        currents: Currents | None = None,
    ) -> None:
        self.figure, self.currents = figure, currents
        self.dot = dot_text(figure, overlay=overlay, show=show, contents=contents)
        self.alt_text = alt_text(figure, currents, show)
        if overlay is not None and currents is None and overlay.notes:
            self.alt_text += f" {' '.join(overlay.notes)}"
        self._svg: str | None = None

    def save(self, path: str | os.PathLike[str], dpi: float = 150, timeout: float = 60.0) -> Path:
        """Write the picture to a file, as its ending says: .png, .svg, .pdf, or .dot for the text. Returns its path.

        dpi: dots per inch of a png; fewer, with a warning, where it would be too large. timeout: how many seconds the
            renderer may take.
        Raises ValueError for another ending, FileNotFoundError and other OSErrors if the file cannot be there, and
        RenderError if Graphviz fails or is missing; then the DOT text is written beside it. A file that was there
        before stays as it was unless the new one is complete.
        """
        target = Path(path)
        suffix = target.suffix.lower()
        if suffix.removeprefix(".") not in (*FORMATS, "dot"):
            known = ", ".join(f".{f}" for f in (*FORMATS, "dot"))
            raise ValueError(f"a picture is saved by the ending of its name, one of {known}; got {str(target)!r}")
        check_place(target)
        if suffix == ".dot":
            return write(target, self.dot.encode())
        if not (math.isfinite(dpi) and dpi > 0):
            raise ValueError(f"dpi is a number of dots per inch, such as 150; got {dpi!r}")
        try:
            picture = render(self.dot, suffix[1:], dpi if suffix == ".png" else None, timeout)
        except RenderError as error:
            text = write(target.with_suffix(".dot"), self.dot.encode())
            raise RenderError(f"{target} was not drawn. {_sentence(error)}. Its DOT text is in {text}") from error
        return write(target, self._described(picture, suffix))

    def _described(self, picture: bytes, suffix: str) -> bytes:
        if suffix == ".png":
            return described_png(picture, TITLE, self.alt_text)
        return described_svg(picture.decode(), TITLE, self.alt_text).encode() if suffix == ".svg" else picture

    def svg(self) -> str:
        """The picture as SVG text. Raises RenderError if Graphviz fails or is missing."""
        if self._svg is None:
            self._svg = described_svg(render(self.dot, "svg").decode(), TITLE, self.alt_text)
        return self._svg

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        try:
            return {"image/svg+xml": self.svg(), "text/plain": self.alt_text}
        except RenderError as error:
            return {"text/plain": f"{self.alt_text}\n(Not drawn. {_sentence(error)}.)"}

    def _repr_svg_(self) -> str | None:
        return self._repr_mimebundle_().get("image/svg+xml")

    def __repr__(self) -> str:
        return f"<Drawing: {self.alt_text}>"


def _sentence(error: RenderError) -> str:
    text = str(error)
    return text[:1].upper() + text[1:]
