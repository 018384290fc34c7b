"""A program, run up to one of its backward passes, whose losses are wanted: for `trace FILE` and `draw FILE`."""

from __future__ import annotations

import contextlib
import itertools
import runpy
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..engine.observed import Observer, observing
from ..engine.tensor import Tensor
from .conditions import tensors_called
from .labels import Labels
from .lines import OURS
from .shares import most_used
from .timeline import timeline


def losses_of(order: Mapping[int, Tensor], seeds: Mapping[int, Any]) -> list[Tensor]:
    """What a backward sweep begins at, where that is single numbers, each with its cotangent 1; else nothing."""
    plain = {index: np.asarray(seed) for index, seed in seeds.items() if not isinstance(seed, Tensor)}
    single = all(seed.size == 1 and seed.item() == 1 and seed.shape == order[i].shape for i, seed in plain.items())
    return [order[index] for index in plain] if single and plain.keys() == seeds.keys() <= order.keys() else []


@contextlib.contextmanager
def as_main(path: str, arguments: Sequence[str]) -> Iterator[None]:
    """Inside, the arguments and the import path are those of a program that is run by its name."""
    before = sys.argv, sys.path[:]
    sys.argv = [path, *arguments]
    sys.path.insert(0, str(Path(path).resolve().parent))
    try:
        yield
    finally:
        sys.argv, sys.path[:] = before


def traceback_of_program(error: BaseException) -> str:
    """As Python prints it where the program is run by itself: without what runs it here."""
    shown = traceback.TracebackException.from_exception(error)
    runs_it = (*OURS, runpy.__file__, "<frozen runpy>")
    of_program = itertools.dropwhile(lambda entry: entry.filename.startswith(runs_it), shown.stack)
    shown.stack = traceback.StackSummary.from_list(of_program)
    return "".join(shown.format())


class PassError(ValueError):
    """The backward pass that was asked for is not there."""


class _Enough(BaseException):
    """The program has come as far as is wanted. (No Exception: a program's own `except Exception` must not keep it.)"""


class _Until(Observer):
    """Counts backward passes, and ends the program before number `wanted`."""

    def __init__(self, wanted: int) -> None:
        self.wanted, self.met = wanted, 0
        self.losses: list[Tensor] = []

    def sweeping(self, order: dict[int, Tensor], seeds: Mapping[int, Any]) -> None:
        losses = losses_of(order, seeds)
        self.met += bool(losses)
        if losses and self.met == self.wanted:
            self.losses = losses
            raise _Enough


def losses_of_pass(path: str, arguments: Sequence[str] = (), number: int = 1) -> list[Tensor]:
    """The losses of backward pass `number`, counted from 1, of a program; before that pass the program is ended.

    Raises PassError where it has not so many, and whatever the program raises.
    """
    if number < 1:
        raise PassError(f"backward passes are counted from 1; got {number}")
    if not Path(path).is_file():
        raise PassError(f"there is no file {path}")
    until = _Until(number)
    with as_main(path, arguments), observing(until):
        try:
            runpy.run_path(path, run_name="__main__")
        except _Enough:
            pass
        except SystemExit as left:
            if left.code:
                raise
    if not until.losses:
        if not until.met:
            raise PassError(f"{path} came to its end with no backward pass, such as loss.backward()")
        passes = f"{until.met} backward pass{'es' * (until.met != 1)}"
        raise PassError(f"{path} came to its end with {passes}, so there is no number {number}")
    return until.losses


def tensor_called(name: str, losses: Sequence[Tensor]) -> Tensor:
    """The one that losses depend on under a name, such as W, h[3] or layer0/h[3].

    Raises ValueError for none and for several.
    """
    line = timeline(losses)
    labels = Labels(line)
    found = [node for node in tensors_called(name, labels) if node.index in line.order]
    if not found:
        leaves = ", ".join(labels.label(x) for x in line.order.values() if x.primitive is None and x.name)
        there = f", or ask about {leaves}" if leaves else ""
        raise ValueError(f"no gradient flows to {name}: make it with requires_grad=True{there}")
    if len(found) > 1:
        raise ValueError(f"{len(found)} tensors with a gradient are called {name}: {labels.which(found)}")
    return found[0]


def usual_source(losses: Sequence[Tensor]) -> Tensor:
    """The leaf that is used the most, mostly the recurrent weight. Raises ValueError where there is none."""
    found = most_used(timeline(losses))
    if found is None:
        raise ValueError("the loss depends on no leaf but itself")
    return found
