"""A drawing that has been made: its DOT text, files of it, and the picture in a notebook."""

from __future__ import annotations

import math
import os
import secrets
from pathlib import Path
from typing import Any, final

from .alt import alt_text
from .dot import dot_text
from .figure import Figure
from .render import FORMATS, RenderError, render


@final
class Drawing:
    """A picture of a computation. `print(d.dot)`, `d.save("lstm.png")`; in a notebook it shows itself.

    dot: the text that Graphviz draws. alt_text: a sentence for those who cannot see it.
    figure: the nodes and edges, as data.
    """

    __slots__ = ("_svg", "alt_text", "dot", "figure")

    def __init__(self, figure: Figure) -> None:
        self.figure = figure
        self.dot = dot_text(figure)
        self.alt_text = alt_text(figure)
        self._svg: str | None = None

    def save(self, path: str | os.PathLike[str], dpi: float = 150, timeout: float = 60.0) -> Path:
        """Write the picture to a file, as its ending says: .png, .svg, .pdf, or .dot for the text. Returns its path.

        dpi: dots per inch of a png. timeout: how many seconds the renderer may take.
        Raises ValueError for another ending, FileNotFoundError and other OSErrors if the file cannot be there, and
        RenderError if Graphviz fails or is missing; then the DOT text is written beside it. A file that was there
        before stays as it was unless the new one is complete.
        """
        target = Path(path)
        suffix = target.suffix.lower()
        if suffix.removeprefix(".") not in (*FORMATS, "dot"):
            known = ", ".join(f".{f}" for f in (*FORMATS, "dot"))
            raise ValueError(f"a picture is saved by the ending of its name, one of {known}; got {str(target)!r}")
        _check_place(target)
        if suffix == ".dot":
            return _write(target, self.dot.encode())
        if not (math.isfinite(dpi) and dpi > 0):
            raise ValueError(f"dpi is a number of dots per inch, such as 150; got {dpi!r}")
        try:
            picture = render(self.dot, suffix[1:], dpi if suffix == ".png" else None, timeout)
        except RenderError as error:
            text = _write(target.with_suffix(".dot"), self.dot.encode())
            raise RenderError(f"{target} was not drawn. {_sentence(error)}. Its DOT text is in {text}") from error
        return _write(target, picture)

    def svg(self) -> str:
        """The picture as SVG text. Raises RenderError if Graphviz fails or is missing."""
        if self._svg is None:
            self._svg = render(self.dot, "svg").decode()
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


def _check_place(target: Path) -> None:
    if not target.parent.is_dir():
        raise FileNotFoundError(f"cannot save {target}: there is no folder {target.parent}; make it first")
    if target.is_dir():
        raise IsADirectoryError(f"cannot save {target}: it is a folder")
    if not os.access(target if target.exists() else target.parent, os.W_OK):
        raise PermissionError(f"cannot save {target}: no permission to write there")


def _write(target: Path, content: bytes) -> Path:
    """All or nothing: under another name first, then renamed."""
    real = Path(os.path.realpath(target))  # a link stays a link
    unfinished = real.with_name(f".{secrets.token_hex(8)}.unfinished")
    try:
        unfinished.write_bytes(content)
        os.replace(unfinished, real)
    except OSError as error:
        raise OSError(error.errno, f"cannot save {target}: {error.strerror}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return target
