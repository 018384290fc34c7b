"""A plot that has been made: files of it, words about it, and the picture in a notebook.

Matplotlib is used through its Figure alone: no pyplot, no window, no global setting is read for the look or changed.
"""

from __future__ import annotations

import io
import math
import os
from pathlib import Path
from typing import Any, final

from ...engine.files import check_place, write
from ..pictures.accessible import clean, described_png, described_svg

PLOT_FORMATS = ("png", "svg", "pdf")


@final
class Plot:
    """A plot. `p.save("ledger.png")`; in a notebook it shows itself.

    title: its heading. alt_text: a true sentence made of its numbers, for those who cannot see it.
    figure: the matplotlib figure, to be changed as you like before saving.
    """

    __slots__ = ("alt_text", "figure", "title")

    def __init__(self, figure: Any, title: str, alt_text: str) -> None:
        self.figure = figure
        self.title = title
        self.alt_text = alt_text

    def save(self, path: str | os.PathLike[str], dpi: float = 150) -> Path:
        """Write the plot to a file, as its ending says: .png, .svg or .pdf. Returns its path.

        dpi: dots per inch of a png. Title and alt text are in the file. Raises ValueError for another ending,
        FileNotFoundError and other OSErrors if the file cannot be there; a file that was there before stays as it was
        unless the new one is complete.
        """
        target = Path(path)
        format = target.suffix.lower().removeprefix(".")
        if format not in PLOT_FORMATS:
            known = ", ".join(f".{f}" for f in PLOT_FORMATS)
            raise ValueError(f"a plot is saved by the ending of its name, one of {known}; got {str(target)!r}")
        check_place(target)
        return write(target, self._rendered(format, dpi))

    def png(self, dpi: float = 100) -> bytes:
        """The plot as the content of a PNG file."""
        return self._rendered("png", dpi)

    def svg(self) -> str:
        """The plot as SVG text, with title and description for screen readers."""
        return self._rendered("svg", 72).decode()

    def _rendered(self, format: str, dpi: float) -> bytes:
        if not (math.isfinite(dpi) and dpi > 0):
            raise ValueError(f"dpi is a number of dots per inch, such as 150; got {dpi!r}")
        stream = io.BytesIO()
        about = {"Title": clean(self.title), "Subject": clean(self.alt_text), "CreationDate": None}
        metadata = {"png": {}, "svg": {"Date": None}, "pdf": about}[format]
        self.figure.savefig(stream, format=format, dpi=dpi, facecolor=self.figure.get_facecolor(), metadata=metadata)
        picture = stream.getvalue()
        if format == "png":
            return described_png(picture, self.title, self.alt_text)
        return described_svg(picture.decode(), self.title, self.alt_text).encode() if format == "svg" else picture

    def _repr_png_(self) -> bytes:
        return self.png()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {"image/png": self.png(), "text/plain": self.alt_text}

    def __repr__(self) -> str:
        return f"<Plot: {self.alt_text}>"
