"""Plots, an animation and a picture of a backward sweep: everything in this lesson is a file in `out/`.

Three small networks read the same twenty inputs; one loss at the end, for the ledger one at every step. Every plot can
be light or dark (theme="dark") and have letters for a slide or for paper (size="paper"), and each knows in words what
it shows: the sentences printed here are its alt text, which is in the PNG too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import nn

INPUT, HIDDEN, STEPS = 3, 8, 20
CELLS: dict[str, Any] = {"RNN": nn.RNNCell, "LSTM": nn.LSTMCell, "GRU": nn.GRUCell}
READ_OUT = np.random.default_rng(2).normal(size=HIDDEN)


def run(kind: str, steps: int = STEPS, inputs: float = 2.0) -> tuple[Any, list[Any], list[Any]]:
    """The cell, its states after each step, (h, c) in an LSTM, and a loss at every step; inputs: how large they are."""
    cell = CELLS[kind](INPUT, HIDDEN, rng=0)
    state = tuple(tg.Tensor(np.zeros(HIDDEN), name=f"{name}0") for name in cell.states)
    states, losses = [], []
    for _, x in tg.steps(inputs * np.random.default_rng(1).normal(size=(steps, INPUT))):
        found = cell(x, state if len(state) > 1 else state[0])
        state = found if isinstance(found, tuple) else (found,)
        states.append(found)
        losses.append((state[0] * READ_OUT).sum().named("loss"))
    return cell, states, losses


def bounds_of(cell: Any, states: list[Any], loss: Any) -> dict[str, list[float]]:
    """Two bounds on what lag k contributes to dL/dW in an RNN: |dL/dh_T| (bound of |dh_T/dh_{T-k}|) |h_{T-k-1}|."""
    outer = float(np.linalg.norm(tg.grad(loss, states[-1])))
    before = [float(np.linalg.norm(h.data)) for h in states[-2::-1]]
    bounds = tg.state_jacobians(states).bounds(cell.weight_hh)
    products = [1.0] + [bound.product_of_norms for bound in bounds]
    powers = [1.0] + [bound.sigma_gamma for bound in bounds]
    return {
        "bound: product of norms": [outer * p * h for p, h in zip(products, before, strict=False)],
        "bound: (σγ)^lag": [outer * p * h for p, h in zip(powers, before, strict=False)],
    }


def main(out: Path = Path("out")) -> None:
    out.mkdir(parents=True, exist_ok=True)
    runs = {kind: run(kind) for kind in CELLS}
    cell, _, losses = runs["LSTM"]

    print(
        "1. The ledger: what each use of the recurrent weight, at each step, contributes to each loss. Down a column:"
    )
    print("   one use, later and later losses. Hatched is what cannot be: no path leads back in time.\n")
    show(tg.plot_ledger(tg.trace_gradient(losses[:10], to=cell.weight_hh)), out / "ledger.png")

    print("2. By lag, the last loss only. Shares say how much, norms how fast it fades. The last point is no fading:")
    print("   there the weight meets the initial state, which is exactly 0.\n")
    traces = {kind: tg.trace_gradient(each[-1], to=c.weight_hh) for kind, (c, _, each) in runs.items()}
    show(tg.plot_lags(traces), out / "lags.png")
    rnn, rnn_states, rnn_losses = runs["RNN"]
    bounds = bounds_of(rnn, rnn_states, rnn_losses[-1])
    title = "An RNN: what lag k contributes, below both bounds"
    show(tg.plot_lags(traces["RNN"], bounds=bounds, title=title, theme="dark"), out / "bounds.png")

    print("3. The LSTM's gradient by lag and by how many steps it crosses in h: how often it leaves the highway.\n")
    show(tg.plot_spectrum(traces["LSTM"].spectrum("h")), out / "spectrum.png")

    print("4. The gates, for inputs three times as large. Where a unit is flat, little gradient passes through it.\n")
    show(tg.plot_gates(run("LSTM", inputs=6.0)[2][-1]), out / "gates.png")

    print("5. How far a change of the state reaches. The product of norms is a bound, and often a bad one.\n")
    jacobians = {kind: tg.state_jacobians(s) for kind, (_, s, _) in runs.items()}
    show(tg.plot_jacobians(jacobians), out / "jacobians.png")

    print("6. The backward sweep, move by move, as an animation; here a move goes back through one named result.\n")
    _, few, _ = run("LSTM", steps=3)
    loss = (few[-1][0] * READ_OUT).sum().named("loss")
    print(f"   -> {tg.animate(loss, out / 'backward.gif', 'cells', frames=24, width=1200)}\n")

    print("7. The sweep is made of operations too: with create_graph=True they are on the tape, and can be drawn.")
    rnn, few, _ = run("RNN", steps=3)
    gradient = tg.grad((few[-1] * READ_OUT).sum(), rnn.weight_hh, create_graph=True)
    drawing = tg.draw(gradient, show=["shape", "value"])
    print(f"   -> {drawing.save(out / 'backward_graph.png', dpi=80)}\n   {drawing.alt_text}")


def show(plot: Any, path: Path) -> None:
    """Save it, and print what it shows."""
    print(f"   -> {plot.save(path, dpi=80)}")
    print(f"   {plot.alt_text}\n")


if __name__ == "__main__":
    main()
