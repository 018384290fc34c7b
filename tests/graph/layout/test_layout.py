"""Where things stand: nothing overlaps, time runs to the right, computation upwards, steps look alike."""

import itertools
import re
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tests.graph import samples
from tests.graph.layout import nets
from tinygrad_rnn import nn
from tinygrad_rnn.graph.layout.captions import spots
from tinygrad_rnn.graph.layout.columns import columns
from tinygrad_rnn.graph.layout.curves import right_angled
from tinygrad_rnn.graph.layout.falls import Fall
from tinygrad_rnn.graph.layout.placement import place
from tinygrad_rnn.graph.layout.rows import apart, layout
from tinygrad_rnn.graph.looks.style import Style, kind_of, lines, size
from tinygrad_rnn.graph.views.figure import ancestors, figure

RANDOM = [*range(60), *(pytest.param(k, marks=pytest.mark.full) for k in range(60, 600))]


def outputs_of(name):
    if isinstance(name, int):
        return samples.random_program(name)
    return nets.ALL[name]() if name in nets.ALL else [samples.ALL[name]()]


def placed(name, **window):
    return laid_out(outputs_of(name), **window)


def laid_out(outputs, **window):
    fig = figure(outputs, **window)
    style = Style()
    return fig, place(fig, columns(fig), lambda n: size(lines(n), style.looks[kind_of(n)]))


@pytest.fixture(scope="module", params=[*samples.ALL, *nets.ALL, *RANDOM])
def drawn(request):
    return placed(request.param)


def border(p, v):
    (x, y), (w, h) = p.at[v], p.sizes[v]
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def overlap(a, b):
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def all_boxes(boxes):
    return [b for box in boxes for b in (box, *all_boxes(box.inner))]


def members(box):
    return {*box.nodes, *(v for inner in box.inner for v in members(inner))}


def test_every_node_is_placed_once_and_no_two_overlap(drawn):
    fig, p = drawn
    assert set(p.at) == {n.id for n in fig.nodes}
    in_boxes = [v for box in p.boxes for v in members(box)]
    assert sorted([*in_boxes, *p.loose]) == sorted(p.at)
    for a, b in itertools.combinations(p.at, 2):
        assert not overlap(border(p, a), border(p, b)), (a, b)


def test_boxes_are_around_their_nodes_and_around_no_others(drawn):
    _, p = drawn
    for box in all_boxes(p.boxes):
        inside = members(box)
        for v in p.at:
            left, low, right, high = border(p, v)
            if v in inside:
                assert box.border[0] <= left
                assert box.border[1] <= low
                assert right <= box.border[2]
                assert high <= box.border[3]
            else:
                assert not overlap(border(p, v), box.border), (v, box.scope)
    for a, b in itertools.combinations(p.boxes, 2):
        assert not overlap(a.border, b.border)


def test_time_runs_from_left_to_right(drawn):
    fig, p = drawn
    steps = [n for n in fig.nodes if n.step is not None and n.kind == "operation"]
    for a, b in itertools.combinations(steps, 2):
        if a.step < b.step:
            assert p.at[a.id][0] < p.at[b.id][0]


def test_inside_a_step_computation_runs_upwards_or_along_a_row_or_down_to_a_state(drawn):
    fig, p = drawn
    nodes = {n.id: n for n in fig.nodes}
    states = {(nodes[e.source].name, nodes[e.source].operation) for e in fig.edges if e.crossing}
    inside = [e for e in fig.edges if nodes[e.source].step == nodes[e.target].step is not None]
    down = [e for e in inside if e.source not in p.loose and p.at[e.source][1] > p.at[e.target][1]]
    below = {e.source: e.target for e in down if p.at[e.source][0] == p.at[e.target][0]}
    for e in down:
        end = e.target
        while end in below:
            end = below[end]
        assert (nodes[end].name, nodes[end].operation) in states
        assert end in fallen_beside(fig, p, nodes[end].step)


def fallen_beside(fig, p, step):
    """What no other operation of the step stands beside, on one of its sides, in the same row."""
    inside = [(*border(p, n.id), n.id) for n in fig.nodes if n.step == step and n.id not in p.loose]
    found = set()
    for left, low, right, high, v in inside:
        beside = [b for b in inside if b[4] != v and b[1] < high and low < b[3]]
        if all(b[2] < left for b in beside) or all(b[0] > right for b in beside):
            found.add(v)
    return found


def test_curves_begin_and_end_at_their_nodes_and_do_not_pass_through_others(drawn):
    fig, p = drawn
    for e, curve in zip(fig.edges, p.curves, strict=True):
        assert len(curve.points) % 3 == 1
        for v, point in ((e.source, curve.points[0]), (e.target, curve.tip)):
            left, low, right, high = border(p, v)
            assert left - 1 <= point[0] <= right + 1
            assert low - 1 <= point[1] <= high + 1
        along = points(curve)
        for v in set(p.at) - {e.source, e.target}:
            left, low, right, high = border(p, v)
            inside = (along > (left + 1, low + 1)).all(axis=1) & (along < (right - 1, high - 1)).all(axis=1)
            assert not inside.any(), (e, v)


def points(curve):
    """On the curve, not more than 2 apart, from its beginning to the tip of its arrow."""
    found = []
    for k in range(0, len(curve.points) - 1, 3):
        a, b, c, d = np.array(curve.points[k : k + 4])
        longest = sum(np.hypot(*side) for side in (b - a, c - b, d - c))
        t = np.linspace(0, 1, 2 + int(longest), endpoint=False)[:, None]
        found.append((1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d)
    return np.concatenate([*found, np.linspace(curve.points[-1], curve.tip, 5)])


@pytest.mark.parametrize("name", [*samples.ALL, *nets.ALL])
def test_two_uses_of_a_tensor_by_one_operation_are_two_arrows(name):
    _, p = placed(name)
    assert len({curve.points for curve in p.curves}) == len(p.curves)


def running_together(fig, p):
    """Pairs of edges from different nodes, and over what length their arrows are the same line."""
    by_place = {}
    for k, curve in enumerate(p.curves):
        for here in {(round(x / 2), round(y / 2)) for x, y in points(curve)}:
            by_place.setdefault(here, []).append(fig.edges[k])
    shared = {}
    for edges in by_place.values():
        for a, b in itertools.combinations(edges, 2):
            if a.source != b.source:
                shared[a, b] = shared.get((a, b), 0) + 2
    return {pair: long for pair, long in shared.items() if long > 24}


@pytest.mark.parametrize("name", nets.ALL)
def test_no_arrow_runs_on_another_unless_they_lead_from_or_to_the_same_node(name):
    fig, p = placed(name)
    assert [pair for pair in running_together(fig, p) if pair[0].target != pair[1].target] == []


@pytest.mark.parametrize("name", ["twins", "skipping", "bidirectional lstm"])
def test_states_that_come_up_to_the_same_node_do_so_apart(name):
    fig, p = placed(name)
    nodes = {n.id: n for n in fig.nodes}
    assert [a for a, _ in running_together(fig, p) if nodes[a.target].step is not None] == []


@pytest.mark.parametrize("name", nets.ALL)
def test_an_arrow_to_the_next_step_makes_no_detour(name):
    fig, p = placed(name)
    nodes = {n.id: n for n in fig.nodes}
    for e, curve in zip(fig.edges, p.curves, strict=True):
        if e.crossing and None not in (nodes[e.source].step, nodes[e.target].step):
            if abs(nodes[e.source].step - nodes[e.target].step) > 1:
                continue
            along = points(curve)
            direct = np.abs(np.subtract(p.at[e.source], p.at[e.target])).sum()
            assert np.abs(np.diff(along, axis=0)).sum() < direct + 60, e


@pytest.mark.parametrize(
    "name",
    [
        *("rnn", "lstm", "two_layers", "gru", "loss_at_every_step", "bidirectional", "windowed"),
        *(name for name in nets.LSTMS | nets.OTHERS if name != "lstm encoder and decoder"),
    ],
)
def test_every_step_is_the_same_figure(name):
    fig, p = placed(name)
    by_step = {}
    for n in fig.nodes:
        if n.step is not None and n.kind == "operation" and not n.again:
            by_step.setdefault(n.step, []).append(p.at[n.id])
    first, *others = (np.array(points) for _, points in sorted(by_step.items()))
    for other in others:
        np.testing.assert_allclose(first - first[0], other - other[0], atol=1e-9)


def test_the_cell_state_goes_straight_on_from_an_encoder_to_a_decoder():
    fig, p = placed("translator")
    nodes = {n.id: n for n in fig.nodes}
    c = [
        curve
        for e, curve in zip(fig.edges, p.curves, strict=True)
        if e.crossing and nodes[e.source].name == "c" and {y for _, y in curve.points} == {curve.tip[1]}
    ]
    assert len(c) == len(fig.steps) - 1
    inside = {v for box in p.boxes if box.scope == "encoder" for v in box.nodes}
    assert {n.id for n in fig.nodes if n.name == "x"} <= inside  # and no input stands between the steps


def test_the_cell_state_goes_straight_into_a_last_step_with_its_loss():
    w = samples.weights(W_ih=(12, 2), W_hh=(12, 3), b_ih=(12,), b_hh=(12,))
    h = c = tg.Tensor(np.zeros((1, 3)))
    for t, x in tg.steps(samples.inputs(3)):
        a = tg.linear(x, w["W_ih"], w["b_ih"]) + tg.linear(h, w["W_hh"], w["b_hh"])
        i, f, g, o = tg.split(a, 4, axis=-1)
        c = (f.sigmoid() * c + i.sigmoid() * g.tanh()).named("c")
        h = (o.sigmoid() * c.tanh()).named("h")
        loss = (h * h).sum().named("loss") if t == 2 else None
    fig, p = laid_out([loss])
    assert len({p.at[n.id][1] for n in fig.nodes if n.name == "c"}) == 1


@pytest.mark.parametrize(("name", "state"), [("lstm", "c"), ("rnn", "h"), ("gru", "h")])
def test_the_state_is_a_straight_line_through_all_steps(name, state):
    fig, p = placed(name)
    nodes = {n.id: n for n in fig.nodes}
    heights = {p.at[n.id][1] for n in fig.nodes if n.name == state}
    assert len(heights) == 1
    straight = [
        curve
        for e, curve in zip(fig.edges, p.curves, strict=True)
        if e.crossing and nodes[e.source].name == state and len({y for _, y in (*curve.points, curve.tip)}) == 1
    ]
    assert len(straight) == len(fig.steps) - 1


@pytest.mark.parametrize("name", [*nets.LSTMS, "lstm", "two_layers", "windowed", "translator", "joined"])
def test_in_an_lstm_c_runs_straight_along_the_top_and_h_along_the_bottom(name):
    fig, p = placed(name)
    nodes = {n.id: n for n in fig.nodes}
    crossing = [
        (e, curve)
        for e, curve in zip(fig.edges, p.curves, strict=True)
        if e.crossing and nodes[e.source].name in ("c", "h") and nodes[e.target].gap is None
    ]
    taken_in = {e.target for e, _ in crossing if nodes[e.source].name == "h"}
    straight = [(nodes[e.source].name, e.source) for e, q in crossing if {y for _, y in q.points} == {q.tip[1]}]
    for v in {e.source for e, _ in crossing}:
        assert straight.count((nodes[v].name, v)) == 1, v
    for h in (n for n in fig.nodes if n.name == "h" and n.operation and not n.again):
        ((c, top),) = [
            (n.id, p.at[n.id][1])
            for n in fig.nodes
            if (n.name, n.step, n.scope) == ("c", h.step, h.scope) and n.operation
        ]
        bottom = p.at[h.id][1]
        assert bottom in {p.at[v][1] for v in taken_in if nodes[v].scope == h.scope}
        inside = [n for n in fig.nodes if n.step == h.step and f"{n.scope}/".startswith(f"{h.scope}/".lstrip("/"))]
        gates = [n.id for n in inside if n.name in ("f", "i", "g")]
        assert len(gates) >= 2
        assert all(bottom < p.at[v][1] < top for v in gates)
        assert p.at[c][0] != p.at[h.id][0]


@pytest.mark.parametrize("name", nets.LSTMS)
def test_the_numbers_of_a_flow_stand_on_nothing_else(name):
    outputs = outputs_of(name)
    source = next(t for t in ancestors(outputs) if t.requires_grad and t.primitive is None)
    text = tg.draw(outputs, flow_to=source).dot
    box = r'^\s*"?(\w+)"? \[label=.*height=([\d.]+).* pos="([-\d.]+),([-\d.]+)".* width=([\d.]+)'
    borders = {
        v: (float(x) - 36 * float(w), float(y) - 36 * float(h), float(x) + 36 * float(w), float(y) + 36 * float(h))
        for v, h, x, y, w in re.findall(box, text, re.MULTILINE)
    }
    numbers = [v for v in borders if v.startswith("caption")]
    assert len(numbers) > 50
    for v in numbers:
        left, low, right, high = borders[v]
        others = [w for w in borders if w != v and overlap((left + 1, low + 1, right - 1, high - 1), borders[w])]
        assert not others, (v, others)


def test_the_hidden_state_falls_on_the_side_that_time_runs_to():
    p = samples.weights(W=(8, 2), U=(8, 2))
    xs = samples.inputs(3)
    found = []
    for reverse in (False, True):
        h = c = tg.Tensor(np.zeros((1, 2)))
        for _, x in tg.steps(xs, reverse=reverse):
            i, f, g, o = tg.split(tg.linear(x, p["W"]) + tg.linear(h, p["U"]), 4, axis=-1)
            c = (f.sigmoid() * c + i.sigmoid() * g.tanh()).named("c")
            h = (o.sigmoid() * c.tanh()).named("h")
        fig, drawn = laid_out([(h * h).sum()])
        at = {(n.name, n.step): drawn.at[n.id] for n in fig.nodes if n.name in ("c", "h")}
        for t in range(3):
            assert (at["h", t][0] > at["c", t][0]) == (not reverse)
            assert at["h", t][1] < at["c", t][1]
        found.append({k: y for k, (_, y) in at.items()})
    assert found[0] == found[1]


def test_a_first_step_with_its_own_loss_is_drawn_like_those_after_it():
    p = samples.weights(W=(8, 2), U=(8, 2))
    h = c = tg.Tensor(np.zeros((1, 2)))
    total = None
    for _, x in tg.steps(samples.inputs(3)):
        i, f, g, o = tg.split(tg.linear(x, p["W"]) + tg.linear(h, p["U"]), 4, axis=-1)
        c = (f.sigmoid() * c + i.sigmoid() * g.tanh()).named("c")
        h = (o.sigmoid() * c.tanh()).named("h")
        loss = (h * h).sum()
        total = loss if total is None else total + loss
    fig, drawn = laid_out([total])
    for name in ("c", "h"):
        places = [drawn.at[n.id] for n in fig.nodes if n.name == name]
        assert len(places) == 3
        assert len({y for _, y in places}) == 1


def test_no_fall_where_there_are_too_few_rows_for_it():
    sizes = dict.fromkeys("abcdef", (10.0, 10.0))
    for chain, falls in ((("c",), True), (("c", "d"), False)):
        nodes = ["a", "b", *chain]
        drawn = layout([nodes], sizes, list(itertools.pairwise(nodes)), falls=[Fall("b", chain, "a", 1)])
        assert (drawn.y[chain[-1]] < drawn.y["b"]) == falls


def test_no_fall_from_what_fell():
    sizes = dict.fromkeys("abcdehk", (10.0, 10.0))
    nodes = ["a", "b", "c", "h", "d", "e", "k"]
    links = [*itertools.pairwise("abc"), ("c", "h"), *itertools.pairwise("cde"), ("e", "k")]
    falls = [Fall("c", ("h",), "a", 1), Fall("e", ("k",), "d", 1)]
    assert layout([nodes], sizes, links, falls=falls).fallen.side == {"h": 1, "k": 1}
    assert layout([nodes], sizes, [*links, ("h", "k")], falls=falls).fallen.side == {}


def test_a_lane_from_above_passes_beside_all_rows_on_its_way():
    sizes = {**dict.fromkeys("abchou", (10.0, 10.0)), "wide": (200.0, 10.0)}
    links = [*itertools.pairwise("abc"), ("c", "h"), ("c", "wide"), ("wide", "u"), ("c", "u"), ("u", "o"), ("o", "h")]
    drawn = layout([["a", "b", "c", "wide", "u", "o", "h"]], sizes, links, falls=[Fall("c", ("h",), "a", 1)])
    assert drawn.row["c"] < drawn.row["wide"] < drawn.row["o"]
    assert drawn.fallen.lane["o", "h"] > drawn.x["wide"] + 100


def test_what_stands_beside_a_fall_leads_to_it_straight_from_its_side():
    W = tg.Tensor(np.eye(4), True)
    h = c = nets.zeros()
    for _, x in tg.steps(nets.inputs(3, size=4)):
        f = (W @ h + x).sigmoid()
        c = (f * c + f).named("c")
        h = (0.5 * np.tanh(c)).named("h")
    fig, p = laid_out([(h * h).sum()])
    nodes = {n.id: n for n in fig.nodes}
    halves = [
        q
        for e, q in zip(fig.edges, p.curves, strict=True)
        if nodes[e.target].name == "h" and not nodes[e.source].operation
    ]
    assert len(halves) == 3
    assert all({y for _, y in q.points} == {q.tip[1]} for q in halves)


@pytest.mark.parametrize("name", nets.ALL)
def test_no_wire_that_arrives_alone_steps_up_or_down_by_a_little(name):
    fig, p = placed(name)
    alone = [e.target for e in fig.edges if e.crossing]
    for e, q in zip(fig.edges, p.curves, strict=True):
        step = abs(q.points[0][1] - q.tip[1])
        assert not e.crossing or alone.count(e.target) > 1 or step == 0 or step >= 6


def test_a_number_on_a_branch_stands_clear_of_the_broad_line_it_comes_from():
    line, branch = right_angled([(0, 0), (200, 0)]), right_angled([(0, 0), (100, 0), (100, -80)])
    _, at = spots([line, branch], [None, (60.0, 18.0)], [])
    assert at[0] == pytest.approx(100)
    assert -60 < at[1] <= -9 - 4


def test_a_number_stands_where_its_line_is_not_that_of_another_number_too():
    one = right_angled([(0, 0), (400, 0), (400, -30), (520, -30)])
    other = right_angled([(0, 0), (400, 0), (400, 60), (520, 60)])
    grey = right_angled([(300, -20), (520, -20)])  # it has no number, and is covered sooner
    (x, y), *_ = spots([one, other, grey], [(60.0, 18.0), (60.0, 18.0), None], [])
    assert x >= 400
    assert y < 0


def test_a_constant_that_only_a_fall_uses_stands_beside_its_use():
    sizes = dict.fromkeys("abcdkt", (10.0, 10.0))
    links = [("a", "b"), ("b", "c"), ("c", "t"), ("t", "d"), ("k", "d")]
    drawn = layout([["a", "b", "c", "t", "k", "d"]], sizes, links, falls=[Fall("c", ("t", "d"), "a", 1)])
    assert drawn.row["k"] == drawn.row["d"] == drawn.row["a"]
    assert drawn.x["a"] < drawn.x["k"] < drawn.fallen.lane["k", "d"] < drawn.x["d"] == drawn.x["t"]


def test_the_gap_stands_between_the_steps_it_leaves_out():
    fig, p = placed("windowed")
    gap = next(n for n in fig.nodes if n.gap is not None)
    x = p.at[gap.id][0]
    assert all((p.at[n.id][0] < x) == (n.step < gap.gap.first) for n in fig.nodes if n.step is not None)


def test_random_programs_in_a_window_are_placed_without_overlap():
    for seed in range(80):
        steps = {t.place.step for t in ancestors(samples.random_program(seed)) if t.primitive is not None} - {None}
        for first in steps:
            fig, p = placed(seed, steps=(first, first + 1))
            assert set(p.at) == {n.id for n in fig.nodes}
            for a, b in itertools.combinations(p.at, 2):
                assert not overlap(border(p, a), border(p, b)), (seed, a, b)


def test_one_step_of_a_thousand_operations_has_a_gap_inside_the_step():
    x = tg.Tensor([1.0], True)
    with tg.step(3):
        for _ in range(1000):
            x = x.tanh() * 1.5
    drawing = tg.draw(x)
    (gap,) = [n for n in drawing.figure.nodes if n.gap is not None]
    assert (gap.step, gap.gap.whole) == (3, False)
    assert f"… {gap.gap.operations:,} operations …" in drawing.dot
    assert "all those of" not in drawing.alt_text


@given(
    st.lists(
        st.tuples(st.floats(-100, 100), st.floats(0.1, 10), st.floats(0, 20)),
        min_size=1,
        max_size=6,
    )
)
def test_apart_keeps_order_and_distances_and_is_optimal(items):
    wanted, weights, gaps = (list(column) for column in zip(*items, strict=True))
    gaps = gaps[:-1]
    found = apart(wanted, weights, gaps)
    for a, b, gap in zip(found, found[1:], gaps, strict=False):
        assert b - a >= gap - 1e-9

    def cost(xs):
        return sum(w * (x - want) ** 2 for x, want, w in zip(xs, wanted, weights, strict=True))

    for k, step in itertools.product(range(len(found)), (-0.01, 0.01)):  # no small move of one, or of a tail, is better
        for moved in ([*found[:k], found[k] + step, *found[k + 1 :]], [*found[:k], *(x + step for x in found[k:])]):
            if all(b - a >= gap for a, b, gap in zip(moved, moved[1:], gaps, strict=False)):
                assert cost(moved) >= cost(found) - 1e-9


def test_a_deep_net_without_steps_runs_on_in_columns_from_left_to_right():
    fig, p = placed("deep")
    chain = [n.id for n in fig.nodes if n.operation]
    x, y = np.array([p.at[v] for v in chain]).T
    turns = [k for k in range(1, len(chain)) if y[k] < y[k - 1]]
    assert len(chain) == 22
    assert turns == [8, 16]
    assert all(x[k:].min() > x[:k].max() for k in turns)
    for n in fig.nodes:  # each parameter stands below its use, in the same column
        if n.kind == "parameter":
            (use,) = [e.target for e in fig.edges if e.source == n.id]
            assert p.at[n.id][1] < p.at[use][1]
            assert abs(p.at[n.id][0] - p.at[use][0]) < 150


def test_what_is_made_outside_of_the_states_of_all_steps_stands_in_no_ones_way():
    """Before the decoder that reads it, not between the steps of the encoder."""
    fig, p = placed("encoder_decoder")
    outside = [p.at[n.id][0] for n in fig.nodes if n.operation in ("reshape", "stack") and not n.again]
    step = {n.step: p.at[n.id][0] for n in fig.nodes if n.name == "h"}
    assert len(outside) == 4
    assert all(step[2] < x < step[3] for x in outside)


@pytest.mark.parametrize(
    ("name", "beside"), [("leaky", {"constant"}), ("begun without a state", set()), ("rnn, backward", {"constant"})]
)
def test_only_what_comes_in_for_a_state_stands_beside_a_first_step_that_is_like_no_other(name, beside):
    fig, p = placed(name)
    (first,) = [box for box in p.boxes if box.step == 0]
    assert {n.kind for n in fig.nodes if p.at[n.id][0] < first.border[0]} == beside
    made = [n.id for n in fig.nodes if n.name == "h" and n.operation and not n.again]
    assert len(made) == len(fig.steps)
    like_others = 2 if name == "begun without a state" else 0  # there step 1 goes up to where step 0 leads into it
    assert np.ptp([p.at[v][1] for v in made[like_others:]]) == 0


def test_two_hundred_steps_are_placed_in_seconds_and_the_time_grows_with_the_steps():
    def seconds(steps):
        outputs = nets.cell(nn.LSTMCell, steps)
        start = time.process_time()
        drawing = tg.draw(outputs, steps=(0, steps))
        assert drawing.dot
        return time.process_time() - start

    seconds(10)
    few, many = seconds(50), seconds(200)
    assert many < 10
    assert many < 10 * few


def test_lines_that_need_each_other_are_given_up_rather_than_the_picture():
    sizes = dict.fromkeys("abcd", (10.0, 10.0))
    links = [("a", "b"), ("c", "d"), ("a", "d"), ("c", "b")]
    drawn = layout([["a", "c", "b", "d"]], sizes, links, [["a", "b"], ["c", "d"]])
    assert drawn.row["a"] < drawn.row["d"]
    assert drawn.row["c"] < drawn.row["b"]
