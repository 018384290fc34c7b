"""`python -m tinygrad_rnn doctor`: what is there, what is not, and what that costs."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
from collections.abc import Iterator

import numpy as np

from . import RenderError, Tensor, draw, grad

# A package -> what it is for, and how to get it.
OPTIONAL = {
    "pygraphviz": ("pictures, where there is no `dot`", "render"),
    "matplotlib": ("plots and animations", "plot"),
    "tqdm": ("progress bars", "progress"),
    "safetensors": ("files of weights for PyTorch", "weights"),
}


def examination() -> Iterator[tuple[bool, str]]:
    """(whether it is well, what was found) for one thing after the other."""
    yield True, f"Python {platform.python_version()}, NumPy {np.__version__}, {platform.system()}"
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = (x * x).sum()
    right = bool(np.array_equal(grad(y, x), [2.0, 4.0]))
    yield right, "a gradient: d(x1^2 + x2^2)/dx = 2 x" if right else "the gradient of x^2 is wrong: reinstall"
    dot = shutil.which("dot")
    yield True, f"Graphviz at {dot}" if dot else "no `dot` on the PATH (needed only where there is no pygraphviz)"
    for package, (purpose, extra) in OPTIONAL.items():
        try:
            yield True, f"{package} {importlib.metadata.version(package)}, for {purpose}"
        except importlib.metadata.PackageNotFoundError:
            yield False, f"no {package}, for {purpose}: pip install 'tinygrad_rnn[{extra}]'"
    try:
        yield True, f"a picture was drawn: an SVG of {len(draw(y).svg()):,} characters"
    except RenderError as error:
        yield False, f"no picture can be drawn: {error}"


def main() -> int:
    """Prints what was found; 1 if something is amiss."""
    found = list(examination())
    for well, what in found:
        print(f"{'ok     ' if well else 'missing'}  {what}")
    return 0 if all(well for well, _ in found) else 1
