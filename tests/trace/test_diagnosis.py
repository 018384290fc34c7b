"""Diagnoses of models whose trouble is known."""

import math

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.trace import brute_force
from tinygrad_rnn import nn


def last_state(cell, steps, hidden=16):
    h = c = tg.Tensor(np.zeros(hidden))
    for _, x in tg.steps(np.random.default_rng(0).normal(size=(steps, 4))):
        if isinstance(cell, nn.LSTMCell):
            h, c = cell(x, (h, c))
        else:
            h = cell(x, h)
    return h


def scaled(cell, scale):
    cell.weight_hh.data = cell.weight_hh.data * scale
    return cell


def with_forget_bias(cell, bias):
    data = np.array(cell.bias_ih.data)
    data[cell.hidden_size : 2 * cell.hidden_size] += bias
    cell.bias_ih.data = data
    return cell


def test_a_plain_rnn_vanishes_by_the_factor_that_its_gradient_shows():
    loss = (last_state(nn.RNNCell(4, 16, rng=0), 40) ** 2).sum()
    found = tg.diagnose(loss)
    assert found.verdict == "vanishing"
    states = [node for node in tg.trace_gradient(loss, to=_earliest(loss)).paths.order.values() if node.name == "h"]
    norms = [np.linalg.norm(tg.grad(loss, h)) for h in states[:-1]]
    assert np.allclose([found.log10_crossing[t] for t in range(39)], np.log10(norms), rtol=1e-9)
    assert found.factor == pytest.approx(np.exp(np.polyfit(-np.arange(39), np.log(norms), 1)[0]), rel=1e-9)
    assert "orthogonal" in str(found)


def _earliest(loss):
    return min((n for n in brute_force.ancestors(loss) if n.name == "h"), key=lambda n: n.place.step)


def test_large_recurrent_weights_explode():
    loss = last_state(scaled(nn.RNNCell(4, 16, nonlinearity="relu", rng=0), 4.0), 40).sum()
    found = tg.diagnose(loss)
    assert found.verdict == "exploding"
    assert found.factor > 1
    assert "clip_grad_norm_" in str(found)


def test_an_lstm_with_a_large_forget_bias_is_healthy_and_without_it_vanishes():
    vanishing = tg.diagnose((last_state(nn.LSTMCell(4, 16, rng=0), 40) ** 2).sum())
    healthy = tg.diagnose((last_state(with_forget_bias(nn.LSTMCell(4, 16, rng=0), 5.0), 40) ** 2).sum())
    assert (vanishing.verdict, healthy.verdict) == ("vanishing", "healthy")
    assert set(vanishing.by_name) == {"c", "h"}
    assert "larger bias of f" in str(vanishing)
    assert "It goes along c above all, into 39 of 39 steps" in str(vanishing)
    assert vanishing.factor < healthy.factor <= 1.1


def test_a_recurrence_that_never_recurs_is_found_out_in_one_sentence():
    """Each step reads the initial state: the loss at the end sees its own step alone, a loss at each step no other."""
    cell, h0 = nn.RNNCell(4, 16, rng=0), tg.Tensor(np.zeros(16))
    states = [cell(x, h0) for _, x in tg.steps(np.random.default_rng(0).normal(size=(10, 4)))]
    for loss in (states[-1].sum(), sum((h.sum() for h in states), tg.Tensor(0.0)), [h.sum() for h in states]):
        found = tg.diagnose(loss)
        assert found.verdict == "broken"
        assert len(found.sentences) == 1
        assert "h = cell(x, h)" in str(found)


def test_gates_are_found_by_what_they_do_and_not_by_their_name():
    """A gate called f that lets the new in, beside 1 - f for the old, is not spoken of as if it kept the old."""
    w = tg.Tensor(np.random.default_rng(0).normal(size=(4, 4)), requires_grad=True)
    h = tg.Tensor(np.ones(4))
    for _, x in tg.steps(np.random.default_rng(1).normal(size=(50, 4))):
        f = tg.sigmoid(w @ h - 4.0).named("f")
        h = ((1.0 - f) * h + f * np.tanh(w @ h + x)).named("h")
    assert "f multiplies" not in str(tg.diagnose(h.sum()))
    gru = tg.diagnose(last_state(nn.GRUCell(4, 16, rng=0), 40).sum())
    assert "z multiplies h from step to step" in str(gru)
    assert "nn.GRUCell" not in str(gru)


def test_a_model_without_time_is_not_called_broken():
    w = tg.Tensor(2.0, requires_grad=True)
    assert tg.diagnose(w * w).verdict == "one step"


def test_far_below_underflow_the_trend_is_still_exact():
    w = tg.Tensor(np.array([[0.5]]), requires_grad=True)
    h = tg.Tensor(np.array([0.5]))
    for _ in tg.steps(range(3000)):
        h = tg.sigmoid(w @ h).named("h")
    found = tg.diagnose(h.sum())
    assert found.verdict == "vanishing"
    assert all(log > -math.inf for log in found.log10_crossing.values())
    assert min(found.log10_crossing.values()) < -2000


@pytest.mark.parametrize("together", ["list", "sum", "mean of a stack", "running sum"])
def test_losses_at_every_step_do_not_hide_that_the_gradient_of_each_vanishes(together):
    cell, h = nn.RNNCell(4, 16, rng=0), tg.Tensor(np.zeros(16))
    losses, running = [], 0.0
    for _, x in tg.steps(np.random.default_rng(0).normal(size=(40, 4))):
        h = cell(x, h)
        losses.append((h * h).sum())
        running = running + losses[-1]
    made = {"list": losses, "sum": sum(losses), "mean of a stack": tg.stack(losses).mean(), "running sum": running}
    alone, found = tg.diagnose(losses[-1]), tg.diagnose(made[together])
    assert alone.verdict == found.verdict == "vanishing"
    assert found.factor == pytest.approx(alone.factor, rel=1e-9)
    assert "of the last loss, at step 39, alone" in str(found)
    assert "of the last loss" not in str(alone)


def test_a_state_that_is_an_unnamed_number_is_not_taken_for_a_sum_of_losses():
    w, s = tg.Tensor(0.5, requires_grad=True), tg.Tensor(1.0, requires_grad=True)
    for _, x in tg.steps(np.ones(20)):
        s = (w * s + x).tanh()
    found = tg.diagnose(s)
    assert found.verdict == "vanishing"
    assert "last loss" not in str(found)


def test_a_short_healthy_way_says_what_its_rate_would_come_to():
    assert "would be left after" in str(tg.diagnose((last_state(nn.RNNCell(4, 16, rng=0), 4) ** 2).sum()))


def test_a_gradient_that_is_not_finite_is_not_judged():
    h = tg.Tensor(np.full(3, 0.5), requires_grad=True)
    with np.errstate(invalid="ignore"):
        for t, _ in tg.steps(range(15)):
            h = (h - (1.0 if t == 7 else 0.0)).sqrt().named("h")
        found = tg.diagnose(h.sum())
    assert found.verdict == "not finite"
    assert "detect_anomaly" in str(found)
