"""State Jacobians: how a small change of the state at one step changes the state at the next, and at all later ones.

    ds_tau/ds_i = J_{tau-1} ... J_{i+1} J_i,    J_t = ds_{t+1}/ds_t,    later factors on the left

s_t is everything that leaves step t: h in an RNN or GRU, (h, c) in an LSTM, whose blocks are then those of
[[dh'/dh, dh'/dc], [dc'/dh, dc'/dc]].
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ..engine.sweep import AtEdge, describe, sweep, tape
from ..engine.tensor import Tensor
from .measure import magnitude, spectral_norms
from .scaled import added

Array = npt.NDArray[Any]
State = tuple[Tensor, ...]
QUICK = 1e10  # multiplications that nobody waits for who only prints
MOST_BYTES = 2e9  # of all factors: refused before the machine runs out of memory


@dataclass(frozen=True, repr=False)
class StateJacobians:
    """The one-step Jacobians of a sequence of states, and what follows from their products.

    factors: (steps - 1, n, n); factors[t] is ds_{t+1}/ds_t, n the number of elements of a state.
    sizes: how many of the n belong to each tensor of the state, in order.
    """

    factors: Array
    sizes: tuple[int, ...]

    def __repr__(self) -> str:
        steps, n = len(self.factors) + 1, self.factors.shape[-1]
        if not np.isfinite(self.factors).all():
            size = ": some are not finite"
        else:
            size = f": largest factor norm {self.norms.max():.3g}" if steps * n**3 < QUICK else ""
        return f"<Jacobians between {steps} states of {n} elements{size}>"

    def product(self, tau: int, i: int) -> Array:
        """ds_tau/ds_i, (n, n); the identity where tau = i."""
        steps = len(self.factors)
        if not 0 <= i <= tau <= steps:
            raise ValueError(f"ds_tau/ds_i needs 0 <= i <= tau <= {steps}; got tau = {tau}, i = {i}")
        result = np.eye(self.factors.shape[-1])
        for factor in self.factors[i:tau]:
            result = factor @ result
        return result

    @cached_property
    def products(self) -> Array:
        """All of them: [tau, i] is ds_tau/ds_i, (steps, steps, n, n), and 0 where tau < i, since there is no path."""
        steps, n = len(self.factors) + 1, self.factors.shape[-1]
        table = np.zeros((steps, n, steps * n))  # side by side, so that a step is one product of matrices
        table[0, :, :n] = np.eye(n)
        for tau in range(1, steps):
            np.matmul(self.factors[tau - 1], table[tau - 1, :, : tau * n], out=table[tau, :, : tau * n])
            table[tau, :, tau * n : (tau + 1) * n] = np.eye(n)
        return table.reshape(steps, n, steps, n).swapaxes(1, 2)

    @cached_property
    def norms(self) -> Array:
        """The spectral norm of each factor, (steps - 1,), in float64: the most by which one step can stretch a change.

        Of factors in float32 too: products of many norms have to hold as a bound.
        """
        return spectral_norms(_finite(self.factors).astype(np.float64))

    @cached_property
    def radii(self) -> Array:
        """The spectral radius of each factor, (steps - 1,). It does not bound products; the norm does."""
        return np.asarray(np.abs(np.linalg.eigvals(_finite(self.factors))).max(axis=-1))

    def singular_values(self, tau: int, i: int) -> Array:
        """Of ds_tau/ds_i, largest first: the largest is its norm, largest by smallest its condition number."""
        return np.linalg.svd(_finite(self.product(tau, i)), compute_uv=False)

    def condition_number(self, tau: int, i: int) -> float:
        """Of ds_tau/ds_i, its largest singular value by its smallest; infinite where that is 0."""
        values = self.singular_values(tau, i)
        return float(values[0] / values[-1]) if values[-1] > 0 else math.inf

    def bounds(self, w: Tensor | Array, gamma: float = 1.0) -> list[Bound]:
        """For ds_T/ds_i, i = T-1 down to 0, its norm beside the two bounds on it, each at least as large.

        w: the recurrent weight of a vanilla RNN. gamma: the largest slope of its nonlinearity, 1 for tanh, 1/4 for the
        logistic function. It is the largest *singular value* of w that the theorem is about, not its spectral radius
        (Pascanu, Mikolov and Bengio 2013).
        """
        sigma = float(np.linalg.norm(np.asarray(w.data if isinstance(w, Tensor) else w, np.float64), 2))
        norms, lags = self.norms[::-1], np.arange(1, len(self.factors) + 1)
        mantissas, exponents = _running_products(norms)
        product, scale = np.eye(self.factors.shape[-1])[None], np.zeros(1, np.int64)  # together: product 2^-scale
        exact, log10_exact = [], []
        for factor in self.factors[::-1]:
            product, scale = added([(product @ factor, scale)])
            norm = float(spectral_norms(product)[0])
            with np.errstate(over="ignore", under="ignore"):
                exact.append(float(np.ldexp(norm, -scale[0])))
            log10_exact.append((math.log10(norm) if norm else -math.inf) - int(scale[0]) * math.log10(2))
        with np.errstate(over="ignore", under="ignore", divide="ignore"):
            sizes = (
                exact,
                np.ldexp(mantissas, exponents).tolist(),
                ((sigma * gamma) ** lags.astype(np.float64)).tolist(),
            )
            logs = log10_exact, np.cumsum(np.log10(norms)).tolist(), (lags * np.log10(sigma * gamma)).tolist()
        return [
            Bound(lag, *three, log10)
            for lag, three, log10 in zip(lags.tolist(), zip(*sizes, strict=True), zip(*logs, strict=True), strict=True)
        ]

    def lyapunov_exponents(self) -> Array:
        """The average growth per step of n independent directions, (n,), in nats, largest first.

        Directions are kept orthogonal by a QR decomposition at each step (Benettin et al. 1980), so that products of
        many factors neither overflow nor collapse onto the first. -inf where a direction is lost altogether.
        """
        directions, growth = np.eye(self.factors.shape[-1]), np.zeros(self.factors.shape[-1])
        for factor in _finite(self.factors):
            directions, r = np.linalg.qr(factor @ directions)
            with np.errstate(divide="ignore"):
                growth += np.log(np.abs(np.diagonal(r)))
        return np.sort(growth / len(self.factors))[::-1]

    def block(self, tau: int, i: int, row: int, column: int) -> Array:
        """One block of ds_tau/ds_i, between two tensors of the state, by their position: (0, 1) is dh/dc of (h, c).

        It is partial: the other tensors of the state at step i are held fixed, although h_i was made of c_i.
        """
        edges = np.cumsum((0, *self.sizes))
        return self.product(tau, i)[edges[row] : edges[row + 1], edges[column] : edges[column + 1]]


@dataclass(frozen=True, repr=False)
class Bound:
    """The norm of ds_T/ds_{T-lag}, and two bounds: exact <= product of the norms <= (sigma gamma)^lag.

    log10: of the three, also where they are beyond the range of numbers; -inf for what is exactly 0.
    """

    lag: int
    exact: float
    product_of_norms: float
    sigma_gamma: float
    log10: tuple[float, float, float]

    def __str__(self) -> str:
        sizes = self.exact, self.product_of_norms, self.sigma_gamma
        exact, product, power = (magnitude(size, log10) for size, log10 in zip(sizes, self.log10, strict=True))
        return f"lag {self.lag}: norm {exact}, product of norms {product}, (sigma gamma)^lag {power}"

    __repr__ = __str__


def state_jacobians(states: Sequence[Tensor | State]) -> StateJacobians:
    """The Jacobians between the states of consecutive steps, one pruned sweep each.

    states: h at each step, or a tuple such as (h, c) at each step, in order of time. All its elements are one state,
        those of a batch too: most of a Jacobian is zeros then.
    Raises RuntimeError where a state does not depend on the one before it, or where one is a constant; ValueError for
    states of different shapes or without elements, and where paths go round a state, as those through c go round h in
    an LSTM: the state is then (h, c).
    """
    if isinstance(states, Tensor):
        raise TypeError(
            "state_jacobians takes a list of states, one for each step, such as [h0, h1, h2]; got one tensor"
        )
    given = [_as_state(state) for state in states]
    if len(given) < 2:
        raise ValueError(f"state_jacobians needs the states of at least two steps; got {len(given)}")
    shapes = [[x.shape for x in state] for state in given]
    other = next((t for t, there in enumerate(shapes) if there != shapes[0]), None)
    if other is not None:
        raise ValueError(
            f"the state is of the same shapes at every step; the first is {shapes[0]}, that at position {other} is "
            f"{shapes[other]}"
        )
    check_elements(given[0])
    for state in given[:-1]:
        _check_tracked(state)
    size = sum(x.size for x in given[0])
    if (len(given) - 1) * size * size * given[0][0].dtype.itemsize > MOST_BYTES:
        raise MemoryError(
            f"{len(given) - 1} Jacobians of {size} by {size} numbers are more than {MOST_BYTES / 1e9:g} GB: take a "
            "batch of one, a smaller model or fewer states"
        )
    tuples = "pass tuples, such as (h, c) for an LSTM, [(h0, c0), (h1, c1), ...]"
    order = tape(given[-1], [x for state in given for x in state])
    check_no_way_round(order, given, f"The state is everything that leaves a step: {tuples}")
    factors = [jacobian_of_step(before, after, t) for t, (before, after) in enumerate(itertools.pairwise(given))]
    return StateJacobians(np.stack(factors), tuple(x.size for x in given[0]))


def _as_state(state: Any) -> State:
    tensors = tuple(state) if isinstance(state, (tuple, list)) else (state,)
    for x in tensors:
        if not isinstance(x, Tensor):
            raise TypeError(f"a state is a Tensor, or a tuple of them such as (h, c); got {x!r:.60}")
    return tensors


def check_elements(state: Sequence[Tensor]) -> None:
    """Raises ValueError for a tensor that there are no derivatives by, since it has no elements."""
    for x in state:
        if not x.size:
            raise ValueError(f"{describe(x)}, has no elements, so there is no derivative to give: is a size 0?")


def _check_tracked(state: State) -> None:
    for x in state:
        if not x.tracked:
            raise RuntimeError(
                f"{describe(x)}, is a constant, and what is computed from constants is not all on the tape, so no "
                "derivative by it is known. Make it with requires_grad=True before computing with it, or leave it out "
                "and begin with the first state that was computed, states[1:]"
            )


def check_no_way_round(
    order: dict[int, Any], states: Sequence[State], advice: str, losses: Sequence[Tensor] = ()
) -> None:
    """Raises ValueError where a path leads from a state to a later one, or to a loss, but round a state between.

    order: the tape that leads there. states: in order of time.
    """
    position = {x.index: t for t, state in enumerate(states) for x in state}
    ends = dict.fromkeys((loss.index for loss in losses), len(states)) | position
    oldest: dict[int, tuple[int, Any, Any]] = {}  # by node: which state leads there round the later ones; its edge
    for index, node in order.items():
        for x in node.inputs:
            here = (position[x.index], x, node) if x.index in position else oldest.get(x.index)
            if here is not None and (index not in oldest or here[0] < oldest[index][0]):
                oldest[index] = here
        if index in ends and index in oldest and oldest[index][0] < ends[index] - 1:
            _, x, over = oldest[index]
            raise ValueError(
                f"paths lead from {describe(x)}, to {describe(node)}, that go round the state between, over "
                f"{describe(over)}. {advice}"
            )


def jacobian_of_step(before: State, after: State, t: int) -> Array:
    """(elements of the state after step t, elements of the state before it)."""
    if not tape(after, before):
        raise RuntimeError(
            f"the state after step {t} does not depend on the state before it: {describe(before[0])}. "
            "Does the cell use the state that it is given?"
        )
    return np.hstack(partial_jacobian(after, before))


def partial_jacobian(of: State, by: State, cut: Sequence[Tensor] = ()) -> list[Array]:
    """The Jacobian of some tensors, stacked, by each of others, (elements of all `of`, elements of the one).

    The tensors of a state are coordinates of their own: nothing flows on from one of `by`, say from h to the c that it
    was made of, nor from one of `cut`.
    """
    size = sum(y.size for y in of)
    rows, starts = np.eye(size), np.cumsum([0, *(y.size for y in of)])
    order = tape(of, by)
    seeds = {
        y.index: rows[:, a : a + y.size].reshape((size, *y.shape)).astype(y.dtype)
        for y, a in zip(of, starts, strict=False)
        if y.index in order
    }
    stop: dict[int, AtEdge] = {x.index: _nothing for x in (*by, *cut)}
    found = sweep(order, seeds, [x.index for x in by], at_edge=stop)
    zeros = np.zeros(size)
    return [
        np.reshape(found[x.index], (size, x.size)) if x.index in found else np.outer(zeros, np.ones(x.size)) for x in by
    ]


def _finite(jacobians: Array) -> Array:
    if not np.isfinite(jacobians).all():
        raise ValueError(
            "these Jacobians are not finite, so they have no singular values: tg.detect_anomaly() says where from"
        )
    return jacobians


def _running_products(norms: Array) -> tuple[Array, npt.NDArray[np.int64]]:
    """Of the first 1, 2, ... of them: m 2^e, as (m, e); m keeps all its digits where the product itself underflows."""
    mantissas, exponents = np.ones(len(norms)), np.zeros(len(norms), np.int64)
    product, exponent = 1.0, 0
    for k, norm in enumerate(norms.tolist()):
        product, by = math.frexp(product * norm)
        exponent += by
        mantissas[k], exponents[k] = product, exponent
    return mantissas, exponents


def _nothing(consumer: Any, slot: int, part: Any) -> None:
    return None


def half_life(forget: Any) -> float:
    """In how many steps a product of forget gates halves, ln 2 / -ln f: the half-life of an LSTM's highway.

    forget: a number, an array of gates, or the forget gates of several steps; of many, their geometric mean counts.
    A forget bias of 0, 1, 2, 3, 5 at zero input gives 1, 2.2, 5.5, 14.3 and 103 steps. Infinite where f = 1.
    """
    gates = forget if isinstance(forget, (list, tuple)) else [forget]
    flat = [np.ravel(gate.data if isinstance(gate, Tensor) else gate) for gate in gates]
    values = np.concatenate([np.empty(0), *flat])
    if values.dtype.kind != "f" or not values.size or np.any(values < 0) or np.any(values > 1):
        raise ValueError("forget gates are numbers from 0 to 1, such as sigmoid gives")
    with np.errstate(divide="ignore"):
        rate = -float(np.mean(np.log(values)))
    return math.log(2) / rate if rate > 0 else math.inf
