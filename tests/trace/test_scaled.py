"""Norms beyond the range of numbers, against exact fractions, wherever in the graph large and tiny meet."""

import math
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.engine.sweep import sweep, tape
from tinygrad_rnn.trace.scaled import sweep_scaled, unscaled


def log10(exact):
    exact = abs(exact)
    return math.log10(exact.numerator) - math.log10(exact.denominator) if exact else -math.inf


def lanes(seed, steps=60):
    """Scalar states that hear a source and one another over factors from 2^-400 to 2^300, and some over 0.

    With an even seed most factors are small or of the order of 1, with an odd one large or of the order of 1.

    -> losses, source, {(loss, step of the use): its exact contribution}
    """
    rng = np.random.default_rng(seed)
    source = tg.Tensor(1.0, requires_grad=True, name="source")
    nodes, edges, uses = [source], {}, {}  # edges: consumer -> [(producer, factor)]
    sizes = [(-400, -300), (-3, 3), (200, 300)]

    def factor():
        low, high = sizes[rng.choice(3, p=[0.3, 0.68, 0.02] if seed % 2 == 0 else [0.02, 0.68, 0.3])]
        return 0.0 if rng.random() < 0.05 else 2.0 ** int(rng.integers(low, high))

    for t in range(steps):
        with tg.step(t):
            for _ in range(3):
                heard = [nodes[-1 - min(int(rng.geometric(0.4)) - 1, len(nodes) - 1)] for _ in range(2)]
                factors = [factor() for _ in heard]
                made = (heard[0] * factors[0] + heard[1] * factors[1]).named("h")
                nodes.append(made)
                edges[made.index] = list(zip(heard, factors, strict=True))
    losses = [nodes[-1], nodes[len(nodes) // 2]]
    for row, loss in enumerate(losses):
        flows = {loss.index: Fraction(1)}
        for node in reversed(nodes):
            for producer, by in edges.get(node.index, []):
                part = flows.get(node.index, Fraction(0)) * Fraction(by)
                if producer is source:
                    at = row, node.place.step
                    uses[at] = uses.get(at, Fraction(0)) + part
                flows[producer.index] = flows.get(producer.index, Fraction(0)) + part
    return losses, source, uses


@pytest.mark.parametrize("seed", range(40))
def test_every_entry_of_the_ledger_has_the_logarithm_of_its_exact_fraction(seed):
    with np.errstate(over="ignore", invalid="ignore"):  # states and the plain sweep overflow, which is not the question
        losses, source, exact = lanes(seed)
        ledger = tg.trace_gradient(losses, to=source).ledger()
        found = ledger.log10_norms
    for row in range(2):
        for column, step in enumerate(ledger.steps):
            expected = log10(exact.get((row, step), Fraction(0)))
            assert found[row, column] == pytest.approx(expected, rel=1e-12, abs=1e-12), (row, step)


def test_some_of_those_entries_are_beyond_the_range_of_numbers_on_both_sides():
    with np.errstate(over="ignore", invalid="ignore"):
        logs = [log10(value) for seed in range(40) for value in lanes(seed)[2].values() if value]
    assert min(logs) < -320
    assert max(logs) > 320


def test_while_in_range_the_scaled_sweep_has_the_bits_of_the_plain_one():
    cell = nn.LSTMCell(3, 4, rng=0)
    rng = np.random.default_rng(0)
    h, c, losses = tg.Tensor(np.ones(4)), tg.Tensor(np.ones(4)), []
    for _, x in tg.steps(rng.normal(size=(30, 3))):
        h, c = cell(x, (h, c))
        losses.append((h * h).sum())
    order, w = tape(losses, [cell.weight_hh]), cell.weight_hh
    seeds = {loss.index: np.eye(30)[row] for row, loss in enumerate(losses)}
    scaled, plain = [], []

    def keep(consumer, slot, part):
        if consumer.inputs[slot] is not w:
            return part
        scaled.append(part)
        return None

    def keep_plain(consumer, slot, part):
        plain.append(part.copy())
        return part

    sweep_scaled(order, unscaled(seeds), (), dict.fromkeys(order, keep))
    users = [node.index for node in order.values() if any(x is w for x in node.inputs)]
    sweep(order, seeds, (), dict.fromkeys(users, keep_plain))
    plain = [part for part in plain if part.shape == (30, *w.shape)]
    assert len(scaled) == len(plain) == 30
    for (m, e), part in zip(scaled, plain, strict=True):
        assert np.array_equal(np.ldexp(m, -e[:, None, None]), part)
    assert any(e.any() for _, e in scaled)  # and some of it was scaled


def test_a_tiny_gradient_that_comes_first_does_not_hide_a_large_one():
    """Layer by layer: the upper one, which is met first, vanishes within a few steps, and the lower one does not."""
    v, w = (tg.Tensor(x, requires_grad=True, name=name) for x, name in ((0.99, "v"), (0.5, "w")))
    low, a, b = [], tg.Tensor(1.0), tg.Tensor(0.0)
    for _ in tg.steps(range(800)):
        a = (v * a + 0.01).named("a")
        low.append(a)
    for _, x in tg.steps(low):
        b = tg.sigmoid(w * b + x).named("b")
    trace = tg.trace_gradient(b + low[-1], to=v)
    norms = trace.ledger().norms[0]
    assert list(trace.log10_norms().values()) == pytest.approx(np.log10(norms), rel=1e-12)
    found = tg.diagnose(b + low[-1])
    assert found.by_name["b"][0] < -800
    comes_back = 0.99 * float(tg.grad(b + low[-1], low[1]))  # over the one edge that leads from step 1 into step 0 of a
    assert 10 ** found.by_name["a"][0] == pytest.approx(comes_back, rel=1e-12)
    assert "By its norm it goes along a above all, into 799 of 799 steps" in str(found)


def test_a_deep_net_without_steps_underflows_and_is_not_0():
    x = y = tg.Tensor([0.5], requires_grad=True)
    slopes = 0.0
    for _ in range(700):
        y = tg.sigmoid(y)
        slopes += math.log10(y.data[0] * (1 - y.data[0]))
    trace = tg.trace_gradient(y.sum(), to=x)
    assert trace.log10_norms()[None] == pytest.approx(slopes, rel=1e-12)
    for said in (str(trace.along(".*")), str(trace.flow()), str(trace.ledger())):
        assert "underflowed" in said
        assert "exactly" not in said
        assert "nan" not in said


def test_what_is_not_a_number_is_not_called_0():
    x = tg.Tensor([1.0], requires_grad=True)
    trace = tg.trace_gradient((x * math.nan).sum(), to=x)
    assert math.isnan(trace.log10_norms()[None])
    assert tg.trace_gradient((x * math.inf).sum(), to=x).log10_norms()[None] == math.inf


def test_float32_has_its_own_narrower_range():
    v = tg.Tensor(np.array([1.0], np.float32), requires_grad=True)
    h = tg.Tensor(np.array([1.0], np.float32))
    for _ in tg.steps(range(500)):
        h = 0.5 * h + v
    trace = tg.trace_gradient(h.sum(), to=v)
    assert trace.log10_norms()[0] == pytest.approx(-499 * math.log10(2), rel=1e-12)
    assert trace.ledger().norms[0, 0] == 0


@pytest.mark.parametrize("outside", [False, True], ids=["the weight itself", "a weight turned outside the loop"])
def test_what_arrives_at_a_weight_at_every_step_is_added_up_as_it_comes(outside):
    """Of a part that is 0, as here with the most crossings from a state that begins at 0, the logarithm is asked."""
    rng = np.random.default_rng(0)
    w = tg.Tensor(rng.normal(0, 0.1, (48, 48)), requires_grad=True)
    turned, h = w.T * 2.0 if outside else w, tg.Tensor(np.zeros(48))
    for _, x in tg.steps(rng.normal(size=(40, 48))):
        h = np.tanh(turned @ h + x).named("h")
    trace = tg.trace_gradient((h * h).sum(), to=w)
    parts = trace.by_crossings("h")
    assert parts[-1].log10 == -math.inf
    asked = {"plain": lambda: sweep(trace.paths.order, trace.paths.seeds(len(parts)), [w.index])}
    asked["by crossings"] = lambda: trace.by_crossings("h")
    peaks = {}
    for name, ask in asked.items():
        tracemalloc.start()
        ask()
        peaks[name] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks["by crossings"] < 3 * peaks["plain"]


def two_states(steps, a, b, d, e):
    """h' = a h + b c, c' = d h + e c, from v in h at step 0. -> a trace of the last h to v, its parts, exactly."""
    v = tg.Tensor(1.0, requires_grad=True, name="v")
    h, c = tg.Tensor(0.0), tg.Tensor(0.0)
    for _, by in tg.steps([v] + [0.0] * (steps - 1)):
        h, c = (a * h + b * c + by).named("h"), (d * h + e * c).named("c")
    into_h, into_c = {0: Fraction(1)}, {}  # by number of crossings in h so far
    for _ in range(steps - 1):
        by_h, by_c = {}, {}
        for flows, along_h, along_c in ((into_h, a, b), (into_c, d, e)):
            for k, flow in flows.items():
                by_h[k + 1] = by_h.get(k + 1, Fraction(0)) + flow * Fraction(along_h)
                by_c[k] = by_c.get(k, Fraction(0)) + flow * Fraction(along_c)
        into_h, into_c = by_h, by_c
    return tg.trace_gradient(h, to=v), into_h


@np.errstate(over="ignore", invalid="ignore")
def test_a_part_beyond_the_range_of_numbers_knows_its_logarithm_on_both_sides():
    trace, exact = two_states(38, 2.0**30, 0.5, -0.25, 2.0**-40)
    parts, kinds = trace.by_crossings("h"), set()
    assert [k for k, part in enumerate(parts) if part.connected] == sorted(exact)
    for k, flow in exact.items():
        part, size = parts[k], log10(flow)
        if -307.6 < size < -150:  # a number, but some of its paths underflow on their way
            continue
        kind = "underflowed" if size < -150 else "a number" if size < 308.2 else "overflowed"
        kinds.add(kind)
        if kind == "a number":
            assert part.log10 is None
            assert math.log10(part.norm) == pytest.approx(size, rel=1e-12)
        else:
            assert part.log10 == pytest.approx(size, rel=1e-12)
            assert str(part).endswith(f"norm 10^{size:.0f} {kind}")
    assert kinds == {"underflowed", "a number", "overflowed"}
    often = sum(flow for k, flow in exact.items() if k >= 20)
    halves = trace.partition({"often": tg.across(".* (h c*){20}"), "seldom": ~tg.across(".* (h c*){20}")})
    assert halves["often"].log10 == pytest.approx(log10(often), rel=1e-12)
    assert trace.along(".*").log10 == pytest.approx(log10(sum(exact.values())), rel=1e-12)


@np.errstate(over="ignore", invalid="ignore")
def test_what_overflows_on_its_way_and_then_meets_a_0_is_exactly_0():
    trace, exact = two_states(60, 2.0**30, 0.0, 1.0, 1.0)
    assert [k for k, flow in exact.items() if flow] == [59]
    parts = trace.by_crossings("h")
    assert any(math.isnan(part.norm) for part in parts[:59])
    for part in parts[:59]:
        assert str(part).endswith("norm 0 exactly" if part.connected else "no path")
    assert parts[59].log10 == pytest.approx(59 * 30 * math.log10(2), rel=1e-12)


def test_what_is_cut_is_left_out_where_all_else_underflows_too():
    x = tg.Tensor(1.0, requires_grad=True)
    slow, fast = x, x
    for _ in tg.steps(range(700)):
        slow, fast = (0.25 * slow).named("slow"), (0.125 * fast).named("fast")
    loss = slow + fast
    trace = tg.trace_gradient(loss, to=x)
    assert trace.without((loss, 0)).log10 == pytest.approx(700 * math.log10(0.125), rel=1e-12)
    assert trace.without((loss, 1)).log10 == pytest.approx(700 * math.log10(0.25), rel=1e-12)
    assert trace.without((loss, 0), (loss, 1)).log10 is None  # no path


def test_a_shut_gate_before_what_is_small_already_does_not_underflow():
    k = start = tg.Tensor(0.0, requires_grad=True)
    for t, _ in tg.steps(range(36)):
        k = ((k - 600.0).sigmoid() if t == 0 else k * 1e-2).named("h")
    exact = -70 - 600 / math.log(10)
    assert tg.trace_gradient(k, to=start).log10_norms()[0] == pytest.approx(exact, rel=1e-12)
    assert tg.trace_gradient(k, to=start).along(".*").log10 == pytest.approx(exact, rel=1e-12)
