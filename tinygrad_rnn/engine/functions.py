"""The functions users call: the methods of Tensor under their own names, and those that take several tensors."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import primitives as p
from .annotate import HERE
from .arguments import negative_axis, shortened
from .numpy_protocol import spelled
from .sweep import describe
from .tensor import Tensor, TensorLike, record, tensors

__all__ = [
    "abs",
    "add",
    "astype",
    "broadcast_to",
    "clip",
    "concatenate",
    "cos",
    "cumsum",
    "divide",
    "dot",
    "einsum",
    "embedding",
    "exp",
    "expand_dims",
    "expm1",
    "flip",
    "hstack",
    "linear",
    "log",
    "log1p",
    "log_softmax",
    "logsumexp",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "moveaxis",
    "multiply",
    "negative",
    "outer",
    "pad",
    "power",
    "relu",
    "reshape",
    "sigmoid",
    "sign",
    "sin",
    "softmax",
    "softplus",
    "split",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "std",
    "subtract",
    "sum",
    "swapaxes",
    "tanh",
    "transpose",
    "var",
    "vstack",
    "where",
]

add, subtract, multiply, divide = Tensor.add, Tensor.subtract, Tensor.multiply, Tensor.divide
negative, power, matmul, dot = Tensor.negative, Tensor.power, Tensor.matmul, Tensor.dot
exp, expm1, log, log1p, sqrt, square = Tensor.exp, Tensor.expm1, Tensor.log, Tensor.log1p, Tensor.sqrt, Tensor.square
abs, sign, sin, cos = Tensor.abs, Tensor.sign, Tensor.sin, Tensor.cos
tanh, sigmoid, relu, softplus = Tensor.tanh, Tensor.sigmoid, Tensor.relu, Tensor.softplus
maximum, minimum, clip, astype = Tensor.maximum, Tensor.minimum, Tensor.clip, Tensor.astype
sum, mean, var, std, cumsum = Tensor.sum, Tensor.mean, Tensor.var, Tensor.std, Tensor.cumsum
max, min = Tensor.max, Tensor.min
logsumexp, softmax, log_softmax = Tensor.logsumexp, Tensor.softmax, Tensor.log_softmax
reshape, transpose, swapaxes, moveaxis = Tensor.reshape, Tensor.transpose, Tensor.swapaxes, Tensor.moveaxis
expand_dims, squeeze, broadcast_to = Tensor.expand_dims, Tensor.squeeze, Tensor.broadcast_to
pad, flip, split, outer = Tensor.pad, Tensor.flip, Tensor.split, Tensor.outer


@spelled(np.where)
def where(condition: TensorLike, x: TensorLike, y: TensorLike) -> Tensor:
    """`x` where the condition holds, else `y`. What is not selected gets a gradient of 0, even where it is inf."""
    (chosen,) = tensors(condition)
    x, y = tensors(x, y)
    result = record(p.where, (chosen, x, y))
    result.tracked = result.tracked and (x.tracked or y.tracked)  # to a condition there is no gradient
    return result


def linear(x: TensorLike, w: TensorLike, b: TensorLike | None = None) -> Tensor:
    """x W^T + b, the layer of PyTorch: x (..., inputs), w (outputs, inputs), b (outputs,) -> (..., outputs)."""
    return record(p.linear, (x, w) if b is None else (x, w, b))


@spelled(np.concatenate)
def concatenate(xs: Sequence[TensorLike], axis: int = 0) -> Tensor:
    """Joined along an axis that they have."""
    joined = tensors(*_several(xs, "concatenate"))
    return record(p.concatenate, joined, {"axis": negative_axis(axis, joined[0].ndim, "concatenate")})


@spelled(np.stack)
def stack(xs: Sequence[TensorLike], axis: int = 0) -> Tensor:
    """Joined along a new axis. ``stack(states)[t]`` is ``states[t]`` itself."""
    joined = tensors(*_several(xs, "stack"))
    return record(p.stack, joined, {"axis": negative_axis(axis, joined[0].ndim + 1, "stack")})


@spelled(np.hstack)
def hstack(xs: Sequence[TensorLike]) -> Tensor:
    """Joined side by side: along the second axis, or along the only one of vectors."""
    rows = [x.reshape(-1) if x.ndim == 0 else x for x in tensors(*_several(xs, "hstack"))]
    return concatenate(rows, axis=0 if rows[0].ndim == 1 else 1)


@spelled(np.vstack)
def vstack(xs: Sequence[TensorLike]) -> Tensor:
    """Joined one below the other: along the first axis; a vector is a row."""
    return concatenate([x.reshape(1, -1) if x.ndim < 2 else x for x in tensors(*_several(xs, "vstack"))])


def _several(xs: Sequence[TensorLike], operation: str) -> list[TensorLike]:
    if not isinstance(xs, (list, tuple, Tensor, np.ndarray)):
        raise TypeError(f"{operation} joins a list of tensors; got {shortened(xs)}")
    if len(xs) == 0:
        raise ValueError(f"{operation} needs at least one tensor; got an empty list")
    return list(xs)


def embedding(weight: TensorLike, ids: Any) -> Tensor:
    """The rows `ids` (whole numbers, any shape) of `weight` (rows, features): ids.shape + (features,)."""
    (weight,) = tensors(weight)
    rows = np.asarray(ids.value if isinstance(ids, Tensor) else ids)
    if rows.dtype.kind not in "iu":
        kind = f"{rows.dtype}, " if rows.dtype.kind == "f" else ""
        raise TypeError(f"embedding: rows are looked up by whole numbers; got {kind}{shortened(ids)} ({HERE.get()})")
    if weight.ndim == 0:
        raise ValueError(f"embedding: weight is (rows, features); got {describe(weight)} ({HERE.get()})")
    if rows.size and (rows.min() < 0 or rows.max() >= len(weight)):
        raise IndexError(
            f"embedding: ids from {rows.min()} to {rows.max()} do not fit the {len(weight)} rows of {describe(weight)} "
            f"({HERE.get()})"
        )
    return weight[np.array(rows),] if rows.ndim else weight[int(rows)]


@spelled(np.einsum)
def einsum(subscripts: str, *operands: TensorLike) -> Tensor:
    """Einstein's summation, as in NumPy: einsum("ij,jk->ik", a, b); "..." and repeated letters included."""
    if not isinstance(subscripts, str):
        raise TypeError(f'einsum takes its subscripts first, a string such as "ij,jk->ik"; got {shortened(subscripts)}')
    xs = list(tensors(*operands))
    inputs, arrow, out = subscripts.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if len(terms) != len(xs):
        raise ValueError(f"einsum {subscripts!r}: {len(terms)} terms for {len(xs)} operands ({HERE.get()})")
    terms, dots = _spell_out(terms, xs, subscripts)
    if arrow:
        if dots and "..." not in out:  # as NumPy does, rather than sum over axes that nobody named
            raise ValueError(f'einsum {subscripts!r}: "..." is missing from the result; add it there ({HERE.get()})')
        out = out.replace("...", dots)
    else:
        letters = "".join(terms)
        out = dots + "".join(sorted(c for c in {*letters} - {*dots} if letters.count(c) == 1))
    for k, term in enumerate(terms):
        xs[k], terms[k] = _diagonal(xs[k], term)
    _check_letters(terms, out, xs, subscripts)
    return record(p.einsum, tuple(xs), {"subscripts": ",".join(terms) + "->" + out})


def _check_letters(terms: list[str], out: str, xs: Sequence[Tensor], subscripts: str) -> None:
    lengths: dict[str, int] = {}
    for term, x in zip(terms, xs, strict=True):
        for c, n in zip(term, x.shape, strict=True):
            if not c.isascii() or not c.isalpha():
                raise ValueError(f"einsum {subscripts!r}: {c!r} is not a letter ({HERE.get()})")
            if lengths.setdefault(c, n) != n and 1 not in (lengths[c], n):
                shapes = ", ".join(str(x.shape) for x in xs)
                raise ValueError(
                    f"einsum {subscripts!r}: {c} stands for axes of length {lengths[c]} and {n}; operands are {shapes} "
                    f"({HERE.get()})"
                )
            lengths[c] = builtins.max(lengths[c], n) if n else 0
    for c in out:
        if c not in lengths or out.count(c) > 1:
            problem = "stands for no axis of an operand" if c not in lengths else "is named twice"
            raise ValueError(f"einsum {subscripts!r}: {c!r} in the result {problem} ({HERE.get()})")


def _spell_out(terms: list[str], xs: Sequence[Tensor], subscripts: str) -> tuple[list[str], str]:
    """Letters in place of "..."; (the terms, the letters of the longest "...")."""
    free = [c for c in p.LETTERS if c not in subscripts]
    lengths = [x.ndim - len(term.replace("...", "")) if "..." in term else 0 for term, x in zip(terms, xs, strict=True)]
    longest = builtins.max(lengths)
    dots = "".join(free[:longest])
    spelled_out = [term.replace("...", dots[longest - n :]) for term, n in zip(terms, lengths, strict=True)]
    for term, x in zip(spelled_out, xs, strict=True):
        if len(term) != x.ndim:
            raise ValueError(f"einsum {subscripts!r}: {term!r} has {len(term)} axes for {describe(x)} ({HERE.get()})")
    return spelled_out, dots


def _diagonal(x: Tensor, term: str) -> tuple[Tensor, str]:
    """Where a letter occurs twice in a term, the diagonal of those two axes, in front."""
    for c in term:
        if term.count(c) > 1:
            first, second = term.index(c), term.rindex(c)
            if x.shape[first] != x.shape[second]:
                raise ValueError(
                    f"einsum: {c!r} stands for axes of lengths {x.shape[first]} and {x.shape[second]} of {describe(x)} "
                    f"({HERE.get()})"
                )
            steps = np.arange(x.shape[first])
            moved = x.moveaxis((first, second), (0, 1))[steps, steps]
            return _diagonal(moved, c + "".join(d for k, d in enumerate(term) if k not in (first, second)))
    return x, term


@spelled(np.shape)
def shape(x: Tensor) -> tuple[int, ...]:
    """The shape, a plain tuple."""
    return x.shape


@spelled(np.ndim)
def ndim(x: Tensor) -> int:
    """The number of axes."""
    return x.ndim


@spelled(np.size)
def size(x: Tensor) -> int:
    """The number of elements."""
    return x.size
