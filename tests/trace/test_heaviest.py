"""The heaviest paths against the list of all paths, sorted."""

import itertools
import tracemalloc

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.trace import brute_force
from tests.trace.test_routes import gru, lstm, rnn
from tinygrad_rnn import nn


def all_words(losses, source, unit, belongs=lambda landmarks, crossings: True):
    """-> {(word, steps): contribution} with parallel ways added up."""
    found = {}
    for landmarks, crossings, part in brute_force.paths(losses, source):
        if belongs(landmarks, crossings):
            # The source's own crossing is not part of the name of a path by states: it begins every one of them.
            marks = landmarks if unit == "landmark" else [m for m in crossings if m[0] != "_"]
            key = tuple((name, step) for name, step, _ in marks)
            found[key] = found.get(key, 0) + part
    return found


@pytest.mark.parametrize("by", ["norm", "share"])
@pytest.mark.parametrize("unit", ["state", "landmark"])
@pytest.mark.parametrize("which", ["input", "weight"])
def test_the_order_is_exactly_that_of_all_paths_sorted(which, unit, by):
    cell, xs, _, loss = lstm(steps=4)
    source = xs[0] if which == "input" else cell.weight_hh
    trace = tg.trace_gradient(loss, to=source)
    whole = trace.total
    expected = all_words([loss], source, unit)

    def weight(part):
        return np.linalg.norm(part) if by == "norm" else abs(np.sum(part * whole) / np.sum(whole * whole))

    ranked = sorted(map(weight, expected.values()), reverse=True)
    top = trace.top_paths(12, unit=unit, by=by)
    found = [path.norm if by == "norm" else abs(path.share) for path in top]
    assert top.gap == 0
    assert np.allclose(found, ranked[: len(found)], rtol=1e-12)
    assert len(top) == min(12, len(ranked))
    assert top.all_listed == (len(ranked) <= 12)
    for path in top:
        key = tuple(zip(path.word, path.steps, strict=True))
        assert np.allclose(path.gradient, expected[key], rtol=1e-10, atol=1e-18)
    rest = whole - sum(path.gradient for path in top)
    assert top.rest_norm == pytest.approx(np.linalg.norm(rest))
    assert top.rest_share + sum(path.share for path in top) == pytest.approx(1.0)


def test_all_paths_together_leave_nothing():
    _, xs, _, loss = lstm(steps=3)
    trace = tg.trace_gradient(loss, to=xs[0])
    for k in (4, 100):
        top = trace.top_paths(k)
        assert len(top) == 4
        assert top.rest_norm < 1e-15
        assert str(top).splitlines()[5] == "There are no other paths."
    assert "all other paths together" in str(trace.top_paths(3))


def test_within_a_route_only_its_paths_are_ranked():
    _, xs, _, loss = lstm(steps=4)
    trace = tg.trace_gradient(loss, to=xs[0])
    route = ~tg.across("c*") & tg.through("f")
    top = trace.top_paths(4, unit="landmark", within=route)
    expected = all_words(
        [loss], xs[0], "landmark", lambda w, x: any(m[0] != "c" for m in x) and any(m[0] == "f" for m in w)
    )
    ranked = sorted((np.linalg.norm(part) for part in expected.values()), reverse=True)
    assert np.allclose([path.norm for path in top], ranked[:4], rtol=1e-12)


@pytest.mark.parametrize("unit", ["state", "landmark"])
def test_routes_with_dead_ends_are_searched_and_none_of_their_paths_is_missed(unit):
    _, xs, _, loss = lstm(steps=4)
    trace, every = tg.trace_gradient(loss, to=xs[0]), brute_force.paths([loss], xs[0])
    routes = {
        tg.across("c h c"): lambda _, w: brute_force.matches("chc", w),
        tg.across("c*") & tg.through("o[1]"): lambda *_: False,
        tg.along("i .* o h"): lambda w, _: brute_force.matches("i.*oh", w),
        tg.across("h h h h h h"): lambda *_: False,
    }
    for route, belongs in routes.items():
        expected = all_words([loss], xs[0], unit, belongs)
        ranked = sorted((np.linalg.norm(part) for part in expected.values()), reverse=True)
        top = trace.top_paths(30, unit=unit, within=route)
        assert np.allclose([path.norm for path in top], ranked[:30], rtol=1e-11), str(route)
        assert "all other paths together" in str(top)
    assert len(every) == trace.count_paths()


def test_a_gru_is_searched_too():
    _, xs, _, loss = gru(4)
    trace = tg.trace_gradient(loss, to=xs[0])
    ranked = sorted((np.linalg.norm(part) for part in all_words([loss], xs[0], "landmark").values()), reverse=True)
    assert np.allclose([path.norm for path in trace.top_paths(6, unit="landmark")], ranked[:6], rtol=1e-12)


def test_a_search_that_stops_at_its_limit_says_how_far_it_is_proven():
    _, xs, _, loss = lstm(steps=14, hidden=3)
    trace = tg.trace_gradient(loss, to=xs[0])
    proven, stopped = trace.top_paths(5), trace.top_paths(5, most_expansions=3)
    assert proven.gap == 0
    assert stopped.gap > 0
    assert "stopped after 3 expansions" in str(stopped)
    assert len(stopped) == 5  # what the beam found, which is here already the best
    assert [path.norm for path in stopped] == pytest.approx([path.norm for path in proven], rel=1e-12)
    assert "all other paths together" in str(stopped)


def test_a_search_among_exploding_bounds_still_shows_the_best_that_it_met_and_the_gap():
    cell, xs, _, _ = lstm(steps=40, hidden=8)
    cell.weight_hh.data = cell.weight_hh.data * 6.0
    h, c = tg.Tensor(np.zeros(8)), tg.Tensor(np.zeros(8))
    for _, x in tg.steps(xs):
        h, c = cell(x, (h, c))
    trace = tg.trace_gradient((h * h).sum(), to=xs[0])
    for by in ("norm", "share"):
        top = trace.top_paths(5, unit="landmark", by=by, most_expansions=200)
        assert len(top) == 5
        assert top.gap > 0
        weights = [path.norm if by == "norm" else abs(path.share) for path in top]
        assert weights == sorted(weights, reverse=True)
        highway = trace.along("g c+ h")
        assert weights[0] >= (highway.norm if by == "norm" else abs(highway.share)) * (1 - 1e-12)
        assert top.rest_share + sum(path.share for path in top) == pytest.approx(1.0)


def test_a_loss_that_is_given_twice_counts_twice():
    cell, xs, _, losses = rnn(3)
    once, twice = (tg.trace_gradient(given, to=xs[0]).top_paths(9) for given in (losses[-1:], losses[-1:] * 2))
    assert [path.norm for path in twice] == pytest.approx([2 * path.norm for path in once])
    assert twice.rest_norm < 1e-15
    assert cell.weight_hh.shape == (2, 2)


def test_paths_of_one_word_are_one_path_also_where_a_route_tells_them_apart():
    """along("i .*") | along("g .*") says how a path begins, which a word of crossings does not: c^3 is listed once."""
    _, xs, _, loss = lstm(steps=4)
    trace = tg.trace_gradient(loss, to=xs[0])
    top = trace.top_paths(9, within=tg.along(".* (i | g) c h") | tg.along("(i | g) c c c c h"))
    assert len({path.word for path in top}) == len(top)
    expected = all_words(
        [loss],
        xs[0],
        "state",
        lambda w, _: brute_force.matches(".*[ig]ch", w) or brute_force.matches("[ig]cccch", w),
    )
    ranked = sorted(map(np.linalg.norm, expected.values()), reverse=True)
    assert [path.norm for path in top] == pytest.approx(ranked, rel=1e-11)


def test_a_tensor_that_is_reached_within_its_step_and_from_another_ends_a_segment_only_there():
    x = tg.Tensor([0.5, -1.0], requires_grad=True)
    with tg.step(0):
        h = np.tanh(x).named("h")
        near = h * 2.0
    with tg.step(1):
        y = (h * 3.0 + near).named("y")
    top = tg.trace_gradient(y.sum(), to=x).top_paths(5)
    slope = 1 - np.tanh(x.data) ** 2
    assert {str(path): path.norm for path in top} == pytest.approx(
        {"h": 3 * np.linalg.norm(slope), "_": 2 * np.linalg.norm(slope)}
    )


def test_a_gradient_far_below_the_square_root_of_the_smallest_number_has_the_same_order():
    _, xs, _, loss = lstm(steps=6)
    plain, tiny = (tg.trace_gradient(loss * scale, to=xs[0]).top_paths(6) for scale in (1.0, 1e-230))
    assert [str(path) for path in tiny] == [str(path) for path in plain]
    assert [path.norm * 1e230 for path in tiny] == pytest.approx([path.norm for path in plain], rel=1e-12)


def test_many_elements_of_a_weight_need_no_memory_for_each_stop():
    cell, _, _, loss = lstm(steps=12, hidden=24)
    trace = tg.trace_gradient(loss, to=cell.weight_hh)
    trace.total  # noqa: B018 - so that only the search is measured
    tracemalloc.start()
    top = trace.top_paths(2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    one = 24 * cell.weight_hh.size * 8  # a Jacobian of a state by the weight; there are 24 states
    assert peak < 12 * one
    assert [path.norm for path in top] == pytest.approx([trace.across(" ".join(path.word)).norm for path in top])


def test_a_gradient_that_is_not_finite_has_no_heaviest_path():
    x = tg.Tensor([1.0], requires_grad=True)
    with tg.step(0):
        y = (x * np.inf).named("y")
    with pytest.raises(ValueError, match="not finite"):
        tg.trace_gradient(y.sum(), to=x).top_paths()


def test_words_are_printed_by_runs_and_the_rest_is_always_shown():
    _, xs, _, loss = lstm(steps=6)
    trace = tg.trace_gradient(loss, to=xs[0])
    assert "c^5" in str(trace.top_paths(4))
    assert "all other paths together" in str(trace.top_paths(4))
    assert str(trace.top_paths(40)).endswith("There are no other paths.")


def test_with_several_losses_each_path_says_in_which_it_ends():
    cell, xs, _, losses = rnn(3)
    top = tg.trace_gradient(losses, to=xs[0]).top_paths(5)
    assert [path.loss for path in top] != [0] * len(top)
    assert {(path.loss, path.word) for path in top} == {(0, ()), (1, ("h",)), (2, ("h", "h"))}
    assert "to loss 2" in str(top)
    assert cell.weight_hh.shape == (2, 2)


def test_paths_of_the_same_word_are_told_apart_by_scope_and_step():
    both = nn.GRU(2, 3, bidirectional=True, rng=0)
    x = tg.Tensor(np.random.default_rng(0).normal(size=(4, 2)), requires_grad=True)
    states, _ = both(x)
    said = str(tg.trace_gradient(states[1].sum(), to=x).top_paths(6))
    assert "layer0/h[0]" in said
    assert "layer0_reverse/h[2]" in said
    assert "  layer0_reverse/h[3] layer0_reverse/h[2]" in said or "  h^2" in said


def test_a_printed_path_can_be_asked_for_again():
    _, xs, _, loss = lstm(steps=6)
    trace = tg.trace_gradient(loss, to=xs[0])
    for path in trace.top_paths(4):
        assert np.allclose(trace.across(str(path)).gradient, path.gradient, rtol=1e-10, atol=1e-18)


def test_misuse_is_explained():
    _, xs, _, loss = lstm()
    trace = tg.trace_gradient(loss, to=xs[0])
    with pytest.raises(ValueError, match="unit is"):
        trace.top_paths(unit="operation")
    with pytest.raises(ValueError, match="at least one"):
        trace.top_paths(0)


def test_the_bound_is_never_below_what_a_completion_carries():
    """Taken from the queue in falling order of bounds, weights fall too: checked over every prefix of the answer."""
    _, xs, _, loss = lstm(steps=5)
    trace = tg.trace_gradient(loss, to=xs[0])
    long = [path.norm for path in trace.top_paths(15)]
    for k in (1, 3, 7):
        assert np.allclose([path.norm for path in trace.top_paths(k)], long[:k], rtol=1e-12)
    assert all(a >= b for a, b in itertools.pairwise(long))
