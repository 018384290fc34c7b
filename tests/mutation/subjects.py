"""What is mutated, and which checks have to notice."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.mutation import kills
from tests.mutation.mutants import Mutant, mutants_of
from tests.mutation.wrong_cells import wrong_cells


class Subject(NamedTuple):
    module: str
    notice: Callable[[list[Any]], None]
    wanted: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()


# Not mutated: messages, the closed table itself (test_table.py), and the checks of arguments (test_misuse.py and
# tests/nn/test_messages.py).
_TABLE = ("define", "Recorded.record", "Primitive.__init__", "Primitive.__call__", "Primitive.__repr__")
_CELLS = ("rnn_step", "rnn_relu_step", "parts", "lstm_step", "gru_step", "gru_textbook_step")
_FORWARD = ("RNNCell.forward", "LSTMCell.forward", "GRUCell.forward")
_LAYERS = ("unroll", "side_by_side", "AlongTime.__getitem__", "AlongTime.__len__", "AlongTime.__iter__")
_LOOPS = ("RecurrentLayers._run", "RecurrentLayers._parts", "RecurrentLayers._weights")
_STEPS = ("RNN._step", "LSTM._step", "GRU._step", "HiddenStateLayers.forward", "LSTM.forward")
SUBJECTS = {
    subject.module: subject
    for subject in [
        Subject(
            "tinygrad_rnn.engine.primitives",
            kills.notice_primitives,
            unwanted=(*_TABLE, "EverySlot.__init__", "EverySlot.__getitem__"),
        ),
        Subject("tinygrad_rnn.engine.sweep", kills.notice_sweep, unwanted=("describe",)),
        Subject("tinygrad_rnn.engine.indexing", kills.notice_indexing),
        Subject("tinygrad_rnn.nn.cells", kills.notice_cells, wanted=_CELLS + _FORWARD),
        Subject("tinygrad_rnn.nn.recurrent", kills.notice_cells, wanted=_LAYERS + _LOOPS + _STEPS),
    ]
}


@functools.cache
def every_mutant() -> tuple[Mutant, ...]:
    """All, those of the syntax trees and the wrong cells written by hand."""
    found = [m for s in SUBJECTS.values() for m in mutants_of(s.module, s.wanted, s.unwanted)]
    return tuple({(m.module, str(m)): m for m in [*found, *wrong_cells()]}.values())


def a_sample(size: int) -> list[Mutant]:
    """About so many, always the same: whether a mutant is among them depends on its own text only."""
    mutants = [mutant for mutant in every_mutant() if str(mutant) not in equivalent()]
    return [mutant for mutant in mutants if zlib.crc32(str(mutant).encode()) % (len(every_mutant()) // size) == 0]


@functools.cache
def equivalent() -> dict[str, str]:
    """Mutants that compute the same as what they were made from, with the reason: from equivalent.txt."""
    found: dict[str, str] = {}
    reason = ""
    for line in Path(__file__).with_name("equivalent.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            reason = line.removeprefix("# ")
        elif line:
            found[line] = reason
    return found
