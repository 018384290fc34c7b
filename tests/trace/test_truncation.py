"""tbptt(k) against really detaching every state from more than k steps before the loss."""

import re

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.trace.test_routes import lstm, relative
from tinygrad_rnn import nn

STEPS, HIDDEN = 8, 4
DATA = np.random.default_rng(3).normal(size=(STEPS, HIDDEN))


def skipping(data=DATA, before=0, weights=None, skip=3):
    """h_t = tanh(W h_{t-1} + V h_{t-skip} + x_t); every state from before step `before` is detached where that step or
    a later one reads it. Returns W, V and the losses, one for each step."""
    rng = np.random.default_rng(0)
    size = data.shape[1]
    weights = rng.normal(0, 0.5, (2, size, size)) if weights is None else weights
    w, v = (tg.Tensor(weight, requires_grad=True, name=name) for weight, name in zip(weights, "WV", strict=True))
    states, losses, start = [], [], tg.Tensor(np.ones(size))
    for t, x in tg.steps(data):
        near, far = (states[t - lag] if t >= lag else start for lag in (1, skip))
        near, far = (old.detach() if t - lag < before <= t else old for old, lag in ((near, 1), (far, skip)))
        states.append(np.tanh(w @ near + v @ far + x).named("h"))
        losses.append((states[-1] ** 2).sum())
    return w, v, losses


@pytest.mark.parametrize("k", range(STEPS))
def test_a_connection_over_three_steps_counts_as_three(k):
    w, v, losses = skipping()
    for which in ([STEPS - 1], [STEPS - 3, STEPS - 1]):  # one loss, and two
        truth = [np.zeros_like(w.data), np.zeros_like(v.data)]
        for tau in which:
            *cut, cut_losses = skipping(before=tau - k)
            truth = [a + b for a, b in zip(truth, tg.grad(cut_losses[tau], cut), strict=True)]
        for source, detached in zip((w, v), truth, strict=True):
            part = tg.trace_gradient([losses[tau] for tau in which], to=source).on(tg.tbptt(k))
            assert relative(part.gradient, detached, part.whole) < 1e-12
            bias = np.linalg.norm(part.whole - detached) / np.linalg.norm(part.whole)
            assert part.bias == pytest.approx(bias, rel=1e-9, abs=1e-12)
    # Crossings are another thing: two of them may go over six steps.
    trace = tg.trace_gradient(losses[-1], to=w)
    counted = trace.across(f".{{0,{k}}}").gradient
    assert (relative(counted, trace.on(tg.tbptt(k)).gradient, trace.total) > 1e-3) == (1 <= k < STEPS - 1)


@pytest.mark.parametrize("k", range(5))
@pytest.mark.parametrize("cell", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
def test_of_two_losses_each_is_truncated_from_its_own_step(cell, k):
    def run(before):
        rng = np.random.default_rng(0)
        made = cell(2, 3, rng=rng)
        start = tg.Tensor(np.zeros(3))
        state, losses = ((start, start) if cell is nn.LSTMCell else start), []
        for t, x in tg.steps(rng.normal(size=(5, 2))):
            if t == before:
                state = tuple(s.detach() for s in state) if cell is nn.LSTMCell else state.detach()
            state = made(x, state)
            h = state[0] if cell is nn.LSTMCell else state
            losses.append((h * [1.0, -2.0, 0.5]).sum())
        return made.weight_hh, losses

    weight, losses = run(None)
    truth = 0
    for tau in (2, 4):
        cut, cut_losses = run(tau - k)
        truth = truth + tg.grad(cut_losses[tau], cut)
    part = tg.trace_gradient([losses[2], losses[4]], to=weight).on(tg.tbptt(k))
    assert relative(part.gradient, truth, part.whole) < 1e-12


@pytest.mark.parametrize("k", range(4))
def test_of_two_directions_each_is_truncated_from_where_it_ends(k):
    """Forward ends at step 3 and backward at step 0: there the states further than k steps away are detached."""

    def run(k=None):
        rng = np.random.default_rng(0)
        cells, data, ends = [nn.RNNCell(2, 3, rng=rng) for _ in range(2)], rng.normal(size=(4, 2)), []
        for name, cell, last in zip(("there", "back"), cells, (3, 0), strict=True):
            h = tg.Tensor(np.zeros(3))
            with tg.scope(name):
                for t, x in tg.steps(data, reverse=name == "back"):
                    h = cell(x, h.detach() if k is not None and abs(t - last) == k else h)
            ends.append(h)
        return [cell.weight_hh for cell in cells], (ends[0] * ends[1]).sum()

    weights, loss = run()
    cut, cut_loss = run(k)
    for weight, truth in zip(weights, tg.grad(cut_loss, cut), strict=True):
        part = tg.trace_gradient(loss, to=weight).on(tg.tbptt(k))
        assert relative(part.gradient, truth, part.whole) < 1e-12


def test_what_is_refused_is_what_the_line_in_the_message_gives_by_the_ledger():
    k, steps = 501, 510
    data, half = (
        np.random.default_rng(1).normal(0, 0.01, size=(steps, 1)),
        np.full((2, 1, 1), 0.5),
    )  # it hardly vanishes
    w, _, losses = skipping(data, weights=half)
    with pytest.raises(ValueError, match="the ledger has the same") as refused:
        tg.tbptt(k)
    first, line = re.search(r"(ledger = .*\(\)); (ledger\.contributions.*)$", str(refused.value)).groups()
    which = [steps - 1, steps - 4]
    trace = tg.trace_gradient([losses[tau] for tau in which], to=w)
    names = {"trace": trace, "np": np}
    exec(first, names)
    truth = sum(tg.grad((run := skipping(data, tau - k, half))[2][tau], run[0]) for tau in which)
    assert relative(eval(line, names), truth, truth) < 1e-12
    assert relative(trace.total, truth, truth) > 1e-3


def test_chunks_cut_a_connection_over_several_steps_at_every_boundary():
    def run(n=None):
        rng = np.random.default_rng(0)
        w, states = tg.Tensor(rng.normal(0, 0.5, (HIDDEN, HIDDEN)), requires_grad=True), []
        for t, x in tg.steps(DATA):
            read = [states[t - lag] if t >= lag else tg.Tensor(np.ones(HIDDEN)) for lag in (1, 3)]
            for k, lag in enumerate((1, 3)):
                if n and (t - lag) // n != t // n:
                    read[k] = read[k].detach()
            states.append(np.tanh(w @ read[0] + w @ read[1] + x).named("h"))
        return w, (states[-1] ** 2).sum()

    w, loss = run()
    for n in (1, 2, 3, 5):
        cut, cut_loss = run(n)
        part = tg.trace_gradient(loss, to=w).on(tg.chunks(n))
        assert relative(part.gradient, tg.grad(cut_loss, cut), part.whole) < 1e-12


def test_it_is_combined_and_printed_as_it_is_written():
    _, xs, _, loss = lstm(steps=5)
    trace = tg.trace_gradient(loss, to=xs[2])
    assert str(tg.tbptt(2) & ~tg.across("c*")) == '(tbptt(2) & ~across("c*"))'
    assert str(trace.on(tg.tbptt(1))) == "tbptt(1): no path"
    assert relative(trace.on(tg.tbptt(2) & tg.across("c*")).gradient, trace.across("c*").gradient, trace.total) < 1e-12
    assert not trace.on(~tg.tbptt(2)).connected
