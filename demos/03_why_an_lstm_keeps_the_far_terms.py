"""Why an LSTM keeps the far terms, which paths do it, and why it loses them too when the lag is long enough.

An LSTM hands its cell state on by c' = f * c + i * g: along the cell alone, a step multiplies the gradient by the
forget gate f and by nothing else. That path is called the highway. The numbers below say how much it really carries.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import nn

INPUT, HIDDEN, STEPS = 8, 32, 50
FORGET_BIASES = (0.0, 1.0, 3.0, 5.0)
LAGS = (100, 300, 900)


def lstm(forget_bias: float) -> nn.LSTMCell:
    """PyTorch's initialisation, and a bias that is added to the forget gate."""
    cell = nn.LSTMCell(INPUT, HIDDEN, rng=0)
    bias = np.array(cell.bias_ih.data)
    bias[HIDDEN : 2 * HIDDEN] += forget_bias
    cell.bias_ih.data = bias
    return cell


def run(cell: Any, steps: int) -> tuple[list[Any], Any]:
    """The inputs, and a loss at the end."""
    rng = np.random.default_rng(1)
    xs = [tg.Tensor(x, requires_grad=True) for x in rng.normal(size=(steps, INPUT))]
    h, c = tg.Tensor(np.zeros(HIDDEN)), tg.Tensor(np.zeros(HIDDEN))
    for _, x in tg.steps(xs):
        if isinstance(cell, nn.LSTMCell):
            h, c = cell(x, (h, c))
        else:
            h = cell(x, h)
    return xs, (h * rng.normal(size=HIDDEN)).sum()


def far_terms() -> None:
    print(f"1. The gradient by W_hh that comes from lag 10, 20 and 40, as a part of that from lag 0 (T = {STEPS}):\n")
    print(f"   {'model':<22}{'lag 10':>10}{'lag 20':>10}{'lag 40':>10}")
    models = {"RNN": nn.RNNCell(INPUT, HIDDEN, rng=0), "GRU": nn.GRUCell(INPUT, HIDDEN, rng=0)}
    models |= {f"LSTM, forget bias {bias:g}": lstm(bias) for bias in FORGET_BIASES}
    for name, cell in models.items():
        _, loss = run(cell, STEPS)
        logs = tg.trace_gradient(loss, to=cell.weight_hh).log10_norms()
        parts = (10 ** (logs[STEPS - 1 - lag] - logs[STEPS - 1]) for lag in (10, 20, 40))
        print(f"   {name:<22}" + "".join(f"{part:>10.1e}" for part in parts))


def what_crosses() -> None:
    print(
        "\n2. How much of the gradient by W_hh comes from beyond each step boundary, and in what does it cross there?"
    )
    print("   The flow on the edges that cross, in shares of the gradient (forget bias 1):\n")
    cell = lstm(1.0)
    _, loss = run(cell, STEPS)
    boundaries = tg.trace_gradient(loss, to=cell.weight_hh).flow().boundaries
    print(f"   {'from step':>9}{'to':>4}{'net':>9}{'in c':>9}{'in h':>9}{'of it in c':>12}")
    for b in boundaries[-1::-3][:8]:
        in_c = abs(b.shares["c"]) / b.gross
        print(f"   {b.after:>9}{b.after + 1:>4}{b.net:>9.2%}{b.shares['c']:>9.2%}{b.shares['h']:>9.2%}{in_c:>12.0%}")
    kept = sum(abs(b.shares["c"]) for b in boundaries) / sum(b.gross for b in boundaries)
    print(f"   Over all boundaries {kept:.0%} of what crosses does so in c. That is not yet the highway: see 3.")


def which_paths() -> None:
    print("\n3. Which paths carry it from the loss to the first input? Shares of the gradient; they add up to 100 %:\n")
    print(f"   {'forget bias':>11}{'highway':>10}{'1 detour':>10}{'2':>8}{'3':>8}{'more':>8}{'mean':>7}   paths")
    for bias in FORGET_BIASES:
        xs, loss = run(lstm(bias), STEPS)
        trace = tg.trace_gradient(loss, to=xs[0])
        detours = [part.share for part in trace.by_crossings("h")]
        mean = sum(k * share for k, share in enumerate(detours))
        cells = [*detours[:4], sum(detours[4:])]
        print(
            f"   {bias:>11g}"
            + "".join(f"{share:>{9 if k < 2 else 8}.1%}" for k, share in enumerate(cells))
            + f"{mean:>7.1f}   {float(trace.count_paths()):.0e}"
        )
    print(
        "   A detour is a step that is crossed in h. The highway alone is not what carries the gradient of an untrained"
    )
    print("   LSTM: most of it leaves the cell state a few times and comes back.")


def the_heaviest() -> None:
    xs, loss = run(lstm(1.0), STEPS)
    print("\n4. The heaviest single paths all the same stay on the cell state nearly all the way (forget bias 1):\n")
    print("   " + str(tg.trace_gradient(loss, to=xs[0]).top_paths(4)).replace("\n", "\n   "))


def it_loses_them_too() -> None:
    print(
        "\n5. A highway of forget gates below 1 vanishes too, only later. log10 of what is left, of the highway at zero"
    )
    print("   input (f^lag) and of the whole gradient by W_hh, after 100, 300 and 900 steps:\n")
    print(f"   {'forget bias':>11}{'f':>8}{'half-life':>11}" + "".join(f"{lag:>8} highway{'whole':>8}" for lag in LAGS))
    for bias in FORGET_BIASES:
        cell = lstm(bias)
        _, loss = run(cell, 1000)
        logs = tg.trace_gradient(loss, to=cell.weight_hh).log10_norms()
        f = 1 / (1 + math.exp(-bias))
        left = ((lag * math.log10(f), logs[999 - lag] - logs[999]) for lag in LAGS)
        cells = "".join(f"{highway:>16.1f}{whole:>8.1f}" for highway, whole in left)
        print(f"   {bias:>11g}{f:>8.3f}{tg.half_life(f):>11.1f}{cells}")
    print("   Where the whole outlives the highway, the paths with detours carry it: their factors can exceed 1.")


def main() -> None:
    far_terms()
    what_crosses()
    which_paths()
    the_heaviest()
    it_loses_them_too()


if __name__ == "__main__":
    main()
