"""DOT text to a picture, by the first Graphviz that is there: `dot` on the PATH, else the one inside pygraphviz.

Both run as a process of their own, in a process group of their own, with a time limit; text goes in and the picture
comes out by pipes. No shell, no temporary files.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

FORMATS = ("png", "svg", "pdf")
INSTALL = (
    'install one: pip install "tinygrad_rnn[render]" brings a Graphviz of its own, or take the graphviz of your system'
)
BUNDLED = Path(__file__).with_name("bundled.py")
ENOUGH = 2000  # characters of what a renderer complained about
LETTER = 'digraph { layout=nop2; a [label="?" pos="0,0" shape=plain width=1 height=1 fixedsize=true] }'
READABLE = 50  # dots per inch; of a picture that only fits a png with fewer, no word can be read
_SHRUNK = re.compile(r"too large .*Scaling by ([0-9.]+[0-9])")


class RenderError(RuntimeError):
    """There is no picture: no renderer, or it failed. The message says what to do."""


def render(dot: str, format: str, dpi: float | None = None, timeout: float = 60.0) -> bytes:
    """The picture of a DOT text.

    format: png, svg or pdf. dpi: of a png, and less, with a warning, where it would be too large. timeout: in seconds.
    Raises RenderError if there is no renderer, or it fails, takes too long or answers with something else, or has no
    font to write with.
    """
    program, command = _command(format, dpi)
    answer, complaints, code = _run(program, command, dot.encode(), timeout)
    said = complaints.decode(errors="replace").strip()[:ENOUGH]
    shrunk = _SHRUNK.search(said)  # Graphviz would hand out a picture too small to read, and call that a success
    if shrunk and dpi is not None:
        fits = math.floor(dpi * float(shrunk[1]))
        if fits < READABLE:
            raise RenderError(
                f"the picture is too large for a {format} that can be read: draw fewer steps, as in "
                "tg.draw(loss, steps=(0, 5))"
            )
        warnings.warn(
            f"the picture is too large for {dpi:g} dpi and was drawn with {fits}: draw fewer steps, as in "
            "tg.draw(loss, steps=(0, 5)), for a sharper one",
            stacklevel=3,
        )
        return render(dot, format, fits, timeout)
    if code != 0 or not _is(answer, format):
        how = f"ended with code {code}" if code != 0 else f"answered with something that is not a {format}"
        raise RenderError(f"{program} could not draw the picture: it {how}" + (f", saying: {said}" if said else ""))
    if format != "svg" and not _can_write(program):
        raise RenderError(
            f"{program} found no font on this machine: every letter would be an empty box. Install one, such as DejaVu "
            "Sans (the package fonts-dejavu-core of Debian and Ubuntu), or save the picture as .svg, whose letters are "
            "drawn where it is shown"
        )
    return answer


@functools.cache
def _can_write(program: str) -> bool:
    """Whether letters look different. program: what `_command` calls it; found out once for each."""
    try:
        letters = [_run(*_command("png", 72), LETTER.replace("?", letter).encode(), 20.0) for letter in "lM"]
    except RenderError:
        return True  # this is not the place to say what is wrong
    return letters[0][2] != 0 or letters[0][0] != letters[1][0]


def _command(format: str, dpi: float | None) -> tuple[str, list[str]]:
    attributes = [] if dpi is None else [f"dpi={dpi:g}"]
    dot = shutil.which("dot")
    if dot is not None:
        return f"Graphviz ({dot})", [dot, f"-T{format}", *(f"-G{a}" for a in attributes)]
    if importlib.util.find_spec("pygraphviz") is not None and sys.executable:
        return "the Graphviz inside pygraphviz", [sys.executable, "-P", str(BUNDLED), format, *attributes]
    raise RenderError(f"no Graphviz was found, neither `dot` on the PATH nor the Python package pygraphviz: {INSTALL}")


def _run(program: str, command: list[str], given: bytes, timeout: float) -> tuple[bytes, bytes, int]:
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise RenderError(f"{program} cannot be run: {error}") from error
    with process:
        try:
            answer, complaints = process.communicate(given, timeout)
        except subprocess.TimeoutExpired:
            _end(process)
            raise RenderError(
                f"{program} was stopped after {timeout:g} s without an answer: draw fewer steps, "
                "or give it longer, as in .save(path, timeout=600)"
            ) from None
        except BaseException:  # an interrupt too must leave no process behind
            _end(process)
            raise
    return answer, complaints, process.returncode


def _end(process: subprocess.Popen[bytes]) -> None:
    """The renderer and all that it may have started."""
    with contextlib.suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()  # it was killed, so this is at once; without it a zombie would stay


def _is(answer: bytes, format: str) -> bool:
    """Whether these bytes are, from beginning to end, such a picture."""
    end = answer[-64:].rstrip()
    checks: dict[str, Callable[[], bool]] = {
        "png": lambda: answer.startswith(b"\x89PNG\r\n\x1a\n") and answer[-12:-4] == b"\0\0\0\0IEND",
        "svg": lambda: b"<svg" in answer[:2000] and end.endswith(b"</svg>"),
        "pdf": lambda: answer.startswith(b"%PDF-") and end.endswith(b"%%EOF"),
    }
    return checks[format]()
