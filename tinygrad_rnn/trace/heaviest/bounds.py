"""Bounds: at least what the heaviest completion of a half-read path still carries.

For a cotangent lambda at a stop v, of which the rows of a batch may stay apart,

    for each row  min(|lambda| U_v,  sum over j of |lambda_j| b_v[j])

where U_v bounds the norm, and b_v[j] row j, of the product of factors over all completions from v. Rows that stay apart
as far as the source add up as squares do; else lengths are at most their sum. None of it ever underestimates, so a path
that is taken from the queue of a best-first search is the heaviest that is left.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ..measure import spectral_norms
from . import blocks
from .factors import Factors
from .segments import Segments, Stop

Array = npt.NDArray[Any]


class Bounds:
    """norms: by stop U_v, (rows,). by_element: by stop b_v, (rows, elements of a row)."""

    def __init__(self, segments: Segments, factors: Factors) -> None:
        self.norms: dict[Stop, Array] = {}
        self.by_element: dict[Stop, Array] = {}
        self._together: Callable[[Array], Array] = _root_of_squares if factors.apart else _sum
        with np.errstate(over="ignore", invalid="ignore"):
            for stop in segments.ways:  # earlier nodes first: completions lead back in time
                rows, states, n = segments.shape(stop)
                of_ways = [self._over(factors.following[stop][x], x) for x in segments.ways[stop].following]
                if stop in factors.ends:
                    matrix = factors.ends[stop].matrix
                    of_ways.append((spectral_norms(matrix), _row_norms(matrix)))
                self.norms[stop] = _known(np.max([np.broadcast_to(norms, rows) for norms, _ in of_ways], axis=0))
                by_element = np.max([each.reshape((rows, states * n)) for _, each in of_ways], axis=0)
                self.by_element[stop] = _known(by_element)

    def __call__(self, stop: Stop, cotangents: Array) -> Array:
        """(k, elements of the stop) -> at least the weight of the heaviest completion of each, (k,); inf or nan where
        that is beyond the range of numbers."""
        norms, by_element = self.norms[stop], self.by_element[stop]
        if len(norms) > 1:
            return self._of_rows(cotangents, norms, by_element)
        by_norm = blocks.lengths(cotangents) * norms[0]
        return np.asarray(np.fmin(by_norm, np.abs(cotangents) @ by_element[0]))

    def _of_rows(self, cotangents: Array, norms: Array, by_element: Array) -> Array:
        """(k, rows * n) -> (k,)."""
        apart = np.abs(cotangents).reshape((len(cotangents), *by_element.shape))
        by_norm = blocks.lengths_in_rows(cotangents, len(norms)) * norms
        return self._together(np.fmin(by_norm, np.einsum("krn,rn->kr", apart, by_element)))

    def _over(self, matrix: Array, earlier: Stop) -> tuple[Array, Array]:
        """The bounds from a stop on, by way of one segment, whose matrix this is, and any completion after it."""
        norms, by_element = self.norms[earlier], self.by_element[earlier]
        rows, n = by_element.shape
        if matrix.ndim == 1:
            sizes = np.abs(matrix).reshape((rows, n))
            return sizes.max(axis=1, initial=0.0) * norms, sizes * np.fmin(norms[:, None], by_element)
        if len(matrix) == rows:
            by_norm = _row_norms(matrix).reshape(matrix.shape[:2]) * norms[:, None]
            return spectral_norms(matrix) * norms, np.fmin(by_norm, (np.abs(matrix) @ by_element[..., None])[..., 0])
        # From one block to several rows: each of its elements comes to all of them.
        spread = (matrix.reshape((matrix.shape[1], rows, n)) * norms[:, None]).reshape(matrix.shape)
        largest = spectral_norms(spread)
        if self._together is _sum:
            largest = largest * np.sqrt(rows)  # the sum of so many lengths is at most that times their root of squares
        return largest, self._of_rows(matrix[0], norms, by_element)


def _known(bounds: Array) -> Array:
    """What became nan, as 0 times inf does, is inf: a bound that says nothing."""
    return np.where(np.isnan(bounds), np.inf, bounds)


def _row_norms(matrix: Array) -> Array:
    high = matrix.shape[0] * matrix.shape[1]
    return blocks.lengths(matrix.reshape((high, matrix.shape[2])))


def _root_of_squares(of_rows: Array) -> Array:
    return blocks.lengths(of_rows)


def _sum(of_rows: Array) -> Array:
    return np.asarray(of_rows.sum(axis=1))
