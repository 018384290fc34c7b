"""The timeline: its values are those of the real sweep, at every position, in whatever order they are asked for."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tests.debug.stepped import random_program, recurrent, same
from tinygrad_rnn.debug import timeline
from tinygrad_rnn.engine.sweep import sweep

KINDS = ["RNN", "LSTM", "GRU"]


def added_up(line):
    """The running total of the receiver after every event, one contribution after the other, by hand."""
    totals, history = {}, []
    for event in line:
        if event.kind == "seed":
            totals[event.node] = line.seeds[event.node]
        elif event.kind == "backward":
            part, so_far = line.contribution(event.position), totals.get(event.producer)
            totals[event.producer] = part if so_far is None else np.asarray(so_far + part)
        history.append((event, totals.get(event.node if event.producer is None else event.producer)))
    return totals, history


def check(loss, leaves):
    line = timeline([loss])
    totals, history = added_up(line)
    gradients = tg.grad(loss, leaves, allow_unused=True)
    for leaf, gradient in zip(leaves, gradients, strict=True):
        assert same(line.total(leaf.index, len(line)), gradient)
        last = totals.get(leaf.index)
        assert (last is None) == (gradient is None)
        assert gradient is None or np.allclose(last, gradient, rtol=1e-12, atol=1e-14, equal_nan=True)
    for k in np.random.default_rng(0).permutation(len(line)):  # in any order
        event, total = history[k]
        if event.kind == "backward":
            found = line.total(event.producer, int(k) + 1)
            assert np.allclose(found, total, rtol=1e-12, atol=1e-14, equal_nan=True), event


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9))
def test_running_totals_of_random_graphs_are_the_contributions_added_up_and_end_in_the_gradient(seed):
    check(*random_program(seed))


@pytest.mark.parametrize("kind", KINDS)
def test_running_totals_of_cells_are_the_contributions_added_up_and_end_in_the_gradient(kind):
    check(*recurrent(kind, steps=20))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9))
def test_the_last_contribution_is_added_to_what_is_then_the_gradient_bitwise(seed):
    """Where a node's last edge comes, the running total that is computed edge by edge meets that of the one sweep."""
    loss, _ = random_program(seed)
    line = timeline([loss])
    for index, final in line.cotangents().items():
        edges = line.edges_into(index)
        if edges:
            assert same(line._added(edges[-1], line.total(index, edges[-1])), final)


def test_the_events_are_the_operations_then_the_seed_then_the_edges_of_the_sweep():
    loss, _ = recurrent("LSTM")
    line = timeline([loss])
    seen = []
    order = line.order
    hooks = {i: lambda node, slot, part: seen.append((node.index, slot)) or part for i in order}
    sweep(order, {loss.index: np.ones(())}, [], hooks)
    assert [(e.node, e.slot) for e in line if e.kind == "backward"] == seen
    assert [e.node for e in line if e.kind == "forward"] == [i for i in order if order[i].primitive is not None]
    assert [e.kind for e in line] == ["forward"] * line.forward_end + ["seed"] + ["backward"] * len(seen)
    assert [e.position for e in line] == list(range(len(line)))
    assert line[-1] == line[len(line) - 1]
    assert line[2:5] == [line[2], line[3], line[4]]
    with pytest.raises(IndexError, match="events, numbered from 0"):
        line[len(line)]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_has_arrived_before_the_first_contribution(kind):
    loss, leaves = recurrent(kind)
    line = timeline([loss])
    for leaf in leaves:
        first = line.edges_into(leaf.index)[0]
        assert line.total(leaf.index, first) is None
        assert line.total(leaf.index, first + 1) is not None
        assert line.total(leaf.index, 0) is None
    assert line.total(loss.index, line.forward_end) is None
    assert same(line.total(loss.index, line.backward_start), np.ones(()))


def test_the_frontier_separates_what_has_passed_on_its_gradient_from_what_has_received_none():
    loss, _ = recurrent("LSTM")
    line = timeline([loss])
    for position in range(line.backward_start + 1, len(line) + 1):
        done, left = line[line.backward_start : position], line[position:]
        reached = {loss.index} | {e.producer for e in done}
        busy = {e.node for e in left if e.kind == "backward"}
        sources = reached - {e.node for e in line if e.kind == "backward"}
        assert line.frontier(position) == sorted((reached & busy) | sources)


def test_a_long_tape_keeps_few_running_totals_and_jumps_are_quick(monkeypatch):
    module = sys.modules["tinygrad_rnn.debug.timeline"]  # whose name is also that of a function
    loss, leaves = recurrent("RNN", steps=200)
    weight = max(leaves, key=lambda p: p.size)
    line = timeline([loss])
    rules = []
    added = module.Timeline._added
    monkeypatch.setattr(module.Timeline, "_added", lambda self, *a: rules.append(a) or added(self, *a))
    edges = line.edges_into(weight.index)
    line.total(weight.index, edges[-1])
    assert len(rules) == 199
    rules.clear()
    for k in (150, 20, 100, 60, 180):
        line.total(weight.index, edges[k])
    assert len(rules) <= 5 * 15  # the square root of 200, rounded up
    assert sum(a.nbytes for a in line._kept.values()) <= 15 * weight.data.nbytes

    monkeypatch.setattr(module, "MOST_KEPT", 4 * weight.data.nbytes)
    tight = timeline([loss])
    for leaf in leaves:
        tight.total(leaf.index, len(tight) - 1)
    assert sum(a.nbytes for a in tight._kept.values()) <= module.MOST_KEPT + sum(p.data.nbytes for p in leaves)
