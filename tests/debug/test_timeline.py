"""The timeline: its values are those of the real sweep, at every position, in whatever order they are asked for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tests.engine.libraries import NUMPY, TINYGRAD
from tests.engine.operands import draw
from tests.engine.programs import loss_of
from tinygrad_rnn import nn
from tinygrad_rnn.debug import timeline


def random_program(seed):
    program = draw(np.random.default_rng(seed), NUMPY)
    xs = [tg.Tensor(x, requires_grad=True) for x in program.inputs]
    return loss_of(program, TINYGRAD, xs), xs


def recurrent(kind, steps=6):
    cell = {"RNN": nn.RNNCell, "LSTM": nn.LSTMCell, "GRU": nn.GRUCell}[kind](3, 4, rng=0)
    rng = np.random.default_rng(1)
    h = c = tg.Tensor(np.zeros(4))
    states = []
    for _, x in tg.steps([tg.Tensor(x, requires_grad=True) for x in rng.normal(size=(steps, 3))]):
        if kind == "LSTM":
            h, c = cell(x, (h, c))
        else:
            h = cell(x, h)
        states.append(h)
    return (tg.stack(states) * rng.normal(size=(steps, 4))).sum(), list(cell.parameters())


def same(a, b):
    return (a is None and b is None) or (
        a is not None and b is not None and np.shape(a) == np.shape(b) and np.asarray(a).tobytes() == b.tobytes()
    )


def added_up(line):
    """The running total of every node after every event, one edge after the other."""
    totals, history = {}, []
    for event in line:
        if event.kind == "seed":
            totals[event.node] = line.seeds[event.node]
        elif event.kind == "backward":
            totals[event.producer] = line._added(event.position, totals.get(event.producer))
        history.append((event, totals.get(event.node if event.producer is None else event.producer)))
    return totals, history


def check(loss, leaves):
    line = timeline([loss])
    totals, history = added_up(line)
    gradients = tg.grad(loss, leaves, allow_unused=True)
    for leaf, gradient in zip(leaves, gradients, strict=True):
        assert same(line.total(leaf.index, len(line)), gradient)
        assert same(totals.get(leaf.index), gradient)
    for k in np.random.default_rng(0).permutation(len(line)):  # in any order
        event, total = history[k]
        if event.kind == "backward":
            assert same(line.total(event.producer, int(k) + 1), total), event


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9))
def test_running_totals_of_random_graphs_end_in_the_gradient_bitwise(seed):
    check(*random_program(seed))


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_running_totals_of_cells_end_in_the_gradient_bitwise(kind):
    check(*recurrent(kind, steps=20))
