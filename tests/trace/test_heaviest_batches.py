"""The heaviest paths of a batch: against all paths one by one, and within a limit on work at any size."""

import itertools

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.trace import brute_force
from tests.trace.test_heaviest import all_words
from tinygrad_rnn import nn
from tinygrad_rnn.trace.heaviest import bounds, ends, factors, listing, segments
from tinygrad_rnn.trace.heaviest import search as searching
from tinygrad_rnn.trace.heaviest.factors import Limit
from tinygrad_rnn.trace.measure import spectral_norms

CELLS = {"RNN": nn.RNNCell, "LSTM": nn.LSTMCell, "GRU": nn.GRUCell}


def together(h):
    """No row of a batch stays apart."""
    return (h - 0.5 * h.mean(axis=0)).named("m")


def batch(kind="LSTM", steps=3, rows=3, hidden=2, mixing=lambda h: h, seed=0):
    """-> what may be asked about, by name; the loss."""
    rng = np.random.default_rng(seed)
    cell = CELLS[kind](2, hidden, rng=rng)
    xs = [tg.Tensor(rng.normal(size=(rows, 2)), requires_grad=True) for _ in range(steps)]
    start = h = tg.Tensor(rng.normal(size=(rows, hidden)), requires_grad=True)
    c = tg.Tensor(rng.normal(size=(rows, hidden)))
    for _, x in tg.steps(xs):
        if kind == "LSTM":
            h, c = cell(x, (mixing(h), c))
        else:
            h = cell(x, mixing(h))
    sources = {"input": xs[0], "start": start, "W_hh": cell.weight_hh, "W_ih": cell.weight_ih, "b": cell.bias_hh}
    return sources, (h * rng.normal(size=(rows, hidden))).sum()


def ranked(expected, whole, by):
    def weight(part):
        return np.linalg.norm(part) if by == "norm" else abs(np.sum(part * whole) / np.sum(whole * whole))

    return sorted(map(weight, expected.values()), reverse=True)


def weights(top, by):
    return [path.norm if by == "norm" else abs(path.share) for path in top]


@pytest.mark.parametrize("by", ["norm", "share"])
@pytest.mark.parametrize("unit", ["state", "landmark"])
@pytest.mark.parametrize("mixing", [lambda h: h, together], ids=["apart", "mixed"])
@pytest.mark.parametrize("source", ["input", "start", "W_hh", "W_ih", "b"])
@pytest.mark.parametrize("kind", CELLS)
def test_of_a_batch_the_order_is_exactly_that_of_all_paths_sorted(kind, source, mixing, unit, by):
    sources, loss = batch(kind, mixing=mixing)
    expected = all_words([loss], sources[source], unit)
    trace = tg.trace_gradient(loss, to=sources[source])
    for k in (3, len(expected) + 1):
        top = trace.top_paths(k, unit=unit, by=by)
        assert top.gap == 0
        assert len(top) == min(k, len(expected))
        assert weights(top, by) == pytest.approx(ranked(expected, trace.total, by)[:k], rel=1e-10, abs=1e-15)
        for path in top:
            key = tuple(zip(path.word, path.steps, strict=True))
            assert np.allclose(path.gradient, expected[key], rtol=1e-10, atol=1e-17)


@pytest.mark.parametrize("by", ["norm", "share"])
@pytest.mark.parametrize("source", ["input", "W_hh"])
def test_of_a_batch_within_a_route_only_its_paths_are_ranked(source, by):
    sources, loss = batch(steps=4)
    trace = tg.trace_gradient(loss, to=sources[source])
    routes = {
        tg.through("f") & ~tg.across("c*"): lambda w, x: any(m[0] == "f" for m in w) and any(m[0] != "c" for m in x),
        # Paths of one word of crossings are in two states of this automaton.
        tg.along(".* (i | g) c h") | tg.along("(i | g) c c c c h"): lambda w, _: (
            brute_force.matches(".*[ig]ch", w) or brute_force.matches("[ig]cccch", w)
        ),
    }
    for (route, belongs), unit in itertools.product(routes.items(), ("state", "landmark")):
        expected = all_words([loss], sources[source], unit, belongs)
        assert len(expected) > 3
        top = trace.top_paths(len(expected) + 1, unit=unit, by=by, within=route)
        assert weights(top, by) == pytest.approx(ranked(expected, trace.total, by), rel=1e-10, abs=1e-15)


def test_a_batch_along_the_last_axis_is_no_batch_of_rows():
    """W @ h with a column for each sequence: the rows of the first axis meet in every product."""
    rng = np.random.default_rng(0)
    w = tg.Tensor(rng.normal(size=(3, 3)), requires_grad=True)
    h = start = tg.Tensor(rng.normal(size=(3, 2)), requires_grad=True)
    for _ in tg.steps(range(4)):
        h = np.tanh(w @ h + 0.1 * h).named("h")
    loss = (h * rng.normal(size=(3, 2))).sum()
    for source, by in itertools.product((w, start), ("norm", "share")):
        trace, expected = tg.trace_gradient(loss, to=source), all_words([loss], source, "state")
        top = trace.top_paths(9, by=by)
        assert weights(top, by) == pytest.approx(ranked(expected, trace.total, by), rel=1e-10)


def test_a_table_of_vectors_and_one_start_for_all_rows_are_sources_like_any_other():
    rng = np.random.default_rng(0)
    cell, table = nn.RNNCell(2, 3, rng=rng), tg.Tensor(rng.normal(size=(4, 2)), requires_grad=True)
    start = tg.Tensor(rng.normal(size=3), requires_grad=True)
    h = start + np.zeros((3, 1))
    for _, ids in tg.steps(np.array([[0, 1, 1], [2, 1, 0], [3, 3, 3]])):
        h = cell(table[ids], h)
    loss = (h * rng.normal(size=(3, 3))).sum()
    for source, by in itertools.product((table, start), ("norm", "share")):
        trace, expected = tg.trace_gradient(loss, to=source), all_words([loss], source, "landmark")
        top = trace.top_paths(9, unit="landmark", by=by)
        assert weights(top, by) == pytest.approx(ranked(expected, trace.total, by), rel=1e-10)


def test_a_row_of_a_table_that_is_taken_twice_counts_twice_in_the_bound_by_whichever_index():
    rng = np.random.default_rng(0)
    table = tg.Tensor(rng.normal(size=(4, 2)), requires_grad=True)
    h = tg.Tensor(np.zeros((3, 2)))
    for _, ids in tg.steps(np.array([[3, -1, 3], [0, 0, -4], [3, 3, -1]])):
        h = (together(h) + table[ids]).named("h")  # together: so that all rows are one block
    for below, upper in bounded(h.sum(), table):
        assert below <= upper * (1 + 1e-12)


def completions(found, stop, cotangent, along):
    """The weights of all completions from a stop, one by one, from the true gradients."""
    arrived, at_uses = segments.carried(found, stop, cotangent)
    if at_uses:
        (gradient,) = segments.contributions(found, at_uses)
        yield float(np.linalg.norm(gradient)) if along is None else abs(float(gradient @ along))
    for earlier, moved in arrived.items():
        yield from completions(found, earlier, moved, along)


@pytest.mark.parametrize("by", ["norm", "share"])
@pytest.mark.parametrize("mixing", [lambda h: h, together], ids=["apart", "mixed"])
@pytest.mark.parametrize("source", ["input", "W_hh", "b"])
def test_no_completion_of_any_half_read_path_weighs_more_than_its_bound(source, mixing, by):
    sources, loss = batch(mixing=mixing)
    trace = tg.trace_gradient(loss, to=sources[source])
    along = trace.total.ravel() / np.linalg.norm(trace.total) if by == "share" else None
    found = segments.segments_of(listing._reading(trace.paths, None), "state")
    made = factors.factors_of(found, along, Limit())
    bound, rng, met = bounds.Bounds(found, made), np.random.default_rng(0), 0
    for stop in found.ways:
        for sparse in (False, True):
            cotangent = rng.normal(size=(1, *found.shape(stop)))
            if sparse:  # in one row only
                cotangent[:, 1:] = 0
            upper = float(bound(stop, cotangent.reshape((1, found.size(stop))))[0])
            below = list(completions(found, stop, cotangent, along))
            assert max(below) <= upper * (1 + 1e-12)
            met += max(below) > 0.05 * upper
    assert met > 3  # and they are not so large that this says nothing


def bounded(loss, source):
    """For each stop the largest weight of a completion, and its bound, of the cotangent that is 1 everywhere."""
    trace = tg.trace_gradient(loss, to=source)
    found = segments.segments_of(listing._reading(trace.paths, None), "state")
    bound = bounds.Bounds(found, factors.factors_of(found, None, Limit()))
    for stop in found.ways:
        cotangent = np.ones((1, *found.shape(stop)))
        upper = float(bound(stop, cotangent.reshape((1, found.size(stop))))[0])
        yield max(completions(found, stop, cotangent, None)), upper


def test_the_bound_holds_where_all_rows_contribute_alike():
    """So that the lengths of what rows contribute add up, as in the worst case; then it is also exact."""
    w = tg.Tensor([[0.7]], requires_grad=True)
    h = tg.Tensor(np.ones((5, 1)))
    for _ in tg.steps(range(4)):
        h = (h @ w).named("h")
    with tg.step(4):  # so that no use of the weight is in the segment of the loss
        loss = h.sum()
    for below, upper in bounded(loss, w):
        assert upper == pytest.approx(below, rel=1e-12)


def test_the_bound_holds_where_a_weight_is_used_twice_in_a_segment():
    w = tg.Tensor([[0.7]], requires_grad=True)
    h = tg.Tensor(np.ones((5, 1)))
    for _ in tg.steps(range(3)):
        h = (h @ w + h @ w).named("h")
    for below, upper in bounded(h.sum(), w):
        assert upper == pytest.approx(below, rel=1e-12)


def test_whether_rows_stay_apart_is_seen_from_numbers_never_from_shapes():
    of_rows = {}
    for name, mixing in {"apart": lambda h: h, "mixed": together}.items():
        sources, loss = batch(rows=3, hidden=3, mixing=mixing)
        trace = tg.trace_gradient(loss, to=sources["input"])
        made = factors.factors_of(segments.segments_of(listing._reading(trace.paths, None), "state"), None, Limit())
        matrices = [matrix for following in made.following.values() for matrix in following.values()]
        of_rows[name] = {len(matrix) for matrix in matrices if matrix.ndim == 3}
        assert made.apart == (name == "apart")
    assert 3 in of_rows["apart"]
    assert of_rows["mixed"] == {1}


def test_one_nan_shows_where_a_row_has_any_influence_even_if_it_is_0():
    seen = np.zeros((2, 2, 3))
    seen[0, 0] = seen[1, 1] = np.nan
    assert ends.apart(seen)
    seen[0, 1, 2] = np.nan
    assert not ends.apart(seen)
    assert not ends.apart(np.zeros((2, 3, 2)))


# The limit ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def spent(monkeypatch):
    """The multiplications of all sweeps, as they are made."""
    made = []

    def counting(found, stop, cotangents):
        made.append(len(cotangents) * found.work(stop))
        return segments.carried(found, stop, cotangents)

    for module in (factors, searching):
        monkeypatch.setattr(module, "carried", counting)
    return made


@pytest.mark.parametrize("source", ["input", "W_hh"])
def test_jacobians_of_rows_that_stay_apart_are_made_at_once(spent, source):
    sources, loss = batch(steps=6, rows=16, hidden=8)
    trace = tg.trace_gradient(loss, to=sources[source])
    found = segments.segments_of(listing._reading(trace.paths, None), "state")
    assert factors.factors_of(found, None, Limit()) is not None
    one_each = sum(found.work(stop) for stop in found.ways)
    assert sum(spent) <= (8 + 16) * one_each  # by unit vectors one by one it would be 8 * 16 times as much
    assert sum(spent) > 8 * one_each / 2


@pytest.mark.parametrize("unit", ["state", "landmark"])
@pytest.mark.parametrize("mixing", [lambda h: h, together], ids=["apart", "mixed"])
@pytest.mark.parametrize("source", ["input", "W_hh"])
def test_all_work_is_within_the_limit_and_there_is_always_an_answer(spent, monkeypatch, source, mixing, unit):
    sources, loss = batch(steps=8, rows=6, hidden=5, mixing=mixing)
    trace = tg.trace_gradient(loss, to=sources[source])
    exact = trace.top_paths(3, unit=unit)
    each = sum(
        found.work(stop)
        for found in [segments.segments_of(listing._reading(trace.paths, None), unit)]
        for stop in found.ways
    )
    kinds = set()
    for power in range(6, 26):
        spent.clear()
        limit = Limit(work=2.0**power, beam=2.0**power, numbers=2.0**power, waiting=2.0 ** (power - 6))
        monkeypatch.setattr(listing, "LIMIT", limit)
        top = trace.top_paths(3, unit=unit)
        # Factors, the beam, the weights; and as many half-read paths as asked for are always followed to the end.
        assert sum(spent) <= 3 * limit.work + 3 * each
        assert len(top) == 3
        kinds.add("exact" if top.gap == 0 else "no bound" if top.gap == np.inf else "stopped")
        assert top[0].norm <= exact[0].norm * (1 + 1e-12)
        assert top[-1].norm + top.gap >= exact[2].norm * (1 - 1e-12)  # the proof holds
        if top.gap == 0:
            assert [path.in_full for path in top] == [path.in_full for path in exact]
    assert {"exact", "no bound"} <= kinds


def test_a_search_stops_where_too_much_is_waiting(monkeypatch):
    sources, loss = batch(steps=14, rows=2, hidden=3)
    trace = tg.trace_gradient(loss, to=sources["input"])
    exact = trace.top_paths(5)
    monkeypatch.setattr(listing, "LIMIT", Limit(waiting=40))
    stopped = trace.top_paths(5)
    assert 0 < stopped.expansions < exact.expansions
    assert 0 < stopped.gap < np.inf
    assert stopped[-1].norm + stopped.gap >= exact[4].norm
    assert f"stopped after {stopped.expansions} expansions" in str(stopped)


def test_a_search_stops_where_it_has_multiplied_enough(monkeypatch):
    sources, loss = batch(steps=12, rows=2, hidden=2)
    trace = tg.trace_gradient(loss, to=sources["input"])
    made = factors.factors_of(segments.segments_of(listing._reading(trace.paths, None), "state"), None, Limit())
    exact = trace.top_paths(1500)
    monkeypatch.setattr(listing, "LIMIT", Limit(work=made.work))
    stopped = trace.top_paths(1500)
    assert 0 < stopped.expansions < exact.expansions
    assert 0 < stopped.gap < np.inf


def test_what_is_too_large_for_jacobians_is_found_by_a_beam_which_says_that_it_knows_no_bound(monkeypatch):
    sources, loss = batch(steps=12, rows=3, hidden=4)
    trace = tg.trace_gradient(loss, to=sources["input"])
    exact = trace.top_paths(4)
    monkeypatch.setattr(listing, "LIMIT", Limit(numbers=1100))
    top = trace.top_paths(4)
    assert top.gap == np.inf
    assert [str(path) for path in top][:2] == [str(path) for path in exact][:2]
    assert "no bound on a path that is not listed" in str(top)
    assert "Exact instead, by the number of crossings" in str(top)
    assert "all other paths together" in str(top)
    assert "inf" not in str(top)


def test_a_beam_that_met_every_path_has_proven_the_order(monkeypatch):
    sources, loss = batch(steps=4)
    trace = tg.trace_gradient(loss, to=sources["input"])
    exact = trace.top_paths(5)
    monkeypatch.setattr(listing, "LIMIT", Limit(work=1.0))
    top = trace.top_paths(5)
    assert top.gap == 0
    assert [(path.in_full, path.norm) for path in top] == [(path.in_full, path.norm) for path in exact]


def test_the_same_question_has_the_same_answer_to_the_last_bit():
    first, second = (
        tg.trace_gradient(loss, to=sources["W_hh"]).top_paths(6, unit="landmark")
        for sources, loss in (batch(steps=6, rows=4, hidden=4) for _ in range(2))
    )
    assert [(path.in_full, path.norm) for path in first] == [(path.in_full, path.norm) for path in second]
    assert first.expansions == second.expansions


# Nothing, and next to nothing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["norm", "share"])
@pytest.mark.parametrize("unit", ["state", "landmark"])
@pytest.mark.parametrize(("rows", "hidden"), [(0, 3), (2, 0), (0, 0)])
def test_paths_through_what_has_no_elements_carry_exactly_0(rows, hidden, unit, by):
    rng = np.random.default_rng(0)
    w = tg.Tensor(rng.normal(size=(hidden, hidden)), requires_grad=True)
    u = tg.Tensor(rng.normal(size=(hidden, 2)), requires_grad=True)
    xs = [tg.Tensor(rng.normal(size=(rows, 2)), requires_grad=True) for _ in range(3)]
    h = tg.Tensor(np.zeros((rows, hidden)))
    for _, x in tg.steps(xs):
        h = np.tanh(h @ w.T + x @ u.T).named("h")
    for source in (xs[0], u, w):
        trace = tg.trace_gradient(h.sum(), to=source)
        top = trace.top_paths(2, unit=unit, by=by)
        assert [path.norm for path in top] == [0.0] * len(top)
        assert top.gap == 0
        assert "0 exactly" in str(top)
        with pytest.raises(ValueError, match="has no elements"):
            trace.explain()


def shrunk(scale, kind="LSTM"):
    """A loss that is made smaller twice, in two segments."""
    sources, loss = batch(kind, steps=5)
    with tg.step(5):
        k = (loss * scale).named("k")
    with tg.step(6):
        return tg.trace_gradient(k * scale, to=sources["input"])


@pytest.mark.parametrize("unit", ["state", "landmark"])
def test_paths_that_underflow_are_in_the_same_order_and_say_how_small_they_are(unit):
    plain, tiny = (shrunk(scale).top_paths(6, unit=unit) for scale in (1.0, 1e-230))
    assert [path.in_full for path in tiny] == [path.in_full for path in plain]
    assert [path.norm for path in tiny] == [0.0] * 6
    assert [path.log10 + 460 for path in tiny] == pytest.approx([np.log10(path.norm) for path in plain], abs=1e-9)
    assert [path.log10 for path in plain] == pytest.approx([np.log10(path.norm) for path in plain], abs=1e-12)
    assert "10^-46" in str(tiny)
    assert "0 exactly" not in str(tiny)


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("within", [None, tg.along(".* h") & ~tg.across("h h h h")])
def test_what_underflows_within_one_segment_is_not_exactly_0_either(kind, within):
    by_word = []
    for scale in (1.0, 1e-230):
        sources, loss = batch(kind, steps=4)
        top = tg.trace_gradient(loss * scale * scale, to=sources["W_hh"]).top_paths(40, within=within)
        by_word.append({path.in_full: path.log10 for path in top})
    plain, tiny = by_word
    assert len(plain) > 2
    assert {word: log10 + 460 for word, log10 in tiny.items()} == pytest.approx(plain, abs=1e-9)


def test_a_path_that_carries_nothing_is_0_exactly():
    x = tg.Tensor([[-1.0, -2.0], [-3.0, -0.5]], requires_grad=True)
    with tg.step(0):
        h = np.maximum(x, 0.0).named("h")
    with tg.step(1):
        y = (2.0 * h).named("y")
    (path,) = tg.trace_gradient(y.sum(), to=x).top_paths()
    assert path.log10 == -np.inf
    assert "0 exactly" in str(tg.trace_gradient(y.sum(), to=x).top_paths())


@pytest.mark.parametrize("scale", [0.02, 4.0])
def test_hundreds_of_steps_neither_underflow_nor_overflow_the_search(scale):
    """Of scalars, whose heaviest path is known: h^199, of weight (scale |1 - h^2|)^200."""
    w = tg.Tensor(np.full((2, 1), scale), requires_grad=True)
    start = h = tg.Tensor(np.full((2, 1), 1e-200), requires_grad=True)
    for _ in tg.steps(range(120)):
        h = (w * h).named("h")
    top = tg.trace_gradient(h.sum(), to=start).top_paths(1)
    assert top.gap == 0
    assert top[0].log10 == pytest.approx(120 * np.log10(scale) + np.log10(2) / 2, rel=1e-12)
    assert len(top[0].word) == 119


@pytest.mark.parametrize("by", ["norm", "share"])
@pytest.mark.parametrize("rows", [1, 2])
def test_bounds_beyond_the_range_of_numbers_are_no_error(rows, by):
    """A turn to and fro between two scales: each step has the norm 10^6, two of them together have 1."""
    turn = np.array([[0.0, 1e6], [1e-6, 0.0]])
    start = h = tg.Tensor(np.ones((rows, 2)), requires_grad=True)
    for _ in tg.steps(range(120)):
        h = (h @ turn).named("h")
    top = tg.trace_gradient(h.sum(), to=start).top_paths(1, by=by)
    assert top.gap == 0
    assert top[0].norm == pytest.approx(np.sqrt(2 * rows))
    assert top[0].share == pytest.approx(1.0)


def test_the_norm_of_what_is_not_finite_bounds_nothing():
    matrix = np.ones((2, 2, 3))
    assert spectral_norms(matrix) == pytest.approx([np.sqrt(6)] * 2)
    matrix[1, 0, 2] = np.inf
    assert spectral_norms(matrix)[1] == np.inf
