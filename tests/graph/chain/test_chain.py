"""The views `cells` and `rolled`: partitions of the tape, laid out without overlaps, states straight."""

import time
from collections import Counter
from itertools import combinations, product

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.graph import samples
from tests.graph.layout.test_layout import points
from tests.graph.views.test_folding import check_partition
from tinygrad_rnn import nn
from tinygrad_rnn.graph import draw
from tinygrad_rnn.graph.chain.placement import place_cells
from tinygrad_rnn.graph.looks.flow_look import ROOMS, WIDEST
from tinygrad_rnn.graph.looks.marks import cell_lines, cell_size
from tinygrad_rnn.graph.looks.style import LOOKS, kind_of
from tinygrad_rnn.graph.views.cells import cells
from tinygrad_rnn.graph.views.rolled import over_time, rolled

VIEWS = {"cells": cells, "rolled": rolled}


def recurrent(kind, steps=4, hidden=3, **options):
    net = getattr(nn, kind)(2, hidden, rng=0, **options)
    xs = tg.Tensor(np.random.default_rng(1).normal(size=(steps, 1, 2)), True, "xs")
    return (net(xs)[0] ** 2.0).sum().named("loss")


def deep(layers=5):
    x = tg.Tensor([[1.0, 2.0]], True, "x")
    for k in range(layers):
        with tg.scope(f"layer{k}"):
            w = tg.Tensor([[0.5, -0.2], [0.1, 0.3]], True, "w")
            x = (x @ w).tanh().named("h")
    return x.sum().named("loss")


def own_cell(steps=4, named=True):
    """A leaky integrator, written without scopes."""
    w = tg.Tensor([[0.5, -0.2], [0.1, 0.3]], True, "w")
    v = tg.Tensor([[1.0, 2.0]])
    for _, x in tg.steps(list(np.ones((steps, 1, 2)))):
        v = 0.9 * v + (v @ w + x).tanh()
        v = v.named("v") if named else v
    return v.sum()


PROGRAMS = {
    **samples.ALL,
    "nn.RNN": lambda: recurrent("RNN"),
    "nn.LSTM": lambda: recurrent("LSTM"),
    "nn.GRU": lambda: recurrent("GRU"),
    "nn two layers": lambda: recurrent("LSTM", num_layers=2),
    "nn bidirectional": lambda: recurrent("GRU", bidirectional=True, num_layers=2),
    "deep": deep,
    "own_cell": own_cell,
    "own_cell_unnamed": lambda: own_cell(named=False),
}


def placed(fig, room=None):
    return place_cells(fig, lambda n: cell_size(n, cell_lines(n), LOOKS[kind_of(n)]), room)[1]


def rectangles(place):
    for v, (x, y) in place.at.items():
        wide, high = place.sizes[v]
        yield v, (x - wide / 2, y - high / 2, x + wide / 2, y + high / 2)


def overlap(a, b):
    return min(a[2], b[2]) - max(a[0], b[0]) > 0.01 and min(a[3], b[3]) - max(a[1], b[1]) > 0.01


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_every_use_is_in_exactly_one_edge_or_inside_one_node(name, view):
    loss = PROGRAMS[name]()
    check_partition(VIEWS[view]([loss]), [loss])


@pytest.mark.parametrize("view", VIEWS)
def test_any_program_is_folded_without_loss_and_drawn(view):
    for seed in range(60):
        outputs = samples.random_program(seed)
        fig = VIEWS[view](outputs)
        check_partition(fig, outputs)
        check_apart(placed(fig), fig)


def check_apart(place, fig):
    nodes = list(rectangles(place))
    for (u, a), (v, b) in combinations(nodes, 2):
        assert not overlap(a, b), (u, v)
    inside = {v: box for box in place.boxes for v in box.nodes}
    for one, other in combinations(place.boxes, 2):
        assert not overlap(one.border, other.border)
    for v, (left, low, right, high) in nodes:
        if v in inside:
            border = inside[v].border
            assert border[0] <= left
            assert border[1] <= low
            assert right <= border[2]
            assert high <= border[3] - 20  # below the heading
        else:
            assert not any(overlap((left, low, right, high), box.border) for box in place.boxes)
    assert len(place.curves) == len(fig.edges)
    for e, curve in zip(fig.edges, place.curves, strict=True):
        (x, y), (wide, high) = place.at[e.target], place.sizes[e.target]
        assert abs(curve.tip[0] - x) <= wide / 2 + 0.01
        assert abs(curve.tip[1] - y) <= high / 2 + 0.01
        (x, y), (wide, high) = place.at[e.source], place.sizes[e.source]
        assert abs(curve.points[0][0] - x) <= wide / 2 + 0.01
        assert abs(curve.points[0][1] - y) <= high / 2 + 0.01


def passed(place, fig):
    """Every (edge, node) where the line of the edge passes through the node."""
    for e, curve in zip(fig.edges, place.curves, strict=True):
        along = points(curve)
        for v, (left, low, right, high) in rectangles(place):
            inside = (along > (left + 3, low + 3)).all(axis=1) & (along < (right - 3, high - 3)).all(axis=1)
            if inside.any() and v not in (e.source, e.target):
                yield e, v


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_overlaps_and_every_line_leads_from_its_source_to_its_target(name, view):
    fig = VIEWS[view]([PROGRAMS[name]()])
    place = placed(fig)
    check_apart(place, fig)
    assert not list(passed(place, fig))


@pytest.mark.parametrize("make", [lambda: recurrent("LSTM"), lambda: samples.lstm(steps=40), samples.lstm])
def test_the_cell_state_is_a_straight_line_along_the_top_and_the_hidden_state_at_the_bottom(make):
    fig = cells([make()])
    place = placed(fig)
    names = {n.id: n.name for n in fig.nodes}
    heights = {name: {y for v, (_, y) in place.at.items() if names[v] == name} for name in "ifgoch"}
    assert all(len(found) == 1 for found in heights.values())
    assert max(heights["c"]) > max(h for name in "ifgoh" for h in heights[name])
    assert min(heights["h"]) < min(h for name in "ifgoc" for h in heights[name])
    gaps = {n.id for n in fig.nodes if n.gap is not None}
    straight = 0
    for e, curve in zip(fig.edges, place.curves, strict=True):
        if e.crossing and (names[e.source] in ("c", "h") or e.source in gaps):
            assert len({round(y, 6) for _, y in (*curve.points, curve.tip)}) == 1
            straight += 1
    assert straight == sum(e.crossing for e in fig.edges)


def test_the_cell_state_goes_straight_on_from_an_encoder_to_a_decoder():
    fig = cells([samples.translator(steps=3)])
    place = placed(fig)
    nodes = {n.id: n for n in fig.nodes}
    c = [
        curve
        for e, curve in zip(fig.edges, place.curves, strict=True)
        if e.crossing and nodes[e.source].name == "c" and {y for _, y in curve.points} == {curve.tip[1]}
    ]
    assert len(c) == 4
    assert len({place.at[n.id][1] for n in fig.nodes if n.name == "h"}) == 1
    linear = next(n for n in fig.nodes if n.scope == "decoder" and n.parts == ("linear", "linear", "add"))
    (start,) = [e.source for e in fig.edges if e.target == linear.id and nodes[e.source].kind == "constant"]
    assert place.at[start][1] + place.sizes[start][1] / 2 < place.at[linear.id][1]  # below, out of the way of h


def test_words_beside_two_loops_of_one_state_are_below_each_other():
    fig = rolled([samples.encoder_decoder(steps=4)])
    place = placed(fig)
    labels = [curve.label for e, curve in zip(fig.edges, place.curves, strict=True) if e.lag]
    assert {e.lag for e in fig.edges if e.lag} == {1, 2}
    for (x, y), (other_x, other_y) in combinations(labels, 2):
        assert abs(x - other_x) > 60 or abs(y - other_y) >= 15


def test_each_state_says_once_where_it_comes_from_and_only_words_take_room_beside_a_loop():
    def peephole():
        p = tg.Tensor([0.5, 0.2], True, "p")
        c = tg.Tensor([0.0, 0.0], name="c0")
        for _, x in tg.steps([0.3, 0.1, 0.2]):
            f, i = (p * c + x).sigmoid().named("f"), (p * c - x).sigmoid().named("i")
            c = (f * c + i * x).named("c")
        return c

    drawing = draw(peephole(), "rolled")
    assert sum(e.lag == 1 for e in drawing.figure.edges) == 3
    assert drawing.dot.count("from t − 1<") == 1
    place = placed(drawing.figure)
    words = max(curve.label[0] for e, curve in zip(drawing.figure.edges, place.curves, strict=True) if e.lag) + 40
    assert place.right >= words
    legend = next(line for line in drawing.dot.splitlines() if 'bb="0,' in line)
    assert float(legend.split('"')[1].split(",")[2]) >= words  # so far goes the page


def test_two_states_that_one_node_takes_up_have_an_arrow_each():
    u, v = (tg.Tensor([[0.5, -0.2], [0.1, 0.3]], True, name) for name in "uv")
    a, s = tg.Tensor([0.1, 0.2], name="a0"), tg.Tensor([0.3, 0.1], name="s0")
    for _, x in tg.steps([0.3, 0.1, 0.2, 0.4]):
        with tg.scope("own"):
            n = (u @ a + v @ s + x).tanh().named("n")
            a, s = (0.9 * a + 0.1 * n).named("a"), (0.5 * s + 0.5 * n).named("s")
    fig = cells([(a * s).sum()])
    place = placed(fig)
    nodes = {node.id: node for node in fig.nodes}
    drawn = dict(zip(fig.edges, place.curves, strict=True))
    for target in (node.id for node in fig.nodes if node.name == "n"):
        into = [
            curve
            for e, curve in drawn.items()
            if e.target == target and (e.crossing or nodes[e.source].name in ("a0", "s0"))
        ]
        assert len(into) == 2
        first, second = map(points, into)
        near = sum(min(abs(x - u) + abs(y - v) for u, v in second) < 1.0 for x, y in first)
        assert near <= 6  # they may cross, and do not run along each other
        assert abs(into[0].tip[1] - into[1].tip[1]) > 5
    for name in ("a", "s"):  # one leads straight on
        heights = [
            {round(y, 6) for _, y in (*curve.points, curve.tip)}
            for e, curve in drawn.items()
            if e.crossing and nodes[e.source].name == name and nodes[e.source].step > 0
        ]
        assert sum(len(at) == 1 for at in heights) == 2


@pytest.mark.parametrize("flow", [False, True])
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_lines_that_leave_one_node_are_apart_by_more_than_the_widest_of_them(kind, view, flow):
    fig = VIEWS[view]([recurrent(kind)])
    place = placed(fig, ROOMS[view] if flow else None)
    widest = WIDEST if flow else 5.0  # 5 of a highlighted state
    cell = {v: box for box in place.boxes for v in box.nodes}
    inside = [
        (e, points(curve))
        for e, curve in zip(fig.edges, place.curves, strict=True)
        if e.source in cell and cell[e.source] is cell.get(e.target) and not e.lag
    ]
    gates = 0
    for (e, one), (other_e, other) in combinations(inside, 2):
        if e.source == other_e.source and {e.target, other_e.target}.isdisjoint(hanging_below(place, e.source)):
            assert np.hypot(*(one[:, None] - other[None]).transpose(2, 0, 1)).min() > widest
            gates += 1
    assert gates >= 2 * len(place.boxes)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_an_initial_state_comes_in_apart_from_the_loop_of_that_state(kind):
    fig = rolled([recurrent(kind)])
    place = placed(fig, ROOMS["rolled"])
    initial_states = {n.id for n in fig.nodes if n.kind == "constant"}
    drawn = dict(zip(fig.edges, map(points, place.curves), strict=True))
    met = 0
    for loop, initial in ((a, b) for a in fig.edges for b in fig.edges if a.lag and a.target == b.target):
        if initial.source in initial_states:
            one, other = drawn[initial], drawn[loop]
            near = np.hypot(*(one[:, None] - other[None]).transpose(2, 0, 1)).min(axis=1) < WIDEST / 2 + 1
            along = np.hypot(*np.diff(one, axis=0).T)[near[1:]].sum()
            assert along < 30  # they may cross, and do not run along each other
            met += 1
    assert met == {"RNN": 1, "LSTM": 2, "GRU": 2}[kind]


@pytest.mark.parametrize("flow", [False, True])
@pytest.mark.parametrize(
    "make",
    [
        *(lambda kind=kind: recurrent(kind) for kind in ("RNN", "LSTM", "GRU")),
        lambda: recurrent("LSTM", num_layers=2),
        lambda: recurrent("GRU", bidirectional=True),
    ],
    ids=["RNN", "LSTM", "GRU", "two layers", "bidirectional"],
)
def test_the_loop_of_a_state_and_its_line_to_the_loss_are_two_lines_from_where_they_leave_it(make, flow):
    fig = rolled([make()])
    place = placed(fig, ROOMS["rolled"] if flow else None)
    cell = {v: box for box in place.boxes for v in box.nodes}
    leaving = [
        (e, points(curve))
        for e, curve in zip(fig.edges, place.curves, strict=True)
        if e.lag or (e.source in cell and cell[e.source] is not cell.get(e.target))
    ]
    pairs = 0
    for (loop, one), (on, other) in product(leaving, repeat=2):
        if loop.source == on.source and loop.lag and not on.lag:
            assert np.hypot(*(one[:, None] - other[None]).transpose(2, 0, 1)).min() > (WIDEST if flow else 6.0)
            pairs += 1
    assert pairs >= 1


def test_the_arrow_of_a_weight_and_that_of_a_loop_that_end_at_the_same_side_are_both_seen():
    fig = rolled([recurrent("GRU")])
    place = placed(fig)
    kind = {n.id: n.kind for n in fig.nodes}
    tips = {e: curve.tip for e, curve in zip(fig.edges, place.curves, strict=True)}
    heights = [
        abs(tips[weight][1] - tips[loop][1])
        for weight, loop in product(fig.edges, repeat=2)
        if kind[weight.source] == "parameter" and loop.lag and loop.target == weight.target
    ]
    assert heights
    assert min(heights) > 8  # as broad as the head of the arrow of a loop


def lstm_of_separate_weights():
    """Each gate reads [x, h] by a matrix of its own."""
    rng = np.random.default_rng(0)
    w = {k: tg.Tensor(rng.normal(0, 0.3, (3, 5)), True, f"W{k}") for k in "figo"}
    b = tg.Tensor(np.ones(3), True, "b")
    h, c = tg.Tensor(np.zeros(3), name="h0"), tg.Tensor(np.zeros(3), name="c0")
    for _, x in tg.steps(rng.normal(size=(4, 2))):
        z = tg.concatenate([tg.Tensor(x, name="x"), h])
        f, i = (w["f"] @ z + b).sigmoid().named("f"), (w["i"] @ z).sigmoid().named("i")
        g, o = (w["g"] @ z).tanh().named("g"), (w["o"] @ z).sigmoid().named("o")
        c = (f * c + i * g).named("c")
        h = (o * c.tanh()).named("h")
    return (h * h).sum().named("loss")


@pytest.mark.parametrize("flow", [False, True])
@pytest.mark.parametrize("view", VIEWS)
def test_the_lines_of_weights_that_feed_a_gate_each_are_apart_and_do_not_cross(view, flow):
    fig = VIEWS[view]([lstm_of_separate_weights()])
    place = placed(fig, ROOMS[view] if flow else None)
    kind = {n.id: n.kind for n in fig.nodes}
    rising = [
        points(curve)
        for e, curve in zip(fig.edges, place.curves, strict=True)
        if kind[e.source] == "parameter" and e.target in {v for box in place.boxes for v in box.nodes}
    ]
    assert len(rising) >= 4
    for one, other in combinations(rising, 2):
        assert np.hypot(*(one[:, None] - other[None]).transpose(2, 0, 1)).min() > 4


def hanging_below(place, source):
    return {v for v, (x, _) in place.at.items() if abs(x - place.at[source][0]) < 0.01}


def test_every_step_is_the_same_figure():
    fig = cells([recurrent("GRU", steps=5)])
    place = placed(fig)
    shapes = []
    for box in place.boxes:
        left, low, *_ = box.border
        shapes.append([(round(place.at[v][0] - left, 6), round(place.at[v][1] - low, 6)) for v in box.nodes])
    assert len(shapes) == 5
    assert all(shape == shapes[0] for shape in shapes)


def test_layers_stand_above_each_other_and_the_backward_direction_runs_from_right_to_left():
    fig = cells([recurrent("LSTM", num_layers=2)])
    place = placed(fig)
    low = {(box.scope, box.step): box.border[1] for box in place.boxes}
    assert all(low["layer1", t] > low["layer0", t] for t in range(4))
    fig = cells([recurrent("RNN", bidirectional=True)])
    place = placed(fig)
    nodes = {n.id: n for n in fig.nodes}
    for e, curve in zip(fig.edges, place.curves, strict=True):
        if e.crossing and nodes[e.source].scope == nodes[e.target].scope:
            is_back = nodes[e.source].scope.endswith("reverse")
            assert (curve.tip[0] < curve.points[0][0]) == is_back


def test_the_graph_of_a_sweep_runs_from_right_to_left():
    x, h = tg.Tensor([[1.0, 2.0]], True, "x"), tg.Tensor([[0.0, 0.0]])
    w = tg.Tensor([[0.5, -0.2], [0.1, 0.3]], True, "w")
    for _, x_t in tg.steps([x, x, x]):
        h = (h @ w + x_t).tanh().named("h")
    fig = cells([tg.grad(h.sum(), x, create_graph=True)])
    place = placed(fig)
    nodes = {n.id: n for n in fig.nodes}
    back = [
        (curve.points[0][0], curve.tip[0])
        for e, curve in zip(fig.edges, place.curves, strict=True)
        if e.crossing and nodes[e.source].scope == nodes[e.target].scope == "backward"
    ]
    assert back
    assert all(end < start for start, end in back)


def test_a_deep_net_is_one_box_for_each_layer_from_left_to_right_in_a_straight_line():
    fig = cells([deep(layers=6)])
    place = placed(fig)
    assert [box.scope for box in sorted(place.boxes, key=lambda b: b.border[0])] == [f"layer{k}" for k in range(6)]
    names = {n.id: n.name for n in fig.nodes}
    assert len({round(y, 6) for v, (_, y) in place.at.items() if names[v] in ("h", "loss")}) == 1
    for box in place.boxes:
        for v in box.nodes:
            (x, _), (wide, _) = place.at[v], place.sizes[v]
            assert box.border[0] + 10 <= x - wide / 2
            assert x + wide / 2 <= box.border[2] - 10


def test_a_cell_of_ones_own_is_one_box_for_each_step_with_its_state_in_a_straight_line():
    for named in (True, False):
        fig = cells([own_cell(named=named)])
        place = placed(fig)
        assert [box.step for box in place.boxes] == [0, 1, 2, 3]
        for e, curve in zip(fig.edges, place.curves, strict=True):
            mark = next(n for n in fig.nodes if n.id == e.target)
            if e.crossing and mark.operation == "multiply":
                assert len({round(y, 6) for _, y in curve.points}) == 1


def test_lags_in_the_rolled_view_are_differences_of_steps_and_states_go_round():
    fig = rolled([samples.encoder_decoder(steps=4)])
    assert Counter(e.lag for e in fig.edges if e.crossing).keys() == {1, 2}
    assert all((e.lag != 0) == e.crossing for e in fig.edges)
    fig = rolled([recurrent("LSTM")])
    loops = {next(n.name for n in fig.nodes if n.id == e.source): e.lag for e in fig.edges if e.crossing}
    assert loops == {"c": 1, "h": 1}
    assert all(e.lag == -1 for e in rolled([samples.bidirectional()]).edges if e.crossing and len(e.uses) and e.lag < 0)


def test_values_in_the_rolled_view_are_those_over_all_steps():
    loss = recurrent("LSTM", steps=6)
    values = np.stack([t.value for t in _ancestors(loss) if t.name == "c"])
    (c,) = [n for n in rolled([loss]).nodes if n.name == "c"]
    assert c.steps == 6
    assert (c.value.low, c.value.high) == (values.min(), values.max())
    assert c.value.mean == pytest.approx(values.mean(), rel=1e-14)
    mixed = over_time([np.array([1.0, np.nan]), np.array([3.0]), np.array([])])
    assert (mixed.low, mixed.high, mixed.mean, mixed.nans) == (1.0, 3.0, 2.0, 1)


def _ancestors(loss):
    found, to_visit = {}, [loss]
    while to_visit:
        t = to_visit.pop()
        if t.index not in found:
            found[t.index] = t
            to_visit += t.inputs
    return found.values()


def test_the_rolled_view_of_many_steps_is_as_large_as_that_of_few():
    few, many = rolled([samples.lstm(steps=3)]), rolled([samples.lstm(steps=60)])
    assert (len(few.nodes), len(few.edges)) == (len(many.nodes), len(many.edges))


def test_steps_of_a_rolled_view_are_refused():
    with pytest.raises(ValueError, match="'cells'"):
        draw(samples.rnn(), "rolled", steps=(0, 2))
    with pytest.raises(ValueError, match="'rolled'"):
        draw(samples.rnn(), "folded")


def test_a_folded_chain_of_100_000_operations_says_so():
    x = tg.Tensor(1.0, True, "x")
    for _ in range(100_000):
        x = x + 1.0
    begin = time.process_time()
    drawing = draw(x.named("y"), "cells")
    assert time.process_time() - begin < 5
    assert len(drawing.figure.nodes) == 2
    for text in (drawing.dot, drawing.alt_text):
        assert "100,000 operations drawn as 1 node." in text


def test_200_steps_of_an_lstm_are_drawn_in_time_with_flow():
    net = nn.LSTM(2, 3, rng=0)
    loss = (net(tg.Tensor(np.random.default_rng(1).normal(size=(200, 1, 2))))[0] ** 2.0).sum().named("loss")
    begin = time.process_time()
    drawing = draw(loss, "cells", steps=(0, 200), flow_to=net.weight_hh_l0)
    assert time.process_time() - begin < 2
    assert len({n.step for n in drawing.figure.nodes if n.step is not None}) == 200
