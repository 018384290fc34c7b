"""The ways into the debugger: from a loss, from inside a cell, from a program as it runs, from an error."""

from __future__ import annotations

import bdb
import contextlib
import runpy
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

import numpy as np

from ..engine.annotate import HERE, Place
from ..engine.observed import observing, unobserved
from ..engine.sweep import tape
from ..engine.tensor import Tensor
from . import account
from .anomaly import AnomalyError
from .conditions import Breakpoint, ConditionError
from .debugger import Debugger
from .lines import Line, Lines, outside
from .passes import as_main, losses_of, traceback_of_program
from .prompt import Prompt
from .timeline import Timeline
from .walk import Walk

MOST_TENSORS = 10_000  # that a frame is searched for


def debug(loss: Tensor | Sequence[Tensor], to: Tensor | None = None) -> None:
    """Step through the computation of a loss and its backward pass, forwards and backwards, at a prompt.

    loss, to: as for `Debugger`. `help` at the prompt lists what can be said there; `q` leaves.
    Source lines are known of what was computed inside `with tg.record_lines():`.
    """
    debugger = Debugger(loss, to)
    with _aside():
        Prompt(debugger).interact(_greeting(debugger))


def set_trace() -> None:
    """Stop here, in the middle of a forward pass, and look at what has been computed so far.

    Shown is the tape of all tensors in the local variables of this function and of those that called it. At the end
    `c` goes on with the program; `q` ends it, by bdb.BdbQuit, as in pdb.
    """
    frame = outside(sys._getframe(1))
    with _aside():
        outputs = [x for one in _frames(frame) for x in _tensors_in(one.f_locals.values())]
        debugger = Walk(Timeline(tape(outputs, None), {}), variables=_variables(frame))
        if not len(debugger):
            print("tg.set_trace(): nothing that leads back to a tensor with requires_grad=True is computed here yet")
            return
        debugger.goto(len(debugger))
        where = f" at {Path(frame.f_code.co_filename).name}:{frame.f_lineno}" if frame is not None else ""
        greeting = f"stopped{where}, after {len(debugger)} operations. c goes on with the program, help lists commands."
        left = Prompt(debugger, goes_on=True).interact(f"{greeting}\n{account.where(debugger.current)}".rstrip())
    if left == "quit":
        raise bdb.BdbQuit


def post_mortem(error: BaseException | None = None) -> None:
    """Look at the tape of a computation that ended in an error, at the moment it did; of the last one, if not said.

    An error in the forward pass: after the last operation that could be computed. In the backward pass: before the edge
    that failed.
    """
    error = error if error is not None else getattr(sys, "last_value", None)
    if error is None:
        raise ValueError("post_mortem needs an error, as in `except Exception as error: tg.post_mortem(error)`")
    if not isinstance(error, BaseException):
        raise TypeError(f"post_mortem takes an error that was caught; got {error!r}")
    with _aside():
        debugger = of_error(error)
        if debugger is None:
            print("there is no tape in the frames of this error: it came before anything was computed")
            return
        Prompt(debugger).interact(f"{type(error).__name__}: {error}\n{account.where(debugger.current)}".rstrip())


def of_error(error: BaseException) -> Walk | None:
    """A debugger at the moment of an error; None where it has no tape."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    cause: BaseException | None = error.__cause__
    while cause is not None:
        frames += [frame for frame, _ in traceback.walk_tb(cause.__traceback__)]
        cause = cause.__cause__
    users = [frame for frame in frames if outside(frame) is frame]
    variables = _variables(users[-1]) if users else {}
    if isinstance(error, AnomalyError) and error.timeline is not None:
        return _at_node(Walk(error.timeline, variables=variables), error.blame.node, error.blame.slot)
    for frame in reversed(frames):
        if frame.f_code.co_name == "sweep" and "cotangents" in frame.f_locals:
            found = frame.f_locals
            line = Timeline(found["order"], _plain(found["seeds"]))
            node, slot = found.get("node"), found.get("slot")
            debugger = Walk(line, variables=variables)
            return _at_node(debugger, -1 if node is None else node.index, slot, before=True)
    outputs = [x for frame in frames for x in _tensors_in(frame.f_locals.values())]
    debugger = Walk(Timeline(tape(outputs, None), {}), variables=variables)
    if isinstance(error, AnomalyError):
        return _at_node(debugger, error.blame.node, None)
    return debugger if len(debugger) and debugger.goto(-1) else None


def _at_node(debugger: Walk, node: int, slot: int | None, before: bool = False) -> Walk | None:
    line = debugger.timeline
    if not len(line):
        return None
    events = range(line.backward_start, len(line)) if slot is not None else range(line.forward_end)
    at = next((k for k in events if line[k].node == node and line[k].slot in (slot, None)), len(line) - 1)
    debugger.goto(at if before else at + 1)
    return debugger


# A whole program ---------------------------------------------------------------------------------------------------


class Stopping(Lines):
    """Notes lines, and stops before every backward sweep of a program."""

    def __init__(self, script: str, source: TextIO | None, out: TextIO | None) -> None:
        super().__init__()
        self.script, self.source, self.out = script, source, out
        self.breaks: list[Breakpoint] = []  # kept from one backward pass to the next
        self.running = False  # on, without stopping
        self.stopped = False  # at least once

    def sweeping(self, order: dict[int, Tensor], seeds: Mapping[int, Any]) -> None:
        plain = _plain(seeds)
        if (
            self.running
            or plain.keys() != seeds.keys()
            or any(plain[i].shape != order[i].shape for i in plain if i in order)
        ):
            return
        self.stopped = True
        frame = outside(sys._getframe(1))
        with _aside():
            debugger = Walk(Timeline(order, plain), losses_of(order, seeds), variables=_variables(frame))
            prompt = Prompt(debugger, self.out, self.source, goes_on=True)
            at = Line(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name) if frame is not None else None
            not_here = self._kept_breaks(prompt)
            prompt.say(_greeting(debugger, at))
            script, self.script = self.script, ""
            left = prompt.run(script) if script else ""
            if not (script and prompt.finished):
                left = prompt.interact()
            self.breaks = sorted([*not_here, *debugger.breakpoints], key=lambda one: one.number)
        if left == "quit":
            raise bdb.BdbQuit
        self.running = left == "detach"

    def _kept_breaks(self, prompt: Prompt) -> list[Breakpoint]:
        """Sets those of the pass before; returns those of which this pass has nothing, which wait for a later one."""
        not_here = []
        for one in self.breaks:
            try:
                prompt.debugger.keep(one)
            except ConditionError:
                not_here.append(one)
                prompt.say(f"(break {one.number}: {one.text}: there is no such thing in this pass)")
        return not_here


def run_program(
    path: str, arguments: Sequence[str] = (), script: str = "", source: TextIO | None = None, out: TextIO | None = None
) -> int:
    """Run a program, and stop before each of its backward passes, and where it ends in an error. The exit status.

    script: commands for the first stop. source, out: instead of the terminal.
    """
    if not Path(path).is_file():
        print(f"there is no file {path}", file=sys.stderr)
        return 2
    stopping = Stopping(script, source, out)
    with as_main(path, arguments):
        try:
            with observing(stopping):
                runpy.run_path(path, run_name="__main__")
        except bdb.BdbQuit:
            return 0
        except BrokenPipeError:  # as in `... | head`: there is nobody to tell
            raise
        except Exception as error:
            return _ended_in(error, stopping)
    nowhere = "" if stopping.stopped else ": it made no backward pass, such as loss.backward(), to stop at"
    print(f"the program has ended{nowhere}", file=out or sys.stdout)
    return 0


def _ended_in(error: Exception, stopping: Stopping) -> int:
    print(traceback_of_program(error), file=stopping.out or sys.stderr, end="")
    with _aside():
        debugger = of_error(error)
        if debugger is None:
            print("(no post mortem: the error came before anything was computed)", file=stopping.out or sys.stderr)
        else:
            prompt = Prompt(debugger, stopping.out, stopping.source)
            prompt.say(f"post mortem, {debugger!r}\n{account.where(debugger.current)}".rstrip())
            prompt.run(stopping.script)
            if not prompt.finished:
                prompt.interact()
    return 1


# Frames, and what is in them --------------------------------------------------------------------------------------


def _greeting(debugger: Walk, at: Line | None = None) -> str:
    line = debugger.timeline
    stopped = f'stopped before the backward pass at {at}: "{at.text}"\n' if at is not None else ""
    return (
        f"{stopped}{len(line)} events: {line.forward_end} operations forward, then the backward pass from event "
        f"{line.forward_end + 1}. This is the beginning; s steps, goto backward, break nan, help."
    )


@contextlib.contextmanager
def _aside() -> Iterator[None]:
    """What the debugger computes is not observed, and at no place of the program."""
    here = HERE.get()
    try:
        HERE.set(Place())
        with unobserved():
            yield
    finally:
        HERE.set(here)


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        if outside(frame) is frame:
            yield frame
        frame = frame.f_back


def _variables(frame: FrameType | None) -> Mapping[str, Any]:
    return {} if frame is None else {**frame.f_globals, **frame.f_locals}


def _tensors_in(values: Iterable[Any]) -> list[Tensor]:
    """Tensors on a tape among these values, also inside lists, tuples and dicts."""
    found: list[Tensor] = []
    to_visit, seen = list(values), 0
    while to_visit and seen < MOST_TENSORS:
        value = to_visit.pop()
        seen += 1
        if isinstance(value, Tensor):
            if value.tracked and value.primitive is not None:
                found.append(value)
        elif type(value) in (list, tuple):
            to_visit.extend(value)
        elif type(value) is dict:
            to_visit.extend(value.values())
    return found


def _plain(seeds: Mapping[int, Any]) -> dict[int, Any]:
    return {index: np.asarray(seed) for index, seed in seeds.items() if not isinstance(seed, Tensor)}
