"""The streaming ledger, single uses, and parts of a source, against the ledger that keeps everything."""

import tracemalloc

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.trace.test_ledger import loss_of, relative, states_of, weights_of
from tinygrad_rnn import nn


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("many", [False, True], ids=["one loss", "a loss at every step"])
def test_it_measures_what_the_ledger_keeps(cell, many):
    weights = weights_of(cell)
    states = states_of(cell, lambda t: weights, 9)
    losses = [loss_of(h) for h in states] if many else [loss_of(states[-1])]
    for w in weights:
        trace = tg.trace_gradient(losses, to=w)
        streamed, kept = trace.streaming_ledger(), trace.ledger()
        assert np.allclose(streamed.norms, kept.norms, rtol=1e-13, atol=0)
        assert np.allclose(streamed.shares, kept.shares, rtol=1e-12, atol=1e-15)
        assert np.array_equal(streamed.connected, kept.connected)
        assert (streamed.steps, streamed.loss_steps) == (kept.steps, kept.loss_steps)
    if many:
        with pytest.raises(ValueError, match=r"\.ledger\(\)"):
            streamed.lags()
        assert str(streamed).splitlines()[-1].split() == ["8", f"{kept.shares.sum(axis=0)[-1]:.2%}"]
    else:
        assert str(streamed) == str(kept)
        assert streamed.horizon() == kept.horizon()
        assert streamed.half_life() == pytest.approx(kept.half_life(), rel=1e-12)


@pytest.mark.parametrize("steps", [(0, 1, 2, 3, None)])
def test_uses_outside_the_loop_and_weights_made_outside_it_are_streamed_too(steps):
    base = tg.Tensor(np.random.default_rng(0).normal(size=(5, 5)), requires_grad=True)
    w = base.T * 0.7  # outside any step: still the same source
    h = tg.Tensor(np.ones(5))
    for _ in tg.steps(range(4)):
        h = np.tanh(w @ h).named("h")
    loss = (h * w[1]).sum()
    trace = tg.trace_gradient(loss, to=base)
    streamed, kept = trace.streaming_ledger(), trace.ledger()
    assert streamed.steps == kept.steps == steps
    assert relative(kept.total, tg.grad(loss, base)) < 1e-12
    assert np.allclose(streamed.norms, kept.norms, rtol=1e-12)
    assert np.allclose(streamed.shares, kept.shares, rtol=1e-12)


def test_it_keeps_no_array_for_each_step():
    rng = np.random.default_rng(0)
    layer = nn.LSTM(4, 32, rng=rng)
    states, _ = layer(tg.Tensor(rng.normal(size=(200, 4))))
    trace = tg.trace_gradient((states[-1] ** 2).sum(), to=layer.weight_hh_l0)
    sizes = {}
    for ask in (trace.streaming_ledger, trace.ledger):
        tracemalloc.start()
        ask()
        sizes[ask.__name__] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    whole = 200 * layer.weight_hh_l0.size * 8
    assert sizes["ledger"] > whole
    assert sizes["streaming_ledger"] < whole / 8


def test_a_ledger_too_large_to_keep_says_so_at_once_and_what_to_ask_instead():
    w = tg.Tensor(np.ones((400, 400)), requires_grad=True, name="w")
    h, losses = tg.Tensor(np.zeros(400)), []
    for t in range(60):
        with tg.step(t):
            h = np.tanh(h * 0.5 + w[t])
            losses.append(h.sum())
    trace = tg.trace_gradient(losses, to=w)
    tracemalloc.start()
    with pytest.raises(MemoryError, match=r"60 losses and 60 steps: 4\.6 GB for «w».*\.streaming_ledger\(\)"):
        trace.ledger()
    assert list(trace.log10_norms()) == list(range(60))  # for which no table is kept
    assert tracemalloc.get_traced_memory()[1] < 60 * w.size * 8
    tracemalloc.stop()
    assert tg.trace_gradient(losses[3:5], to=w).ledger().shares.sum() == pytest.approx(1.0)  # fewer losses


def test_of_a_loss_at_every_step_it_keeps_no_array_for_each_pair():
    rng = np.random.default_rng(0)
    layer = nn.LSTM(4, 24, rng=rng)
    states, _ = layer(tg.Tensor(rng.normal(size=(40, 4))))
    w = layer.weight_hh_l0
    trace = tg.trace_gradient([(h**2).sum() for h in states], to=w)
    tracemalloc.start()
    trace.streaming_ledger()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 * 40 * w.size * 8 / 4


def test_a_gradient_of_0_has_no_shares():
    w = tg.Tensor(np.ones((2, 2)), requires_grad=True)
    h = tg.Tensor(np.zeros(2))
    for _ in tg.steps(range(3)):
        h = (w @ h).named("h")
    streamed = tg.trace_gradient(h.sum(), to=w).streaming_ledger()
    assert np.isnan(streamed.shares).all()
    assert streamed.horizon() is None


def test_two_slots_of_one_operation_are_two_uses():
    x = tg.Tensor([2.0, -1.0], requires_grad=True, name="x")
    with tg.step(3), tg.scope("square"):
        y = x * x
    trace = tg.trace_gradient((y * [1.0, 2.0] + x).sum(), to=x)
    uses = trace.uses()
    assert [(use.operation, use.slot, use.step, use.scope) for use in uses] == [
        ("multiply", 0, 3, "square"),
        ("multiply", 1, 3, "square"),
        ("add", 1, None, ""),
    ]
    assert np.array_equal([use.gradient for use in uses], [[2.0, -2.0], [2.0, -2.0], [1.0, 1.0]])
    assert np.array_equal(sum(use.gradient for use in uses), trace.total)
    assert sum(use.share for use in uses) == pytest.approx(1.0, rel=1e-14)
    assert str(uses[0]).startswith("multiply, slot 0 (step 3, square): share ")
    assert "outside any step" in str(uses[2])


def test_a_weight_used_twice_in_a_step_is_told_apart_and_the_uses_of_a_step_sum_to_the_ledger():
    rng = np.random.default_rng(0)
    w = tg.Tensor(rng.normal(size=(3, 3)), requires_grad=True)
    h = tg.Tensor(np.ones(3))
    for _, x in tg.steps(rng.normal(size=(4, 3))):
        h = np.tanh(w @ (w @ h) + x).named("h")
    trace = tg.trace_gradient((h * h).sum(), to=w)
    uses, ledger = trace.uses(), trace.ledger()
    assert [use.step for use in uses] == [0, 0, 1, 1, 2, 2, 3, 3]
    for t in range(4):
        by_hand = uses[2 * t].gradient + uses[2 * t + 1].gradient
        assert relative(by_hand, ledger.contributions[0, t]) < 1e-13


def test_the_ledger_of_a_row_is_that_of_the_row_alone():
    rng = np.random.default_rng(0)
    words = [1, 3, 1, 0, 3, 1]

    def loss(table, row=None):
        h = tg.Tensor(np.zeros(4))
        for _, word in tg.steps(words):
            x = table[word] if row is None or word != 1 else row
            h = np.tanh(h * 0.7 + x).named("h")
        return (h * [1.0, -2.0, 0.5, 1.5]).sum()

    values = rng.normal(size=(5, 4))
    table, row = tg.Tensor(values, requires_grad=True), tg.Tensor(values[1], requires_grad=True)
    of_row = tg.trace_gradient(loss(table), to=table).ledger().at(1)
    alone = tg.trace_gradient(loss(tg.Tensor(values), row), to=row).ledger()
    used = [t for t, word in enumerate(words) if word == 1]
    assert relative(of_row.contributions[0, used], alone.contributions[0]) < 1e-13
    assert not np.delete(of_row.contributions[0], used, axis=0).any()
    assert of_row.shares.sum() == pytest.approx(1.0, rel=1e-13)
    assert "elements [1]" in str(of_row)
    assert "elements [1:3, 0]" in str(tg.trace_gradient(loss(table), to=table).ledger().at((slice(1, 3), 0)))
