"""Ends: what is kept of the last segment of a path, from a stop to the source.

Enough to weigh a path, or to bound its weight, and no more: a weight may have far more elements than a stop. Where a
weight is used in a product, its contribution is an outer product, x and the cotangent of what was computed from x, and
no such outer product is ever made here: it is as long as the cotangent times |x|.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..measure import spectral_norms
from . import blocks
from .segments import Edge, Segments, contributions

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class End:
    """matrix: in blocks. A cotangent times a block is as long as what that block contributes to the source.

    exact: whether all that ends here is as long as those together, sqrt(sum of squares), or, by share, as their sum;
    if not, it may be as long as the sum of their lengths.
    """

    matrix: Array
    exact: bool


class NotApartError(Exception):
    """The rows of a cotangent are not apart on their way."""


class TooLargeError(Exception):
    """A Jacobian by the source has more numbers than may be kept."""


def end_of_rows(
    segments: Segments, at_uses: Mapping[Edge, Array], probe: Mapping[Edge, Array], along: Any, most: float
) -> End:
    """Of cotangents, a batch of unit vectors (n of a row) at a time, in all rows at once.

    at_uses: at each use of the source the cotangent of its consumer, (n, *its shape). probe: the same of (rows), nan
    wherever that row comes. along: the direction of the gradient, by share; None by norm.
    Raises NotApartError where one number comes from several rows, TooLargeError where it takes more than `most`
    numbers to find out.
    """
    rows = len(next(iter(probe.values())))
    if all(map(apart, probe.values())) and (outer := _outer_products(segments, at_uses, rows, along)):
        return outer
    if max(rows, len(next(iter(at_uses.values())))) * segments.reading.paths.source.size > most:
        raise TooLargeError
    comes = np.isnan(contributions(segments, probe))
    if (comes.sum(axis=0) > 1).any():
        raise NotApartError
    values = contributions(segments, at_uses)
    if along is not None:
        return End(np.stack([values[:, mine] @ along[mine] for mine in comes])[:, :, None], True)
    matrix = np.zeros((rows, len(values), int(comes.sum(axis=1).max())))
    for row, mine in enumerate(comes):
        matrix[row, :, : np.count_nonzero(mine)] = values[:, mine]
    return End(blocks.reduced(matrix), True)


def end_of_all(segments: Segments, at_uses: Mapping[Edge, Array], along: Any, most: float) -> End:
    """The same of all unit vectors one by one, as a single block."""
    if outer := _outer_products(segments, at_uses, 1, along):
        return outer
    if len(next(iter(at_uses.values()))) * segments.reading.paths.source.size > most:
        raise TooLargeError
    values = contributions(segments, at_uses)
    return End(values[None] @ along[:, None] if along is not None else blocks.reduced(values[None]), True)


def apart(probe: Array) -> bool:
    """(rows, *shape), nan where row k comes: whether that is within row k of the first axis at most."""
    if probe.ndim < 2 or probe.shape[1] != len(probe):
        return False
    comes = np.isnan(probe).any(axis=tuple(range(2, probe.ndim)))
    return bool((comes <= np.eye(len(probe), dtype=np.bool_)).all())


def _outer_products(segments: Segments, at_uses: Mapping[Edge, Array], rows: int, along: Any) -> End | None:
    """The end at uses in products only; None if there are others."""
    order, source = segments.reading.paths.order, segments.reading.paths.source
    parts, exact = [], len(at_uses) == 1 and rows == 1
    for (index, slot), cotangents in at_uses.items():
        consumer = order[index]
        x = _factor(consumer, slot, rows)
        if x is None:
            return None
        n, width = len(cotangents), consumer.size // rows
        by_row = cotangents.reshape((n, rows, width)).swapaxes(0, 1)
        if along is not None:
            tangent = _tangent(consumer, slot, along.reshape(source.shape)).reshape((rows, width, 1))
            parts.append(by_row @ tangent)
        else:
            parts.append(by_row * spectral_norms(x)[:, None, None])
            exact = exact and x.shape[1] == 1
    if along is not None:
        return End(np.asarray(sum(parts[1:], parts[0])), True)
    # |a + b| <= sqrt(2) |(a, b)|, and likewise for more uses
    return End(blocks.reduced(np.concatenate(parts, axis=2) * math.sqrt(len(parts))), exact)


def _factor(consumer: Any, slot: int, rows: int) -> Array | None:
    """What the cotangent of a product is multiplied with for one of its factors, (rows, n, m), apart by the rows of the
    first axis of the product; None for an operation that is no such product."""
    name, values = consumer.primitive.name, [x.value for x in consumer.inputs]
    if name == "gather" and len(consumer.params["index"]) == 1 and consumer.size:  # rows of a table, such as vectors of
        taken = np.reshape(
            consumer.params["index"][0] % len(values[0]), (rows, -1)
        )  # words: those that are taken twice are added up
        most = max(int(np.unique(row, return_counts=True)[1].max()) for row in taken)
        return np.ones((rows, most, 1))
    if name == "linear" and slot == 2:
        return np.ones((rows, consumer.size // consumer.shape[-1] // rows, 1)) if consumer.ndim else None
    if (name == "linear" or (name == "matmul" and values[1].ndim == 2)) and slot == 1:
        x = values[0]
        return x.reshape((rows, x.size // x.shape[-1] // rows, x.shape[-1])) if x.size else None
    if name == "matmul" and slot == 0 and rows == 1 and values[0].ndim == 2 and values[1].ndim < 3 and values[1].size:
        return np.asarray(values[1].reshape((len(values[1]), -1)).T[None])
    return None


def _tangent(consumer: Any, slot: int, direction: Array) -> Array:
    """How a product changes if that factor goes in a direction."""
    if consumer.primitive.name == "gather":
        return np.asarray(consumer.primitive.forward(direction, **consumer.params))
    if slot == 2:
        return np.broadcast_to(direction, consumer.shape)
    values = [x.value for x in consumer.inputs[:2]]
    values[slot] = direction
    return np.asarray(consumer.primitive.forward(*values))
