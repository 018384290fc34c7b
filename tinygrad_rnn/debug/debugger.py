"""The debugger of a loss, for scripts: `tg.Debugger(loss)`."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import final

from ..engine.tensor import Tensor, seed_of
from .prompt import Prompt
from .timeline import timeline
from .walk import Walk


@final
class Debugger(Walk):
    """Forwards and backwards through a computation, event by event.

        dbg = tg.Debugger(loss)
        dbg.run_until("nan");  print(dbg.run_script("where; back; p h[7]"))

    loss: a single number, or a list of them.
    to: the tensor whose gradient shares are of; the leaf that is used the most, if not said.
    A position is how many events have happened: 0 is before the first, `len(dbg)` after the last. First come the
    operations in the order they were made, then the seed of the backward pass, then its edges.
    Nothing here changes a tensor or its `.grad`.
    """

    def __init__(self, loss: Tensor | Sequence[Tensor], to: Tensor | None = None) -> None:
        losses = [loss] if isinstance(loss, Tensor) else list(loss) if isinstance(loss, Iterable) else [loss]
        for one in losses:
            if not isinstance(one, Tensor):
                raise TypeError(f"Debugger takes a loss, a Tensor, or a list of them; got {type(one).__name__}")
            seed_of(one, None)
        if not losses:
            raise ValueError("Debugger takes a loss, or a list of at least one")
        super().__init__(timeline(losses), losses, to)

    def run_script(self, script: str) -> str:
        """Do what one would write at the prompt, one command a line or apart by `;`. Returns what it prints."""
        if not isinstance(script, str):
            raise TypeError(f'a script is a text of commands, such as "until h[3]; where"; got {script!r}')
        out = io.StringIO()
        Prompt(self, out=out).run(script)
        return out.getvalue()
