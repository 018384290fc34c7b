"""Routes against the sum over all paths, one by one, and against really detaching."""

import contextlib
import re
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tests.trace import brute_force
from tinygrad_rnn import nn

STEPS, INPUT, HIDDEN = 3, 2, 2


def lstm(steps=STEPS, hidden=HIDDEN, seed=0, detach_h=(), detach_c=()):
    rng = np.random.default_rng(seed)
    cell = nn.LSTMCell(INPUT, hidden, rng=rng)
    xs = [tg.Tensor(rng.normal(size=INPUT), requires_grad=True) for _ in range(steps)]
    h, c = tg.Tensor(np.zeros(hidden)), tg.Tensor(rng.normal(size=hidden), requires_grad=True)
    start = c
    for t, x in tg.steps(xs):
        h, c = cell(x, (h, c))
        kept = (h.detach() if t in detach_h else h, c.detach() if t in detach_c else c)
        last, (h, c) = h, kept
    return cell, xs, start, (last * np.linspace(-1, 2, hidden)).sum()


def gru(steps=STEPS):
    rng = np.random.default_rng(0)
    cell = nn.GRUCell(INPUT, HIDDEN, rng=rng)
    h = start = tg.Tensor(rng.normal(size=HIDDEN), requires_grad=True)
    xs = [tg.Tensor(rng.normal(size=INPUT), requires_grad=True) for _ in range(steps)]
    for _, x in tg.steps(xs):
        h = cell(x, h)
    return cell, xs, start, (h * np.linspace(-1, 2, HIDDEN)).sum()


def rnn(steps=6):
    rng = np.random.default_rng(0)
    cell = nn.RNNCell(INPUT, HIDDEN, rng=rng)
    h = start = tg.Tensor(rng.normal(size=HIDDEN), requires_grad=True)
    xs = [tg.Tensor(rng.normal(size=INPUT), requires_grad=True) for _ in range(steps)]
    losses = []
    for _, x in tg.steps(xs):
        h = cell(x, h)
        losses.append((h * np.linspace(-1, 2, HIDDEN)).sum())
    return cell, xs, start, losses


def stacked():
    rng = np.random.default_rng(0)
    layers = nn.LSTM(INPUT, HIDDEN, num_layers=2, rng=rng)
    x = tg.Tensor(rng.normal(size=(2, INPUT)), requires_grad=True)
    states, _ = layers(x)
    return layers, x, (states[-1] * np.linspace(-1, 2, HIDDEN)).sum()


def relative(a, b, whole):
    return np.max(np.abs(a - b)) / np.max(np.abs(whole))


# How a route is written, and the same with Python's `re`, where a landmark is the last character of its name.
ALONG = {
    "": "",
    ".*": ".*",
    "(i | g) c+ h": "[ig]c+h",
    "c* h": "c*h",
    ".* f .*": ".*f.*",
    "!h* h": "[^h]*h",
    ". . .": "...",
    "(i c | f c | .)* h": "(ic|fc|.)*h",
    ".{2,5}": ".{2,5}",
    "(c | h)? .* o h": "[ch]?.*oh",
}
ACROSS = {
    "c*": "c*",
    "h*": "h*",
    "c+": "c+",
    "": "",
    "c* h c*": "c*hc*",
    ".{2}": "..",
    ".{1,}": ".+",
    "!c .*": "[^c].*",
}


@pytest.mark.parametrize("source", ["first input", "second input", "initial cell state", "recurrent weight"])
def test_every_route_is_the_sum_over_its_paths(source):
    cell, xs, c0, loss = lstm()
    to = {"first input": xs[0], "second input": xs[1], "initial cell state": c0, "recurrent weight": cell.weight_hh}
    source = to[source]
    trace, every = tg.trace_gradient(loss, to=source), brute_force.paths([loss], source)
    assert trace.count_paths() == len(every)
    for text, pattern in ALONG.items():
        expected = brute_force.gradient(every, lambda w, _, p=pattern: brute_force.matches(p, w), source.shape)
        assert relative(trace.along(text).gradient, expected, trace.total) < 1e-12, text
    for text, pattern in ACROSS.items():
        expected = brute_force.gradient(every, lambda _, w, p=pattern: brute_force.matches(p, w), source.shape)
        assert relative(trace.across(text).gradient, expected, trace.total) < 1e-12, text


def test_steps_scopes_and_crossings_are_told_apart():
    _, xs, _, loss = lstm()
    trace, every = tg.trace_gradient(loss, to=xs[0]), brute_force.paths([loss], xs[0])
    cases = {
        tg.through("h[1]"): lambda w, _: any(m[:2] == ("h", 1) for m in w),
        tg.through("c[1:]"): lambda w, _: any(m[0] == "c" and m[1] >= 1 for m in w),
        tg.through("c[:1]"): lambda w, _: any(m[0] == "c" and m[1] < 1 for m in w),
        tg.along(".* c> .*"): lambda w, _: any(m[0] == "c" and m[2] for m in w),
        tg.along(".* .[1]> .*"): lambda w, _: any(m[1] == 1 and m[2] for m in w),
        tg.avoiding("o"): lambda w, _: all(m[0] != "o" for m in w),
        tg.through("forget/f"): lambda w, _: any(m[0] == "f" for m in w),
        tg.tbptt(1): lambda _, w: len(w) <= 1,
        tg.chunks(2): lambda _, w: all(m[1] // 2 == (m[1] + 1) // 2 for m in w),
        tg.detached("h", [0]): lambda _, w: all(m[:2] != ("h", 0) for m in w),
        ~tg.across("c*") & tg.through("f"): lambda w, x: any(m[0] != "c" for m in x) and any(m[0] == "f" for m in w),
    }
    for route, belongs in cases.items():
        expected = brute_force.gradient(every, belongs, xs[0].shape)
        assert relative(trace.on(route).gradient, expected, trace.total) < 1e-12, str(route)


def test_a_scope_tells_the_layers_of_a_stack_apart():
    _, x, loss = stacked()
    trace = tg.trace_gradient(loss, to=x)
    lower, upper = trace.through("layer0/h> "), trace.through("layer1/h>")
    neither = trace.on(~(tg.through("layer0/h>") | tg.through("layer1/h>")))
    both = trace.on(tg.through("layer0/h>") & tg.through("layer1/h>"))
    total = lower.gradient + upper.gradient - both.gradient + neither.gradient
    assert relative(total, trace.total, trace.total) < 1e-12
    assert lower.share != upper.share


ROUTES = [tg.along(text) for text in ALONG] + [tg.across(text) for text in ACROSS]
CELL, XS, _, LOSS = lstm()
TRACE = tg.trace_gradient(LOSS, to=XS[0])


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(ROUTES), st.sampled_from(ROUTES))
def test_routes_are_an_algebra_of_sets(r, s):
    def part(route):
        return TRACE.on(route).gradient

    assert relative(part(r) + part(~r), TRACE.total, TRACE.total) < 1e-12
    assert relative(part(r | s), part(r) + part(s) - part(r & s), TRACE.total) < 1e-12
    assert not part(r & ~r).any()
    assert relative(part(r | ~r), TRACE.total, TRACE.total) < 1e-12


def test_the_full_route_is_the_gradient_and_the_empty_one_exactly_zero():
    assert relative(TRACE.along(".*").gradient, TRACE.total, TRACE.total) < 1e-15
    assert not TRACE.on(~tg.along(".*")).gradient.any()
    assert TRACE.along(".*").share == pytest.approx(1.0)


def test_the_highway_is_the_gradient_with_h_detached_between_the_steps():
    _, xs, _, loss = lstm(steps=8)
    _, cut_xs, _, cut = lstm(steps=8, detach_h=range(8))
    assert relative(tg.trace_gradient(loss, to=xs[0]).across("c*").gradient, tg.grad(cut, cut_xs[0]), 1) < 1e-12


def test_named_approximations_are_the_same_as_really_detaching():
    cell, _, _, loss = lstm(steps=9)
    trace = tg.trace_gradient(loss, to=cell.weight_hh)
    at = [2, 5, 6]
    cut_cell, _, _, cut = lstm(steps=9, detach_h=at)
    assert relative(trace.on(tg.detached("h", at)).gradient, tg.grad(cut, cut_cell.weight_hh), trace.total) < 1e-12
    boundary = [2, 5]
    cut_cell, _, _, cut = lstm(steps=9, detach_h=boundary, detach_c=boundary)
    assert relative(trace.on(tg.chunks(3)).gradient, tg.grad(cut, cut_cell.weight_hh), trace.total) < 1e-12
    cut_cell, _, _, cut = lstm(steps=9, detach_h=[5], detach_c=[5])
    part = trace.on(tg.tbptt(2))
    assert relative(part.gradient, tg.grad(cut, cut_cell.weight_hh), trace.total) < 1e-12
    assert part.bias == pytest.approx(np.linalg.norm(trace.total - part.gradient) / np.linalg.norm(trace.total))
    assert part.cosine == pytest.approx(
        np.sum(trace.total * part.gradient) / np.linalg.norm(trace.total) / np.linalg.norm(part.gradient)
    )


def test_exactly_five_crossings_of_an_rnn_are_lag_five_of_the_ledger():
    cell, _, _, losses = rnn(steps=8)
    trace = tg.trace_gradient(losses, to=cell.weight_hh)
    lag_5 = sum(trace.ledger().contributions[t, t - 5] for t in range(5, 8))
    assert relative(trace.across("h{5}").gradient, lag_5, trace.total) < 1e-12


def test_crossings_are_counted_exactly_and_sum_to_the_gradient():
    _, xs, _, loss = lstm(steps=5)
    trace = tg.trace_gradient(loss, to=xs[0])
    counts = trace.by_crossings("h")
    assert len(counts) == 5
    assert relative(sum(part.gradient for part in counts), trace.total, trace.total) < 1e-12
    every = brute_force.paths([loss], xs[0])
    for k, part in enumerate(counts):
        expected = brute_force.gradient(every, lambda _, w, k=k: sum(m[0] == "h" for m in w) == k, xs[0].shape)
        assert relative(part.gradient, expected, trace.total) < 1e-12


@pytest.mark.parametrize("name", ["i", "f", "output/o"])
def test_a_gate_is_in_no_crossing_of_any_path(name):
    every = brute_force.paths([LOSS], XS[0])
    assert not any(mark[0] == name[-1] for _, crossings, _ in every for mark in crossings)
    (part,) = TRACE.by_crossings(name)
    assert np.array_equal(part.gradient, TRACE.total)
    assert (part.connected, TRACE.mean_crossings(name)) == (True, 0.0)
    assert np.array_equal(TRACE.spectrum(name).gradients, TRACE.total[None, None])
    assert TRACE.spectrum(name).lags == (STEPS - 1,)


def test_after_a_single_step_nothing_has_crossed():
    cell, _, _, loss = lstm(steps=1)
    trace = tg.trace_gradient(loss, to=cell.weight_ih)
    for name in ("h", "c"):
        (part,) = trace.by_crossings(name)
        assert np.array_equal(part.gradient, trace.total)
        assert trace.mean_crossings(name) == 0.0
        spectrum = trace.spectrum(name)
        assert np.array_equal(spectrum.gradients, trace.total[None, None])
        assert tg.plot_spectrum(spectrum).alt_text.startswith("Heat map")
    w = tg.Tensor(2.0, requires_grad=True)
    with tg.step(0):
        h = (w * 3.0).named("h")
    assert len(tg.trace_gradient(h, to=w).by_crossings("h")) == 1  # the loss itself


def test_the_polynomial_of_crossings_is_the_expected_h_detach_gradient_over_all_masks():
    _, xs, _, loss = lstm(steps=4)
    counts, p = tg.trace_gradient(loss, to=xs[0]).by_crossings("h"), 0.3
    expected = 0
    for cut in brute_force.subsets(range(3)):
        _, cut_xs, _, cut_loss = lstm(steps=4, detach_h=cut)
        expected = expected + p ** (3 - len(cut)) * (1 - p) ** len(cut) * tg.grad(cut_loss, cut_xs[0])
    polynomial = sum(p**k * part.gradient for k, part in enumerate(counts))
    assert relative(polynomial, expected, expected) < 1e-12


def test_the_shares_of_a_partition_add_up_to_one_and_no_partition_is_refused():
    classes = {"highway": tg.across("c*"), "detours": ~tg.across("c*")}
    parts = TRACE.partition(classes)
    assert sum(part.share for part in parts.values()) == pytest.approx(1.0, abs=1e-12)
    assert relative(parts["highway"].gradient, TRACE.across("c*").gradient, TRACE.total) < 1e-14
    with pytest.raises(ValueError, match="belong to 'a' and 'b'"):
        TRACE.partition({"a": tg.across("c*"), "b": tg.through("f"), "rest": ~(tg.across("c*") | tg.through("f"))})
    with pytest.raises(ValueError, match="belong to no class"):
        TRACE.partition({"a": tg.across("c*")})


def test_the_leak_path_of_a_gru_is_the_product_of_its_update_gates():
    """PyTorch's z keeps the old state: from h_0 to h_T by h -> h alone the factor is the product of all z."""
    cell, xs, h0, loss = gru()
    leak = tg.trace_gradient(loss, to=h0).on(~tg.along(".* h> (z | r | n) .*") & ~tg.along("(z | r | n) .*"))
    h, factor = tg.Tensor(h0.data), np.ones(HIDDEN)
    for x in xs:
        h = cell(x.detach(), h)
        zs = [node for node in brute_force.ancestors(h) if node.name == "z"]
        factor = factor * max(zs, key=lambda node: node.index).data
    assert np.allclose(leak.gradient, np.linspace(-1, 2, HIDDEN) * factor, rtol=1e-12)


def test_without_a_landmark_is_what_is_left_when_its_paths_are_cut():
    cut = TRACE.without("f")
    assert relative(cut.gradient, TRACE.avoiding("f").gradient, TRACE.total) < 1e-12
    two = TRACE.without("f", tg.across("h+"))
    assert relative(two.gradient, TRACE.on(tg.avoiding("f") & ~tg.across("h+")).gradient, TRACE.total) < 1e-12


def test_path_counts_are_those_of_the_formulas():
    def operations(model, source):
        return tg.trace_gradient(model[-1] if not isinstance(model[-1], list) else model[-1][-1], to=source)

    for steps in (1, 2, 3, 7):
        model = gru(steps)
        assert operations(model, model[2]).count_paths() == 5**steps
        assert operations(model, model[2]).count_paths(unit="landmark") == 4**steps
        model = rnn(steps)
        assert operations(model, model[2]).count_paths() == 1
    counts = []
    for steps in (30, 31):
        model = lstm(steps)
        counts.append(operations(model, model[2]).count_paths())
    assert counts[1] / counts[0] == pytest.approx((5 + np.sqrt(21)) / 2, rel=1e-9)
    model = lstm(12)
    trace = operations(model, model[2])
    assert trace.count_paths(tg.across(".*") & ~tg.through("i") & ~tg.through("f") & ~tg.through("o")) >= 1
    assert trace.count_paths(tg.along("c* h")) == 1


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("(i | g c+", 0, r"no \) for this"),
        ("c )", 2, r"no \( for this"),
        ("c % h", 2, "no such character"),
        ("c{3", 3, "repetition is written"),
        ("c{5,2}", 1, "never"),
        ("h[x]", 1, "steps are written"),
        ("h[", 1, "steps are written"),
        ("* c", 0, "does not belong"),
        ("layer0/", 0, "a scope is followed"),
        ("c{,3}", 2, "whole number"),
    ],
)
def test_an_error_points_at_the_character(text, column, says):
    with pytest.raises(ValueError, match=says) as caught:
        tg.across(text)
    assert str(caught.value).splitlines()[-1].index("^") - 4 == column


def test_questions_that_mean_nothing_are_explained():
    with pytest.raises(ValueError, match=r"no landmark called 'q'.*c \(\d+\)"):
        TRACE.across("q*")
    _, xs, _, loss = lstm(steps=40)
    long = tg.trace_gradient(loss, to=xs[0])
    guilty = {
        ".{11}": tg.across(".{11} h .*"),
        "(c | h){12}": tg.across("(h | c){12} h .*"),
        ".{1,14}": tg.through("f") & ~tg.across(".{1,14} h .* c{2,3}"),
    }
    for part, route in guilty.items():
        with pytest.raises(ValueError, match=re.escape(f"It is {part} in ")):
            long.on(route)
    for ask in (TRACE.by_crossings, TRACE.mean_crossings, TRACE.spectrum):
        for unknown in ("q", "nowhere/i", "_"):
            said = f"nothing called '{unknown}' is .* paths cross in c, h, and never in f, g, i, o"
            with pytest.raises(ValueError, match=said):
                ask(unknown)
    with pytest.raises(TypeError, match="a route is made with"):
        tg.across("c*") & "f"
    with pytest.raises(ValueError, match="whole number from 1"):
        tg.chunks(0)
    with pytest.raises(TypeError, match="neither true nor false"):
        tg.across("c*") and not tg.through("f")
    for wrong in (lambda: TRACE.on("c*"), lambda: TRACE.partition({"a": "c*"}), lambda: TRACE.partition(["c*"])):
        with pytest.raises(TypeError, match=r"tg\.across"):
            wrong()


def test_names_are_qualified_by_scope_wherever_crossings_are_counted_or_detached():
    """Two layers: each layer's h is a tensor of its own, so h-detach has a mask for each of them."""

    def run(detach=()):
        rng = np.random.default_rng(0)
        cells = [nn.RNNCell(INPUT, HIDDEN, rng=rng), nn.RNNCell(HIDDEN, HIDDEN, rng=rng)]
        hs, data = [tg.Tensor(np.zeros(HIDDEN))] * 2, rng.normal(size=(3, INPUT))
        for t, x in tg.steps(data):
            for k, cell in enumerate(cells):
                with tg.scope(f"layer{k}"):
                    x = hs[k] = cell(x, hs[k].detach() if (k, t - 1) in detach else hs[k])
        return cells[0].weight_hh, (hs[1] * [1.0, -2.0]).sum()

    w, loss = run()
    trace, keep = tg.trace_gradient(loss, to=w), 0.3
    for mask in ({(0, 0)}, {(0, 1), (1, 1)}, {(1, 0), (1, 1)}):
        route = tg.detached("layer0/h", [t for k, t in mask if k == 0]) & tg.detached(
            "layer1/h", [t for k, t in mask if k == 1]
        )
        cut_w, cut = run(mask)
        assert relative(trace.on(route).gradient, tg.grad(cut, cut_w), trace.total) < 1e-12
    cuts = [(0, 0), (0, 1)]
    expected = 0
    for cut in brute_force.subsets(cuts):
        cut_w, cut_loss = run(cut)
        expected = expected + keep ** (2 - len(cut)) * (1 - keep) ** len(cut) * tg.grad(cut_loss, cut_w)
    assert relative(trace.expected_detached("layer0/h", keep).gradient, expected, trace.total) < 1e-12
    both = [part.gradient for part in trace.by_crossings("h")]
    assert len(both) == 3
    assert len(trace.by_crossings("layer1/h")) == 3
    assert trace.spectrum("layer0/h").gradients.shape[1] == 3
    with pytest.raises(ValueError, match="nothing called 'layer2/h' is on a path"):
        trace.by_crossings("layer2/h")


def test_a_name_that_only_a_cut_edge_led_to_is_not_unknown():
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    f = (x * 2.0).named("f")
    y = f * 3.0
    z = x * 5.0
    loss = (y + z).sum()
    part = tg.trace_gradient(loss, to=x).without((y, 0), "f")
    assert np.array_equal(part.gradient, [5.0, 5.0])


def test_paths_are_counted_where_there_are_no_steps_too():
    x = tg.Tensor([1.0], requires_grad=True)
    assert tg.trace_gradient((x * x + x).sum(), to=x).count_paths() == 3


def test_long_and_nested_routes_need_no_recursion():
    _, xs, _, losses = rnn(6)
    trace = tg.trace_gradient(losses[-1], to=xs[0])
    frames, frame = 0, sys._getframe()
    while frame is not None:
        frames, frame = frames + 1, frame.f_back
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(frames + 80)
    try:
        assert trace.on(tg.tbptt(500)).share == pytest.approx(1.0)
        assert not trace.across("h{500}").connected
        assert trace.across("(h{0,500} h?){1,500}").share == pytest.approx(1.0)
        assert trace.across("h? " * 300).share == pytest.approx(1.0)
    finally:
        sys.setrecursionlimit(before)
    with pytest.raises(tg.RouteError, match="at most 50 deep"):
        tg.across("(" * 3000 + "h" + ")" * 3000)


def test_no_path_is_not_a_share_of_zero():
    none = TRACE.along("i i i")
    assert not none.connected
    assert str(none) == 'along("i i i"): no path'
    assert TRACE.across("c*").connected


def test_names_with_spaces_are_quoted_and_unnamed_tensors_are_no_landmarks():
    w = tg.Tensor(np.eye(2), requires_grad=True)
    h = tg.Tensor(np.ones(2))
    for _ in tg.steps(range(3)):
        h = (w @ h).tanh().named("my state")
    trace = tg.trace_gradient(h.sum(), to=w)
    assert trace.through("'my state'").share == pytest.approx(1.0)
    assert trace.across("'my state'^2").share == pytest.approx(trace.ledger().shares[0, 0])
    h = tg.Tensor(np.ones(2))
    for _ in tg.steps(range(3)):
        h = (w @ h).tanh()
    unnamed = tg.trace_gradient(h.sum(), to=w)
    assert unnamed.across("_*").share == pytest.approx(1.0)
    with pytest.raises(ValueError, match="_ stands for unnamed tensors"):
        unnamed.through("_")


def test_a_route_on_which_exactly_nothing_flows_has_a_share_of_0():
    cell, _, _, loss = lstm()  # h is 0 before step 0, so the use of the weight there adds nothing
    for route in ("h c", "c h", "h^2", "c c"):
        part = tg.trace_gradient(loss, to=cell.weight_hh).across(route)
        assert part.connected
        assert part.share == 0
        assert part.norm == 0


@pytest.mark.parametrize("scope", ["", "layer0", "a/0/b", "my scope", "0", "it's/an 'odd' one"])
@pytest.mark.parametrize(
    "name", ["h", "my state", "it's", "''", "a+b", "(h | c)*", "h[3]", "1h", "a/b", "!h", ".", "état"]
)
def test_whatever_a_landmark_is_called_its_printed_path_is_a_route_that_asks_for_it(name, scope):
    h = x = tg.Tensor(1.0, requires_grad=True)
    for t, _ in enumerate(tg.steps(range(3))):
        with tg.scope(scope) if scope else contextlib.nullcontext():
            h = (h * 0.5).named(name)
        if t == 2:
            h = h + x * 3.0
    trace = tg.trace_gradient(h, to=x)
    (_, there) = sorted(trace.top_paths(5), key=lambda path: len(path.word))
    assert there.word == (name, name)
    for written in (str(there), there.in_full):
        assert trace.count_paths(tg.across(written)) == 1
        assert trace.across(written).share == pytest.approx(there.share, rel=1e-12)
    with pytest.raises(ValueError) as refused:
        trace.along("nobody")
    listed = re.search(r"There are: (.*) \(3\)$", str(refused.value))[1]
    assert trace.through(listed).share == pytest.approx(there.share, rel=1e-12)


@pytest.mark.parametrize(("text", "column"), [("h 'it's'", 7), ("'h", 0), ("layer0/'h", 7), ("(''|c)", 1)])
def test_a_quote_that_is_not_closed_is_pointed_at(text, column):
    with pytest.raises(tg.RouteError) as refused:
        tg.along(text)
    said, shown, marker = str(refused.value).splitlines()
    assert "no closing quote" in said
    assert "'it''s'" in said
    assert shown[4:] == text
    assert marker.index("^") - 4 == column


def test_a_name_that_needs_quotes_is_shown_with_them():
    with pytest.raises(tg.RouteError, match="quote it: \"'my state'\""):
        tg.through("my state")


@pytest.mark.parametrize(
    ("asked", "meant", "other"),
    [
        ("h[1]", ".* h[1] .*", ', or through("h[1]")'),
        ("f", ".* f .*", ', or through("f")'),
        ("i | f", ".* (f | i) .*", ""),
        ("h f c", ".* h f c .*", ""),
    ],
)
def test_where_a_word_is_only_a_part_of_those_there_are_that_is_said_with_what_was_perhaps_meant(asked, meant, other):
    found = TRACE.along(asked)
    assert not found.connected
    assert str(found) == (
        f'along("{asked}"): no path, for it is the whole word of none; did you mean along("{meant}"){other}?'
    )
    assert TRACE.along(meant).connected


def test_an_across_of_what_never_crosses_says_so():
    _, xs, _, loss = lstm()
    trace = tg.trace_gradient(loss, to=xs[0])
    assert str(trace.across("f")) == 'across("f"): no path, for no path crosses a step in f'
    assert str(trace.across("c i | o")) == 'across("c i | o"): no path, for no path crosses a step in i, o'
    assert str(trace.across("c{99}")).endswith("no path")
    assert str(trace.across("c* f*")).endswith(" (no path crosses a step in f; these are the others on this route)")
    assert str(trace.across("c*")).endswith(str(trace.across("c* f*")).split("norm ")[1].split(" ")[0])
