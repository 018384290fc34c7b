"""Small models that are stepped through."""

import numpy as np

import tinygrad_rnn as tg
from tests.engine.libraries import NUMPY, TINYGRAD
from tests.engine.operands import draw
from tests.engine.programs import loss_of
from tinygrad_rnn import nn


def random_program(seed):
    """(loss, leaves) of a random graph."""
    program = draw(np.random.default_rng(seed), NUMPY)
    xs = [tg.Tensor(x, requires_grad=True) for x in program.inputs]
    return loss_of(program, TINYGRAD, xs), xs


def recurrent(kind, steps=6, hidden=4):
    """(loss, parameters) of a cell with a loss on every step."""
    cell = {"RNN": nn.RNNCell, "LSTM": nn.LSTMCell, "GRU": nn.GRUCell}[kind](3, hidden, rng=0)
    rng = np.random.default_rng(1)
    h = c = tg.Tensor(np.zeros(hidden))
    states = []
    for _, x in tg.steps([tg.Tensor(x, requires_grad=True, name="x") for x in rng.normal(size=(steps, 3))]):
        if kind == "LSTM":
            h, c = cell(x, (h, c))
        else:
            h = cell(x, h)
        states.append(h)
    return (tg.stack(states) * rng.normal(size=(steps, hidden))).sum().named("loss"), list(cell.parameters())


def planted(at=7, steps=10):
    """A loss that is NaN since the logarithm of a negative gate is taken at one step."""
    rng = np.random.default_rng(0)
    w = tg.Tensor(rng.normal(0, 0.5, (4, 4)), requires_grad=True, name="W")
    u = tg.Tensor(rng.normal(0, 1.0, (4, 3)), requires_grad=True, name="U")
    h = tg.Tensor(np.zeros(4), name="h0")
    with np.errstate(all="ignore"):
        for t, x in tg.steps(rng.normal(size=(steps, 3))):
            with tg.scope("cell"):
                a = (w @ h + u @ x).named("a")
                with tg.scope("gate"):
                    gate = (a * a + (-20.0 if t == at else 1.0)).named("gate")
                    f = gate.log().named("f")  # the line to be named
                h = (0.1 * f + a.tanh()).named("h")
    return (h * h).sum().named("loss")


def same(a, b):
    """Bitwise."""
    if a is None or b is None:
        return a is b
    return np.shape(a) == np.shape(b) and np.asarray(a).tobytes() == np.asarray(b).tobytes()
