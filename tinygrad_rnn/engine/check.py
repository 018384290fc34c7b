"""Is a gradient right? Compared with derivatives that use no rule of ours.

The complex step: for an analytic f, Im f(x + ih) / h is f'(x) without any cancellation, so h can be 1e-30 and the
answer is exact to rounding (Squire and Trapp 1998). Where an operation on the way is not analytic (abs, max, relu),
real central differences, extrapolated once (Richardson), are good to about 1e-10.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .arguments import own_copy
from .derivatives import grad
from .primitives import Array
from .tensor import Tensor, TensorLike, constant, holds_tensors

Function = Callable[..., Tensor]


class GradcheckError(AssertionError):
    """A gradient differs from the numeric derivative; the message is a table of where and by how much."""


def gradcheck(f: Function, *inputs: TensorLike, order: int = 1, tolerance: float | None = None, seed: int = 0) -> bool:
    """Check the gradients of f, and with order=2 also the gradients of its gradients.

    f: Tensors -> a Tensor of any shape, which is projected on a random direction.
    inputs: floating-point tensors or arrays; they are taken in float64. Whole numbers are handed on unchecked.
    tolerance: largest error, relative to the largest derivative (or to 1 where all are smaller). Default: 1e-12 where
        the complex step applies, 1e-8 with real differences.
    Returns True, or raises GradcheckError with a table of the elements that are wrong.
    """
    if order not in (1, 2):
        raise ValueError(f"gradcheck checks gradients of order 1 or 2; got order={order!r}")
    if any(map(holds_tensors, inputs)):
        raise TypeError("gradcheck takes its inputs one by one, not in a list: tg.gradcheck(f, x, w)")
    arrays = [own_copy(x.value if isinstance(x, Tensor) else x) for x in inputs]
    arrays = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays]
    if not any(a.dtype.kind == "f" for a in arrays):
        raise TypeError("gradcheck has nothing to check: no input is of floating-point numbers; write 1.0 for 1")
    rng = np.random.default_rng(seed)
    analytic = _is_analytic(f(*[_checked(a) for a in arrays]))
    _check_first_order(_projected(f, arrays, rng), arrays, analytic, tolerance, "gradient")
    if order == 2:
        slope = _projected(_slopes(_projected(f, arrays, rng)), arrays, rng)
        _check_first_order(slope, arrays, analytic, tolerance, "gradient of the gradient")
    return True


def _projected(f: Function, arrays: Sequence[Array], rng: np.random.Generator) -> Function:
    """f, reduced to one number by a random direction of order 1."""
    shape = f(*[_checked(a) for a in arrays]).shape
    direction = rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape)
    return lambda *xs: (f(*xs) * direction).sum()


def _slopes(f: Function) -> Function:
    """The directional derivatives of f along a random direction, as a function that is on the tape again."""

    def slope(*xs: Tensor) -> Tensor:
        y, checked = f(*xs), [x for x in xs if x.tracked]
        gradients = grad(y, checked, create_graph=True, allow_unused=True) if y.tracked else []
        rng = np.random.default_rng(0)  # the same direction at each call
        terms = [(g * rng.uniform(0.5, 1.5, g.shape)).sum() for g in gradients if g is not None]
        return sum(terms, Tensor(0.0))

    return slope


def _is_analytic(y: Tensor) -> bool:
    """Whether all operations that lead to y are, those without a gradient among them."""
    if not isinstance(y, Tensor):
        raise TypeError(f"gradcheck needs a function that returns a Tensor; this one returned {type(y).__name__}")
    seen: set[int] = set()
    to_visit = [y]
    while to_visit:
        node = to_visit.pop()
        if node.primitive is not None and not node.primitive.analytic:
            return False
        to_visit += [x for x in node.inputs if x.index not in seen]
        seen.update(x.index for x in node.inputs)
    return True


def _check_first_order(
    f: Function, arrays: Sequence[Array], analytic: bool, tolerance: float | None, what: str
) -> None:
    xs = [_checked(a) for a in arrays]
    y = f(*xs)
    checked = [k for k, x in enumerate(xs) if x.tracked]
    found = grad(y, [xs[k] for k in checked], allow_unused=True) if y.tracked else [None] * len(checked)
    ours = [np.zeros(arrays[k].shape) if g is None else g for k, g in zip(checked, found, strict=True)]
    step = _complex_step if analytic else _central_difference
    numeric = [_derivative(step, f, arrays, k) for k in checked]
    limit = tolerance if tolerance is not None else 1e-12 if analytic else 1e-8
    scale = max([1.0, *(float(np.max(np.abs(n), initial=0.0)) for n in numeric)])
    rows = [
        (f"input {k}{list(at) or ''}", a[at], n[at])
        for k, a, n in zip(checked, ours, numeric, strict=True)
        for at in np.ndindex(a.shape)
        if not abs(a[at] - n[at]) <= limit * scale  # also true of nan
    ]
    if rows:
        worst = sorted(rows, key=lambda row: -math.inf if math.isnan(row[1]) else -abs(row[1] - row[2]))[:10]
        method = "complex step" if analytic else "central differences"
        lines = [f"{where:20} {a: .15e} {n: .15e} {a - n: .1e}" for where, a, n in worst]
        raise GradcheckError(
            f"the {what} is wrong in {len(rows)} of {sum(a.size for a in ours)} elements, by more than {limit:.0e} "
            f"(x {scale:.3g}):\n{'where':20} {'by backward sweep':>22} {'by ' + method:>22} {'difference':>10}\n"
            + "\n".join(lines)
            + ("" if analytic else "\nAt a kink, such as that of relu at 0, there is no derivative to compare with.")
        )


def _derivative(step: Callable[[Function, list[Array], int, Any], float], f: Function, arrays: Any, k: int) -> Array:
    out = np.zeros(arrays[k].shape)
    for at in np.ndindex(out.shape):
        out[at] = step(f, list(arrays), k, at)
    return out


def _complex_step(f: Function, arrays: list[Array], k: int, at: Any) -> float:
    h = 1e-30
    arrays = [a.astype(np.complex128) if a.dtype.kind == "f" else a for a in arrays]
    arrays[k][at] += 1j * h
    return float(f(*[_checked(a) for a in arrays]).value.imag / h)


def _central_difference(f: Function, arrays: list[Array], k: int, at: Any) -> float:
    center = arrays[k][at]

    def value(shift: float) -> float:
        arrays[k] = arrays[k].copy()
        arrays[k][at] = center + shift
        return float(f(*[_checked(a) for a in arrays]).value)

    h = 1e-3 * max(1.0, abs(center))
    wide, narrow = ((value(s) - value(-s)) / (2 * s) for s in (h, h / 2))
    return float(4 * narrow - wide) / 3


def _checked(array: Array) -> Tensor:
    """A leaf that takes part in the check. A complex one is tracked too: that is how the complex step passes through
    a gradient that is itself a function of x."""
    x = constant(array)
    x.tracked = array.dtype.kind in "fc"
    return x
