"""What if an edge were cut: against really detaching it, and by inclusion and exclusion."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn


def leaky(detach_at=(), detach_h=()):
    """-> weight, inputs, h and 0.5 n by step, loss; h' = 0.5 n + 0.6 h, with n or what n hears of h detached."""
    rng = np.random.default_rng(0)
    w, u = (tg.Tensor(rng.normal(0, 0.6, (4, n)), requires_grad=True) for n in (4, 3))
    xs = [tg.Tensor(x, requires_grad=True) for x in rng.normal(size=(6, 3))]
    h, states, sums = tg.Tensor(rng.normal(size=4)), [], []
    for t, x in tg.steps(xs):
        before = h.detach() if t in detach_h else h
        n = np.tanh(w @ before + u @ x).named("n")
        fresh = 0.5 * (n.detach() if t in detach_at else n)
        old = 0.6 * h
        h = (fresh + old).named("h")
        states.append(h)
        sums.append(fresh)
    return w, xs, states, sums, (h * [1.0, -1.0, 2.0, 0.5]).sum()


def slot_of_n(scaled):
    return next(slot for slot, x in enumerate(scaled.inputs) if x.name == "n")


def relative(a, b):
    return np.max(np.abs(a - b)) / np.max(np.abs(b))


@pytest.mark.parametrize("at", [(5,), (2,), (1, 4)])
def test_cutting_edges_is_really_detaching_them(at):
    w, xs, _, sums, loss = leaky()
    slot = slot_of_n(sums[0])
    w2, xs2, *_, detached = leaky(at)
    for source, again in ((w, w2), (xs[0], xs2[0])):
        part = tg.trace_gradient(loss, to=source).without(*[(sums[t], slot) for t in at])
        expected = tg.grad(detached, again)
        assert np.max(np.abs(part.gradient - expected)) < 1e-13 * np.max(np.abs(part.whole))
    assert f"without slot {slot} of an unnamed tensor" in str(part)


def test_two_cuts_obey_inclusion_and_exclusion():
    w, _, _, sums, loss = leaky()
    trace = tg.trace_gradient(loss, to=w)
    slot = slot_of_n(sums[0])
    a, b = (sums[1], slot), (sums[4], slot)
    through = {cut: trace.total - trace.without(*cut).gradient for cut in ((a,), (b,), (a, b))}
    flow = trace.flow().shares
    for edge in (a, b):
        carried = np.vdot(through[edge,], trace.total) / np.vdot(trace.total, trace.total)
        assert carried == pytest.approx(flow[edge[0].index, slot], rel=1e-12)
    over_both = through[a,] + through[b,] - through[a, b]
    left_of_b = trace.without(a).gradient - trace.without(a, b).gradient  # over b, and not over a
    assert over_both.any()
    assert relative(through[b,] - left_of_b, over_both) < 1e-12


def test_edges_routes_and_names_are_cut_together():
    w, _, _, sums, loss = leaky()
    trace = tg.trace_gradient(loss, to=w)
    slot = slot_of_n(sums[0])
    one_by_one = leaky(detach_at=(3,), detach_h=(2,))
    together = trace.without((sums[3], slot), tg.along(".* h[1]> n .*"))
    expected = tg.grad(one_by_one[-1], one_by_one[0])
    assert np.max(np.abs(together.gradient - expected)) < 1e-13 * np.max(np.abs(trace.total))


def test_what_is_no_edge_on_the_way_is_refused():
    _, xs, states, sums, loss = leaky()
    trace = tg.trace_gradient(loss, to=xs[3])
    with pytest.raises(ValueError, match="no slot 7"):
        trace.without((states[4], 7))
    with pytest.raises(ValueError, match="no path from the source"):
        trace.without((sums[1], 0))
    with pytest.raises(TypeError, match="the slot of its input"):
        trace.without((3, 0))
    with pytest.raises(ValueError, match="needs a route"):
        trace.without()


def test_the_expected_h_detach_gradient_is_the_average_over_all_masks():
    rng = np.random.default_rng(0)
    cell = nn.LSTMCell(3, 4, rng=rng)
    data = rng.normal(size=(5, 3))

    def gradient(mask):
        h, c = tg.Tensor(np.zeros(4)), tg.Tensor(np.zeros(4))
        for t, x in tg.steps(data):
            h, c = cell(x, (h if t == 0 or mask >> (t - 1) & 1 else h.detach(), c))
        loss = (h * [1.0, -1.0, 2.0, 0.5]).sum()
        return loss, tg.grad(loss, cell.weight_hh)

    loss, _ = gradient(0b1111)
    for keep in (0.0, 0.25, 1.0):
        expected = sum(
            keep ** bin(mask).count("1") * (1 - keep) ** (4 - bin(mask).count("1")) * gradient(mask)[1]
            for mask in range(16)
        )
        part = tg.trace_gradient(loss, to=cell.weight_hh).expected_detached("h", keep)
        assert np.max(np.abs(part.gradient - expected)) < 1e-13 * np.max(np.abs(part.whole))
        assert part.bias == pytest.approx(np.linalg.norm(part.whole - expected) / np.linalg.norm(part.whole), abs=1e-12)
    with pytest.raises(ValueError, match="probability"):
        tg.trace_gradient(loss, to=cell.weight_hh).expected_detached("h", 2)


def test_the_named_approximations_are_really_detaching():
    rng = np.random.default_rng(0)
    data = rng.normal(size=(6, 3))
    lstm, gru_cell = nn.LSTMCell(3, 4, rng=rng), nn.GRUCell(3, 4, rng=rng)

    def run_lstm(cut):
        h, c = tg.Tensor(np.zeros(4)), tg.Tensor(np.zeros(4))
        for _, x in tg.steps(data):
            h, c = lstm(x, (h.detach() if cut else h, c))
        return (h * [1.0, -1.0, 2.0, 0.5]).sum()

    part = tg.trace_gradient(run_lstm(False), to=lstm.weight_hh).on(tg.truncated_1997())
    assert np.max(np.abs(part.gradient - tg.grad(run_lstm(True), lstm.weight_hh))) < 1e-13 * np.max(np.abs(part.whole))
    assert str(part).startswith("truncated_1997(): share")

    def run_gru(cut):
        h = tg.Tensor(np.zeros(4))
        for _, x in tg.steps(data):
            if not cut:
                h = gru_cell(x, h)
                continue
            heard, n = h.detach(), 4
            zi = gru_cell.weight_ih @ x + gru_cell.bias_ih
            zh = gru_cell.weight_hh @ heard + gru_cell.bias_hh
            r, z = tg.sigmoid(zi[:n] + zh[:n]), tg.sigmoid(zi[n : 2 * n] + zh[n : 2 * n])
            h = (1.0 - z) * np.tanh(zi[2 * n :] + r * zh[2 * n :]) + z * h
        return (h * [1.0, -1.0, 2.0, 0.5]).sum()

    part = tg.trace_gradient(run_gru(False), to=gru_cell.weight_hh).on(tg.leak_only())
    expected = tg.grad(run_gru(True), gru_cell.weight_hh)
    assert np.max(np.abs(part.gradient - expected)) < 1e-13 * np.max(np.abs(part.whole))
