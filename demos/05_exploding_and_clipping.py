"""Exploding: the far terms grow instead, and the gradient is about the distant past and nothing else. And clipping.

The Jacobian of a step of a linear-like RNN has W as a factor, so its powers grow where W stretches. What decides over
many steps is the largest Lyapunov exponent of the states: below 0 the gradient vanishes, above 0 it explodes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import nn

STEPS, INPUT, HIDDEN = 40, 4, 16


def run(gain: float) -> tuple[nn.RNNCell, list[Any], Any]:
    """A ReLU network whose recurrent weight is `gain` times an orthogonal matrix; its states; a loss at the end."""
    rng = np.random.default_rng(0)
    cell = nn.RNNCell(INPUT, HIDDEN, nonlinearity="relu", rng=rng)
    cell.weight_hh.data = gain * np.linalg.qr(rng.normal(size=(HIDDEN, HIDDEN)))[0]
    states: list[Any] = [tg.Tensor(np.ones(HIDDEN), requires_grad=True)]
    for _, x in tg.steps(rng.normal(size=(STEPS, INPUT))):
        states.append(cell(x, states[-1]))
    return cell, states, (states[-1] ** 2).mean()


def main() -> None:
    print("1. The gradient by W_hh, as the recurrent weight grows:\n")
    print(f"   {'':>5}{'':>12}{'share of':>10}{'of lags':>10}{'largest Lyapunov':>18}")
    print(f"   {'gain':>5}{'|gradient|':>12}{'lag 0':>10}{'20 on':>10}{'exponent':>18}   diagnosis")
    for gain in (0.5, 1.0, 1.4, 1.8, 2.5):
        cell, states, loss = run(gain)
        ledger = tg.trace_gradient(loss, to=cell.weight_hh).ledger()
        far = sum(lag.share for lag in ledger.lags() if lag.lag >= 20)
        exponent = tg.state_jacobians(states).lyapunov_exponents()[0]
        row = f"   {gain:>5g}{np.linalg.norm(ledger.total):>12.1e}{ledger.lags()[0].share:>10.1%}{far:>10.1%}"
        print(f"{row}{exponent:>18.2f}   {tg.diagnose(loss).verdict}")

    print(
        "\n2. One step of gradient descent at gain 2.5, learning rate 0.01, with and without clipping the norm to 1:\n"
    )
    for clip in (False, True):
        cell, _, loss = run(2.5)
        loss.backward()
        norm = nn.clip_grad_norm_(cell.parameters(), 1.0) if clip else None
        before = np.array(cell.weight_hh.data)
        nn.SGD(cell.parameters(), lr=0.01).step()
        moved = np.linalg.norm(cell.weight_hh.data - before) / np.linalg.norm(before)
        how = f"clipped from a norm of {norm:.1e}" if clip else "as it is"
        print(f"   {how:<32} the weight moves by {moved:.1e} of its own size")
    print("\n   Clipping keeps the direction and shortens the step. It does not bring back what the near steps had to")
    print("   say: their share of the direction is as small as before.")


if __name__ == "__main__":
    main()
