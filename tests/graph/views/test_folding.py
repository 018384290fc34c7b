"""Folded views: nothing of the tape is lost and nothing is drawn twice."""

from collections import Counter

import pytest

import tinygrad_rnn as tg
from tests.graph import samples
from tests.graph.layout import nets
from tinygrad_rnn import nn
from tinygrad_rnn.graph import VIEWS
from tinygrad_rnn.graph.views.cells import cells


def tape(outputs):
    found, to_visit = {}, list(outputs)
    while to_visit:
        t = to_visit.pop()
        if t.index not in found:
            found[t.index] = t
            to_visit += t.inputs
    return found


def check_partition(fig, outputs):
    """Every operation is in exactly one node; every use is in exactly one edge, or inside one node, or it is a use of
    a number that belongs to its operation."""
    by_index = tape(outputs)
    operations = {k for k, t in by_index.items() if t.primitive is not None}
    drawn = Counter(k for n in fig.nodes if n.kind in ("operation", "gap") and not n.again for k in n.members)
    assert set(drawn) == operations
    assert set(drawn.values()) <= {1}
    node_of = {k: n.id for n in fig.nodes if not n.again for k in n.members if k in operations}
    members = {n.id: set(n.members) for n in fig.nodes}
    edge_of = {}
    for e in fig.edges:
        assert e.source != e.target or e.lag
        for use in e.uses:
            assert use not in edge_of
            edge_of[use] = e
    for k in operations:
        for slot, x in enumerate(by_index[k].inputs):
            e = edge_of.pop((k, slot), None)
            if e is not None:
                assert e.target == node_of[k]
                assert x.index in members[e.source]
            elif x.primitive is not None:
                assert node_of[x.index] == node_of[k]
            else:
                assert x.value.size == 1
                assert not x.tracked
    assert not edge_of


@pytest.mark.parametrize("name", samples.ALL)
def test_cells_partition_the_tape(name):
    loss = samples.ALL[name]()
    check_partition(cells([loss]), [loss])


@pytest.mark.parametrize("steps", [None, (0, 2), (3, 5), (8, 10)])
def test_cells_with_a_window_partition_the_tape(steps):
    loss = samples.loss_at_every_step(steps=10, keep=None)
    check_partition(cells([loss], steps), [loss])


def test_cells_partition_any_program():
    for seed in range(150):
        outputs = samples.random_program(seed)
        check_partition(cells(outputs), outputs)


def test_what_stays_visible_in_an_lstm_are_its_landmarks_and_what_is_done_to_them():
    fig = cells([samples.lstm(steps=3)])
    for step in range(3):
        inside = [n for n in fig.nodes if n.step == step and n.kind == "operation"]
        assert sorted(n.name or n.operation for n in inside) == sorted(
            ["i", "f", "g", "o", "c", "h", "multiply", "multiply", "tanh", "add"]
        )
        assert all(n.scope == "layer0" for n in inside)


def test_a_folded_chain_of_any_length_is_one_node_that_says_so():
    x = tg.Tensor(1.0, True, "x")
    for _ in range(20_000):
        x = x + 1.0
    fig = cells([x.named("y")])
    assert [len(n.members) for n in fig.nodes if n.kind == "operation"] == [20_000]


def test_the_gates_of_a_cell_that_is_looped_over_in_no_scope_belong_to_its_cell():
    cell, states = nn.LSTMCell(2, 3, rng=0), (tg.Tensor([0.0, 0.0, 0.0]), tg.Tensor([0.0, 0.0, 0.0]))
    for _, x in tg.steps([[1.0, 2.0], [3.0, 4.0]]):
        states = cell(tg.Tensor(x), states)
    fig = cells([states[0].sum()])
    gates = [n for n in fig.nodes if n.name in ("i", "f", "g", "o")]
    assert len(gates) == 8
    assert {n.scope for n in gates} == {""}


def test_a_first_step_of_which_less_is_recorded_is_the_same_cell():
    """0.5 [h, x] of constants is no operation: the first step begins with the product, and goes on as all others."""

    def wiring(begins_as_leaf, view):
        figure = VIEWS[view](nets.joined(begins_as_leaf, 0.5), None)
        nodes = {n.id: (n.name, n.operation, n.parts[-1:]) for n in figure.nodes}
        return Counter((nodes[e.source], nodes[e.target], e.lag) for e in figure.edges if e.crossing), Counter(
            nodes[n.id] for n in figure.nodes if n.kind == "operation"
        )

    for view in ("cells", "rolled"):
        assert wiring(False, view) == wiring(True, view)
    (product,) = [n for n in VIEWS["rolled"](nets.joined(scale=0.5), None).nodes if n.parts[-1:] == ("matmul",)]
    assert product.parts == ("concatenate", "0.5 ×", "matmul")


def test_a_number_that_differs_from_step_to_step_is_a_range_in_the_rolled_view():
    w, h, total = tg.Tensor([[0.5]], True, "w"), tg.Tensor([[1.0]]), 0.0
    for t, x in tg.steps([-1.0, 0.5, 1.0]):
        h = (w @ h).tanh().named("h")
        total = total + ((0.5**t) * h - x).square().sum()
    parts = {part for n in VIEWS["rolled"]([total], None).nodes for part in n.parts}
    assert {"(0.25 to 1) ×", "− (−1 to 1)"} <= parts
    assert {"− (−1)", "− 0.5", "0.5 ×"} <= {part for n in cells([total]).nodes for part in n.parts}
