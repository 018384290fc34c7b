"""The same mechanism, two kinds of harm: a deep net whose early layers stop learning, an RNN that stops remembering.

An RNN over T steps is a net of T layers that share one weight. Both multiply the same Jacobians. In the deep net each
layer has a gradient of its own, so the early layers get next to none. In the RNN the gradient of the one weight is the
*sum* over the steps: it stays large, but what it is made of comes from the last few steps only.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_rnn as tg

STEPS, INPUT, HIDDEN = 30, 4, 16


def loss_of(weights: list[Any], scale: float = 1.0) -> Any:
    """h_t = tanh(W_t h_{t-1} + U x_t), with a weight for each step, which may be one and the same."""
    rng = np.random.default_rng(1)
    u = rng.normal(0, 0.5, (HIDDEN, INPUT))
    h = tg.Tensor(np.zeros(HIDDEN))
    for t, x in tg.steps(rng.normal(size=(STEPS, INPUT))):
        h = (weights[t] @ h + u @ x).tanh().named("h")
    return (h * rng.normal(size=HIDDEN)).sum() * scale


def main() -> None:
    rng = np.random.default_rng(0)
    data = rng.normal(0, 0.8 / np.sqrt(HIDDEN), (HIDDEN, HIDDEN))

    layers = [tg.Tensor(data, requires_grad=True, name=f"W{t}") for t in range(STEPS)]
    untied = tg.grad(loss_of(layers), layers)
    shared = tg.Tensor(data, requires_grad=True, name="W")
    trace = tg.trace_gradient(loss_of([shared] * STEPS), to=shared)
    ledger = trace.ledger()

    print("1. The uses of a shared weight contribute exactly what untied copies of it would get as gradients:")
    print(f"   largest difference {np.max(np.abs(ledger.contributions[0] - np.stack(untied))):.1e}\n")

    print("2. The same numbers, read in two ways:\n")
    print(f"   {'layer / step':>13}{'deep net: what this layer':>28}{'RNN: share of the gradient':>30}")
    print(f"   {'':>13}{'learns from, |gradient|':>28}{'of the one weight':>30}")
    for t in (29, 28, 27, 25, 20, 15, 10, 5, 1):
        print(f"   {t:>13}{np.linalg.norm(untied[t]):>28.1e}{tg.trace.percent(ledger.shares[0, t]):>30}")
    whole = f"100.00%, norm {np.linalg.norm(trace.total):.2g}"
    print(f"   {'all together':>13}{'':>28}{whole:>30}")

    step = {t: np.linalg.norm(untied[t]) for t in (29, 5)}
    print(
        f"\n3. A step of gradient descent moves layer 5 of the deep net {step[29] / step[5]:.0e} times less than layer"
        "\n   29: it hardly learns. The RNN's weight moves as a whole; but it learns from the last "
        f"{ledger.horizon(0.99)} steps alone,\n   which make up 99 % of that gradient: it hardly remembers."
    )


if __name__ == "__main__":
    main()
