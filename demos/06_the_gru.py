"""The GRU: one state for two, and a leak where the LSTM has its highway.

    h' = (1 - z) * n + z * h          z keeps the old state (in PyTorch, and here; some texts call this 1 - z)

The LSTM's forget and input gates are one gate here, z and 1 - z. The gradient can cross a step in four ways: straight
through z * h (the leak), or by way of z, of n, or of r and then n.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import nn

INPUT, HIDDEN, STEPS = 8, 16, 20
LEAK = ~tg.along(".* h> (z | r | n) .*")  # no crossing enters a gate or the candidate


def run(update_bias: float) -> tuple[list[Any], Any]:
    """The inputs of a GRU whose update gate has this bias, and a loss at the end."""
    cell, rng = nn.GRUCell(INPUT, HIDDEN, rng=0), np.random.default_rng(1)
    bias = np.array(cell.bias_ih.data)
    bias[HIDDEN : 2 * HIDDEN] += update_bias  # the rows are in the order r, z, n
    cell.bias_ih.data = bias
    xs = [tg.Tensor(x, requires_grad=True) for x in rng.normal(size=(STEPS, INPUT))]
    h = tg.Tensor(np.zeros(HIDDEN))
    for _, x in tg.steps(xs):
        h = cell(x, h)
    return xs, (h * rng.normal(size=HIDDEN)).sum()


def main() -> None:
    xs, loss = run(0.0)
    trace = tg.trace_gradient(loss, to=xs[0])
    print("1. How many paths lead from the first input to the loss? From state to state there are five ways a step")
    print(f"   by operations, four by landmarks: {trace.count_paths():,} and {trace.count_paths(unit='landmark'):,}.\n")

    print("2. How much of the gradient takes the leak at every step, and how much meets which landmark on the way?\n")
    print(f"   {'update bias':>11}{'leak':>9}{'never r':>9}{'|gradient|':>12}   {STEPS - 1} steps back")
    for bias in (0.0, 1.0, 2.0, 4.0):
        xs, loss = run(bias)
        trace = tg.trace_gradient(loss, to=xs[0])
        leak, never = trace.on(LEAK), trace.avoiding("r")
        print(f"   {bias:>11g}{leak.share:>9.1%}{never.share:>9.1%}{np.linalg.norm(trace.total):>12.1e}")
    print("   A gate that is open keeps the state, and the leak then carries nearly all that arrives.\n")

    print("3. The heaviest paths, by all their landmarks (update bias 0):\n")
    xs, loss = run(0.0)
    print("   " + str(tg.trace_gradient(loss, to=xs[0]).top_paths(3, unit="landmark")).replace("\n", "\n   "))


if __name__ == "__main__":
    main()
