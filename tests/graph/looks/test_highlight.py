"""A route or a gate in colour, the rest grey."""

import pytest

import tinygrad_rnn as tg
from tests.graph import samples
from tests.graph.views.test_flow import lstm
from tinygrad_rnn.graph import draw
from tinygrad_rnn.graph.looks.highlight import highlighted
from tinygrad_rnn.graph.looks.overlay import FADED_STROKE
from tinygrad_rnn.graph.views.figure import figure


def in_colour(fig, names):
    """(producer, consumer) of the edges in colour, by name or operation, in one step."""
    found = highlighted(fig, names)
    of = {n.id: n.name or n.operation for n in fig.nodes}
    step = {n.id: n.step for n in fig.nodes}
    return {
        (of[e.source], of[e.target])
        for e, stroke in zip(fig.edges, found.strokes, strict=True)
        if stroke != FADED_STROKE and step[e.target] == 1
    }, {of[n.id] for n in fig.nodes if n.id not in found.faded and n.step == 1}


def test_a_gate_is_shown_from_the_states_inputs_and_weights_to_the_cell_state():
    edges, nodes = in_colour(figure([samples.lstm(steps=3)]), ["f"])
    assert edges == {
        ("x", "linear"), ("W_ih", "linear"), ("b_ih", "linear"), ("h", "linear"), ("W_hh", "linear"),
        ("b_hh", "linear"), ("linear", "add"), ("add", "slice"), ("slice", "f"), ("f", "multiply"), ("multiply", "c"),
    }  # fmt: skip
    assert nodes == {name for edge in edges for name in edge}


def test_the_cell_state_is_shown_from_the_gates_to_the_hidden_state_and_the_next_cell_state():
    edges, nodes = in_colour(figure([samples.lstm(steps=3)]), ["c"])
    assert edges == {
        ("f", "multiply"), ("i", "multiply"), ("g", "multiply"), ("c", "multiply"), ("multiply", "c"), ("c", "tanh"),
        ("tanh", "h"),
    }  # fmt: skip
    assert "o" not in nodes


def test_several_names_are_shown_together_and_a_name_may_be_qualified_by_its_scope():
    fig = figure([samples.lstm(steps=2, layers=2)])
    both = in_colour(fig, ["i", "f"])[0]
    assert both == in_colour(fig, ["i"])[0] | in_colour(fig, ["f"])[0]
    strokes = highlighted(fig, ["layer1/o"]).strokes
    scope = {n.id: n.scope for n in fig.nodes}
    lit = {scope[e.target] for e, stroke in zip(fig.edges, strokes, strict=True) if stroke != FADED_STROKE}
    assert lit == {"layer1"}


def test_the_sentence_says_what_is_highlighted():
    assert "In colour: what f is computed from" in draw(samples.lstm(steps=2), highlight="f").alt_text
    assert "In colour" not in draw(samples.lstm(steps=2)).alt_text


def test_a_name_that_is_not_there_is_an_error_that_lists_those_that_are():
    with pytest.raises(ValueError, match=r"highlight='q': nothing of that name .* W_hh, W_ih, .* c, c0, f, g, h"):
        draw(samples.lstm(steps=2), highlight="q")


def test_a_route_without_a_source_is_an_error_that_says_what_to_add():
    with pytest.raises(ValueError, match=r'highlight=across\("c\*"\): .* say where with flow_to='):
        draw(samples.lstm(steps=2), highlight=tg.across("c*"))


@pytest.mark.parametrize("view", ["ops", "cells"])
def test_with_a_source_the_flow_of_the_route_is_in_colour_and_what_is_not_on_it_is_grey(view):
    _, xs, loss = lstm()
    drawing = draw(loss, view=view, flow_to=xs[0], highlight=tg.across("c*"))
    found = drawing.currents
    share = tg.trace_gradient(loss, to=xs[0]).across("c*").share
    assert abs(found.flow.total - share) < 1e-12
    of = {n.id: n.name for n in found.figure.nodes}
    crossing = [(of[e.source], c) for e, c in zip(found.figure.edges, found.edges, strict=True) if e.crossing]
    assert {name for name, c in crossing if c is not None} <= {"c"}
    assert all(abs(c.net - share) < 1e-12 for _, c in crossing if c is not None)
    assert "not on the route" in drawing.dot
    assert 'across("c*") only' in drawing.alt_text


def test_names_with_a_source_are_the_paths_that_meet_one_of_them():
    cell, _, loss = lstm(steps=3)
    drawing = draw(loss, flow_to=cell.weight_hh, highlight=["f", "o"])
    route = tg.through("f") | tg.through("o")
    assert abs(drawing.currents.flow.total - tg.trace_gradient(loss, to=cell.weight_hh).on(route).share) < 1e-12
