"""Flow against the sum over all paths, one by one, and against Kirchhoff's law."""

import math

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.trace import brute_force
from tests.trace.test_any_cell import CELLS, run
from tests.trace.test_routes import gru, lstm, rnn, stacked
from tinygrad_rnn import nn


def questions():
    """name -> (losses, source)"""
    cell, xs, c0, loss = lstm()
    yield "LSTM, a weight", [loss], cell.weight_hh
    yield "LSTM, an input", [loss], xs[0]
    yield "LSTM, the initial state", [loss], c0
    cell, xs, _, loss = gru(2)
    yield "GRU, a weight", [loss], cell.weight_ih
    yield "GRU, an input", [loss], xs[0]
    cell, _, _, losses = rnn(4)
    yield "RNN, a weight and a loss at every step", losses, cell.weight_hh
    yield "RNN, one loss reaches another", [losses[1], losses[1] * losses[3]], cell.weight_hh
    _, x, loss = stacked()
    yield "two layers", [loss], x


QUESTIONS = {name: rest for name, *rest in questions()}


def through_edges(losses, source, belongs=lambda landmarks, crossings: True):
    """-> {(consumer, slot): the sum of <contribution, g> / <g, g> over the paths through that edge}, by all paths."""
    every = brute_force.walks(losses, source)
    g = sum(part for _, part in every)
    found = {}
    for edges, part in every:
        if belongs(*brute_force.words(edges, source)):
            for _, consumer, slot in edges:
                use = consumer.index, slot
                found[use] = found.get(use, 0.0) + float(np.vdot(part, g) / np.vdot(g, g))
    return found


def same(found, expected):
    assert found.keys() == expected.keys()
    largest = max(map(abs, expected.values()), default=1.0)
    assert max((abs(found[use] - expected[use]) for use in expected), default=0.0) < 1e-12 * max(1.0, largest)


def kirchhoff(flow, losses):
    """The largest difference of inflow and outflow at any node, in shares; a loss may keep what it takes in."""
    into, out_of, nodes = {}, {}, {n.index: n for loss in losses for n in brute_force.ancestors(loss)}
    for (consumer, slot), share in flow.shares.items():
        into.setdefault(consumer, []).append(share)
        out_of.setdefault(nodes[consumer].inputs[slot].index, []).append(share)
    interior = (into.keys() | out_of.keys()) - {flow.source_index, *flow.loss_indices}
    return max((abs(math.fsum(into.get(v, [])) - math.fsum(out_of.get(v, []))) for v in interior), default=0.0)


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_flow_on_an_edge_is_the_share_of_the_paths_through_it(name):
    losses, source = QUESTIONS[name]
    flow = tg.trace_gradient(losses, to=source).flow()
    same(flow.shares, through_edges(losses, source))
    assert abs(flow.total - 1) < 1e-12


@pytest.mark.parametrize(
    ("route", "belongs"),
    [
        (tg.across("c*"), lambda _, w: brute_force.matches("c*", w)),
        (tg.through("f"), lambda w, _: brute_force.matches(".*f.*", w)),
        (tg.along("(i | g) c+ h"), lambda w, _: brute_force.matches("[ig]c+h", w)),
        (~tg.across(".* h .*"), lambda _, w: not brute_force.matches(".*h.*", w)),
    ],
    ids=["across c*", "through f", "along (i | g) c+ h", "no crossing in h"],
)
@pytest.mark.parametrize("name", ["LSTM, a weight", "LSTM, an input", "LSTM, the initial state"])
def test_the_flow_of_a_route_is_that_of_its_paths_only(name, route, belongs):
    losses, source = QUESTIONS[name]
    trace = tg.trace_gradient(losses, to=source)
    flow = trace.flow(route)
    same(flow.shares, through_edges(losses, source, belongs))
    assert abs(flow.total - trace.on(route).share) < 1e-12
    assert kirchhoff(flow, losses) < 1e-12


@pytest.mark.parametrize("name", QUESTIONS)
def test_what_flows_into_a_node_flows_out_of_it(name):
    losses, source = QUESTIONS[name]
    assert kirchhoff(tg.trace_gradient(losses, to=source).flow(), losses) < 1e-12


@pytest.mark.parametrize("name", CELLS)
def test_flow_is_conserved_in_cells_of_ones_own(name):
    weights, _, _, loss = run(name, 6)
    for weight in weights.values():
        assert kirchhoff(tg.trace_gradient(loss, to=weight).flow(), [loss]) < 1e-12


def long_lstm(steps=12):
    rng = np.random.default_rng(1)
    layer = nn.LSTM(3, 8, rng=rng)
    states, _ = layer(tg.Tensor(rng.normal(size=(steps, 3))))
    return layer, (states[-1] ** 2).sum()


def test_flow_is_conserved_across_every_step_boundary():
    """What crosses from step t to t + 1 is what the weight's uses up to t contribute: a cut of the tape."""
    layer, loss = long_lstm()
    trace = tg.trace_gradient(loss, to=layer.weight_hh_l0)
    until = np.cumsum(trace.ledger().shares.sum(axis=0))
    boundaries = trace.flow().boundaries
    assert [b.after for b in boundaries] == list(range(11))
    assert np.max(np.abs([b.net for b in boundaries] - until[:-1])) < 1e-12
    assert all(b.gross >= abs(b.net) and b.shares.keys() == {"c", "h"} for b in boundaries)


def test_the_flow_over_all_crossings_in_h_is_the_mean_number_of_detours():
    layer, loss = long_lstm()
    trace = tg.trace_gradient(loss, to=layer.weight_hh_l0)
    in_h = math.fsum(b.shares["h"] for b in trace.flow().boundaries)
    mean = math.fsum(k * part.share for k, part in enumerate(trace.by_crossings("h")))
    assert abs(in_h - mean) < 1e-12
    assert abs(trace.mean_crossings("h") - mean) < 1e-12


def test_a_gradient_of_1e_minus_170_has_flow_and_one_of_exactly_0_has_none():
    layer, loss = long_lstm(4)
    plain = tg.trace_gradient(loss, to=layer.weight_hh_l0).flow().shares
    small_loss = loss * 1e-170
    small = tg.trace_gradient(small_loss, to=layer.weight_hh_l0).flow()
    assert small.norm < 1e-165
    assert all(abs(small.shares[use] - share) < 1e-12 for use, share in plain.items())
    none = tg.trace_gradient(loss * 0.0, to=layer.weight_hh_l0).flow()
    assert none.shares == {}
    assert math.isnan(none.total)
    assert "exactly 0" in str(none)


def test_what_underflowed_or_is_not_finite_is_not_called_zero():
    x = tg.Tensor([0.5], requires_grad=True)
    h = x
    for _, small in tg.steps([1e-200, 1e-200]):
        h = h * small
    under = tg.trace_gradient(h.sum(), to=x).flow()
    assert (under.shares, under.missing) == ({}, "underflowed: it is about 10^-400, too small for a number")
    for wrong in (math.inf, math.nan):
        flow = tg.trace_gradient((x * wrong).sum(), to=x).flow()
        assert (flow.shares, flow.missing) == ({}, "is not finite")
        assert not math.isfinite(flow.norm)
        assert str(flow).endswith("nothing flows, the gradient is not finite.")


@pytest.mark.parametrize(
    ("route", "belongs"),
    [
        (None, lambda _, __: True),
        (tg.through("f"), lambda w, _: brute_force.matches(".*f.*", w)),
        (~tg.across(".* h .*"), lambda _, w: not brute_force.matches(".*h.*", w)),
    ],
    ids=["all", "through f", "no crossing in h"],
)
def test_shares_that_underflowed_have_their_logarithm_by_all_paths_one_by_one(route, belongs):
    """An LSTM far too weak to be seen beside a direct way: every edge of it, against the same LSTM unscaled."""
    _, xs, _, loss = lstm()
    x = xs[0]
    direct = np.array([2.0, -1.0])
    weak = ((loss * 1e-150) * 1e-150) * 1e-150
    trace = tg.trace_gradient(weak + (x * direct).sum(), to=x)
    flow = trace.flow(route)
    every = {}
    for edges, part in brute_force.walks([loss], x):
        if belongs(*brute_force.words(edges, x)):
            for _, consumer, slot in edges:
                every.setdefault((consumer.index, slot), []).append(float(np.vdot(part, direct) / 5.0))
    assert every
    for use, parts in every.items():
        assert flow.shares[use] == 0
        assert flow.log10[use] == pytest.approx(math.log10(abs(math.fsum(parts))) - 450, rel=1e-12)


def test_a_route_without_a_path_flows_nowhere():
    _, xs, _, loss = lstm()
    flow = tg.trace_gradient(loss, to=xs[0]).flow(tg.across("c{9}"))
    assert flow.shares == {}
    assert flow.total == 0
    assert "no path" in str(flow)


def test_the_report_has_a_row_for_each_boundary():
    layer, loss = long_lstm(3)
    lines = str(tg.trace_gradient(loss, to=layer.weight_hh_l0).flow()).splitlines()
    assert lines[0] == "Flow to «weight_hh_l0», shape (32, 8): 100.00% of the gradient in all."
    assert lines[1].split() == ["from", "step", "to", "step", "net", "c", "h", "gross"]
    assert [line.split()[:3] for line in lines[2:-1]] == [["0", "to", "1"], ["1", "to", "2"]]
    assert lines[-1].startswith("net: what crosses")


def test_in_a_bidirectional_net_what_crosses_back_is_told_apart():
    """Net is what begins before a boundary and ends after it, less what does the reverse: by all paths one by one."""
    both = nn.RNN(2, 2, num_layers=2, bidirectional=True, rng=0)
    states, _ = both(tg.Tensor(np.random.default_rng(1).normal(size=(4, 2)), True, "xs"))
    loss = (states[1] * states[1]).sum()
    source = both.weight_ih_l0
    every = brute_force.walks([loss], source)
    g = sum(part for _, part in every)

    def share_of(parts):
        return math.fsum(float(np.vdot(part, g) / np.vdot(g, g)) for part in parts)

    flow = tg.trace_gradient(loss, to=source).flow()
    assert [(c.name, c.is_back) for c in flow.crossings] == [("h", False), ("h", True)]
    for boundary in flow.boundaries:
        t = boundary.after
        crossed = {False: [], True: []}
        for edges, part in every:
            for x, node, _ in edges:
                a, b = x.place.step, node.place.step
                if None not in (a, b) and (a <= t) != (b <= t):
                    crossed[a > b].append(part)
        for crossing, share in boundary.crossings.items():
            assert share == pytest.approx(share_of(crossed[crossing.is_back]), abs=1e-12)
        assert boundary.net == pytest.approx(share_of(crossed[False]) - share_of(crossed[True]), abs=1e-12)
        begun_and_ended = {False: [], True: []}
        for edges, part in every:
            steps = [node.place.step for _, node, _ in edges if node.place.step is not None]
            begun_and_ended[steps[0] > steps[-1]] += [part] if (steps[0] <= t) != (steps[-1] <= t) else []
        net = share_of(begun_and_ended[False]) - share_of(begun_and_ended[True])
        assert boundary.net == pytest.approx(net, abs=1e-12)
    assert str(flow).splitlines()[1].split()[4:] == ["net", "h", "h", "back", "gross"]
    assert "back: from the later step to the earlier one" in str(flow)
