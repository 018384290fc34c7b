"""Pictures: the same tape as operations, as a chain of cells, and rolled up; windows of long ones; flow on any of them.

Every file is in `out/`. The folded pictures hide operations but lose none: each use of a result is inside one node or
part of exactly one arrow. So the shares of the gradient on the arrows add up in each of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import nn

INPUT, HIDDEN = 3, 4


def run(cell: Any, steps: int) -> Any:
    """A loss at the end of a sequence."""
    xs = [tg.Tensor(x, name="x") for x in np.random.default_rng(0).normal(size=(steps, INPUT))]
    state = None
    for _, x in tg.steps(xs):
        state = cell(x, state)
    h = state[0] if isinstance(state, tuple) else state
    return (h * h).sum().named("loss")


def show(drawing: Any, path: Path) -> None:
    figure = drawing.figure
    print(f"   {len(figure.nodes):4} nodes, {len(figure.edges):4} arrows: {drawing.save(path)}")


def main(out: Path = Path("out")) -> None:
    out.mkdir(parents=True, exist_ok=True)
    lstm = nn.LSTMCell(INPUT, HIDDEN, rng=0)
    loss = run(lstm, 5)

    print("1. Five steps of an LSTM, every operation, in few words, for a slide; and two of them with their numbers.")
    show(tg.draw(loss), out / "lstm_ops.png")
    show(tg.draw(loss, steps=(3, 5)), out / "lstm_ops_numbers.png")

    print("\n2. The same as a chain of cells: the cell state is the straight line along the top, the hidden state the")
    print("   one at the bottom, and every step is the same figure. Where does a line meet no weight?")
    show(tg.draw(loss, "cells"), out / "lstm_cells.png")

    print("\n3. And rolled up, one cell for all steps. What comes in from t - 1 is what the step before gave.")
    for kind in ("RNN", "LSTM", "GRU"):
        rolled = tg.draw(run(getattr(nn, f"{kind}Cell")(INPUT, HIDDEN, rng=0), 5), "rolled")
        show(rolled, out / f"{kind.lower()}_rolled.png")

    print("\n4. 500 steps: the first and the last, and what is between them as one. Or a window of your own.")
    long = run(lstm, 500)
    show(tg.draw(long, "cells"), out / "lstm_500.png")
    show(tg.draw(long, "cells", steps=(248, 252)), out / "lstm_500_middle.png")

    print(
        "\n5. The share of the gradient by W_hh on every arrow. What flows into a node flows out of it; in the rolled"
    )
    print("   picture an arrow carries the sum over all steps, so what goes round may be more than 100 %.")
    show(tg.draw(loss, "cells", flow_to=lstm.weight_hh), out / "lstm_flow.png")
    show(tg.draw(loss, "rolled", flow_to=lstm.weight_hh), out / "lstm_rolled_flow.png")

    print("\n6. Two layers, both directions: layers stand above each other, and what runs back in time points back.")
    y, _ = nn.RNN(INPUT, HIDDEN, num_layers=2, bidirectional=True, rng=0)(np.ones((3, 1, INPUT)))
    show(tg.draw((y * y).sum().named("loss"), "cells"), out / "bidirectional.png")


if __name__ == "__main__":
    main()
