"""The tape as plain data."""

import sys
from collections import Counter

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.graph import samples
from tinygrad_rnn.graph.layout.columns import columns
from tinygrad_rnn.graph.looks.style import LOOKS
from tinygrad_rnn.graph.views.figure import ancestors, figure
from tinygrad_rnn.graph.views.window import HIGH, REFUSED


def by_name(fig, name):
    return [n for n in fig.nodes if n.name == name]


def test_x_times_x_has_two_edges_told_apart_by_their_slot():
    x = tg.Tensor([2.0], True, "x")
    y = x * x
    edges = figure([y]).edges
    assert [e.uses for e in edges] == [((y.index, 0),), ((y.index, 1),)]
    assert len({(e.source, e.target) for e in edges}) == 1


@pytest.mark.parametrize("name", samples.ALL)
def test_every_use_by_a_drawn_operation_is_exactly_one_edge(name):
    fig = figure([samples.ALL[name]()])
    uses = Counter(use for e in fig.edges for use in e.uses)
    assert set(uses.values()) <= {1}
    drawn = {n.index for n in fig.nodes if n.operation and not n.again}
    assert {consumer for consumer, _ in uses} >= drawn
    ids = [n.id for n in fig.nodes]
    assert len(ids) == len(set(ids))
    assert {v for e in fig.edges for v in (e.source, e.target)} <= set(ids)


@pytest.mark.parametrize("name", [name for name in samples.ALL if "windowed" not in name])
def test_every_operation_of_a_tape_that_fits_is_drawn_once(name):
    fig = figure([samples.ALL[name]()])
    drawn = Counter(n.index for n in fig.nodes if n.operation and not n.again)
    assert set(drawn.values()) == {1}
    assert len(drawn) == fig.operations


def test_a_parameter_is_drawn_beside_each_step_that_uses_it_and_has_no_long_arrows():
    fig = figure([samples.rnn(steps=4)])
    copies = by_name(fig, "W")
    assert [n.step for n in copies] == [0, 1, 2, 3]
    assert {n.kind for n in copies} == {"parameter"}
    assert len({n.index for n in copies}) == 1
    step = {n.id: n.step for n in fig.nodes}
    assert all(step[e.target] == n.step for n in copies for e in fig.edges if e.source == n.id)


def test_a_result_made_outside_the_steps_is_drawn_again_beside_each_use():
    fig = figure([samples.loss_at_every_step(steps=3)])
    embedded = by_name(fig, "embedded")
    assert [n.again for n in embedded] == [False, True, True, True]
    assert [n.step for n in embedded] == [None, 0, 1, 2]
    assert not any(e.source == embedded[0].id for e in fig.edges)


def test_kinds_tell_parameters_leaves_constants_and_operations_apart():
    fig = figure([samples.rnn(steps=2)])
    kinds = {n.name: n.kind for n in fig.nodes if n.name}
    assert kinds == {
        "W": "parameter",
        "U": "parameter",
        "b": "parameter",
        "x": "constant",
        "h0": "constant",
        "h": "operation",
        "loss": "operation",
    }
    assert [n.name for n in fig.nodes if n.output] == ["loss"]
    x = tg.Tensor([1.0], True, "x")
    assert by_name(figure([(x * x).sum()]), "x")[0].kind == "leaf"


def test_a_subclass_named_parameter_is_a_parameter_even_when_it_is_used_once():
    class Parameter(tg.Tensor):
        __slots__ = ()

    w = Parameter([1.0], requires_grad=True, name="w")
    assert by_name(figure([w.sum()]), "w")[0].kind == "parameter"


def test_only_uses_of_a_result_at_another_step_are_crossings():
    fig = figure([samples.lstm(steps=3)])
    names = {n.id: (n.name, n.step) for n in fig.nodes}
    crossings = [(names[e.source], names[e.target][1]) for e in fig.edges if e.crossing]
    assert sorted(crossings) == [((s, t), t + 1) for s in "ch" for t in (0, 1)]


def test_the_slot_is_printed_only_where_the_order_of_the_inputs_matters():
    x, w = tg.Tensor([[1.0, 2.0]], True), tg.Tensor([[1.0], [2.0]], True)
    assert [e.slot for e in figure([x @ w]).edges] == [0, 1]
    assert [e.slot for e in figure([x - x]).edges] == [0, 1]
    assert [e.slot for e in figure([x * x]).edges] == [None, None]
    assert [e.slot for e in figure([x.tanh()]).edges] == [None]


def test_no_gradient_is_none_and_a_gradient_of_zero_is_zero():
    x = tg.Tensor([1.0, 2.0], True, "x")
    y = (x * 0.0).named("y")
    loss = y.sum()
    before = {n.name: n.gradient for n in figure([loss]).nodes}
    assert before["x"] is None
    assert before["y"] is None
    loss.backward()
    leaves_only = {n.name: n.gradient for n in figure([loss]).nodes}
    assert leaves_only["x"] == 0.0
    assert leaves_only["y"] is None
    loss.backward(keep="all")
    kept = {n.name: n.gradient for n in figure([loss]).nodes}
    assert kept["y"] == pytest.approx(np.sqrt(2))


def test_a_parameter_shows_the_norm_of_its_whole_gradient_at_each_use():
    loss = samples.rnn(steps=3, keep="all")
    w = next(x for x in _tape(loss) if x.name == "W")
    shown = [n.gradient for n in by_name(figure([loss]), "W")]
    assert shown == pytest.approx([np.linalg.norm(w.grad)] * 3)


def _tape(loss):
    found, to_visit = {}, [loss]
    while to_visit:
        t = to_visit.pop()
        found[t.index] = t
        to_visit += t.inputs
    return found.values()


def test_a_leaf_whose_data_was_replaced_says_so():
    w = tg.Tensor([1.0], True, "w")
    y = w * 2.0
    assert not by_name(figure([y]), "w")[0].replaced
    w.data = np.array([5.0])
    assert by_name(figure([y]), "w")[0].replaced


def test_many_steps_are_windowed_and_what_is_hidden_is_counted():
    steps = HIGH.most + 8
    fig = figure([samples.lstm(steps=steps)])
    assert sorted({n.step for n in fig.nodes if n.step is not None}) == [0, 1, 2, steps - 3, steps - 2, steps - 1]
    (gap,) = [n.gap for n in fig.nodes if n.gap is not None]
    assert (gap.first, gap.last, gap.steps, gap.whole) == (3, steps - 4, steps - 6, True)
    drawn = sum(1 for n in fig.nodes if n.operation and not n.again)
    assert drawn + gap.operations == fig.operations


def test_edges_to_a_gap_keep_every_use_that_they_stand_for():
    loss = samples.loss_at_every_step(steps=9, keep=None)
    fig = figure([loss], steps=(0, 2))
    uses = Counter(use for e in fig.edges for use in e.uses)
    assert set(uses.values()) == {1}
    gap = next(n for n in fig.nodes if n.gap is not None)
    h = [n for n in by_name(fig, "h") if n.step == 1]
    assert any(e.source == h[0].id and e.target == gap.id and e.crossing for e in fig.edges)
    into_sum = [e for e in fig.edges if e.source == gap.id]
    assert len(into_sum) == 7  # one for each hidden loss, since each goes into another addition


def test_the_window_can_be_chosen_as_a_range_counts():
    fig = figure([samples.rnn(steps=9)], steps=(3, 5))
    assert {n.step for n in fig.nodes if n.step is not None} == {3, 4}
    assert [(n.gap.first, n.gap.last) for n in fig.nodes if n.gap is not None] == [(0, 2), (5, 8)]
    everything = figure([samples.rnn(steps=40)], steps=(0, 40))
    assert not [n for n in everything.nodes if n.gap is not None]


def test_a_window_without_steps_is_refused_with_what_there_is():
    with pytest.raises(ValueError, match="steps 0 to 2"):
        figure([samples.rnn(steps=3)], steps=(7, 9))
    with pytest.raises(ValueError, match=r"tg\.steps"):
        figure([samples.plain()], steps=(0, 1))
    with pytest.raises(TypeError, match="pair of numbers"):
        figure([samples.rnn()], steps=3)


def test_a_picture_too_large_to_read_is_refused():
    x = tg.Tensor(1.0, True)
    for t in range(REFUSED // 2 + 1):
        with tg.step(t):
            x = (x * 1.0) + 0.0
    with pytest.raises(ValueError, match=r"steps=\(0, 5\)"):
        figure([x], steps=(0, REFUSED))


def test_a_deep_chain_needs_no_recursion_and_is_folded():
    x = tg.Tensor(1.0, True)
    for _ in range(50_000):
        x = x + 1.0
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(200)
    try:
        fig = figure([x])
    finally:
        sys.setrecursionlimit(limit)
    assert len(fig.nodes) < 200
    assert sum(n.gap.operations for n in fig.nodes if n.gap is not None) > 49_000


def test_ids_follow_the_order_of_creation_within_the_drawing():
    first, second = figure([samples.lstm()]), figure([samples.lstm()])
    assert [n.id for n in first.nodes] == [n.id for n in second.nodes]
    assert [n.index for n in first.nodes] != [n.index for n in second.nodes]


def test_several_outputs_and_an_output_that_is_a_leaf_are_drawn():
    x = tg.Tensor([1.0], True, "x")
    alone = tg.Tensor([3.0], name="alone")
    y, z = (x * 2.0).named("y"), (x + 1.0).named("z")
    fig = figure([y, z, alone])
    assert {n.name for n in fig.nodes if n.output} == {"y", "z", "alone"}
    assert [n.name for n in fig.outputs] == ["y", "z", "alone"]


def test_every_operation_has_a_node_that_shows_it_or_stands_for_it():
    for make in samples.ALL.values():
        outputs = make()
        fig = figure([outputs])
        shown = {n.id: n for n in fig.nodes}
        operations = [t for t in ancestors([outputs]) if t.primitive is not None]
        assert fig.home.keys() == {t.index for t in operations}
        hidden = [index for index, id in fig.home.items() if shown[id].gap is not None]
        assert all(shown[fig.home[t.index]].index == t.index for t in operations if t.index not in hidden)
        assert len(hidden) == sum(n.gap.operations for n in fig.nodes if n.gap is not None)


# The graph of a backward sweep --------------------------------------------------------------------------------------


def gradient(model, name):
    loss = model(keep=None)
    weight = next(t for t in ancestors([loss]) if t.name == name)
    return tg.grad(loss, weight, create_graph=True)


def swept(model, name):
    return figure([gradient(model, name)])


@pytest.mark.parametrize(("model", "name"), [(samples.rnn, "U"), (samples.lstm, "W_hh"), (samples.gru, "W")])
def test_what_a_backward_sweep_made_is_told_apart_and_no_arrow_leads_there_from_the_forward_part(model, name):
    drawn = swept(model, name)
    nodes = {n.id: n for n in drawn.nodes}
    made = {n.id for n in drawn.nodes if n.sweep and n.kind == "operation" and not n.again}
    assert {nodes[v].scope.split("/")[0] for v in made} == {"backward"}
    assert len(made) == sum(n.scope.startswith("backward") for n in drawn.nodes if not n.again and n.operation)
    for e in drawn.edges:
        assert nodes[e.source].sweep == nodes[e.target].sweep
        steps = nodes[e.source].step, nodes[e.target].step
        assert e.crossing == (None not in steps and steps[0] != steps[1] and nodes[e.source].operation is not None)
        if e.crossing:  # forward in time, and back again
            assert (steps[1] - steps[0] > 0) != nodes[e.target].sweep


@pytest.mark.parametrize(("model", "name"), [(samples.rnn, "U"), (samples.lstm, "W_hh"), (samples.gru, "W")])
def test_folded_too_the_backward_part_stands_alone_in_colours_of_its_own(model, name):
    drawing = tg.draw(gradient(model, name), "cells")
    nodes = {n.id: n for n in drawing.figure.nodes}
    made = [n for n in nodes.values() if n.sweep and n.kind == "operation" and not n.again]
    assert {n.scope.split("/")[0] for n in made} == {"backward"}
    assert sum(len(n.members) for n in made) >= 2 * len(made)  # what is done to results of the forward part is folded
    for e in drawing.figure.edges:
        assert nodes[e.source].sweep == nodes[e.target].sweep
        if e.crossing:
            assert (nodes[e.target].step > nodes[e.source].step) != nodes[e.target].sweep
    assert {n.made_at for n in nodes.values() if n.again and n.step == 1} == {None, 0}
    for text in ("of step 0", "operation of the backward sweep"):
        assert text in drawing.dot
    hue = f'fillcolor="{LOOKS["sweep"].attributes["fillcolor"]}"'
    boxes = [line for line in drawing.dot.splitlines() if hue in line and "legend_" not in line]
    assert len(boxes) == sum(not n.output for n in made)


def test_a_result_drawn_again_at_another_step_says_where_it_was_made():
    drawn = swept(samples.rnn, "U")
    again = {(n.step, n.made_at) for n in drawn.nodes if n.again and n.name == "h"}
    assert again == {(0, None), (1, None), (1, 0), (2, None), (2, 1), (None, 2)}  # W of step t meets h of step t - 1
    dot = tg.draw(gradient(samples.rnn, "U")).dot
    assert "of step 1" in dot


def test_a_scope_called_backward_is_no_backward_sweep():
    drawn = figure([samples.bidirectional()])
    assert any(n.scope == "backward" for n in drawn.nodes)
    assert not any(n.sweep for n in drawn.nodes)


def test_the_backward_part_starts_to_the_right_of_the_last_step_and_is_drawn_with_its_own_colours():
    drawing = tg.draw(gradient(samples.rnn, "U"))
    cut = columns(drawing.figure)
    assert [c.step for c in cut if c.step is not None] == [0, 1, 2]
    assert cut[-1].step is None
    assert {n.sweep for n in drawing.figure.nodes if n.id in {v for run in cut[-1].runs for v in run.nodes}} == {True}
    assert "operation of the backward sweep" in drawing.dot
    assert "A backward sweep made " in drawing.alt_text
