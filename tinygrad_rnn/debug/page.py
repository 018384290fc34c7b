"""One self-contained page on which a computation is explored: the graph, the timeline, routes and the ledger.

The file needs no network and no server. All that comes from the user (names, scopes, numbers) is in one JSON element,
in which no tag can begin, and reaches the screen as text only; a strict policy lets no script run but the page's own.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, final

from ..engine.files import check_place, write
from ..engine.tensor import Tensor, seed_of
from ..trace import check_source
from .tape_data import tape_data

# In the order in which they need one another.
SCRIPTS = ("words", "linear", "paths", "route", "brief", "picture", "timeline", "ledger", "details", "page")
HEIGHT = 760  # pixels, in a notebook


@final
class Page:
    """What `explore` returns. `html`: the whole file. In a notebook it shows itself."""

    __slots__ = ("html",)

    def __init__(self, html: str) -> None:
        self.html = html

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page to a file that any browser opens. Returns its path. All or nothing.

        Raises ValueError if the name does not end in .html, and FileNotFoundError and other OSErrors if the file
        cannot be there.
        """
        target = Path(path)
        if target.suffix.lower() not in (".html", ".htm"):
            raise ValueError(f"a page is saved under a name that ends in .html; got {str(target)!r}")
        check_place(target)
        return write(target, self.html.encode())

    def _repr_html_(self) -> str:
        inside = html.escape(self.html, quote=True)
        return (
            f'<iframe srcdoc="{inside}" sandbox="allow-scripts" title="Gradient explorer" width="100%" '
            f'height="{HEIGHT}" style="border: 0"></iframe>'
        )

    def __repr__(self) -> str:
        return f"<Page of {len(self.html) / 1e6:.1f} MB for any browser; .save(name) writes it>"


def explore(
    loss: Tensor | Sequence[Tensor], path: str | os.PathLike[str] | None = None, *, to: Tensor | None = None
) -> Page:
    """A page to explore where the gradient of a loss goes: step by step, path by path.

    loss: a Tensor with one element, or a list of them (one for each time step, say).
    path: where to save it, such as "explore.html"; None saves nothing.
    to: the tensor whose gradient is traced at first, by default a recurrent weight; the page can choose another.
    Raises ValueError for computations of more than 20,000 operations, and RuntimeError where no gradient flows.
    """
    losses: list[Any] = list(loss) if isinstance(loss, (list, tuple)) else [loss]
    if not losses:
        raise ValueError("explore needs a loss, or a list of at least one")
    for one in losses:
        if not isinstance(one, Tensor):
            raise TypeError(f"a loss is a Tensor; got {type(one).__name__}: pass the loss itself, not its .item()")
        seed_of(one, None)  # complains about a loss that is not one number, or that tracks no gradient
    if to is not None:
        check_source(to)
    page = Page(_html(json.dumps(tape_data(losses, to), separators=(",", ":"), allow_nan=False)))
    if path is not None:
        page.save(path)
    return page


def _html(data: str) -> str:
    script = "\n".join(["'use strict';", *(_asset(f"{name}.js") for name in SCRIPTS)])
    script = f"(() => {{\n{script}\n}})();"
    style = _asset("page.css")
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src {_digest(script)}",
            f"style-src {_digest(style)}",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
        ]
    )
    # In JSON a < occurs inside texts only, and is the same text when escaped: no tag, no comment can begin.
    inert = data.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    parts = {"policy": policy, "style": style, "script": script, "data": inert}
    before, *rest = _asset("page.html").split("{{")
    pieces = [before]
    for one in rest:  # one pass, so that nothing inside a part is taken for the name of another
        name, after = one.split("}}", 1)
        pieces += [parts[name], after]
    return "".join(pieces)


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath("page", name).read_text("utf-8")


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
