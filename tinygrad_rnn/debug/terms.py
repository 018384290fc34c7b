"""One element of a result, or of a contribution, as the sum that it is, in numbers that can be followed by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine.primitives import Array
from ..engine.sweep import sweep
from ..engine.tensor import Tensor
from .linear import ELEMENTWISE, MOST_DENSE, MOVING, on_other_operands, with_ones
from .timeline import End

ADDING = MOVING | {"sum", "cumsum", "scatter_add"}  # a result is a sum of operands, each as it is
CHOOSING = ADDING | {"max", "min"}  # an element of the result is an operand, or a sum of some
SHOWN = 3  # terms

Index = tuple[int, ...]


def number(x: Any) -> str:
    """Four significant digits, enough to follow a calculation by hand."""
    return str(bool(x)) if isinstance(x, (bool, np.bool_)) else f"{x + 0:.4g}"


def place(index: Index) -> str:
    """[1, 2], or nothing for a scalar."""
    return f"[{', '.join(map(str, index))}]" if index else ""


def signed(x: Any) -> str:
    """In brackets where it is negative."""
    text = number(x)
    return f"({text})" if text.startswith("-") else text


# Forward ------------------------------------------------------------------------------------------------------------


def forward_terms(node: Tensor, at: Index) -> str | None:
    """What y[at] is the sum of; None where it is no sum of operands."""
    name, operands = _name(node), [x.value for x in node.inputs]
    if name == "linear" and at:
        products = list(zip(operands[0][at[:-1]], operands[1][at[-1]], strict=True))
        return _sum(products, operands[2][at[-1]] if len(operands) == 3 else None)
    if name == "matmul" and all(x.ndim <= 2 for x in operands):
        a, b = operands
        return _sum(list(zip(a[at[0]] if a.ndim == 2 else a, b[:, at[-1]] if b.ndim == 2 else b, strict=True)))
    if name in MOVING:
        return _origin(node, at)
    if name not in CHOOSING or not node.inputs[0].tracked:
        return None
    hot = np.zeros(node.shape, node.value.dtype)
    hot[at] = 1
    weights = _pulled(node, 0, hot)
    used = [tuple(map(int, index)) for index in np.argwhere(weights)]
    if len(used) == 1 and weights[used[0]] == 1:
        return f"x{place(used[0])}"
    return _sum([(operands[0][index], weights[index]) for index in used]) if used else None


def _origin(node: Tensor, at: Index) -> str | None:
    """Which element of which operand was moved to y[at]: found by moving their numbers, from 1. None for a margin."""
    starts = np.cumsum([1, *(x.size for x in node.inputs)])
    numbers = [np.arange(x.size).reshape(x.shape) + start for x, start in zip(node.inputs, starts, strict=False)]
    found = int(on_other_operands(node, numbers)[at])
    if found == 0:
        return None
    slot = int(np.searchsorted(starts, found, side="right")) - 1
    index = np.unravel_index(found - int(starts[slot]), node.inputs[slot].shape)
    return f"x{f'_{slot}' if len(numbers) > 1 else ''}{place(tuple(map(int, index)))}"


# Backward -----------------------------------------------------------------------------------------------------------


def backward_terms(node: Tensor, slot: int, cotangent: Array, at: Index) -> str | None:
    """What dx[at] is the sum of; None where its terms are too many to be looked for."""
    name, operands = _name(node), [x.value for x in node.inputs]
    if name == "linear" and cotangent.ndim <= 2:
        rows, ins = np.atleast_2d(cotangent), np.atleast_2d(operands[0])
        if slot == 0:
            return _sum(list(zip(rows[at[0] if len(at) == 2 else 0], operands[1][:, at[-1]], strict=True)))
        return _sum(list(zip(rows[:, at[0]], ins[:, at[1]] if slot == 1 else np.ones(len(rows)), strict=True)))
    if name == "matmul" and all(x.ndim <= 2 for x in operands):
        a, b = operands
        rows, columns = (a if a.ndim == 2 else a[None]), (b if b.ndim == 2 else b[:, None])
        whole = cotangent.reshape((rows.shape[0], columns.shape[1]))
        if slot == 0:
            i, j = at if a.ndim == 2 else (0, at[0])
            return _sum(list(zip(whole[i], columns[j], strict=True)))
        i, j = at if b.ndim == 2 else (at[0], 0)
        return _sum(list(zip(rows[:, i], whole[:, j], strict=True)))
    column = _column(node, slot, at)
    if column is None:
        return None
    used = [tuple(map(int, index)) for index in np.argwhere(column)]
    if len(used) == 1 and column[used[0]] == 1:
        return f"dy{place(used[0])}"
    return _sum([(cotangent[index], column[index]) for index in used]) if used else "0, since nothing comes of it"


def _column(node: Tensor, slot: int, at: Index) -> Array | None:
    """The derivative of the result by one element of an operand, of the shape of the result."""
    x, y, name = node.inputs[slot].value, node.value, _name(node)
    if name in ADDING:
        hot = [np.zeros(one.shape, one.value.dtype) for one in node.inputs]
        hot[slot][at] = 1
        return on_other_operands(node, hot)
    if name in ELEMENTWISE:
        numbers = np.broadcast_to(np.arange(x.size).reshape(x.shape), y.shape)
        return np.where(numbers == np.ravel_multi_index(at, x.shape) if at else True, with_ones(node, slot), 0)
    if x.size * y.size > MOST_DENSE:
        return None
    rows = _pulled(node, slot, np.eye(y.size, dtype=y.dtype).reshape((y.size, *y.shape))).reshape((y.size, x.size))
    return np.asarray(rows[:, np.ravel_multi_index(at, x.shape) if at else 0]).reshape(y.shape)


def _pulled(node: Tensor, slot: int, cotangent: Array) -> Array:
    """What an edge contributes for a cotangent, which may have leading axes: the real sweep, on this edge alone."""
    x = node.inputs[slot]
    only = {node.index: lambda consumer, at, part: part if at == slot else None}
    with np.errstate(all="ignore"):
        found = sweep({x.index: End(x), node.index: node}, {node.index: cotangent}, (x.index,), only)
    lead = cotangent.shape[: cotangent.ndim - node.value.ndim]
    return np.asarray(found.get(x.index, np.zeros((*lead, *x.shape))))


def _name(node: Tensor) -> str:
    return node.primitive.name if node.primitive is not None else ""


def _sum(products: Sequence[tuple[Any, Any]], bias: Any = None) -> str:
    """a * b + c * d + ...; a factor of 1 is left out."""
    shown = [signed(a) if b == 1 else f"{signed(a)} * {signed(b)}" for a, b in products[:SHOWN]]
    text = " + ".join(shown) + (f" + ... ({len(products)} terms)" if len(products) > len(shown) else "")
    return text if bias is None else f"{text} + {signed(bias)}"
