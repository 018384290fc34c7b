"""Factors: the Jacobians of all segments, whose products along a path are what the path carries.

For a batch most of such a Jacobian is zeros, and making it whole would be the greater part of the work. Whether it is
so is seen by a probe: nan put into one row of a cotangent arrives wherever that row has any influence. Where rows
stay apart, the unit vectors of all rows are carried at once (Curtis, Powell and Reid 1974: columns of a sparse Jacobian
that do not meet need one evaluation only).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from . import blocks
from .ends import End, NotApartError, TooLargeError, apart, end_of_all, end_of_rows
from .segments import Edge, Segments, Stop, carried

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Limit:
    """How much may be done for an answer, whatever the machine.

    work: about so many multiplications for the factors, and for the search. beam: for a beam without factors.
    numbers: in all factors. waiting: in the cotangents of all half-read paths.
    """

    work: float = 2.0**34
    beam: float = 2.0**36
    numbers: float = 2.0**25
    waiting: float = 2.0**24


@dataclass
class Factors:
    """following: from a stop to earlier ones, each with its matrix. ends: from a stop to the source.

    apart: whether rows stay apart as far as the source, so that the squares of their lengths add up; else only that
    lengths are at most their sum is known. work: how many multiplications it took to make them.
    """

    following: dict[Stop, dict[Stop, Array]] = field(default_factory=dict)
    ends: dict[Stop, End] = field(default_factory=dict)
    apart: bool = True
    work: int = 0
    numbers: int = 0


class BeyondLimitError(Exception):
    """The factors would take more work, or more numbers, than the limit allows."""


def factors_of(segments: Segments, along: Array | None, limit: Limit) -> Factors | None:
    """along: the direction of the gradient, by share; None by norm. None where they would be beyond the limit."""
    found = Factors(apart=along is None)
    if sum(_least_work(segments, stop) for stop in segments.ways) > limit.work:
        return None
    try:
        for stop in segments.ways:
            if not (segments.shape(stop)[0] > 1 and _add_in_rows(segments, stop, along, found, limit)):
                _add_whole(segments, stop, along, found, limit)
    except BeyondLimitError:
        return None
    return found


def _least_work(segments: Segments, stop: Stop) -> int:
    rows, states, n = segments.shape(stop)
    vectors = states * n + (rows if rows > 1 else 0)
    return vectors * segments.work(stop)


def _carry(
    segments: Segments, stop: Stop, cotangents: Array, found: Factors, limit: Limit
) -> tuple[dict[Stop, Array], dict[Edge, Array]]:
    """Raises BeyondLimitError, before anything is done, where that is beyond the limit."""
    found.work += len(cotangents) * segments.work(stop)
    if found.work > limit.work or len(cotangents) * segments.widest(stop) > limit.numbers:
        raise BeyondLimitError
    return carried(segments, stop, cotangents)


def _add_in_rows(segments: Segments, stop: Stop, along: Array | None, found: Factors, limit: Limit) -> bool:
    """Unless rows turn out to meet on the way."""
    rows, states, n = segments.shape(stop)
    probe = np.zeros((rows, rows, states, n))
    probe[np.arange(rows), np.arange(rows)] = np.nan
    with np.errstate(invalid="ignore"):
        seen, seen_at_uses = _carry(segments, stop, probe, found, limit)
    if not all(map(apart, seen.values())):
        return False
    units = np.repeat(np.eye(states * n).reshape((states * n, 1, states, n)), rows, axis=1)
    arrived, at_uses = _carry(segments, stop, units, found, limit)
    try:
        with np.errstate(invalid="ignore"):
            end = end_of_rows(segments, at_uses, seen_at_uses, along, limit.numbers) if at_uses else None
    except NotApartError:
        return False
    except TooLargeError:
        raise BeyondLimitError from None
    _keep(segments, stop, {x: _in_blocks(a) for x, a in arrived.items()}, end, found, limit)
    return True


def _in_blocks(arrived: Array) -> Array:
    """(unit vectors, rows, states, elements) -> (rows, unit vectors, states * elements)."""
    n, rows, states, elements = arrived.shape
    return np.ascontiguousarray(arrived.reshape((n, rows, states * elements)).swapaxes(0, 1))


def _add_whole(segments: Segments, stop: Stop, along: Array | None, found: Factors, limit: Limit) -> None:
    size = segments.size(stop)
    if size * max(size, *map(segments.size, segments.ways[stop].following), 0) > limit.numbers:
        raise BeyondLimitError
    arrived, at_uses = _carry(segments, stop, np.eye(size).reshape((size, *segments.shape(stop))), found, limit)
    try:
        end = end_of_all(segments, at_uses, along, limit.numbers) if at_uses else None
    except TooLargeError:
        raise BeyondLimitError from None
    matrices = {x: a.reshape((1, size, segments.size(x))) for x, a in arrived.items()}
    _keep(segments, stop, matrices, end, found, limit)
    found.apart = found.apart and segments.shape(stop)[0] == 1


def _keep(
    segments: Segments, stop: Stop, matrices: dict[Stop, Array], end: End | None, found: Factors, limit: Limit
) -> None:
    same = segments.shape(stop)
    found.following[stop] = {x: blocks.narrowed(m) if segments.shape(x) == same else m for x, m in matrices.items()}
    found.numbers += sum(matrix.size for matrix in found.following[stop].values())
    found.work += sum(matrix.size * min(matrix.shape[1:]) for matrix in matrices.values())  # for their spectral norms
    if end is not None:
        found.ends[stop] = end
        found.numbers += end.matrix.size
        found.apart = found.apart and end.exact
    if found.work > limit.work or found.numbers > limit.numbers:
        raise BeyondLimitError
