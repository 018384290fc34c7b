"""The norm of one path where that is beyond the range of numbers: whether it underflowed or is exactly 0."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..scaled import Scaled, added, log10_of, moved, over_edge, sweep_scaled, unscaled
from .segments import Segments, Stop


def log10_of_path(segments: Segments, word: Sequence[Stop]) -> float:
    """log10 of the norm of the gradient through the path that goes by these stops; -inf where it is exactly 0."""
    reading = segments.reading
    begin = reading.paths.order[word[0][0]]
    seed = np.zeros((len(reading.states), *begin.shape))
    seed[0] = segments.begins[word[0]]
    part = unscaled({begin.index: seed})[begin.index]
    for stop, earlier in zip(word, [*word[1:], None], strict=True):
        parts = _carried(segments, stop, part, earlier)
        if not parts:
            return -math.inf
        part = added(parts)
    return float(log10_of([part])[0])


def _carried(segments: Segments, stop: Stop, begin: Scaled, to: Stop | None) -> list[Scaled]:
    """What comes along the segments from one stop to another, (states, *its shape); or, to None, to the source, (1,
    *its shape), from the paths of the route."""
    reading, ways = segments.reading, segments.ways[stop]
    source, rows = reading.paths.source, len(reading.states)
    found: list[Scaled] = []

    def cut(consumer: Any, slot: int, part: Scaled) -> Scaled | None:
        edge, producer = (consumer.index, slot), consumer.inputs[slot]
        if producer is source:
            if to is None and edge in ways.uses:
                mine = list(ways.uses[edge])
                found.append(moved((part[0][mine], part[1][mine]), np.zeros(len(mine), np.intp), 1))
            return None
        part = over_edge(reading, edge, part, rows)
        if edge not in ways.exits:
            return part
        if to is not None and producer.index == to[0]:
            found.append(part)
        return np.zeros_like(part[0]), part[1]  # not None: other ways may lead on from there

    tape = dict(sorted((ways.tape | {source.index: source}).items()))
    sweep_scaled(tape, {stop[0]: begin}, (), dict.fromkeys(tape, cut))
    return found
