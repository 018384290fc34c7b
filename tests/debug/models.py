"""Small recurrent networks for the page: an RNN, an LSTM and a GRU, each with a loss at every step."""

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import nn

INPUTS, HIDDEN, CLASSES = 3, 4, 3


def losses_of(kind, steps=5, hidden=HIDDEN, seed=0, batch=None):
    """-> (losses, one a step; the cell)."""
    rng = np.random.default_rng(seed)
    cell, readout = kind(INPUTS, hidden, rng=rng), nn.Linear(hidden, CLASSES, rng=rng)
    shape = (hidden,) if batch is None else (batch, hidden)
    h, c = tg.Tensor(np.zeros(shape)), tg.Tensor(np.zeros(shape))
    losses = []
    for t, x in tg.steps(rng.normal(size=(steps, *shape[:-1], INPUTS))):
        if kind is nn.LSTMCell:
            h, c = cell(x, (h, c))
        else:
            h = cell(x, h)
        with tg.scope("readout"):
            scores = tg.log_softmax(readout(h))[..., t % CLASSES]
            losses.append((-scores.sum()).named("loss"))
    return losses, cell


CELLS = {"rnn": nn.RNNCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}


def ancestors(losses):
    """All tensors that the losses were computed from, in the order in which they were made."""
    found, waiting = {}, list(losses)
    while waiting:
        t = waiting.pop()
        if t.index not in found:
            found[t.index] = t
            waiting.extend(t.inputs)
    return [found[k] for k in sorted(found)]
