"""Matrices in blocks: the Jacobian of a batch has one for each row, and zeros elsewhere, which are not kept.

A matrix is (blocks, n, m): row vectors of blocks * n elements go to blocks * m, block by block, and one of a single
block is any matrix. Or it is a diagonal, (n,). Which of these a Jacobian is, is seen from its numbers.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ..measure import norms_over

Array = npt.NDArray[Any]


def applied(vectors: Array, matrix: Array) -> Array:
    """(k, n of all blocks) -> (k, m of all blocks)."""
    if matrix.ndim == 1:
        return vectors * matrix
    blocks, n, m = matrix.shape
    if blocks == 1:
        return np.asarray(vectors @ matrix[0])
    k = len(vectors)
    arrived = np.matmul(vectors.reshape(k, blocks, n).swapaxes(0, 1), matrix)
    return np.asarray(arrived.swapaxes(0, 1).reshape(k, blocks * m))


def narrowed(matrix: Array) -> Array:
    """The same as a diagonal, if it is one."""
    blocks, n, m = matrix.shape
    if n != m or n < 2:
        return matrix
    diagonal = np.diagonal(matrix, axis1=1, axis2=2)
    if np.count_nonzero(matrix) != np.count_nonzero(diagonal):
        return matrix
    return np.array(diagonal).reshape(blocks * n)


def lengths(vectors: Array) -> Array:
    """The Euclidean norm of each, (k, n) -> (k,); scaled first only where squares could underflow or overflow."""
    if len(vectors) == 1:  # by far the most frequent case, in a search
        square = float(vectors[0] @ vectors[0])
        return np.full(1, math.sqrt(square)) if 1e-280 < square < 1e280 else norms_over(vectors, 1)
    squares = np.einsum("kn,kn->k", vectors, vectors)
    if squares.size and squares.min() > 1e-280 and squares.max() < 1e280:
        return np.asarray(np.sqrt(squares))
    return norms_over(vectors, 1)


def lengths_in_rows(vectors: Array, rows: int) -> Array:
    """The Euclidean norms of the parts of each, (k, rows * n) -> (k, rows)."""
    k, n = vectors.shape
    return lengths(vectors.reshape((k * rows, n // rows))).reshape((k, rows))


def product(left: Array, right: Array) -> Array:
    """left @ right, where both are in blocks; in as many as they share, else in one."""
    if left.ndim == 1:
        blocks, n, m = right.shape
        return left.reshape(blocks, n, 1) * right
    (blocks, n, m), (others, height, width) = left.shape, right.shape
    if blocks == others:
        return np.asarray(left @ right)
    if blocks == 1:
        spread = np.einsum("nbm,bmk->nbk", left[0].reshape(n, others, height), right)
        return np.asarray(spread.reshape(1, n, others * width))
    return np.asarray((left @ right.reshape(blocks, m, width)).reshape(1, blocks * n, width))


def reduced(matrix: Array) -> Array:
    """No wider than high, and stretches vectors as the matrix does, block by block: R of a QR decomposition."""
    if matrix.shape[2] <= matrix.shape[1]:
        return matrix
    return np.asarray(np.linalg.qr(matrix.swapaxes(1, 2), mode="r")).swapaxes(1, 2)
