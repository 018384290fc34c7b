"""A cell that a user writes from bare operations traces like ours: each is written here from its equations."""

import itertools

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.trace import brute_force
from tests.trace.test_routes import relative
from tinygrad_rnn import nn

INPUT, HIDDEN = 2, 2


def parameters(rng, **shapes):
    return {name: tg.Tensor(rng.normal(0, 0.7, shape), requires_grad=True, name=name) for name, shape in shapes.items()}


def peephole_lstm(p, x, state):
    """Gers and Schmidhuber 2000: the gates see the cell state, i and f the old one, o the new."""
    h, c = state
    both = tg.concatenate([x, h])
    i = (p["Wi"] @ both + p["pi"] * c).sigmoid().named("i")
    f = (p["Wf"] @ both + p["pf"] * c).sigmoid().named("f")
    g = (p["Wg"] @ both).tanh().named("g")
    c = (f * c + i * g).named("c")
    o = (p["Wo"] @ both + p["po"] * c).sigmoid().named("o")
    return (o * c.tanh()).named("h"), c


def coupled_lstm(p, x, state):
    """Greff et al. 2017: i = 1 - f."""
    h, c = state
    both = tg.concatenate([x, h])
    f = (p["Wf"] @ both).sigmoid().named("f")
    g = (p["Wg"] @ both).tanh().named("g")
    o = (p["Wo"] @ both).sigmoid().named("o")
    c = (f * c + (1.0 - f) * g).named("c")
    return (o * c.tanh()).named("h"), c


def minimal_gated_unit(p, x, state):
    """Zhou et al. 2016: one gate, which forgets and resets."""
    (h,) = state
    f = (p["Wf"] @ tg.concatenate([x, h])).sigmoid().named("f")
    n = (p["Wg"] @ tg.concatenate([x, f * h])).tanh().named("n")
    return (((1.0 - f) * h + f * n).named("h"),)


def residual_rnn(p, x, state):
    """h' = h + tanh(W [x, h])."""
    (h,) = state
    n = (p["Wg"] @ tg.concatenate([x, h])).tanh().named("n")
    return ((h + n).named("h"),)


CELLS = {
    "peephole LSTM": (peephole_lstm, 2, ["Wi", "Wf", "Wg", "Wo"], ["pi", "pf", "po"]),
    "coupled LSTM": (coupled_lstm, 2, ["Wf", "Wg", "Wo"], []),
    "minimal gated unit": (minimal_gated_unit, 1, ["Wf", "Wg"], []),
    "residual RNN": (residual_rnn, 1, ["Wg"], []),
}


def run(name, steps, weights_at=None):
    """-> parameters, inputs, states, loss; `weights_at(parameters, t)` may give each step its own weights."""
    cell, states, matrices, vectors = CELLS[name]
    rng = np.random.default_rng(0)
    p = parameters(rng, **dict.fromkeys(matrices, (HIDDEN, INPUT + HIDDEN)), **dict.fromkeys(vectors, (HIDDEN,)))
    xs = [tg.Tensor(x, requires_grad=True) for x in rng.normal(size=(steps, INPUT))]
    state = tuple(tg.Tensor(rng.normal(size=HIDDEN), requires_grad=True) for _ in range(states))
    history = [state]
    for t, x in tg.steps(xs):
        state = cell(weights_at(p, t) if weights_at else p, x, state)
        history.append(state)
    return p, xs, history, (state[0] * np.array([1.0, -2.0])).sum()


@pytest.mark.parametrize("name", CELLS)
def test_the_ledger_sums_to_the_gradient_and_is_that_of_untied_copies(name):
    p, _, _, loss = run(name, 12)
    for weight in p:
        ledger = tg.trace_gradient(loss, to=p[weight]).ledger()
        assert relative(ledger.total, tg.grad(loss, p[weight]), ledger.total) < 1e-12
        copies = [tg.Tensor(p[weight].data, requires_grad=True) for _ in range(12)]
        _, _, _, untied = run(name, 12, lambda q, t, w=weight, c=copies: {**q, w: c[t]})
        assert relative(ledger.contributions[0], np.stack(tg.grad(untied, copies)), ledger.total) < 1e-12
        assert not ledger.warnings


@pytest.mark.parametrize("name", CELLS)
def test_routes_partitions_and_heaviest_paths_agree_with_all_paths_one_by_one(name):
    _, xs, _, loss = run(name, 3)
    trace, every = tg.trace_gradient(loss, to=xs[0]), brute_force.paths([loss], xs[0])
    assert trace.count_paths() == len(every)
    carrier = "c" if CELLS[name][1] == 2 else "h"
    expected = brute_force.gradient(every, lambda _, w: brute_force.matches(f"{carrier}*", w), xs[0].shape)
    assert relative(trace.across(f"{carrier}*").gradient, expected, trace.total) < 1e-12
    leak = tg.along(f".* {carrier}> {carrier} .*")
    expected = brute_force.gradient(
        every,
        lambda w, _: any(a[0] == b[0] == carrier and a[2] for a, b in itertools.pairwise(w)),
        xs[0].shape,
    )
    assert relative(trace.on(leak).gradient, expected, trace.total) < 1e-12
    parts = trace.partition({"leak": leak, "rest": ~leak})
    assert sum(part.share for part in parts.values()) == pytest.approx(1.0)
    whole = sum(path.gradient for path in trace.top_paths(10_000, unit="landmark"))
    assert relative(whole, trace.total, trace.total) < 1e-12


@pytest.mark.parametrize("name", CELLS)
def test_state_jacobians_explanations_and_diagnoses_work_on_them(name):
    p, _, history, loss = run(name, 8)
    jacobians = tg.state_jacobians(history)
    n = HIDDEN
    total = jacobians.product(8, 0)[:n, :n]
    assert np.allclose(total, tg.jacobian(history[8][0], history[0][0]), rtol=1e-11, atol=1e-14)
    assert tg.trace_gradient(loss, to=p["Wg"]).explain().difference < 1e-12
    assert tg.diagnose(loss).verdict in ("vanishing", "healthy", "exploding")


def test_the_highway_of_a_peephole_lstm_avoids_the_gates_that_see_the_cell():
    """DESIGN's expression for it: no crossing enters a gate; across("c*") alone lets c enter through a peephole."""
    p, _, history, loss = run("peephole LSTM", 6)
    trace = tg.trace_gradient(loss, to=history[0][1])
    highway = trace.on(
        tg.across("c*") & ~tg.along(".* .> (i | f | g | o) .*") & ~tg.along("(i | f | g | o) .*") & ~tg.along(".* o .*")
    )
    factor = np.ones(HIDDEN)
    order = trace.paths.order.values()
    for node in order:
        if node.name == "f":
            factor = factor * node.data
    o, c = (next(v for v in reversed(order) if v.name == name) for name in ("o", "c"))
    expected = np.array([1.0, -2.0]) * o.data * (1 - np.tanh(c.data) ** 2) * factor
    assert np.allclose(highway.gradient, expected, rtol=1e-12)
    assert relative(trace.across("c*").gradient, highway.gradient, trace.total) > 1e-6
    assert set(p) == {"Wi", "Wf", "Wg", "Wo", "pi", "pf", "po"}


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_stacked_and_bidirectional_layers_are_traced(kind):
    rng = np.random.default_rng(0)
    layers = kind(INPUT, HIDDEN, num_layers=2, bidirectional=True, rng=rng)
    x = tg.Tensor(rng.normal(size=(5, INPUT)), requires_grad=True)
    outputs, _ = layers(x)
    loss = (outputs * rng.normal(size=outputs.shape)).sum()
    for name, weight in layers.named_parameters():
        ledger = tg.trace_gradient(loss, to=weight).ledger()
        assert relative(ledger.total, tg.grad(loss, weight), ledger.total) < 1e-12, name
        assert ledger.steps == tuple(range(5))
    trace = tg.trace_gradient(loss, to=x)
    forth = trace.through("layer0/h[0]>")
    assert forth.norm > 0
    assert relative(trace.without("layer0/h[0]>").gradient + forth.gradient, trace.total, trace.total) < 1e-12
