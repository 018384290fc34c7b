"""What parameters are before training: plain arrays, drawn from an explicit random generator."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

Array = np.ndarray[Any, np.dtype[Any]]
Rng = np.random.Generator | int | None  # a generator draws on; a seed begins anew; None is different every time


def generator(rng: Rng) -> np.random.Generator:
    """The random generator that `rng` stands for. Raises TypeError for anything but a Generator, an int or None."""
    if rng is None or isinstance(rng, np.random.Generator | int | np.integer):
        return np.random.default_rng(rng)
    raise TypeError(
        f"rng is a numpy.random.Generator, a seed (an int) or None, not {type(rng).__name__}; "
        "write rng=np.random.default_rng(0)"
    )


def uniform(shape: tuple[int, ...], bound: float, *, rng: Rng = None, dtype: DTypeLike = np.float64) -> Array:
    """Uniform in [-bound, bound). Drawn in float64 and then rounded, so that a seed means the same in any dtype."""
    return generator(rng).uniform(-bound, bound, shape).astype(_real(dtype))


def normal(shape: tuple[int, ...], std: float = 1.0, *, rng: Rng = None, dtype: DTypeLike = np.float64) -> Array:
    """Normal with mean 0 and standard deviation `std`."""
    return generator(rng).normal(0.0, std, shape).astype(_real(dtype))


def hidden_bound(hidden_size: int) -> float:
    """1 / sqrt(hidden_size): every weight and bias of PyTorch's recurrent cells is uniform within it."""
    return 1.0 / math.sqrt(hidden_size)


def recurrent(shape: tuple[int, ...], bound: float, *, rng: Rng = None, dtype: DTypeLike = np.float64) -> Array:
    """Uniform in [-bound, bound), and in memory column by column: the product x W^T, taken at every step, then goes
    through W row by row, which BLAS does in as little as half the time."""
    return np.asfortranarray(uniform(shape, bound, rng=rng, dtype=dtype))


def linear_bound(in_features: int) -> float:
    """1 / sqrt(in_features): the bound of PyTorch's `Linear`, weight and bias.

    It is the uniform bound of He et al. 2015, gain * sqrt(3 / fan_in), with the gain sqrt(2 / (1 + 5)) that PyTorch
    passes.
    """
    return 1.0 / math.sqrt(in_features)


def _real(dtype: DTypeLike) -> np.dtype[Any]:
    kind = np.dtype(dtype)
    if kind.kind != "f":
        raise TypeError(f"parameters are real numbers: dtype is np.float64 or np.float32, not {kind}")
    return kind


def check_sizes(**sizes: Any) -> None:
    """For sizes such as ``hidden_size=16``: raises TypeError or ValueError naming the one that is not an int >= 1."""
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int | np.integer):
            raise TypeError(f"{name} is a whole number, such as 16; got {size!r}")
        if size < 1:
            raise ValueError(f"{name} is at least 1; got {size}")


def checked_switch(name: str, value: bool) -> bool:
    """Raises TypeError for what is neither True nor False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} is True or False; got {value!r}")
    return value
