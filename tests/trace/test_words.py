"""«vanished», «exactly zero», «no path» and «underflowed» are different words, in every output."""

import math
import re

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.trace import brute_force
from tinygrad_rnn import nn


def logistic(steps, start=0.5):
    """One unit, h' = sigmoid(h / 2): every step multiplies the gradient by a little less than 1/8."""
    w = tg.Tensor(np.array([[0.5]]), requires_grad=True, name="W")
    h = h0 = tg.Tensor(np.array([start]), requires_grad=True)
    states = []
    for _ in tg.steps(range(steps)):
        h = tg.sigmoid(w @ h).named("h")
        states.append(h)
    return w, h0, states, h.sum()


def test_a_ledger_says_underflowed_where_a_number_underflowed_and_0_exactly_where_it_is_0():
    w, _, _, loss = logistic(500, start=0.0)
    ledger = tg.trace_gradient(loss, to=w).ledger()
    rows = {int(line.split()[0]): line for line in str(ledger).splitlines()[3:]}
    assert "exactly" not in rows[100]
    assert "underflowed" in rows[450]
    assert f"10^{ledger.log10_norms[0, 49]:.0f}" in rows[450]
    assert "0 exactly" in rows[499]  # W multiplies the initial state there, which is 0
    assert ledger.log10_norms[0, 0] == -math.inf


def test_log10_norms_of_a_loss_at_every_step_are_those_of_each_loss_alone():
    w, _, states, _ = logistic(400)
    losses = [states[200].sum(), states[399].sum()]
    together = tg.trace_gradient(losses, to=w).ledger().log10_norms
    for row, loss in enumerate(losses):
        alone = tg.trace_gradient(loss, to=w).ledger().log10_norms[0]
        assert np.allclose(together[row, : len(alone)], alone, rtol=1e-12)
        assert np.all(together[row, len(alone) :] == -math.inf)
    slope = math.log10(float(states[-1].data[0]) * (1 - float(states[-1].data[0])) * 0.5)
    assert np.allclose(np.diff(together[1])[50:350], -slope, rtol=1e-6)  # h has settled: a geometric series


def test_log10_norms_of_a_weight_transposed_outside_the_loop_are_by_step():
    rng = np.random.default_rng(0)
    w = tg.Tensor(rng.normal(0, 0.1, (3, 3)), requires_grad=True)
    turned, h = w.T, tg.Tensor(np.ones(3))
    for _ in tg.steps(range(400)):
        h = tg.sigmoid(turned @ h).named("h")
    trace = tg.trace_gradient(h.sum(), to=w)
    logs, norms = trace.log10_norms(), trace.ledger().norms[0]
    assert logs[0] < -400
    assert all(logs[t] == pytest.approx(math.log10(norms[t]), rel=1e-12) for t in range(399, 300, -1))


def test_a_route_says_no_path_or_underflowed_or_0_exactly():
    _, h0, _, loss = logistic(500)
    trace = tg.trace_gradient(loss, to=h0)
    assert str(trace.across("h{3}")).endswith("no path")
    far = trace.across("h*")
    assert far.gradient.any() == np.False_
    exact = sum(math.log10(abs(float((t * (1 - t) * 0.5)[0]))) for t in _states(loss))
    assert far.log10 == pytest.approx(exact, rel=1e-12)
    assert f"10^{exact:.0f} underflowed" in str(far)
    dead = (loss * 0.0).sum()
    assert "0 exactly" in str(tg.trace_gradient(dead, to=h0).across("h*"))


def _states(loss):
    return [n.data for n in brute_force.ancestors(loss) if n.name == "h"]


def test_a_route_of_several_states_underflows_exactly_too():
    """Paths by the parity of their detours, against the logarithm of the same in a scaled model."""
    rng = np.random.default_rng(0)
    cell = nn.LSTMCell(2, 3, rng=rng)
    x0 = tg.Tensor(rng.normal(size=2), requires_grad=True)
    h, c = tg.Tensor(np.zeros(3)), tg.Tensor(np.zeros(3))
    for _, x in tg.steps([x0, *rng.normal(size=(150, 2))]):
        h, c = cell(x, (h, c))
    loss = h.sum()
    plain = tg.trace_gradient(loss, to=x0).across("c* (h c* h c*)*")
    tiny = tg.trace_gradient(loss * 1e-300, to=x0).across("c* (h c* h c*)*")
    assert not tiny.gradient.any()
    assert tiny.log10 == pytest.approx(math.log10(plain.norm) - 300, rel=1e-12)


def test_where_a_zero_was_born_is_named_with_its_reason():
    w = tg.Tensor(np.array([[50.0]]), requires_grad=True, name="W")
    h = tg.Tensor(np.array([1.0]), requires_grad=True)
    for _ in tg.steps(range(3)):
        h = np.tanh(w @ h).named("h")
    (zero, *_) = tg.trace_gradient(h.sum(), to=w).zeros()
    assert "tanh" in zero.at
    assert "step 2" in zero.at
    assert "saturated" in zero.why
    x = tg.Tensor([-1.0, -2.0], requires_grad=True)
    assert "relu is flat" in str(tg.trace_gradient(tg.relu(x).sum(), to=x).zeros()[0])
    gate = tg.Tensor(np.zeros(2), name="f")
    with tg.step(4):
        y = x * gate
    (zero,) = tg.trace_gradient(y.sum(), to=x).zeros()
    assert "«f»" in zero.why
    assert "step 4" in zero.at
    assert tg.trace_gradient((x * 2.0).sum(), to=x).zeros() == []


def test_parts_of_a_partition_and_numbers_of_crossings_tell_no_path_from_underflow():
    _, h0, _, loss = logistic(500)
    trace = tg.trace_gradient(loss, to=h0)
    parts = trace.partition({"all": tg.across("h*"), "none": ~tg.across("h*")})
    assert "underflowed" in str(parts["all"])
    assert str(parts["none"]).endswith("no path")
    *fewer, all_of_them = trace.by_crossings("h")
    assert len(fewer) == 500 - 1
    assert all(str(part).endswith("no path") for part in fewer)
    assert "underflowed" in str(all_of_them)


def test_an_explanation_tells_underflow_from_0_too():
    w, _, _, loss = logistic(400, start=0.0)
    explained = tg.trace_gradient(loss, to=w).explain()
    rows = {int(line.split()[0]): line for line in str(explained).splitlines() if line.split()[0].isdigit()}
    assert "underflowed" in rows[20]
    assert "0 exactly" in rows[0]
    assert explained.terms[-21].log10 == pytest.approx(tg.trace_gradient(loss, to=w).log10_norms()[20], rel=1e-12)
    assert re.search(r"\$10\^\{-\d+\}\$ underflowed", explained.render("latex"))
