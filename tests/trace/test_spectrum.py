"""Lag by crossings, and norms below the smallest number."""

import math
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.trace import brute_force
from tests.trace.test_routes import lstm, relative, rnn
from tinygrad_rnn.trace import percent


def test_the_spectrum_has_the_ledger_as_its_row_sums_and_the_crossings_as_its_column_sums():
    cell, _, _, loss = lstm(steps=6)
    trace = tg.trace_gradient(loss, to=cell.weight_hh)
    spectrum, ledger = trace.spectrum("h"), trace.ledger()
    assert spectrum.lags == tuple(range(6))
    for row, lag in enumerate(spectrum.lags):
        by_lag = spectrum.gradients[row].sum(axis=0)
        assert relative(by_lag, ledger.contributions[0, 5 - lag], trace.total) < 1e-12
    for k, part in enumerate(trace.by_crossings("h")):
        assert relative(spectrum.gradients[:, k].sum(axis=0), part.gradient, trace.total) < 1e-12
    assert spectrum.shares.sum() == pytest.approx(1.0)
    assert str(spectrum).splitlines()[0] == "share by lag and by crossings in h:"


def test_the_spectrum_of_many_losses_adds_them_up():
    cell, _, _, losses = rnn(5)
    trace = tg.trace_gradient(losses, to=cell.weight_hh)
    spectrum = trace.spectrum("h")
    lags = trace.ledger().lags()
    assert np.allclose([spectrum.gradients[k].sum(axis=0) for k in range(5)], [_lag(trace, lag.lag) for lag in lags])
    # In an RNN every step back is a crossing in h, so a lag of k has exactly k of them.
    assert not spectrum.gradients[~np.eye(5, dtype=bool)].any()


def test_a_weight_transposed_outside_the_loop_and_a_state_have_the_lags_of_the_ledger():
    rng = np.random.default_rng(0)
    w = tg.Tensor(rng.normal(0, 0.6, (3, 3)), requires_grad=True)
    turned, h, states = w.T * 2.0, tg.Tensor(np.ones(3)), []
    for _, x in tg.steps(rng.normal(size=(6, 3))):
        h = np.tanh(turned @ h + x).named("h")
        states.append(h)
    loss = (h * h).sum()
    for source in (w, states[2]):
        trace = tg.trace_gradient(loss, to=source)
        spectrum, ledger = trace.spectrum("h"), trace.ledger()
        assert spectrum.lags == tuple(lag.lag for lag in ledger.lags())
        for row, lag in enumerate(spectrum.lags):
            at = ledger.steps.index(5 - lag)
            assert relative(spectrum.gradients[row].sum(axis=0), ledger.contributions[0, at], trace.total) < 1e-12
    with pytest.raises(ValueError, match="by_crossings"):
        tg.trace_gradient((h * w[0]).sum(), to=w).spectrum("h")


@pytest.mark.parametrize("name", ["h", "c"])
@pytest.mark.parametrize("where", ["weight", "input", "state"])
def test_every_cell_is_the_sum_over_its_paths(name, where):
    """The lag of a path is from its loss back to its first operation at a step."""
    cell, xs, _, loss = lstm(steps=4)
    source = {"weight": cell.weight_ih, "input": xs[1]}.get(where)
    if source is None:
        source = next(n for n in brute_force.ancestors(loss) if (n.name, n.place.step) == ("c", 1))
    trace, cells, whole = tg.trace_gradient(loss, to=source), {}, tg.grad(loss, source)
    for edges, part in brute_force.walks([loss], source):
        crossings = brute_force.words(edges, source)[1]
        key = 3 - edges[0][1].place.step, sum(mark[0] == name for mark in crossings)
        cells[key] = cells.get(key, 0) + part
    kept, streaming = trace.spectrum(name), trace.streaming_spectrum(name)
    assert kept.lags == streaming.lags == tuple(sorted({lag for lag, _ in cells}))
    assert kept.connected.shape[1] == 1 + max(k for _, k in cells)
    for row, k in np.ndindex(kept.connected.shape):
        expected = cells.get((kept.lags[row], k), np.zeros(source.shape))
        assert relative(kept.gradients[row, k], expected, whole) < 1e-12
        assert streaming.shares[row, k] == pytest.approx(np.vdot(expected, whole) / np.vdot(whole, whole), abs=1e-12)
        assert kept.connected[row, k] == streaming.connected[row, k] == ((kept.lags[row], k) in cells)
    assert str(kept) == str(streaming)
    assert tg.plot_spectrum(kept).alt_text == tg.plot_spectrum(streaming).alt_text


def test_a_spectrum_that_memory_cannot_hold_is_refused_before_it_is_made_and_its_shares_are_there():
    rng = np.random.default_rng(0)
    w = tg.Tensor(rng.normal(0, 0.05, (300, 300)), requires_grad=True, name="W")
    h = tg.Tensor(np.ones(300))
    for _ in tg.steps(range(80)):
        h = np.tanh(w @ h).named("h")
    trace = tg.trace_gradient((h * h).sum(), to=w)
    tracemalloc.start()
    try:
        with pytest.raises(MemoryError, match=r"80 lags and 80 .*: 4\.6 GB for «W».*\.streaming_spectrum\('h'\)"):
            trace.spectrum("h")
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_a_streaming_spectrum_of_many_losses_keeps_no_arrays():
    rng = np.random.default_rng(0)
    w, h, losses = tg.Tensor(rng.normal(0, 0.3, (20, 20)), requires_grad=True, name="W"), tg.Tensor(np.ones(20)), []
    for t in range(60):
        with tg.step(t):
            h = np.tanh(w @ h).named("h")
            losses += [(h * h).sum()] if t in (30, 59) else []
    trace = tg.trace_gradient(losses, to=w)
    kept = trace.spectrum("h")
    tracemalloc.start()
    try:
        streaming = trace.streaming_spectrum("h")
        assert tracemalloc.get_traced_memory()[1] < kept.gradients.nbytes / 4
    finally:
        tracemalloc.stop()
    np.testing.assert_allclose(streaming.shares, kept.shares, rtol=0, atol=1e-12)
    assert np.array_equal(streaming.connected, kept.connected)
    assert np.array_equal(streaming.zero, kept.zero)
    lines = str(streaming).splitlines()
    assert lines[1].split()[-2:] == ["18", "more"]  # as many columns as can be read
    assert lines[2 + 25].split()[-1] == percent(streaming.shares[25, 19:].sum())


def test_of_a_gradient_of_0_a_streaming_spectrum_has_no_shares_and_says_so():
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    with tg.step(0):
        h = (x * 0.0).named("h")
    with tg.step(1):
        loss = (h * 2.0).sum()
    streaming = tg.trace_gradient(loss, to=x).streaming_spectrum("h")
    assert np.isnan(streaming.shares).all()
    assert streaming.zero.tolist() == [[False, True]]
    assert "The gradient is exactly 0, so there are no shares." in str(streaming)


def _lag(trace, lag):
    table = trace.ledger().contributions
    return sum(table[tau, tau - lag] for tau in range(lag, len(table)))


def test_the_mean_number_of_detours_is_the_sum_over_all_crossings():
    _, xs, _, loss = lstm(steps=5)
    trace = tg.trace_gradient(loss, to=xs[0])
    mean = sum(k * part.share for k, part in enumerate(trace.by_crossings("h")))
    each = sum(trace.along(f".* h[{t}]> .*").share for t in range(4))
    assert mean == pytest.approx(each, rel=1e-12)


def test_log_norms_are_those_of_the_ledger_while_nothing_underflows():
    cell, _, _, loss = lstm(steps=12)
    trace = tg.trace_gradient(loss, to=cell.weight_hh)
    logs, norms = trace.log10_norms(), trace.ledger().norms[0]
    assert list(logs) == list(range(12))
    for step, log in logs.items():
        if norms[step]:
            assert log == pytest.approx(math.log10(norms[step]), rel=1e-13)
        else:
            assert log == -math.inf


def scalar_chain(steps, weight):
    w = tg.Tensor(weight, requires_grad=True, name="w")
    h = tg.Tensor(1.0)
    for _ in tg.steps(range(steps)):
        h = (w * h).named("h")
    return tg.trace_gradient(h, to=w)


def test_norms_that_underflow_are_exact_against_fractions():
    """For h_t = w h_{t-1} from 1, the use of w at step 0 contributes w^(T-1): 10^-6020 for w = 1/4 and T = 10,001."""
    steps = 10_001
    truth = Fraction(1, 4) ** (steps - 1)
    logs = scalar_chain(steps, 0.25).log10_norms()
    assert logs[0] == pytest.approx(-math.log10(truth.denominator), rel=1e-12)
    assert scalar_chain(steps, 0.25).ledger().norms[0, 0] == 0.0


def test_a_logistic_network_over_ten_thousand_steps_vanishes_without_becoming_zero():
    w = tg.Tensor(np.array([[0.8]]), requires_grad=True, name="w")
    h = tg.Tensor(np.array([0.5]))
    values = []
    for _ in tg.steps(range(10_000)):
        h = tg.sigmoid(w @ h).named("h")
        values.append(h.data[0])
    logs = tg.trace_gradient(h.sum(), to=w).log10_norms()
    slopes = np.log10(0.8 * np.array(values[1:]) * (1 - np.array(values[1:])))
    expected = slopes.sum() + math.log10(0.5 * values[0] * (1 - values[0]))
    assert logs[0] == pytest.approx(expected, rel=1e-12)
    assert logs[0] < -6_000


def test_horizon_and_half_life_of_a_geometric_ledger():
    trace = scalar_chain(30, 0.5)
    assert trace.ledger().half_life() == math.inf  # each use contributes w^29, whatever its lag
    w, v = tg.Tensor(0.5, requires_grad=True, name="w"), tg.Tensor(1.0, requires_grad=True, name="v")
    h = tg.Tensor(0.0)
    for _ in tg.steps(range(40)):
        h = (w * h + v).named("h")
    ledger = tg.trace_gradient(h, to=v).ledger()
    assert ledger.half_life() == pytest.approx(1.0)
    assert ledger.horizon(0.99) == 7  # 1 - 2^-7 > 0.99 > 1 - 2^-6
    assert ledger.horizon(0.7) == 2


def test_a_spectrum_warns_of_what_the_ledger_warns_of_in_print_and_in_its_plot():
    w, h, running = tg.Tensor(0.5, True, "w"), tg.Tensor(1.0), tg.Tensor(0.0)
    for _ in tg.steps(range(4)):
        h = (w * h).named("h")
        running = running + h * h
    trace = tg.trace_gradient(running, to=w)
    (warning,) = trace.ledger().warnings
    for found in (trace.spectrum("h"), trace.streaming_spectrum("h")):
        assert found.warnings == (warning,)
        assert str(found).endswith(f"Warning: {warning}")
        assert tg.plot_spectrum(found).alt_text.endswith(f"Warning: {warning}")
    assert not tg.trace_gradient((h * h).named("loss"), to=w).spectrum("h").warnings
