"""What the questions of `trace` cost, as ratios to one backward sweep in the same process.

An LSTM; where nothing else is said, hidden size 32, a batch of one, 100 steps, one loss at the end, float64. The
batches of eight are over 20 steps.
"""

import statistics
import time

import numpy as np

import tinygrad_rnn as tg
from tests.benchmarks.problem import make_problem
from tinygrad_rnn import nn

ROUNDS = 9


def traced(steps, forget_bias=0.0, batch=1, hidden=32):
    """-> the cell, its inputs as leaves, the states (h, c) after every step, a loss at the end."""
    problem = make_problem(steps, batch, 8, hidden, np.float64)
    cell = nn.LSTMCell(8, hidden)
    cell.load_state_dict(problem.parameters)
    cell.bias_ih.data = cell.bias_ih.data + forget_bias * np.repeat([0.0, 1.0, 0.0, 0.0], hidden)
    xs = [tg.Tensor(x, requires_grad=True) for x in problem.xs]
    state = tuple(tg.Tensor(np.zeros((batch, hidden)), requires_grad=True) for _ in range(2))
    states = [state]
    for _, x in tg.steps(xs):
        states.append(cell(x, states[-1]))
    return cell, xs, states, (states[-1][0] ** 2).sum()


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main():
    cell, xs, states, loss = traced(100)
    short_xs, short_loss = traced(20)[1::2]
    remembering = traced(100, forget_bias=1.0)
    of_batch, batch_xs, _, batch_loss = traced(20, batch=8, hidden=64)
    hidden = nn.RNNCell(8, 32, rng=0)
    hs = [tg.Tensor(np.zeros(32), requires_grad=True)]
    for _, x in tg.steps(np.random.default_rng(0).normal(size=(99, 8))):
        hs.append(hidden(x, hs[-1]))

    def to_weight():
        return tg.trace_gradient(loss, to=cell.weight_hh)

    def to_input():
        trace = tg.trace_gradient(loss, to=xs[0])
        trace.total  # noqa: B018 - computed once, outside what is measured
        return trace

    def top(model_loss, x, **how):
        return lambda: tg.trace_gradient(model_loss, to=x).top_paths(5, **how)

    trace = to_input()
    rows = {  # what is asked -> (the question, the sweep it is compared with, the ratio or time to stay below)
        "ledger of W_hh, one loss": (lambda: to_weight().ledger(), cell.weight_hh, "<= 2"),
        'across("c*"), 2 states': (lambda: trace.across("c*"), xs[0], "<= 5"),
        'across("c* h c* h c*"), 4 states': (lambda: trace.across("c* h c* h c*"), xs[0], "<= 5"),
        'by_crossings("h"), 100 rows': (lambda: trace.by_crossings("h"), xs[0], ""),
        "top 5 paths, states, 20 steps": (top(short_loss, short_xs[0]), xs[0], "< 1 s"),
        "top 5 paths, landmarks, 20 steps": (top(short_loss, short_xs[0], unit="landmark"), xs[0], ""),
        "top 5 paths, states, forget bias 1": (top(remembering[3], remembering[1][0]), xs[0], ""),
        "top 5 paths, batch 8, hidden 64": (top(batch_loss, batch_xs[0]), xs[0], "< 1 s"),
        "top 5 paths to W_hh, batch 8": (top(batch_loss, of_batch.weight_hh), xs[0], "< 1 s"),
        "(h, c) Jacobians, 100 factors": (lambda: tg.state_jacobians(states), xs[0], ""),
        "(h, c) Jacobians, all 5,050 pairs": (lambda: tg.state_jacobians(states).products, xs[0], "< 0.5 s"),
        "the same for an RNN": (lambda: tg.state_jacobians(hs).products, xs[0], "< 0.5 s"),
    }
    print(
        "Questions about the gradient of an LSTM, hidden 32, 100 steps; ratios are to one tg.grad by the same tensor.\n"
    )
    print(f"{'question':<36}{'ms':>9}{'ratio':>9}   wanted")
    for name, (ask, source, wanted) in rows.items():
        ask()
        pairs = [(seconds(ask), seconds(lambda s=source: tg.grad(loss, s))) for _ in range(ROUNDS)]
        milliseconds = 1e3 * statistics.median(a for a, _ in pairs)
        print(f"{name:<36}{milliseconds:>9.1f}{statistics.median(a / b for a, b in pairs):>9.1f}   {wanted}")


if __name__ == "__main__":
    main()
