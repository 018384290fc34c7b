"""Gradients too large for a number: they are not «not a number», and what can be known of them is answered.

Oracles: powers of two, and fractions, by hand.
"""

import math
from fractions import Fraction

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.trace.heaviest import listing
from tinygrad_rnn.trace.heaviest.factors import Limit

LOG2 = math.log10(2)


def growth(steps, size=1):
    """h' = W h, with W = 2, or twice a rotation of the elements. -> the trace of the sum of the last h to h0."""
    start = h = tg.Tensor(np.ones(size), requires_grad=True, name="h0")
    w = 2.0 if size == 1 else tg.Tensor(2 * _orthogonal(size))
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(steps):
            with tg.step(t):
                h = (w * h if size == 1 else w @ h).named("h")
        trace = tg.trace_gradient(h.sum(), to=start)
        assert not np.isfinite(trace.total).any()
    return trace


def _orthogonal(size):
    return np.linalg.qr(np.random.default_rng(0).normal(size=(size, size)))[0]


@pytest.mark.parametrize("keep", [1.0, 0.75, 0.5, 0.375, 0.25, 0.0])
def test_the_expected_gradient_is_a_number_where_the_gradients_that_it_is_made_of_are_not(keep):
    exact = 2 * (2 * Fraction(keep)) ** 1499  # the one path crosses 1,499 times in h
    part = growth(1500).expected_detached("h", keep)
    size = math.log10(exact.numerator) - math.log10(exact.denominator) if exact else -math.inf
    if abs(size) < 300:
        assert part.gradient == pytest.approx([float(exact)], rel=1e-12, abs=0)
        assert part.log10 is None
    else:
        assert part.log10 == pytest.approx(size, rel=1e-12)
    said = {1.0: "10^452 overflowed", 0.5: "2", 0.25: "10^-451 underflowed", 0.0: "0 exactly"}
    assert str(part).endswith(f"norm {said[keep] if keep in said else f'{float(exact):.3g}'}")


def test_a_large_gradient_over_many_crossings_counts_though_their_probability_underflows():
    x = tg.Tensor(1.0, requires_grad=True)
    often, never = x, x * 1e-250
    for t in range(1000):
        with tg.step(t):
            often = (2.0 * often).named("h")
    part = tg.trace_gradient(often + never, to=x).expected_detached("h", 0.4375)
    exact = Fraction(2) ** 1000 * Fraction(7, 16) ** 999 + Fraction(1e-250)
    assert part.gradient == pytest.approx(float(exact), rel=1e-12, abs=0)


def test_the_one_path_of_a_gradient_that_overflowed_is_the_heaviest():
    trace = growth(1500)
    (path,) = found = trace.top_paths(5)
    assert path.log10 == pytest.approx(1500 * LOG2, rel=1e-12)
    assert str(path) == "h^1499"
    assert found.all_listed
    assert "none 10^452 overflowed" in str(found)
    with pytest.raises(ValueError, match=r'the gradient overflowed: it is about 10\^452, so .* by="norm"'):
        trace.top_paths(5, by="share")


def test_paths_that_overflow_are_in_order():
    x = tg.Tensor(1.0, requires_grad=True)
    a, b = x, x
    with np.errstate(over="ignore"):
        for t in range(1200):
            with tg.step(t):
                a, b = (2.0 * a).named("a"), (4.0 * b).named("b")
        trace = tg.trace_gradient(a + b, to=x)
        assert trace.total == math.inf
    found = trace.top_paths(2)
    assert list(map(str, found)) == ["b^1199", "a^1199"]
    assert [path.log10 for path in found] == pytest.approx([2400 * LOG2, 1200 * LOG2], rel=1e-12)
    assert found.gap == 0


def test_what_is_infinite_in_truth_still_has_no_heaviest_path():
    x = tg.Tensor([1.0], requires_grad=True)
    with pytest.raises(ValueError, match=r"the gradient is not finite, .*detect_anomaly"):
        tg.trace_gradient((x * math.inf).sum(), to=x).top_paths()


def test_an_explanation_of_what_overflowed_is_in_powers_of_ten():
    trace = growth(2000, size=3)
    assert np.isnan(trace.total).all()  # inf - inf on the way
    found = trace.explain()
    size = 2000 * LOG2 + math.log10(3) / 2  # an orthogonal matrix keeps the length of (1, 1, 1)
    assert found.log10 == pytest.approx(size, rel=1e-12)
    assert found.terms[-1].log10 == pytest.approx(size, rel=1e-12)
    assert found.terms[-1].log10_state == pytest.approx(1999 * LOG2, rel=1e-12)
    assert math.isnan(found.difference)
    assert f"of norm 10^{size:.0f} overflowed" in str(found)


def test_the_flow_of_what_overflowed_has_the_logarithm_of_what_flows_in_all():
    flow = growth(1500).flow()
    assert flow.log10_total == pytest.approx(1500 * LOG2, rel=1e-12)
    assert not flow.shares


def test_without_units_of_its_own_a_search_says_that_the_gradient_overflowed(monkeypatch):
    trace = growth(1500)
    monkeypatch.setattr(listing, "LIMIT", Limit(work=0))
    with pytest.raises(ValueError, match=r"the gradient overflowed, .*search from a smaller loss"):
        trace.top_paths(1)


def test_what_cancels_between_numbers_of_crossings_does_not_spoil_the_expected_gradient():
    x = tg.Tensor(np.ones(1), requires_grad=True)
    h, c = x, x * 1.0
    for _ in tg.steps(range(60)):
        h, c = (3.0 * h - 1.0 * c).named("h"), (2.0 * h + 0.5 * c).named("c")
    trace = tg.trace_gradient((h + c).sum(), to=x)
    assert trace.expected_detached("h", keep=1.0).gradient == pytest.approx(trace.total, rel=1e-14, abs=0)
    a, b = Fraction(1), Fraction(1)  # by h and by c, exactly, with h kept at each crossing with probability 1/2
    for _ in range(59):
        a, b = Fraction(1, 2) * (3 * a + 2 * b), -a + Fraction(1, 2) * b
    exact = float(3 * a + 2 * b - a + Fraction(1, 2) * b)
    assert trace.expected_detached("h", keep=0.5).gradient[0] == pytest.approx(exact, rel=1e-12, abs=0)


@pytest.mark.parametrize(("factors", "what"), [([1e200, 1e200, 1e-200, 1e-200], "under"), ([1e-200, 1e200], "no")])
def test_a_gradient_that_leaves_the_range_of_numbers_on_the_way_only_says_so(factors, what):
    h = w = tg.Tensor(1.0, requires_grad=True, name="w")
    with np.errstate(over="ignore"):
        for _, factor in tg.steps(np.array(factors)):
            h = (h * factor).named("h")
        trace = tg.trace_gradient(h * 1.0, to=w)
        said = f"{trace.ledger()} {trace.flow()}"
    assert ("underflowed: it is about 10^0 in truth, but left the range of numbers" in said) == (what == "under")
    assert "10^-0" not in said
    assert trace.top_paths(2)[0].norm == pytest.approx(1.0)
