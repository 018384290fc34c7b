"""Flow on pictures: what comes into a drawn node goes out of it, in every view and window, and across every cut."""

import itertools
import math
import re
import time
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.graph import samples
from tinygrad_rnn import nn
from tinygrad_rnn.graph import VIEWS, draw
from tinygrad_rnn.graph.layout.columns import columns
from tinygrad_rnn.graph.looks.flow_look import WIDEST, current_text, share_text, stroke
from tinygrad_rnn.graph.looks.overlay import FADED
from tinygrad_rnn.graph.looks.style import LOOKS, kind_of
from tinygrad_rnn.graph.text.labels import visible
from tinygrad_rnn.graph.views.figure import ancestors
from tinygrad_rnn.graph.views.flow import SINK, Current, currents, imbalance

UNROLLED = [view for view in VIEWS if view != "rolled"]


def leaves(loss):
    return {t.name or f"leaf{t.index}": t for t in ancestors([loss]) if t.primitive is None and t.tracked}


def drawn(view, losses, source, steps=None, route=None):
    flow = tg.trace_gradient(losses, to=source).flow(route)
    return currents(VIEWS[view](losses, steps), flow, ancestors(losses))


def questions(make):
    """Every leaf of a program, and a result in the middle of it."""
    loss = make()
    yield from ((loss, source) for source in leaves(loss).values())
    inside = [t for t in ancestors([loss]) if t.primitive is not None and t.tracked]
    yield loss, inside[len(inside) // 2]


def is_conserved(found):
    largest = max((abs(c.net) for c in found.edges if c is not None), default=1.0)
    assert max(map(abs, imbalance(found).values()), default=0.0) < 1e-12 * max(1.0, largest)


def lstm(steps=5, hidden=4):
    rng = np.random.default_rng(0)
    cell = nn.LSTMCell(3, hidden, rng=0)
    xs = [tg.Tensor(x, requires_grad=True) for x in rng.normal(size=(steps, 3))]
    h, c = tg.Tensor(np.zeros(hidden)), tg.Tensor(np.zeros(hidden))
    for _, x in tg.steps(xs):
        h, c = cell(x, (h, c))
    return cell, xs, (h * h).sum().named("loss")


# Conserved in the data ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", [name for name in samples.ALL if name != "untidy"])
def test_what_flows_into_a_drawn_node_flows_out_of_it(name, view):
    for loss, source in questions(samples.ALL[name]):
        found = drawn(view, [loss], source)
        is_conserved(found)
        if found.flow.norm > 0:
            assert abs(math.fsum(found.ends.values()) - 1) < 1e-12
            assert view != "ops" or any(c is not None for c in found.edges)


@pytest.mark.parametrize("view", UNROLLED)
@pytest.mark.parametrize("window", [(0, 1), (2, 4), (5, 9), (9, 10)])
def test_flow_is_conserved_around_gaps(window, view):
    for name in ("lstm", "loss_at_every_step", "bidirectional"):
        for loss, source in questions(lambda name=name: getattr(samples, name)(steps=10)):
            is_conserved(drawn(view, [loss], source, window))


@pytest.mark.parametrize(
    ("view", "window"), [*((view, None) for view in VIEWS), *((view, (3, 5)) for view in UNROLLED)]
)
def test_several_losses_end_in_one_sink_also_where_one_of_them_reaches_another(view, window):
    cell, _, loss = lstm(steps=8)
    states = [t for t in ancestors([loss]) if t.name == "h"]
    losses = [(h * h).sum() for h in states[::3]]
    losses.append((losses[0] * losses[-1]).tanh())
    found = drawn(view, losses, cell.weight_hh, window)
    is_conserved(found)
    assert found.ends.keys() == {SINK}
    assert abs(found.ends[SINK] - 1) < 1e-12
    into = [c for e, c in zip(found.figure.edges, found.edges, strict=True) if e.target == SINK]
    assert abs(math.fsum(c.net for c in into) - 1) < 1e-12
    shares = tg.trace_gradient(losses, to=cell.weight_hh).ledger().shares.sum(axis=1)
    of_loss = dict(zip((loss.index for loss in losses), shares, strict=True))
    for e, c in zip(found.figure.edges, found.edges, strict=True):
        if e.target == SINK:
            assert abs(c.net - math.fsum(of_loss[index] for index, _ in e.uses)) < 1e-12


@pytest.mark.parametrize("view", VIEWS)
def test_the_flow_of_a_route_is_conserved_and_its_total_ends_at_the_loss(view):
    _, xs, loss = lstm()
    for route in (tg.across("c*"), tg.through("f"), ~tg.across("c*")):
        for steps in (None, (1, 3)) if view in UNROLLED else (None,):
            found = drawn(view, [loss], xs[0], steps, route)
            is_conserved(found)
            part = tg.trace_gradient(loss, to=xs[0]).on(route).share
            assert abs(math.fsum(found.ends.values()) - part) < 1e-12


@pytest.mark.parametrize("view", UNROLLED)
@pytest.mark.parametrize("steps", [None, (2, 5)])
def test_what_the_arrows_carry_across_a_cut_is_what_is_printed_below_it(view, steps):
    cell, _, loss = lstm(steps=12)
    found = drawn(view, [loss], cell.weight_hh, steps)
    cut = columns(found.figure)
    column_of = {v: k for k, c in enumerate(cut) for v in (*c.loose, *(v for run in c.runs for v in run.nodes))}
    gaps = {n.id: n.gap for n in found.figure.nodes}
    checked = 0
    for b in found.flow.boundaries:
        for k, column in enumerate(cut):
            last = gaps[column.gap].last if column.gap else column.step
            if last == b.after:
                across = [
                    c.net
                    for e, c in zip(found.figure.edges, found.edges, strict=True)
                    if c is not None and column_of[e.source] <= k < column_of[e.target]
                ]
                assert abs(math.fsum(across) - b.net) < 1e-12
                checked += 1
    assert checked >= 4


def test_each_drawing_of_a_weight_has_the_share_that_its_use_contributes():
    cell, _, loss = lstm()
    found = drawn("ops", [loss], cell.weight_hh)
    step = {n.id: n.step for n in found.figure.nodes if n.index == cell.weight_hh.index}
    shares = {step[e.source]: c.net for e, c in zip(found.figure.edges, found.edges, strict=True) if e.source in step}
    expected = tg.trace_gradient(loss, to=cell.weight_hh).ledger().shares.sum(axis=0)
    assert np.max(np.abs(np.array([shares[t] for t in range(5)]) - expected)) < 1e-12


# As it is drawn -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (1.0, "+100%"),
        (-0.5749, "−57%"),
        (12.345, "+1,234%"),
        (0.0449, "+4.5%"),
        (0.0996, "+10%"),
        (-0.0994, "−9.9%"),
        (0.01, "+1.0%"),
        (0.00999, "–"),
        (-1e-300, "–"),
        (0.0, "0"),
    ],
)
def test_a_share_is_printed_with_its_sign_and_zero_only_where_it_is_zero(share, text):
    assert share_text(share) == text


@pytest.mark.parametrize("view", ["cells", "rolled"])
def test_of_parameters_drawn_as_one_only_the_source_is_bold(view):
    net = nn.LSTM(2, 3, rng=0)
    loss = (net(tg.Tensor(np.ones((3, 1, 2))))[0] ** 2.0).sum()
    drawing = draw(loss, view, flow_to=net.weight_hh_l0)
    names = re.findall(r'<FONT POINT-SIZE="\d+"( COLOR="#767676")?>(<B>)?((?:weight|bias)_[a-z0-9_]+)', drawing.dot)
    assert {name for _, _, name in names} == {"weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"}
    for grey, bold, name in names:
        assert bool(bold) == (name == "weight_hh_l0") == (not grey)


def test_the_source_is_named_where_many_parameters_are_drawn_as_one():
    weights, h = [tg.Tensor([[0.5 + k]], True, f"w{k}") for k in range(7)], tg.Tensor([[0.1]])
    for _, x in tg.steps([0.2, 0.3]):
        for w in weights:
            h = h @ w
        h = (h + x).tanh().named("h")
    drawing = draw(h.sum(), "cells", flow_to=weights[6])
    drawn_as_one = [n.id for n in drawing.figure.nodes if n.kind == "parameter"]
    for v in drawn_as_one:
        (line,) = [line for line in drawing.dot.splitlines() if line.strip().startswith(f"{v} [")]
        assert re.findall(r"<B>(\w+)</B>", line) == ["w6"]
        assert "and 4 more" in line
    assert len(drawn_as_one) == 2


def test_the_legend_lists_what_is_in_colour_and_explains_no_words_that_are_not_there():
    net = nn.LSTM(2, 3, rng=0)
    loss = (net(tg.Tensor(np.ones((3, 1, 2)), True, "xs"))[0] ** 2.0).sum()
    for view in ("cells", "rolled"):
        plain, drawing = draw(loss, view), draw(loss, view, flow_to=net.weight_hh_l0)
        carries = {
            v
            for e, c in zip(drawing.figure.edges, drawing.currents.edges, strict=True)
            if c is not None
            for v in (e.source, e.target)
        }
        coloured = {kind_of(n) for n in drawing.figure.nodes if n.id in carries}
        assert {kind for kind in LOOKS if f"legend_{kind} [" in drawing.dot} == coloured
        assert {"leaf", "constant"} & {kind for kind in LOOKS if f"legend_{kind} [" in plain.dot}
        assert not {"leaf", "constant"} & coloured
        assert ("from t − 1<" in plain.dot) == ("comes in from t − 1" in plain.dot) == (view == "rolled")
        assert "from t − 1" not in drawing.dot


def test_every_dashed_arrow_has_its_line_in_the_legend_also_where_all_take_away_little():
    w = tg.Tensor([1.0], True, "w")
    loss = ((w * 1000.0).named("much") + (w * -3.0).named("little")).sum()  # -3 of 997: -0.3 %
    drawing = draw(loss, flow_to=w)
    assert min(c.net for c in drawing.currents.edges if c is not None) == pytest.approx(-3 / 997)
    assert "takes away less than 1%" in drawing.dot
    assert "takes away from it" not in drawing.dot
    assert "less than 1%, not vanished" not in drawing.dot  # none of the blue ones is small


def test_a_long_chain_of_cells_shows_few_steps_and_is_no_wider_than_five():
    def wide(steps, with_flow):
        loss = samples.lstm(steps=steps, keep=None)
        dot = draw(loss, "cells", flow_to=leaves(loss)["W_hh"] if with_flow else None).dot
        return float(re.search(r'bb="0,-?[\d.]+,([\d.]+),', dot)[1])

    for with_flow in (False, True):
        assert all(wide(steps, with_flow) <= wide(5, with_flow) for steps in (6, 12, 40))


@pytest.mark.parametrize(
    ("ahead", "against", "text"),
    [(1.4, -0.4, "+100% (+140 −40)"), (0.3, -0.009, "+29%"), (0.02, -0.5, "−48% (+2.0 −50)"), (0.3, 0.0, "+30%")],
)
def test_merged_edges_print_both_parts_where_the_smaller_exceeds_a_hundredth(ahead, against, text):
    assert current_text(Current(ahead, against)) == text
    assert " ".join(line.text for line in stroke(Current(ahead, against)).caption) == text


def test_width_is_by_size_up_to_the_whole_and_sign_is_never_shown_by_colour_alone():
    pens = [stroke(Current(share, 0.0)).pen for share in (0.0, 0.001, 0.5, 0.75, 1.0, 3.0)]
    assert pens == sorted(pens)
    assert pens[2] * 2 == pens[4] == pens[5] == WIDEST
    up, down = stroke(Current(0.5, 0.0)), stroke(Current(0.0, -0.5))
    assert up.color != down.color
    assert (up.dashed, down.dashed) == (False, True)
    assert (up.caption[0].text[0], down.caption[0].text[0]) == ("+", "−")


def test_an_edge_on_no_path_has_no_number():
    assert stroke(None).caption == ()
    cell, _, loss = lstm()
    drawing = draw(loss, flow_to=cell.weight_hh)
    on_paths = sum(c is not None for c in drawing.currents.edges)
    assert 0 < on_paths < len(drawing.figure.edges)
    assert len(re.findall(r"^\t*caption\d+ \[", drawing.dot, re.M)) == on_paths
    assert "on no path from the source" in drawing.dot


def test_a_gradient_of_exactly_zero_has_no_percentages_and_the_legend_says_why():
    cell, _, loss = lstm(steps=2)
    drawing = draw(loss * 0.0, flow_to=cell.weight_hh)
    assert "%" not in re.sub(r"<[^>]*>", "", drawing.dot)
    for words in (drawing.dot, drawing.alt_text):
        assert "The gradient by weight_hh is exactly 0. Nothing has a share of it" in words


def test_where_the_gradient_is_not_finite_grey_is_not_called_no_path():
    w = tg.Tensor([0.5], requires_grad=True, name="w")
    with np.errstate(all="ignore"):
        drawing = draw((w - 1.0).log().log().sum(), flow_to=w)
    assert "The gradient by w is not finite. Nothing has a share of it" in drawing.dot
    assert "no path" not in drawing.dot


def test_a_gradient_that_underflowed_is_not_called_zero():
    h = w = tg.Tensor([0.5], requires_grad=True, name="w")
    for _, small in tg.steps([1e-200, 1e-200]):
        h = h * small
    assert "The gradient by w underflowed: it is about 10^-400" in draw(h.sum(), flow_to=w).alt_text


def test_a_route_without_a_path_says_so_and_is_not_called_zero():
    _, xs, loss = lstm(steps=2)
    drawing = draw(loss, flow_to=xs[0], highlight=tg.across("c{7}"))
    assert "leads from the source to the loss" in drawing.dot
    assert "exactly 0" not in drawing.dot


def test_steps_boundaries_and_gaps_print_net_gross_and_what_begins_inside():
    cell, _, loss = lstm(steps=40)
    drawing = draw(loss, flow_to=cell.weight_hh)
    boundaries = drawing.currents.flow.boundaries
    assert drawing.dot.count(">gross ") == 6  # 0-1, 1-2, 2-gap, gap-37, 37-38, 38-39
    for b in (*boundaries[:3], *boundaries[-3:]):
        assert f"net {share_text(b.net)}<" in drawing.dot
    (gap,) = [n.id for n in drawing.figure.nodes if n.gap is not None]
    inside = tg.trace_gradient(loss, to=cell.weight_hh).ledger().shares.sum(axis=0)[3:37].sum()
    assert abs(drawing.currents.begins[f"{gap}_parameter"].net - inside) < 1e-12
    edges = zip(drawing.figure.edges, drawing.currents.edges, strict=True)
    into = [c.net for e, c in edges if (e.source, e.target) == (f"{gap}_parameter", gap)]
    assert into == [drawing.currents.begins[f"{gap}_parameter"].net]
    assert f">{share_text(inside)}<" in drawing.dot


def borders(text, what):
    """left, low, right, high of the nodes of a DOT text whose names match."""
    for name, attributes in re.findall(r"^\t*(\w+) \[(.*)\]$", text, re.M):
        found = {k: re.search(rf'\b{k}="?([-\d.,]+)"?', attributes) for k in ("pos", "width", "height")}
        if re.fullmatch(what, name) and all(found.values()):
            x, y = map(float, found["pos"][1].split(","))
            wide, high = (float(found[k][1]) * 72 for k in ("width", "height"))
            yield name, (x - wide / 2, y - high / 2, x + wide / 2, y + high / 2)


def covered(a, b):
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(0.0, wide) * max(0.0, high) / ((a[2] - a[0]) * (a[3] - a[1]))


@pytest.mark.parametrize("view", UNROLLED)
@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "windowed"])
def test_numbers_cover_neither_a_node_nor_each_other(name, view):
    loss = samples.ALL[name]()
    for source in leaves(loss).values():
        text = draw(loss, view=view, flow_to=source).dot
        captions = dict(borders(text, r"caption\d+"))
        nodes = dict(borders(text, r"(?!legend|caption|boundary)\w+"))
        assert len(nodes) > 5
        assert len(captions) > 2
        for caption, border in captions.items():
            for other, beside in [*captions.items(), *nodes.items()]:
                assert other == caption or covered(border, beside) == 0, (caption, other)


def arrow_heads(text):
    """The middle of the head of every arrow of a DOT text, outside the legend."""
    for tail, pos in re.findall(r'^\t*(\w+) -> .*\bpos="e,([^"]+)"', text, re.M):
        if not tail.startswith("legend"):
            tip, *_, base = ([float(v) for v in point.split(",")] for point in pos.split())
            yield (tip[0] + base[0]) / 2, (tip[1] + base[1]) / 2


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_numbers_leave_the_heads_of_arrows_free(kind, view):
    net, xs = getattr(nn, kind)(2, 4, rng=0), np.random.default_rng(1).normal(size=(3, 1, 2))
    x = tg.Tensor(xs, True, "xs")
    loss = (net(x)[0] ** 2.0).sum()
    for source in (net.weight_hh_l0, x):
        text = draw(loss, view, flow_to=source).dot
        heads, captions = list(arrow_heads(text)), dict(borders(text, r"caption\d+"))
        assert len(heads) >= len(captions) >= 3
        for (left, low, right, high), (x0, y0) in itertools.product(captions.values(), heads):
            assert not (left < x0 < right and low < y0 < high)


def gru_of_separate_weights(steps=6):
    """Of matrices, a readout and a loss at every step: many arrows are short, and many numbers have two parts."""
    rng = np.random.default_rng(0)
    w = {k: tg.Tensor(rng.normal(0, 0.4, (6, 6)), True, k) for k in ("Wz", "Wr", "Wn", "Uz", "Ur", "Un", "V")}
    h, losses = tg.Tensor(np.zeros(6), name="h0"), []
    for _, x in tg.steps(rng.normal(size=(steps, 6))):
        x = tg.Tensor(x, name="x")
        z = (w["Wz"] @ x + w["Uz"] @ h).sigmoid().named("z")
        r = (w["Wr"] @ x + w["Ur"] @ h).sigmoid().named("r")
        n = (w["Wn"] @ x + w["Un"] @ (r * h)).tanh().named("n")
        h = ((1 - z) * n + z * h).named("h")
        y = (w["V"] @ h).named("y")
        losses.append(((y - x) ** 2).sum().named("loss"))
    return losses


def sums(kind, **options):
    xs = np.random.default_rng(1).normal(size=(5, 1, 2))
    return [(getattr(nn, kind)(2, 4, rng=0, **options)(xs)[0] ** 2.0).sum()]


@pytest.mark.parametrize("view", ["cells", "rolled"])
@pytest.mark.parametrize(
    "make",
    [
        gru_of_separate_weights,
        *(lambda kind=kind: sums(kind) for kind in ("RNN", "LSTM", "GRU")),
        lambda: sums("LSTM", num_layers=2),
        lambda: sums("GRU", bidirectional=True),
    ],
    ids=["own GRU", "RNN", "LSTM", "GRU", "two layers", "bidirectional"],
)
def test_numbers_in_cells_stand_clear_of_nodes_and_each_other_and_show_the_whole_arrow_of_their_line(make, view):
    losses = make()
    recurrent = [t for t in ancestors(losses) if t.primitive is None and (t.name or "").startswith(("U", "weight_hh"))]
    assert recurrent
    for source in recurrent:
        text = draw(losses, view, flow_to=source).dot
        captions, nodes = (dict(borders(text, what)) for what in (r"caption\d+", r"(?!legend|caption|boundary)\w+"))
        for caption, border in captions.items():
            for other, beside in [*captions.items(), *nodes.items()]:
                assert other == caption or covered(border, beside) == 0, (caption, other)
        for (left, low, right, high), (x, y) in itertools.product(captions.values(), whole_arrows(text)):
            assert not (left < x < right and low < y < high)


def whole_arrows(text):
    """Points along the head of every arrow that flow comes through."""
    for look in re.findall(r"^\t*(?!legend)\w+ -> (.*)", text, re.M):
        pos = re.search(r'\bpos="e,([^"]+)"', look)
        if pos and FADED not in look:
            tip, *_, base = (np.array([float(v) for v in point.split(",")]) for point in pos[1].split())
            yield from (base + share * (tip - base) for share in (0.0, 0.5, 1.0))


@pytest.mark.parametrize("name", ['<b>"w"</b>', "\\N & ]]> \n", "w" * 300, "\u202ew\0", "–"])
def test_whatever_the_source_is_called_the_picture_is_valid_and_says_it(name):
    w = tg.Tensor([0.5, 0.2], requires_grad=True, name=name)
    loss = (w * w).sum()
    drawing = draw(loss, flow_to=w)
    text = "".join(ElementTree.fromstring(drawing.svg()).itertext())
    assert f"share of the gradient by {visible(name)}" in text.replace("\u00a0", " ")


def test_flow_may_be_given_as_a_tensor_a_trace_or_a_flow():
    cell, _, loss = lstm(steps=2)
    trace = tg.trace_gradient(loss, to=cell.weight_hh)
    texts = {draw(loss, flow_to=to).dot for to in (cell.weight_hh, trace, trace.flow())}
    assert len(texts) == 1
    route = tg.through("f")
    assert draw(loss, flow_to=trace.flow(route)).dot == draw(loss, flow_to=trace, highlight="f").dot
    with pytest.raises(TypeError, match="a Flow is of one route already"):
        draw(loss, flow_to=trace.flow(), highlight=route)
    with pytest.raises(TypeError, match="flow_to is a Tensor"):
        draw(loss, flow_to="weight_hh")
    other, _, another = lstm(steps=2)
    with pytest.raises(ValueError, match="not all in this picture"):
        draw(another, flow_to=trace)
    with pytest.raises(RuntimeError, match="no path leads from"):
        draw(loss, flow_to=other.weight_hh)


def test_the_sentence_has_the_largest_flows_and_what_crosses_the_boundaries():
    cell, _, loss = lstm()
    sentence = draw(loss, flow_to=cell.weight_hh).alt_text
    assert "which share of the gradient by weight_hh, of norm 0.144, comes through them" in sentence
    assert "The largest flows from step to step: +31% from c of step 3 to multiply of step 4" in sentence
    assert "3 to 4 +32%, gross 32%" in sentence
    assert "–" not in sentence


@pytest.mark.full
@pytest.mark.parametrize("view", ["ops", "cells"])
def test_two_hundred_steps_are_drawn_with_flow_in_ten_seconds(view):
    layer = nn.LSTM(3, 16, rng=0)
    states, _ = layer(tg.Tensor(np.random.default_rng(0).normal(size=(200, 3))))
    loss = (states[-1] * states[-1]).sum()
    begin = time.monotonic()
    draw(loss, view=view, steps=(0, 200), flow_to=layer.weight_hh_l0).svg()
    assert time.monotonic() - begin < 10


def test_in_a_rolled_picture_shares_are_added_up_over_time_and_the_state_carries_the_sum_of_all_boundaries():
    cell, _, loss = lstm(steps=6)
    drawing = draw(loss, view="rolled", flow_to=cell.weight_hh)
    found = drawing.currents
    of = {n.id: n.name for n in found.figure.nodes}
    for state in ("c", "h"):
        nets = [
            c.net for e, c in zip(found.figure.edges, found.edges, strict=True) if e.crossing and of[e.source] == state
        ]
        expected = math.fsum(b.shares.get(state, 0.0) for b in found.flow.boundaries)
        assert abs(math.fsum(nets) - expected) < 1e-12
        (edge,) = [e for e in found.figure.edges if e.crossing and of[e.source] == state]
        assert edge.times == 5  # crossings, so that the mean is of one boundary
        said = {"c": "+10% a step", "h": "+0.2% a step"}[state]
        assert float(said.split("%")[0]) == pytest.approx(100 * expected / 5, rel=0.2)
        assert said in drawing.dot
        assert f"({said}) from {state} to " in drawing.alt_text
    assert "their shares are added up" in drawing.dot
    assert "from c to " in drawing.alt_text
    assert "of step" not in drawing.alt_text


def test_a_source_that_shares_its_name_with_other_steps_is_called_by_its_step():
    _, _, loss = lstm(steps=3)
    state = next(t for t in ancestors([loss]) if t.name == "h" and t.place.step == 1)
    assert "share of the gradient by h[1]," in draw(loss, view="rolled", flow_to=state).alt_text
