"""One set of operations, spelled for tinygrad_rnn, for HIPS autograd (or NumPy) and for PyTorch."""

from __future__ import annotations

from typing import Any

import autograd.numpy as anp
import numpy as np

import tinygrad_rnn as tg
from tests.engine.programs import Library

TINYGRAD: Library = {
    **{
        name: getattr(tg, name) for name in ["negative", "exp", "expm1", "log", "log1p", "sqrt", "square", "sin", "cos"]
    },
    **{
        name: getattr(tg, name)
        for name in ["tanh", "sigmoid", "softplus", "abs", "relu", "add", "subtract", "multiply"]
    },
    **{
        name: getattr(tg, name)
        for name in ["divide", "power", "maximum", "minimum", "outer", "dot", "matmul", "linear"]
    },
    **{
        name: getattr(tg, name)
        for name in ["sum", "mean", "max", "min", "logsumexp", "softmax", "log_softmax", "cumsum"]
    },
    "named": lambda x: x.named("a").named("b"),
    "weighted": lambda x, weights: x * weights,
    "clip": lambda x, low, high: tg.clip(x, low, high),
    "power_of_number": lambda x, number: x**number,
    "number_minus": lambda x, number: number - x,
    "where": lambda a, b, condition: tg.where(condition, a, b),
    "where_greater": lambda a, b: tg.where(a > b, a, b * b),
    "reshape": lambda x, shape: x.reshape(shape),
    "transpose": lambda x, axes: tg.transpose(x, axes),
    "swapaxes": lambda x, first, second: tg.swapaxes(x, first, second),
    "moveaxis": lambda x, first, second: tg.moveaxis(x, first, second),
    "expand_dims": lambda x, axis: tg.expand_dims(x, axis),
    "squeeze": lambda x, axis: tg.squeeze(x, axis),
    "broadcast_to": lambda x, shape: tg.broadcast_to(x, shape),
    "concatenate": lambda *xs, axis: tg.concatenate(xs, axis),
    "stack": lambda *xs, axis: tg.stack(xs, axis),
    "split": lambda x, axis, part: tg.split(x, 2, axis)[part],
    "pad": lambda x, widths, value: tg.pad(x, widths, constant_values=value),
    "slice": lambda x, index: x[index],
    "gather": lambda x, index: x[index],
    "embedding": lambda w, ids: tg.embedding(w, ids),
    "einsum": lambda *xs, subscripts: tg.einsum(subscripts, *xs),
}


def numpy_library(xp: Any) -> Library:
    """For a module with NumPy's functions: NumPy itself, or autograd.numpy."""

    def logsumexp(x: Any, axis: Any, keepdims: bool = False) -> Any:
        top = np.max(_plain(x), axis=axis, keepdims=True)
        y = xp.log(xp.sum(xp.exp(x - top), axis=axis, keepdims=True)) + top
        return y if keepdims else xp.reshape(y, xp.sum(_plain(x), axis=axis).shape)

    def log_softmax(x: Any, axis: int) -> Any:
        return x - logsumexp(x, axis, True)

    return {
        **{name: getattr(xp, name) for name in ["negative", "exp", "expm1", "log", "log1p", "sqrt", "square", "sin"]},
        **{
            name: getattr(xp, name) for name in ["cos", "tanh", "abs", "add", "subtract", "multiply", "divide", "power"]
        },
        **{name: getattr(xp, name) for name in ["maximum", "minimum", "outer", "dot", "matmul", "sum", "mean"]},
        **{
            name: getattr(xp, name)
            for name in ["max", "min", "cumsum", "reshape", "transpose", "expand_dims", "squeeze"]
        },
        **{name: getattr(xp, name) for name in ["broadcast_to"]},
        "named": lambda x: x,
        "weighted": lambda x, weights: x * weights,
        "sigmoid": lambda x: 0.5 + 0.5 * xp.tanh(0.5 * x),
        "softplus": lambda x: xp.logaddexp(0.0, x),
        "relu": lambda x: xp.where(_plain(x) > 0, x, 0.0),
        "clip": lambda x, low, high: xp.clip(x, low, high),
        "power_of_number": lambda x, number: x**number,
        "number_minus": lambda x, number: number - x,
        "where": lambda a, b, condition: xp.where(condition, a, b),
        "where_greater": lambda a, b: xp.where(_plain(a) > _plain(b), a, b * b),
        "logsumexp": logsumexp,
        "softmax": lambda x, axis: xp.exp(log_softmax(x, axis)),
        "log_softmax": log_softmax,
        "swapaxes": lambda x, first, second: xp.swapaxes(x, first, second),
        "moveaxis": lambda x, first, second: xp.moveaxis(x, first, second),
        "concatenate": lambda *xs, axis: xp.concatenate(xs, axis),
        "stack": lambda *xs, axis: xp.stack(xs, axis),
        "split": lambda x, axis, part: xp.split(x, 2, axis)[part],
        "pad": lambda x, widths, value: xp.pad(x, widths, "constant", constant_values=value),
        "slice": lambda x, index: x[index],
        "gather": lambda x, index: x[index],
        "embedding": lambda w, ids: w[ids],
        "linear": lambda x, w, *b: xp.matmul(x, w.T) + (b[0] if b else 0.0),
        "einsum": lambda *xs, subscripts: xp.einsum(subscripts, *xs),
    }


def _plain(x: Any) -> np.ndarray:
    """The numbers alone, for choosing a branch."""
    while hasattr(x, "_value"):
        x = x._value
    return np.asarray(x)


NUMPY = numpy_library(np)

# Where autograd's own function raises or is wrong (in 1.9.1 outer and broadcast_to, where with branches that broadcast,
# dot of single numbers, power differentiated twice at an exponent of 0), or has another convention (clip at its edges),
# the same mathematics is spelled differently.
RESPELLED: Library = {
    "broadcast_to": lambda x, shape: x + np.zeros(shape),
    "outer": lambda a, b: anp.reshape(a, (-1, 1)) * anp.reshape(b, (1, -1)),
    "dot": lambda a, b: anp.dot(a, b) if a.ndim * b.ndim else a * b,
    "power": lambda a, b: anp.exp(b * anp.log(a)),
    "where": lambda a, b, condition: _branches(condition, a, b),
    "where_greater": lambda a, b: _branches(_plain(a) > _plain(b), a, b * b),
    "clip": lambda x, low, high: _branches(_plain(x) < low, low, _branches(_plain(x) > high, high, x)),
}

AUTOGRAD: Library = {**numpy_library(anp), **RESPELLED}


def _branches(condition: Any, a: Any, b: Any) -> Any:
    zeros = 0.0 * (condition + _plain(a) + _plain(b))
    return anp.where(condition, a + zeros, b + zeros)
