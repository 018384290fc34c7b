"""Why a plain RNN forgets: its gradient is a sum over steps, and the terms of far steps shrink.

The derivation, line by line, each line computed and checked; then the slips that are easily made in it, each with the
error that it causes. An RNN with tanh, one loss at the end:

    dL/dW = sum over i of  dL/dh_T . dh_T/dh_i . d+h_i/dW
    dh_T/dh_i = product over j from T-1 down to i of diag(1 - h_{j+1}^2) W       (later factors on the left)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

import tinygrad_rnn as tg
from tinygrad_rnn import nn

Array = npt.NDArray[Any]
STEPS, INPUT, HIDDEN = 12, 3, 6


def model() -> tuple[nn.RNNCell, list[Array], list[Any], Any]:
    """A cell, its inputs, the states h_0 ... h_T, of which h_0 is given, and the loss at the end."""
    rng = np.random.default_rng(0)
    cell = nn.RNNCell(INPUT, HIDDEN, rng=rng)
    xs = list(rng.normal(size=(STEPS, INPUT)))
    states: list[Any] = [tg.Tensor(rng.normal(size=HIDDEN), requires_grad=True)]
    for _, x in tg.steps(xs):
        states.append(cell(x, states[-1]))
    return cell, xs, states, (states[-1] ** 2).sum()


def gradient(terms: list[tuple[Array, Array, Array]]) -> Array:
    """The sum over i of a row (dL/dh_T), a matrix (dh_T/dh_i) and a direct Jacobian (d+h_i/dW)."""
    return np.asarray(sum((row @ between @ direct).reshape(HIDDEN, HIDDEN) for row, between, direct in terms))


def direct_part(h: Array, before: Array) -> Array:
    """d+h_i/dW = diag(1 - h_i^2) (I x h_{i-1}^T), shaped (hidden, hidden * hidden)."""
    return np.asarray(np.diag(1 - h**2) @ np.kron(np.eye(HIDDEN), before))


def product(factors: list[Array]) -> Array:
    """The first factor ends up rightmost: later ones on the left."""
    result = np.eye(HIDDEN)
    for factor in factors:
        result = factor @ result
    return result


def terms_by(
    h: list[Array], w: Array, factor: Any, direct: Any, between: Any = product
) -> list[tuple[Array, Array, Array]]:
    """The terms i = 1 ... T with some choice of the factors, right or wrong."""
    row = 2 * h[-1]
    return [(row, between([factor(h, j, w) for j in range(i, STEPS)]), direct(h, i)) for i in range(1, STEPS + 1)]


def right_factor(h: list[Array], j: int, w: Array) -> Array:
    return np.asarray(np.diag(1 - h[j + 1] ** 2) @ w)


def right_direct(h: list[Array], i: int) -> Array:
    return direct_part(h[i], h[i - 1])


def slips(h: list[Array], w: Array, states: list[Any], weight: Any) -> dict[str, tuple[str, Array]]:
    """Each slip: what the right formula says, and the gradient that the wrong one gives."""

    def taken_out(factors: list[Array]) -> Array:
        """W^k times the product of the diagonals, as if diagonals and W could change places."""
        first = STEPS - len(factors)
        diagonals = product([np.diag(1 - h[j + 1] ** 2) for j in range(first, STEPS)])
        return np.asarray(np.linalg.matrix_power(w, len(factors)) @ diagonals)

    def total_derivative(h: list[Array], i: int) -> Array:
        return np.asarray(tg.jacobian(states[i], weight).reshape(HIDDEN, -1))

    def transposed_order(h: list[Array], j: int, w: Array) -> Array:
        return np.asarray(w @ np.diag(1 - h[j + 1] ** 2))

    def early_index(h: list[Array], j: int, w: Array) -> Array:
        return np.asarray(np.diag(1 - h[j] ** 2) @ w)

    wrong = {
        "the total dh_i/dW for the direct d+h_i/dW: earlier uses are counted again": (
            right_factor,
            total_derivative,
            product,
        ),
        "W diag(g') for diag(g') W": (transposed_order, right_direct, product),
        "W^k taken out of the product, where diagonals and W do not commute": (right_factor, right_direct, taken_out),
        "g'(z_j) for g'(z_{j+1})": (early_index, right_direct, product),
    }
    return {
        name: (name, gradient(terms_by(h, w, factor, direct, between)))
        for name, (factor, direct, between) in wrong.items()
    }


def main() -> None:
    cell, _, states, loss = model()
    w, h = np.array(cell.weight_hh.data), [np.array(state.data) for state in states]
    truth = tg.grad(loss, cell.weight_hh)
    trace = tg.trace_gradient(loss, to=cell.weight_hh)

    print("1. The derivation, computed factor by factor in NumPy, is the gradient of the backward sweep:")
    by_hand = gradient(terms_by(h, w, right_factor, right_direct))
    print(f"   relative difference {np.linalg.norm(by_hand - truth) / np.linalg.norm(truth):.1e}\n")

    print("2. The same with every norm, nearest step first:\n")
    print(trace.explain())

    print("\n3. Why the far terms shrink: each step multiplies by diag(1 - h^2) W. Two bounds on what is left of it,")
    print("   the second with the largest singular value of W (not its spectral radius) and the largest slope, 1:\n")
    jacobians = tg.state_jacobians(states)
    sigma, radius = np.linalg.norm(w, 2), np.abs(np.linalg.eigvals(w)).max()
    print(f"   largest singular value {sigma:.3f}, spectral radius {radius:.3f}")
    print(f"   {'lag':>4} {'|dh_T/dh_i|':>12} {'product of norms':>17} {'sigma^lag':>10}")
    for bound in jacobians.bounds(cell.weight_hh)[::2]:
        print(f"   {bound.lag:>4} {bound.exact:>12.2e} {bound.product_of_norms:>17.2e} {bound.sigma_gamma:>10.2e}")

    print("\n4. Slips that are easily made in this derivation, and by how much each misses the gradient:\n")
    for name, wrong in slips(h, w, states, cell.weight_hh).values():
        print(f"   {np.linalg.norm(wrong - truth) / np.linalg.norm(truth):>6.0%}  {name}")

    print("\n5. The gradient does not become 0, its far terms do; the sum is alive:\n")
    print(
        f"   |gradient| {np.linalg.norm(truth):.3g}; of it "
        + ", ".join(f"lag {lag.lag}: {lag.norm:.1e}" for lag in trace.ledger().lags()[:: STEPS // 3])
    )
    print(f"\n{tg.diagnose(loss)}")


if __name__ == "__main__":
    main()
