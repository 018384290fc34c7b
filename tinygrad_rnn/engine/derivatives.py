"""Derivatives of what was computed: each is a backward sweep with a seed of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .arguments import fitting, shortened
from .primitives import Array
from .sweep import describe, sweep, tape
from .tensor import Tensor, TensorLike, constant, seed_of

Targets = Tensor | Sequence[Tensor]


def grad(loss: Tensor, wrt: Targets, create_graph: bool = False, allow_unused: bool = False) -> Any:
    """The gradient of a single number with respect to one tensor, or to each of a sequence.

    loss: a Tensor with one element.
    wrt: leaves or any tensors on the way to the loss.
    create_graph: the gradients are Tensors on the tape, to be differentiated again; otherwise fresh arrays.
    allow_unused: None for a tensor without a path to the loss, rather than an error.
    Returns what `wrt` is, a tensor's gradient or a list of them, each of its tensor's shape.
    """
    _checked_outputs([loss])
    return _pulled_back([(loss, seed_of(loss, None))], wrt, create_graph, allow_unused)


def vjp(y: Tensor, x: Targets, v: TensorLike, create_graph: bool = False) -> Any:
    """The vector-Jacobian product v^T dy/dx, for one tensor x or each of a sequence.

    v: of y's shape, or with leading axes in front for several products at the price of one sweep: (k, *y.shape)
    gives (k, *x.shape).
    """
    _checked_outputs([y])
    seed = fitting(v, y.dtype, describe(y))
    _check_direction(seed, y, "y")
    seed_of(y, np.broadcast_to(y.dtype.type(0), y.shape))  # for its complaint where no gradient is tracked
    return _pulled_back([(y, seed)], x, create_graph, False)


def jvp(y: Tensor, x: Targets, v: Any) -> Array:
    """The Jacobian-vector product dy/dx v: how y moves when x moves along v.

    v: of x's shape, or with leading axes in front, (k, *x.shape), which gives (k, *y.shape); a sequence if x is one.
    Forward mode needs no rules of its own: the vjp is linear in its seed u, and this is the transpose of that map
    (the derivative of u^T dy/dx by u, applied to v).
    """
    xs, moves = _paired(x, v)
    _checked_outputs([y])
    seed = Tensor(np.zeros(y.shape, y.dtype), requires_grad=True, name="seed of the backward sweep")
    seed_of(y, seed.value)
    for move, one in zip(moves, xs, strict=True):
        _check_direction(move, one, "x")
    leads = {move.shape[: move.ndim - one.ndim] for move, one in zip(moves, xs, strict=True)}
    if len(leads) > 1:  # or what is one direction for x would be added to each of several for the other
        raise ValueError(f"all directions need the same leading axes; got {[move.shape for move in moves]}")
    pulled = _pulled_back([(y, seed)], xs, create_graph=True, allow_unused=False)
    return np.asarray(_pulled_back(list(zip(pulled, moves, strict=True)), seed, False, False))


def jacobian(y: Tensor, x: Tensor, create_graph: bool = False) -> Any:
    """dy/dx, of shape (*y.shape, *x.shape), in one backward sweep with a row for each element of y."""
    _checked_outputs([y])
    if not isinstance(x, Tensor):
        raise TypeError(f"tg.jacobian is asked for with respect to one Tensor at a time; got {shortened(x)}")
    rows = vjp(y, x, np.eye(y.size, dtype=y.dtype).reshape((y.size, *y.shape)), create_graph)
    return rows.reshape((*y.shape, *x.shape))


def hvp(loss: Tensor, x: Targets, v: Any) -> Any:
    """The Hessian-vector product d2(loss)/dx2 v, for one tensor x or, with a sequence of v, for a sequence.

    v: of x's shape. The Hessian of a loss that is linear in x is 0.
    """
    xs, moves = _paired(x, v)
    _checked_outputs([loss])
    slopes = _pulled_back([(loss, seed_of(loss, None))], xs, create_graph=True, allow_unused=False)
    for move, one in zip(moves, xs, strict=True):
        if move.shape != one.shape:
            raise ValueError(
                f"the direction for {describe(one)}, has shape {move.shape}; give it the shape {one.shape}"
            )
    curved = [(slope, move) for slope, move in zip(slopes, moves, strict=True) if slope.tracked]
    found = _pulled_back(curved, xs, False, allow_unused=True)
    bent = [np.zeros(one.shape, one.dtype) if row is None else row for row, one in zip(found, xs, strict=True)]
    return bent[0] if isinstance(x, Tensor) else bent


def _pulled_back(seeds: Sequence[tuple[Tensor, Any]], wrt: Targets, create_graph: bool, allow_unused: bool) -> Any:
    targets = _targets(wrt)
    outputs = [y for y, _ in seeds]
    start: dict[int, Any] = {}
    for y, seed in seeds:
        cotangent = constant(seed) if create_graph and not isinstance(seed, Tensor) else seed
        start[y.index] = start[y.index] + cotangent if y.index in start else cotangent
    order = tape(outputs, targets)
    found = sweep(order, start, [x.index for x in targets if x.index in order], create_graph=create_graph)
    if not allow_unused:
        for x in targets:
            if x.index not in found:
                raise RuntimeError(_no_path(outputs, x))
    gradients = [found.get(x.index) for x in targets]
    if not create_graph and len({x.index for x in targets}) < len(targets):  # asked twice, answered with two arrays
        gradients = [None if g is None else g.copy() for g in gradients]
    return gradients[0] if isinstance(wrt, Tensor) else gradients


def _targets(wrt: Any) -> list[Tensor]:
    targets = [wrt] if isinstance(wrt, Tensor) else list(wrt) if isinstance(wrt, Iterable) else [wrt]
    for x in targets:
        if not isinstance(x, Tensor):
            raise TypeError(
                "gradients are asked for with respect to a Tensor or a sequence of Tensors (not their .data); "
                f"got {shortened(x)}"
            )
    return targets


def _checked_outputs(outputs: Sequence[Any]) -> None:
    for y in outputs:
        if not isinstance(y, Tensor):
            raise TypeError(
                "what is differentiated is a Tensor, computed from what it is differentiated by; "
                f"got {shortened(y)}. Was it made with float(), .item() or .data?"
            )


def _paired(x: Targets, v: Any) -> tuple[list[Tensor], list[Array]]:
    """Tensors, and a direction for each."""
    xs = _targets(x)
    directions = [v] if isinstance(x, Tensor) else list(v)
    if len(directions) != len(xs):
        raise ValueError(f"each tensor needs a direction: got {len(xs)} tensors and {len(directions)} directions")
    return xs, [fitting(d, one.dtype, describe(one)) for d, one in zip(directions, xs, strict=True)]


def _check_direction(v: Array, x: Tensor, which: str) -> None:
    if v.shape[v.ndim - x.ndim :] != x.shape or v.ndim < x.ndim:
        raise ValueError(
            f"v has shape {v.shape}; give it the shape {x.shape} of {which}, {describe(x)}, or that with leading axes"
        )


def _no_path(outputs: Sequence[Tensor], x: Tensor) -> str:
    if not x.tracked:
        return (
            f"{describe(x)}, does not require a gradient: make it with requires_grad=True before computing with it. "
            "(tg.grad(..., allow_unused=True) answers None instead.)"
        )
    return (
        f"no path leads from {describe(x)}, to {' or '.join(describe(y) for y in outputs)}: the loss was computed "
        "without it, or the path is cut by .detach(), .data, tg.no_grad() or a comparison. "
        "(tg.grad(..., allow_unused=True) answers None instead.)"
    )
