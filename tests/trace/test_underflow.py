"""Gradients below the smallest normal number: rounded to nearest they may stop at 5e-324, and are not that.

h' = s h: what arrives after k steps is s^k exactly, so its logarithm is k log10 s.
"""

import math

import numpy as np
import pytest

import tinygrad_rnn as tg

CASES = [(0.5001, 1100, 1, np.float64), (0.7, 2500, 2, np.float64), (0.6, 2000, 2, np.float64)]
CASES += [(0.9, 2000, 1, np.float32), (0.4, 1000, 1, np.float64)]  # the last comes to 0 as well


def decay(s, steps, size=1, dtype=np.float64):
    """h' = s h from an h0 of ones. -> the trace of the sum of the last h to h0, all states, log10 of the norm."""
    s, h = dtype(s), tg.Tensor(np.ones(size, dtype), requires_grad=True, name="h0")
    states = [h]
    for t in range(steps):
        with tg.step(t):
            h = (s * h).named("h")
            states.append(h)
    exact = steps * math.log10(float(s)) + math.log10(size) / 2
    return tg.trace_gradient(h.sum(), to=states[0]), states, exact


@pytest.mark.parametrize("case", CASES, ids=str)
def test_no_answer_takes_what_underflowed_for_a_number(case):
    trace, _, exact = decay(*case)
    power, tolerance = f"10^{exact:.0f}", 1e-6 if case[3] == np.float32 else 1e-12
    flow = trace.flow()
    assert flow.missing.startswith(f"underflowed: it is about {power}")
    assert not flow.shares
    assert not flow.boundaries
    assert flow.log10_total == pytest.approx(exact, rel=tolerance)
    part = trace.across("h*")
    assert str(part).endswith(f"share none, norm {power} underflowed")
    for number in (part.share, part.bias, part.cosine, trace.explain().difference):
        assert math.isnan(number)
    whole = trace.partition({"all": tg.across("h*"), "none": ~tg.across("h*")})["all"]
    assert str(whole).endswith(f"share none, norm {power} underflowed")
    (path,) = found = trace.top_paths(1)
    assert path.log10 == pytest.approx(exact, rel=tolerance)
    assert math.isnan(found.rest_share)
    assert found.rest_norm == 0
    for table in (trace.ledger(), trace.streaming_ledger()):
        assert np.isnan(table.shares).all()
        assert f"none {power} underflowed" in str(table)
        assert table.missing == flow.missing
    (use,) = trace.uses()
    assert str(use).endswith(f"share none, norm {power} underflowed")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_became_too_small_at_the_step_after_which_its_power_is_below_the_smallest_normal_number(case):
    s, steps, _, dtype = case
    trace, _, _ = decay(*case)
    (zero,) = trace.zeros()
    small = math.log10(np.finfo(dtype).tiny)
    after = math.ceil(small / math.log10(float(dtype(s))))  # so many factors bring it below
    assert f"step {steps - after}" in zero.at
    assert f"underflowed: the gradient is about 10^{(after - 1) * math.log10(s):.0f} there" in zero.why


@pytest.mark.parametrize(("s", "steps", "dtype"), [(0.9, 2000, np.float32), (0.7, 2500, float), (0.6, 2000, float)])
def test_the_half_life_is_that_of_the_powers_themselves(s, steps, dtype):
    v, h, s = tg.Tensor(np.ones(1, dtype), requires_grad=True), tg.Tensor(np.ones(1, dtype)), dtype(s)
    for _ in tg.steps(range(steps)):
        h = (s * h + v).named("h")
    trace = tg.trace_gradient(h.sum(), to=v)
    exact = math.log(2) / -math.log(float(s))
    power = f"10^{(steps - 1) * math.log10(float(s)):.0f} underflowed"
    for table in (trace.ledger(), trace.streaming_ledger()):
        assert table.half_life() == pytest.approx(exact, rel=1e-6 if dtype == np.float32 else 1e-12)
        last = str(table).splitlines()[-1].split(maxsplit=1)
        assert last == [str(steps - 1), f"underflowed        100.00% {power}"]


def test_a_lag_with_several_contributions_beyond_the_range_does_not_count_in_the_half_life():
    v, h, losses = tg.Tensor(np.ones(1), requires_grad=True), tg.Tensor(np.ones(1)), []
    for _ in tg.steps(range(1300)):
        h = (0.5001 * h + v).named("h")
        losses.append(h.sum())
    found = tg.trace_gradient([losses[-1], losses[-2]], to=v).ledger().half_life()
    assert found == pytest.approx(math.log(2) / -math.log(0.5001), rel=1e-4)  # all lags but one are of two losses


def test_a_small_part_of_a_gradient_that_is_a_number_underflowed_all_the_same():
    x = tg.Tensor(1.0, requires_grad=True)
    slow, fast = x, x
    for _ in tg.steps(range(1100)):
        slow, fast = (1.0 * slow).named("slow"), (0.5001 * fast).named("fast")
    trace = tg.trace_gradient(slow + fast, to=x)
    exact = 1100 * math.log10(0.5001)
    flow = trace.flow()
    row = next(line for line in str(flow).splitlines() if line.split()[:3] == ["0", "to", "1"])
    assert row.split()[3:] == ["100.00%", f"10^{exact:.0f}", "100.00%", "100.00%"]
    assert list(flow.boundaries[0].log10.values()) == pytest.approx([exact], rel=1e-12)
    assert str(trace.through("fast")).endswith(f"share underflowed, norm 10^{exact:.0f} underflowed")
    assert trace.through("slow").share == 1.0
    assert f"underflowed 10^{exact:.0f} underflowed" in str(trace.top_paths(2))


@pytest.mark.parametrize("s", [0.9, 0.4, 1.3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_product_of_norms_is_a_bound_however_small_or_large_it_is(s, dtype):
    with np.errstate(over="ignore"):
        _, states, exact = decay(s, 3000, dtype=dtype)
    bounds = tg.state_jacobians(states).bounds(np.array([[dtype(s)]]))
    for bound in bounds:
        assert bound.exact <= bound.product_of_norms * (1 + 1e-12)
    assert bounds[-1].log10 == pytest.approx((exact,) * 3, rel=1e-12)
    number = [bound for bound in bounds if -307 < bound.log10[0] < 307]
    products = [bound.product_of_norms for bound in number]
    assert products == pytest.approx([float(dtype(s)) ** bound.lag for bound in number], rel=1e-11, abs=0)
