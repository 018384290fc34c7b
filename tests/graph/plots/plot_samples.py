"""Traces to plot: small recurrent networks with a loss at every step or at the end."""

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import nn


def states(kind, steps, hidden=4, scale=1.0, inputs=None):
    """(cell, the states after each step); of an LSTM (h, c)."""
    cell = getattr(nn, f"{kind}Cell")(3, hidden, rng=0)
    cell.weight_hh.data = cell.weight_hh.data * scale
    xs = np.random.default_rng(1).normal(size=(steps, 3)) if inputs is None else inputs
    h, c, found = tg.Tensor(np.zeros(hidden)), tg.Tensor(np.zeros(hidden)), []
    for _, x in tg.steps(xs):
        if kind == "LSTM":
            h, c = cell(x, (h, c))
            found.append((h, c))
        else:
            h = cell(x, h)
            found.append(h)
    return cell, found


def trace(kind="RNN", steps=6, every=True, **how):
    cell, found = states(kind, steps, **how)
    with_loss = found if every else found[-1:]
    losses = []
    for t, s in zip(range(steps - len(with_loss), steps), with_loss, strict=True):
        with tg.step(t):
            losses.append(((s[0] if kind == "LSTM" else s) ** 2).sum())
    return tg.trace_gradient(losses if every else losses[0], to=cell.weight_hh)


def of_summed_loss(kind="RNN", steps=8, name="loss"):
    """The trace of one loss that adds up those of all steps: its ledger warns of it."""
    cell, found = states(kind, steps)
    outputs = [s[0] if kind == "LSTM" else s for s in found]
    loss = sum(((h * h).sum() for h in outputs[1:]), (outputs[0] * outputs[0]).sum()).named(name)
    return tg.trace_gradient(loss, to=cell.weight_hh)
