"""Diagnoses of models whose trouble is known."""

import math
import sys

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.trace import brute_force
from tests.trace.test_any_cell import coupled_lstm, parameters, peephole_lstm
from tinygrad_rnn import nn


def last_state(cell, steps, hidden=16):
    h = c = tg.Tensor(np.zeros(hidden))
    for _, x in tg.steps(np.random.default_rng(0).normal(size=(steps, 4))):
        if isinstance(cell, nn.LSTMCell):
            h, c = cell(x, (h, c))
        else:
            h = cell(x, h)
    return h


def scaled(cell, scale):
    cell.weight_hh.data = cell.weight_hh.data * scale
    return cell


def with_forget_bias(cell, bias):
    data = np.array(cell.bias_ih.data)
    data[cell.hidden_size : 2 * cell.hidden_size] += bias
    cell.bias_ih.data = data
    return cell


def test_a_plain_rnn_vanishes_by_the_factor_that_its_gradient_shows():
    loss = (last_state(nn.RNNCell(4, 16, rng=0), 40) ** 2).sum()
    found = tg.diagnose(loss)
    assert found.verdict == "vanishing"
    states = [node for node in tg.trace_gradient(loss, to=_earliest(loss)).paths.order.values() if node.name == "h"]
    norms = [np.linalg.norm(tg.grad(loss, h)) for h in states[:-1]]
    assert np.allclose([found.log10_crossing[t] for t in range(39)], np.log10(norms), rtol=1e-9)
    change = norms[0] / np.linalg.norm(tg.grad(loss, states[-1]))
    assert found.factor == pytest.approx(change ** (1 / 39), rel=1e-9)
    assert f"changes by a factor of 10^{math.log10(change):.1f}, which is {found.factor:.3g} a step" in str(found)
    assert "orthogonal" in str(found)


def _earliest(loss):
    return min((n for n in brute_force.ancestors(loss) if n.name == "h"), key=lambda n: n.place.step)


def test_large_recurrent_weights_explode():
    loss = last_state(scaled(nn.RNNCell(4, 16, nonlinearity="relu", rng=0), 4.0), 40).sum()
    found = tg.diagnose(loss)
    assert found.verdict == "exploding"
    assert found.factor > 1
    assert "clip_grad_norm_" in str(found)


def test_an_lstm_with_a_large_forget_bias_is_healthy_and_without_it_vanishes():
    vanishing = tg.diagnose((last_state(nn.LSTMCell(4, 16, rng=0), 40) ** 2).sum())
    healthy = tg.diagnose((last_state(with_forget_bias(nn.LSTMCell(4, 16, rng=0), 5.0), 40) ** 2).sum())
    assert (vanishing.verdict, healthy.verdict) == ("vanishing", "healthy")
    assert set(vanishing.by_name) == {"c", "h"}
    assert "larger bias of f" in str(vanishing)
    assert "By its norm it goes along c above all, into 39 of 39 steps" in str(vanishing)
    assert vanishing.factor < healthy.factor <= 1.1


def test_a_recurrence_that_never_recurs_is_found_out_in_one_sentence():
    """Each step reads the initial state: the loss at the end sees its own step alone, a loss at each step no other."""
    cell, h0 = nn.RNNCell(4, 16, rng=0), tg.Tensor(np.zeros(16))
    states = [cell(x, h0) for _, x in tg.steps(np.random.default_rng(0).normal(size=(10, 4)))]
    for loss in (states[-1].sum(), sum((h.sum() for h in states), tg.Tensor(0.0)), [h.sum() for h in states]):
        found = tg.diagnose(loss)
        assert found.verdict == "broken"
        assert len(found.sentences) == 1
        assert "h = cell(x, h)" in str(found)


def test_gates_are_found_by_what_they_do_and_not_by_their_name():
    """A gate called f that lets the new in, beside 1 - f for the old, is not spoken of as if it kept the old."""
    w = tg.Tensor(np.random.default_rng(0).normal(size=(4, 4)), requires_grad=True)
    h = tg.Tensor(np.ones(4))
    for _, x in tg.steps(np.random.default_rng(1).normal(size=(50, 4))):
        f = tg.sigmoid(w @ h - 4.0).named("f")
        h = ((1.0 - f) * h + f * np.tanh(w @ h + x)).named("h")
    assert "f multiplies" not in str(tg.diagnose(h.sum()))
    gru = tg.diagnose(last_state(nn.GRUCell(4, 16, rng=0), 40).sum())
    assert "z multiplies h from step to step" in str(gru)
    assert "nn.GRUCell" not in str(gru)
    textbook = str(tg.diagnose(last_state(nn.GRUCell(4, 16, reset_after=False, rng=0), 40).sum()))
    assert "z multiplies h from step to step" in textbook
    assert "larger bias of z" in textbook
    assert "r multiplies h" not in textbook  # it does, but what comes of it goes through weights


def test_a_model_without_time_is_not_called_broken():
    w = tg.Tensor(2.0, requires_grad=True)
    assert tg.diagnose(w * w).verdict == "one step"


def test_far_below_underflow_the_trend_is_still_exact():
    w = tg.Tensor(np.array([[0.5]]), requires_grad=True)
    h = tg.Tensor(np.array([0.5]))
    for _ in tg.steps(range(3000)):
        h = tg.sigmoid(w @ h).named("h")
    found = tg.diagnose(h.sum())
    assert found.verdict == "vanishing"
    assert all(log > -math.inf for log in found.log10_crossing.values())
    assert min(found.log10_crossing.values()) < -2000


@pytest.mark.parametrize("together", ["list", "sum", "mean of a stack", "running sum"])
def test_losses_at_every_step_do_not_hide_that_the_gradient_of_each_vanishes(together):
    cell, h = nn.RNNCell(4, 16, rng=0), tg.Tensor(np.zeros(16))
    losses, running = [], 0.0
    for _, x in tg.steps(np.random.default_rng(0).normal(size=(40, 4))):
        h = cell(x, h)
        losses.append((h * h).sum())
        running = running + losses[-1]
    made = {"list": losses, "sum": sum(losses), "mean of a stack": tg.stack(losses).mean(), "running sum": running}
    alone, found = tg.diagnose(losses[-1]), tg.diagnose(made[together])
    assert alone.verdict == found.verdict == "vanishing"
    assert found.factor == pytest.approx(alone.factor, rel=1e-9)
    assert "of the last loss, at step 39, alone" in str(found)
    assert "of the last loss" not in str(alone)


def test_a_state_that_is_an_unnamed_number_is_not_taken_for_a_sum_of_losses():
    w, s = tg.Tensor(0.5, requires_grad=True), tg.Tensor(1.0, requires_grad=True)
    for _, x in tg.steps(np.ones(20)):
        s = (w * s + x).tanh()
    found = tg.diagnose(s)
    assert found.verdict == "vanishing"
    assert "last loss" not in str(found)


def test_a_short_healthy_way_says_what_its_rate_would_come_to():
    assert "would be left after" in str(tg.diagnose((last_state(nn.RNNCell(4, 16, rng=0), 4) ** 2).sum()))


def test_a_gradient_that_is_not_finite_is_not_judged():
    h = tg.Tensor(np.full(3, 0.5), requires_grad=True)
    with np.errstate(invalid="ignore"):
        for t, _ in tg.steps(range(15)):
            h = (h - (1.0 if t == 7 else 0.0)).sqrt().named("h")
        found = tg.diagnose(h.sum())
    assert found.verdict == "not finite"
    assert "detect_anomaly" in str(found)
    assert "the first NaN comes on the way forward already, in «h», the result of sqrt (step 7)" in str(found)


def test_a_slope_that_is_infinite_is_found_at_its_step():
    h = tg.Tensor(np.full(3, 0.5), requires_grad=True)
    with np.errstate(divide="ignore"):
        for t, _ in tg.steps(range(15)):
            h = (((h - h.detach()).sqrt() + 1.0) if t == 7 else 0.5 * h).named("h")
        found = tg.diagnose(h.sum())
    assert found.verdict == "not finite"
    assert "at step 6, on its way back, it becomes infinite" in str(found)


def chain(factors):
    """h_t = factor_t h_{t-1}, one unit, so dL/dh_t is the product of the factors of later steps."""
    h = tg.Tensor(0.0, requires_grad=True)
    for _, factor in tg.steps(np.asarray(factors, dtype=float)):
        h = (h * factor).named("h")
    return h


def ones_but(at, factor, steps=40):
    return [factor if t == at else 1.0 for t in range(steps)]


CHAINS = {  # the factors of steps 0 to 39 -> verdict, log10 of dL/dh_0 by dL/dh_39, lag from which 1 % or less is left
    "none": ([1.0] * 40, "healthy", 0, None),
    "one factor, into the first step": (ones_but(1, 1e-4), "vanishing", -4, 39),
    "one factor, half-way": (ones_but(20, 1e-4), "vanishing", -4, 20),
    "one factor, at the last step": (ones_but(39, 1e-4), "vanishing", -4, 1),
    "one factor, not quite a hundredth": (ones_but(20, 0.011), "healthy", math.log10(0.011), None),
    "one large factor": (ones_but(20, 1e4), "exploding", 4, None),
    "constant": ([0.5] * 40, "vanishing", 39 * math.log10(0.5), 7),
    "constant and growing": ([1.5] * 40, "exploding", 39 * math.log10(1.5), None),
    "up and down": ([2.0, 0.5] * 20, "healthy", math.log10(0.5), None),
    "grows, then shrinks to where it was": ([0.1] * 20 + [10.0] * 20, "exploding", 1, None),
    "grows a little, then vanishes": ([0.1] * 37 + [10.0] * 3, "vanishing", -33, 9),
    "shrinks, then grows to where it was": ([10.0] * 20 + [0.1] * 20, "healthy", -1, None),
}


@pytest.mark.parametrize("name", CHAINS)
def test_the_verdict_is_that_of_the_whole_way_wherever_on_it_the_factors_are(name):
    factors, verdict, change, gone = CHAINS[name]
    found = tg.diagnose(chain(factors))
    assert found.verdict == verdict
    assert math.log10(found.factor) * 39 == pytest.approx(change, abs=1e-9)
    assert "from step 39 back to step 0" in found.sentences[0]
    assert str(found).count("left at lag") == (gone is not None)
    assert gone is None or f"left at lag {gone} and beyond, from step {39 - gone} back" in str(found)


def test_the_way_begins_with_the_derivatives_by_h_and_c_apart():
    """At the last step, too, h and c are coordinates of their own, though h is made of c."""
    rng = np.random.default_rng(0)
    cell, a, b = nn.LSTMCell(4, 16, rng=rng), rng.normal(size=16), rng.normal(size=16)
    h = c = tg.Tensor(np.zeros(16))
    for _, x in tg.steps(rng.normal(size=(30, 4))):
        h, c = cell(x, (h, c))
    found = tg.diagnose((h * a).sum() + (c * b).sum())
    begin = math.hypot(np.linalg.norm(a), np.linalg.norm(b))
    assert math.log10(found.factor) * 29 == pytest.approx(found.log10_crossing[0] - math.log10(begin), rel=1e-12)
    whole = math.hypot(*(10 ** found.by_name[name][0] for name in "hc"))
    assert found.log10_crossing[0] == pytest.approx(math.log10(whole), rel=1e-12)


def test_what_happens_between_the_ends_of_the_way_is_said():
    assert "at step 19, it is as small as 10^-20.0 times" in str(tg.diagnose(chain([10.0] * 20 + [0.1] * 20)))
    assert "at step 19, it is as large as 10^20.0 times" in str(tg.diagnose(chain([0.1] * 20 + [10.0] * 20)))
    assert "On the way" not in str(tg.diagnose(chain([0.5] * 40)))


def test_one_rate_is_healthy_over_5_steps_and_vanishes_over_500_and_both_say_how_far_it_reaches():
    short, long = (tg.diagnose(chain([0.8] * steps)) for steps in (5, 500))
    assert (short.verdict, long.verdict) == ("healthy", "vanishing")
    assert short.factor == pytest.approx(0.8)
    assert long.factor == pytest.approx(0.8)
    assert "healthy from end to end of 4 steps" in str(short)
    assert "at this rate 1 % of it would be left after 20.6 steps" in str(short)
    assert "less than 1 % of it is left at lag 21 and beyond" in str(long)


@pytest.mark.parametrize("losses", ["of the last step", "a list", "a sum", "a running sum"])
def test_a_network_that_runs_backwards_in_time_is_judged_like_one_that_runs_forwards(losses):
    def found(reverse):
        cell, h, xs = nn.RNNCell(4, 8, rng=0), tg.Tensor(np.zeros(8)), np.random.default_rng(0).normal(size=(30, 4))
        each, running = [], 0.0
        for _, x in tg.steps(xs[::-1] if reverse else xs, reverse=reverse):
            h = cell(x, h)
            each.append(h.sum())
            running = running + each[-1]
        made = {"of the last step": each[-1], "a list": each, "a sum": sum(each), "a running sum": running}
        return tg.diagnose(made[losses])

    one, other = found(False), found(True)
    assert one.verdict == other.verdict == "vanishing"
    assert other.factor == pytest.approx(one.factor, rel=1e-9)
    assert "from step 29 back to step 0" in str(one)
    assert "from step 0 back to step 29" in str(other)


def test_of_a_bidirectional_network_the_direction_that_vanishes_faster_is_the_verdict():
    both = nn.RNN(4, 8, bidirectional=True, rng=0)
    outputs, _ = both(np.random.default_rng(0).normal(size=(21, 4)))
    middle = tg.diagnose(outputs[10].sum())
    assert middle.verdict == "vanishing"
    assert set(middle.log10_crossing) == set(range(21)) - {10}
    ends = min(middle.log10_crossing[0], middle.log10_crossing[20])
    assert math.log10(middle.factor) * 10 == pytest.approx(ends - math.log10(math.sqrt(8)), rel=1e-9)


def two_directions(backward=3.0, size=1.0, steps=20, names=("hf", "hb"), w=None):
    """The states after each step of two plain networks that meet in no step, the second of which runs backwards."""
    xs = size * np.random.default_rng(0).normal(size=(steps, 2))
    w = tg.Tensor(np.eye(2) * 0.9, requires_grad=True) if w is None else w
    f = b = tg.Tensor(np.zeros(2))
    forward, back = {}, {}
    for t, x in tg.steps(xs):
        f = forward[t] = np.tanh(w @ f + x).named(names[0])
    for t, x in tg.steps(xs[::-1], reverse=True):
        b = back[t] = np.tanh(backward * (w @ b) + x).named(names[1])
    return forward, back


JOINED = {
    "side by side": lambda f, b: (np.concatenate([f, b]) ** 2).sum(),
    "a product": lambda f, b: (f * b).sum(),
    "a sum": lambda f, b: (f * f).sum() + (b**3).sum(),
}


@pytest.mark.parametrize(
    ("names", "at_step"),  # those of one name can be told apart only where the loss is outside any step
    [(("hf", "hb"), None), (("hf", "hb"), 0), (("hf", "hb"), 7), (("hf", "hb"), 19), (("h", "h"), None)],
)
@pytest.mark.parametrize("joined", JOINED)
def test_a_loss_on_the_ends_of_both_directions_is_one_loss_and_each_is_judged_from_its_own_end(joined, names, at_step):
    forward, back = two_directions(names=names)
    if at_step is None:
        loss = JOINED[joined](forward[19], back[0])
    else:
        with tg.step(at_step):
            loss = JOINED[joined](forward[19], back[0])
    found = tg.diagnose(loss)
    if names[0] != names[1]:
        for name, states, end in ((names[0], forward, 19), (names[1], back, 0)):
            wanted = {t: math.log10(np.linalg.norm(tg.grad(loss, h))) for t, h in states.items() if t != end}
            assert {t: found.by_name[name][t] for t in wanted} == pytest.approx(wanted, rel=1e-9)
    change = math.log10(np.linalg.norm(tg.grad(loss, back[19])) / np.linalg.norm(tg.grad(loss, back[0])))
    assert found.verdict == "vanishing"
    assert math.log10(found.factor) * 19 == pytest.approx(change, rel=1e-9)
    assert found.sentences[0].startswith(f"Backward in time, in {names[1]}: The gradient vanishes: from step 0 back to")
    assert found.sentences[1].startswith(f"Forward in time, in {names[0]}: The gradient vanishes: from step 19 back to")
    assert "exactly 0" not in str(found)
    assert "last loss" not in str(found)
    assert "adds up" not in str(found)


@pytest.mark.parametrize(
    ("backward", "size", "steps", "verdicts"),
    [
        (0.05, 0.1, 20, ("vanishing", "healthy")),
        (1.0, 0.1, 20, ("healthy", "healthy")),
        (3.0, 0.1, 20, ("vanishing", "healthy")),
        (1.2, 1e-9, 100, ("exploding", "vanishing")),  # 1.08 and 0.9 a step, where tanh is a line
    ],
)
def test_what_one_direction_does_is_not_hidden_by_the_other(backward, size, steps, verdicts):
    forward, back = two_directions(backward, size, steps)
    found = tg.diagnose(JOINED["side by side"](forward[steps - 1], back[0]))
    said = {
        "vanishing": "The gradient vanishes",
        "healthy": "The gradient fades, yet is healthy",
        "exploding": "The gradient exp",
    }
    assert found.verdict == verdicts[0]
    assert any(sentence.startswith(f"Backward in time, in hb: {said[verdicts[0]]}") for sentence in found.sentences)
    assert any(sentence.startswith(f"Forward in time, in hf: {said[verdicts[1]]}") for sentence in found.sentences)


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize("layers", [1, 2])
def test_the_final_states_of_both_directions_are_no_sum_of_losses_and_all_outputs_are(kind, layers):
    net = kind(2, 4, num_layers=layers, bidirectional=True, rng=0)
    outputs, final = net(np.random.default_rng(0).normal(size=(20, 2)))
    h = final[0] if kind is nn.LSTM else final
    for loss in ((h**2).sum(), sum((part**2).sum() for part in h)):
        said = tg.diagnose(loss)
        assert said.verdict == "vanishing"
        assert {sentence.split(" in time")[0] for sentence in said.sentences[:2]} == {"Forward", "Backward"}
        assert "layer0_reverse/h" in str(said)
        assert "last loss" not in str(said)
        assert "adds up" not in str(said)
    every = str(tg.diagnose((outputs**2).sum()))
    assert "by way of step 19, the last that the loss reads, alone" in every
    assert "by way of step 0, the last that the loss reads, alone" in every
    assert "make each in its step, `for t, y in tg.steps(outputs)" in every


@pytest.mark.parametrize("together", ["a list", "a sum"])
def test_losses_at_every_step_of_both_directions_do_not_hide_that_each_vanishes(together):
    forward, back = two_directions()
    each = [(np.concatenate([forward[t], back[t]]) ** 2).sum() for t in range(20)]
    ends = tg.diagnose((forward[19] ** 2).sum() + (back[0] ** 2).sum())
    found = tg.diagnose(each if together == "a list" else sum(each))
    assert (found.verdict, found.factor) == ("vanishing", pytest.approx(ends.factor, rel=1e-9))


def test_by_name_is_the_whole_gradient_where_one_direction_reads_the_other():
    """To a state of a first layer it gets by both ways through time, wherever the second layer reads it."""
    forward, back = two_directions(1.0)
    w, up = tg.Tensor(np.eye(2) * 0.7, requires_grad=True), tg.Tensor(np.zeros(2))
    for t in range(20):
        with tg.step(t):
            up = np.tanh(w @ up + forward[t] + back[t]).named("up")
    loss = up.sum()
    found = tg.diagnose(loss)
    for t in range(1, 20):
        crosses = tg.vjp(back[t - 1], back[t], tg.grad(loss, back[t - 1]))
        assert found.by_name["hb"][t] == pytest.approx(math.log10(np.linalg.norm(crosses)), rel=1e-9)
    assert found.verdict == "vanishing"
    assert found.sentences[0].startswith("The gradient vanishes: from step 19 back to step 0")
    assert "To hb it gets only by paths that go both ways through time" in str(found)


@pytest.mark.parametrize("steps", [2, 3])
def test_directions_of_two_steps_are_two_directions(steps):
    forward, back = two_directions(steps=steps)
    found = tg.diagnose(JOINED["side by side"](forward[steps - 1], back[0]))
    assert {said.split(":")[0] for said in found.sentences[:2]} == {"Forward in time, in hf", "Backward in time, in hb"}
    assert "exactly 0" not in str(found)
    assert "last loss" not in str(found)


def test_an_output_that_a_later_step_reads_is_no_state_and_leads_on_to_both_directions():
    forward, back = two_directions()
    with tg.step(10):
        y = (forward[10] + back[10]).named("y")
    with tg.step(12):
        z = y * y
    for loss in (z.sum(), (y * y).sum()):
        found = tg.diagnose(loss)
        assert found.verdict == "vanishing"
        assert {said.split(" in time")[0] for said in found.sentences[:2]} == {"Forward", "Backward"}
        change = np.linalg.norm(tg.grad(loss, back[19])) / np.linalg.norm(tg.grad(loss, back[11]))
        backward = math.log10(change) / 8
        assert found.factor < 0.5
        assert math.log10(found.factor) == pytest.approx(backward, abs=0.2)
        assert "To y" not in str(found)


def test_the_ledger_of_a_weight_of_both_directions_says_that_its_lags_are_those_of_one_end():
    w = tg.Tensor(np.eye(2) * 0.9, requires_grad=True)
    forward, back = two_directions(w=w)
    ends = JOINED["side by side"](forward[19], back[0])
    (warning,) = tg.trace_gradient(ends, to=w).ledger().warnings
    assert "at steps 0 and 19, and all lags are counted from step 19" in warning
    assert not tg.trace_gradient(forward[19].sum(), to=w).ledger().warnings
    (warning,) = tg.trace_gradient(forward[19].sum() + forward[7].sum(), to=w).ledger().warnings
    assert "reads several steps, and all lags are counted from the last, step 19" in warning


@pytest.mark.parametrize("part", [slice(-1, None), slice(0, 1)])
def test_a_slice_of_all_outputs_is_a_loss_of_its_own_steps(part):
    net = nn.RNN(2, 4, bidirectional=True, rng=0)
    outputs, _ = net(np.random.default_rng(0).normal(size=(20, 2)))
    one, sliced = (tg.diagnose((picked**2).sum()) for picked in (outputs[part.start], outputs[part]))
    assert (sliced.verdict, sliced.factor) == (one.verdict, pytest.approx(one.factor, rel=1e-12))
    left_out = "layer0_reverse/h" if part.start else "layer0/h"
    said = f"None of the gradient of the last loss gets to {left_out}: it is exactly 0 there."
    assert said in sliced.sentences


def test_no_path_exactly_0_underflow_overflow_and_not_a_number_are_said_in_different_words():
    dead, small, large = ones_but(20, 0.0), [1e-20] * 40, [1e20] * 40
    said = {
        "exactly 0": str(tg.diagnose(chain(dead))),
        "underflows": str(tg.diagnose(chain(small))),
        "overflows": str(tg.diagnose(chain(large))),
        "NaN": str(tg.diagnose(chain([1.0] * 30) * math.nan)),
        "leads to the loss": str(tg.diagnose(_cut_at(10))),
    }
    for word, text in said.items():
        assert {other for other in said if other in text} == {word}
    assert "From step 19 on back in time the gradient is exactly 0" in said["exactly 0"]
    assert "Until then the gradient is healthy from end to end of 19 steps" in said["exactly 0"]
    assert "At step 22 it is too small for float64, whose numbers end at 10^-323" in said["underflows"]
    assert "At step 23 it is too large for float64, whose numbers end at 10^308" in said["overflows"]
    assert tg.diagnose(chain(dead)).verdict == "zero"
    assert tg.diagnose(chain(small)).verdict == "vanishing"
    assert tg.diagnose(chain(large)).verdict == "exploding"


def _cut_at(step):
    h = tg.Tensor(1.0, requires_grad=True)
    w = tg.Tensor(0.9, requires_grad=True)
    for t, _ in tg.steps(range(20)):
        h = ((h.detach() if t == step else h) * w).named("h")
    return h


def gated(gates, steps=40):
    """c_t = f c_{t-1} + x w with constant gates, each a sigmoid."""
    logit = tg.Tensor(np.log(gates / (1 - gates)), requires_grad=True)
    c = tg.Tensor(np.zeros(gates.shape))
    for _ in tg.steps(range(steps)):
        f = logit.sigmoid().named("f")
        c = (f * c + 1.0).named("c")
    return c.sum()


def test_of_gates_the_geometric_mean_is_given_and_the_units_that_stay_open():
    gates = np.full(32, 0.1)
    gates[5] = 0.999
    found = str(tg.diagnose(gated(gates)))
    mean = (0.999 * 0.1**31) ** (1 / 32)
    assert f"f multiplies c from step to step, by {mean:.3g} in the geometric mean" in found
    assert f"halves a gradient in {tg.half_life(gates):.1f} steps" in found
    assert "1 of 32 elements stay open (they let 1 % or more through over all their 39 steps)" in found
    assert f"the most open lets {0.999**39:.2g} through" in found
    assert "64 elements" in str(tg.diagnose(gated(np.stack([gates, gates]))))


def test_a_gate_that_is_shut_or_quite_open_is_said_without_a_warning():
    for logit, words in ((-800.0, "by 0 in the geometric mean"), (40.0, "which lets all through")):
        f0, c = tg.Tensor(np.full(3, logit), requires_grad=True), tg.Tensor(np.zeros(3))
        h = tg.Tensor(np.zeros(3))
        for _ in tg.steps(range(5)):
            f = f0.sigmoid().named("f")
            c, h = (f * c + h + f0).named("c"), (0.5 * h + f0).named("h")
        assert words in str(tg.diagnose((c + h).sum()))


NOT_READ = "but no step reads that of the step before"


def lstm_that_hands_on(name, steps=10, batch=(), learned=False, inside=lambda t: None):
    """Each step reads the initial h, or c, instead of the last one."""
    rng = np.random.default_rng(0)
    cell = nn.LSTMCell(4, 16, rng=rng)
    h0, c0 = (tg.Tensor(rng.normal(size=(*batch, 16)), requires_grad=learned) for _ in "hc")
    h, c, hs = h0, c0, []
    for _, x in tg.steps(rng.normal(size=(steps, *batch, 4))):
        h, c = cell(x, {"h": (h, c0), "c": (h0, c), "both": (h, c)}[name])
        hs.append(h)
    return hs


@pytest.mark.parametrize("learned", [True, False])
@pytest.mark.parametrize("batch", [(), (16,)])
@pytest.mark.parametrize(("handed_on", "left"), [("h", "c"), ("c", "h")])
def test_of_two_states_the_one_that_is_not_handed_on_is_named(handed_on, left, batch, learned):
    hs = lstm_that_hands_on(handed_on, batch=batch, learned=learned)
    for loss in (hs[-1].sum(), [h.sum() for h in hs]):
        (sentence,) = [said for said in tg.diagnose(loss).sentences if NOT_READ in said]
        assert f"«{left}»" in sentence
        assert f"shape {(*batch, 16)}" in sentence
    right = lstm_that_hands_on("both", batch=batch, learned=learned)
    assert NOT_READ not in str(tg.diagnose(right[-1].sum()))


@pytest.mark.parametrize("cell", [peephole_lstm, coupled_lstm])
@pytest.mark.parametrize(("handed_on", "left"), [("h", "c"), ("c", "h"), ("both", None)])
def test_so_it_is_in_a_cell_that_reads_its_input_and_its_state_side_by_side(cell, handed_on, left):
    rng = np.random.default_rng(0)
    p = parameters(rng, **dict.fromkeys(["Wi", "Wf", "Wg", "Wo"], (2, 4)), **dict.fromkeys(["pi", "pf", "po"], (2,)))
    h0, c0 = (tg.Tensor(rng.normal(size=2)) for _ in "hc")
    h, c = h0, c0
    for _, x in tg.steps([tg.Tensor(x, requires_grad=True) for x in rng.normal(size=(6, 2))]):
        h, c = cell(p, x, {"h": (h, c0), "c": (h0, c), "both": (h, c)}[handed_on])
    said = [sentence for sentence in tg.diagnose(h.sum()).sentences if NOT_READ in sentence]
    assert len(said) == (left is not None)
    assert all(f"«{left}»" in sentence for sentence in said)


def test_the_layer_whose_state_is_not_handed_on_is_named():
    rng = np.random.default_rng(0)
    cells, zero = [nn.LSTMCell(4, 4, rng=rng) for _ in range(2)], tg.Tensor(np.zeros(4))
    states = [(zero, zero), (zero, zero)]
    for _, x in tg.steps(rng.normal(size=(6, 4))):
        for k, cell in enumerate(cells):
            with tg.scope(f"layer{k}"):
                states[k] = cell(x, states[k] if k == 0 else (states[k][0], zero))
            x = states[k][0]
    (sentence,) = [said for said in tg.diagnose(x.sum()).sentences if NOT_READ in said]
    assert "«layer1/c»" in sentence


CELLS = {
    "RNN": nn.RNNCell,
    "LSTM": nn.LSTMCell,
    "GRU": nn.GRUCell,
    "textbook GRU": lambda size, hidden, rng: nn.GRUCell(size, hidden, reset_after=False, rng=rng),
}


def forgotten_of(loss):
    """The states of which a diagnosis says that they are not handed on."""
    said = [sentence for sentence in tg.diagnose(loss).sentences if "Hand the new one on" in sentence]
    return {sentence.split("«")[1].split("»")[0] for sentence in said}


def three_layers(kind, anew, given=None, losses="the last", steps=8):
    """Cells of `nn` above one another in one loop, of which some begin anew at every step."""
    cells, states, found = [CELLS[kind](4, 4, rng=k) for k in range(3)], [None] * 3, []
    for _, x in tg.steps(np.random.default_rng(0).normal(size=(steps, 4))):
        for k, cell in enumerate(cells):
            with tg.scope(f"layer{k}"):
                states[k] = cell(x, given if k in anew else states[k])
            x = states[k][0] if kind == "LSTM" else states[k]
        found.append((x**2).sum())
    return found[-1] if losses == "the last" else found


@pytest.mark.parametrize("losses", ["the last", "all"])
@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("anew", [(), (1,), (2,), (1, 2)])
def test_a_layer_that_begins_anew_at_every_step_is_named_where_another_hands_its_own_on(kind, anew, losses):
    names = {f"layer{k}/{name}" for k in anew for name in ("hc" if kind == "LSTM" else "h")}
    assert forgotten_of(three_layers(kind, anew, losses=losses)) == names
    zeros = tg.Tensor(np.zeros(4))
    assert forgotten_of(three_layers(kind, anew, (zeros, zeros) if kind == "LSTM" else zeros, losses)) == names


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("losses", ["the last", "all"])
def test_so_is_a_second_layer_written_by_hand(fresh, losses):
    w, u, v, out = (tg.Tensor(np.random.default_rng(k).normal(size=(2, 2)), requires_grad=True) for k in range(4))
    h = zeros = tg.Tensor(np.zeros(2))
    found = []
    for _, x in tg.steps(np.random.default_rng(9).normal(size=(8, 2))):
        h = np.tanh(w @ h + x).named("h")
        k = np.tanh(u @ h + v @ (tg.Tensor(np.zeros(2)) if fresh else zeros)).named("k")
        found.append(((out @ k).named("y") ** 2).sum())
    known = losses == "all" or not fresh  # zeros that one step makes and reads may be its input
    assert forgotten_of(found[-1] if losses == "the last" else found) == ({"k"} if known else set())


def test_the_first_and_only_step_of_a_decoder_is_not_taken_for_one_that_forgot():
    encoder, decoder, h = nn.GRUCell(4, 4, rng=0), nn.GRUCell(4, 4, rng=1), None
    with tg.scope("encoder"):
        for _, x in tg.steps(np.random.default_rng(0).normal(size=(8, 4))):
            h = encoder(x, h)
    with tg.scope("decoder"), tg.step(8):
        y = decoder(h, None)
    assert forgotten_of((y**2).sum()) == set()


FEED_FORWARD = {
    "a linear layer": lambda w, h, x, still: (w[0] @ h).named("y"),
    "a gated layer": lambda w, h, x, still: ((w[0] @ h) * (w[1] @ h).sigmoid().named("g")).named("y"),
    "a highway layer": lambda w, h, x, still: (
        (g := (w[1] @ h).sigmoid().named("g")) * (w[0] @ h).tanh() + (1.0 - g) * x
    ).named("y"),
    "a context that never changes": lambda w, h, x, still: np.tanh(w[0] @ h + w[1] @ still).named("y"),
    "the input once more": lambda w, h, x, still: np.tanh(w[0] @ h + w[1] @ x).named("y"),
}


@pytest.mark.parametrize("driven", [True, False])  # a network may run with no input but zeros
@pytest.mark.parametrize("losses", ["the last", "all"])
@pytest.mark.parametrize("layer", FEED_FORWARD)
def test_a_layer_without_a_state_is_no_state_that_was_forgotten(layer, losses, driven):
    w = [tg.Tensor(np.random.default_rng(k).normal(size=(2, 2)), requires_grad=True) for k in range(4)]
    still, h, found = tg.Tensor(np.ones(2)), tg.Tensor(np.zeros(2)), []
    for _, x in tg.steps(np.random.default_rng(9).normal(size=(8, 2)) * driven):
        x = tg.Tensor(x)
        h = np.tanh(w[2] @ h + w[3] @ x).named("h")
        found.append((FEED_FORWARD[layer](w, h, x, still) ** 2).sum())
    assert forgotten_of(found[-1] if losses == "the last" else found) == set()


@pytest.mark.parametrize("at", [0, 4, 7])
@pytest.mark.parametrize("kind", CELLS)
def test_the_first_step_of_a_backward_direction_is_not_taken_for_one_that_forgot(kind, at):
    """Cells of `nn`, two layers of two directions, whose states begin with None."""
    xs = [tg.Tensor(x) for x in np.random.default_rng(0).normal(size=(8, 4))]
    for layer in range(2):
        both = []
        for reverse in (False, True):
            cell, state, hs = CELLS[kind](4 + 4 * layer, 4, rng=layer), None, {}
            with tg.scope(f"layer{layer}_{reverse}"):
                for t, x in tg.steps(xs[::-1] if reverse else xs, reverse=reverse):
                    state = cell(x, state)
                    hs[t] = state[0] if kind == "LSTM" else state
            both.append(hs)
        xs = [np.concatenate([both[0][t], both[1][t]]) for t in range(8)]
    assert forgotten_of((both[0][at] ** 2).sum() + (both[1][at] ** 2).sum()) == set()


def handwritten(kind, steps=6, size=4):
    """An LSTM with much in it that never crosses, and tensors that every step reads; a loss at each step."""
    rng = np.random.default_rng(0)
    w = [tg.Tensor(rng.normal(size=(size, size)), requires_grad=True) for _ in range(8)]
    b = [tg.Tensor(rng.normal(size=size), requires_grad=True) for _ in range(4)]
    mask, context = tg.Tensor(np.array([2.0, 0.0, 2.0, 2.0])), tg.Tensor(rng.normal(size=size))
    shorter, w_shorter = tg.Tensor(rng.normal(size=3)), tg.Tensor(rng.normal(size=(size, 3)), requires_grad=True)
    h = c = tg.Tensor(np.zeros(size))
    losses = []
    for t, x in tg.steps(rng.normal(size=(steps, size))):
        if kind == "a mask, the same at each step":
            x = (mask * (w[0] @ x).tanh() + x).named("x")
        if kind == "a context at each step" or (kind == "a context at some steps" and t % 2):
            x = (w[0] @ context + w[6] @ x).named("a")
        if kind == "a context of another size":
            x = (w_shorter @ shorter + w[6] @ x).named("a")
        if kind == "a peephole":
            x = x + b[3] * c
        i, f, o = ((w[k] @ x + w[k + 3] @ h + b[k]).sigmoid().named("ifo"[k]) for k in range(3))
        g = (w[6] @ x + w[7] @ h).tanh().named("g")
        c = (f * c + (i * g).named("u")).named("c")
        h = (o * c.tanh().named("m")).named("h")
        y = (context * (w[7] @ h).sigmoid() + b[0]).named("y")
        if kind in ("a context of another size", "a context at some steps"):
            y = (y.sigmoid() * h).named("gated")
        losses.append(y.sum())
    return losses


@pytest.mark.parametrize(
    "kind",
    [
        "plain",
        "a mask, the same at each step",
        "a context at each step",
        "a context at some steps",
        "a context of another size",
        "a peephole",
    ],
)
def test_gates_outputs_masks_and_contexts_never_cross_and_are_fine(kind):
    losses = handwritten(kind)
    for loss in (losses[-1], losses):
        assert NOT_READ not in str(tg.diagnose(loss))


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize("options", [{}, {"num_layers": 3}, {"bidirectional": True, "num_layers": 2}])
def test_layers_of_all_kinds_hand_on_their_states(kind, options):
    rng = np.random.default_rng(0)
    layers = kind(4, 4, rng=rng, **options)
    first, _ = layers(rng.normal(size=(6, 4)))
    second, _ = kind(first.shape[1], 4, rng=rng)(first, start=6)  # an encoder and a decoder
    for loss in (first[-1].sum(), first.sum(), second[-1].sum(), [h.sum() for h in second]):
        assert NOT_READ not in str(tg.diagnose(loss))


def test_a_list_of_losses_costs_in_proportion_to_its_length():
    def calls(steps):
        count, loss = 0, list(_states(steps))

        def note(frame, event, argument):
            nonlocal count
            count += event == "call"

        sys.setprofile(note)
        try:
            tg.diagnose(loss)
        finally:
            sys.setprofile(None)
        return count

    assert calls(400) < 2.2 * calls(200)


def _states(steps):
    h, w = tg.Tensor(1.0), tg.Tensor(0.9, requires_grad=True)
    for _ in tg.steps(range(steps)):
        h = (w * h).named("h")
        yield h


def test_a_state_without_elements_is_said_to_have_none():
    w, h = tg.Tensor(1.0, requires_grad=True), tg.Tensor(np.zeros(0))
    for _ in tg.steps(range(3)):
        h = (w * h).named("h")
    found = tg.diagnose(h.sum())
    assert found.verdict == "zero"
    assert "has no elements" in str(found)


@pytest.mark.parametrize("at", [-1, 0])
@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_the_first_step_of_a_direction_is_no_state_that_is_not_handed_on(kind, at):
    out, _ = kind(3, 4, 2, bidirectional=True, rng=0)(np.random.default_rng(0).normal(size=(10, 3)))
    assert "Hand the new one on" not in str(tg.diagnose((out[at] * out[at]).sum()))


def test_a_loss_of_a_mean_over_time_is_told_from_losses_that_are_added_up():
    cell, state, outputs = nn.LSTMCell(2, 4, rng=0), (np.zeros(4), np.zeros(4)), []
    for _, x in tg.steps(np.random.default_rng(0).normal(size=(9, 2))):
        state = cell(x, state)
        outputs.append(state[0])
    pooled = (tg.stack(outputs).mean(axis=0) ** 2).sum()
    (warning,) = tg.trace_gradient(pooled, to=cell.weight_hh).ledger().warnings
    assert "counted from the last, step 8. If it adds up losses, as attention and a mean over time do not" in warning
    assert "adds up the losses" not in warning
    said = str(tg.diagnose(pooled))
    assert "by way of step 8, the last that the loss reads, alone: to the other steps" in said
    assert "last loss" not in said
    added_up = sum((h * h).sum() for h in outputs)
    (warning,) = tg.trace_gradient(added_up, to=cell.weight_hh).ledger().warnings
    assert "reads several steps" in warning  # of vectors, so it may be either


@pytest.mark.parametrize(("steps", "said"), [(4, "fades, yet is healthy"), (60, "vanishes")])
def test_a_gradient_that_would_have_vanished_in_a_longer_sequence_is_not_called_healthy_without_a_word(steps, said):
    w, h = tg.Tensor(0.5, requires_grad=True, name="w"), tg.Tensor(1.0, name="h0")
    for _ in tg.steps(range(steps)):
        h = (w * h).named("h")
    assert str(tg.diagnose(h * 1.0)).startswith(f"The gradient {said}")


def test_one_step_of_what_a_layer_makes_of_all_is_a_loss_of_that_step():
    """As in cross_entropy(head(outputs)[-1], y): the head reads all steps, and the loss one of them."""
    net, head = nn.LSTM(2, 4, rng=0), nn.Linear(4, 3, rng=1)
    outputs, _ = net(np.random.default_rng(0).normal(size=(9, 2)))
    loss, alone = (nn.cross_entropy(logits, 1) for logits in (head(outputs)[-1], head(outputs[-1])))
    traces = [tg.trace_gradient(one, to=net.weight_hh_l0) for one in (loss, alone)]
    assert not traces[0].ledger().warnings
    assert str(traces[0].ledger()) == str(traces[1].ledger())
    assert tg.diagnose(loss).sentences == tg.diagnose(alone).sentences


RUNNING = {
    "a number": lambda total, h: total + (h * h).sum(),
    "a number with a name": lambda total, h: (total + (h * h).sum()).named("loss"),
    "one for each row": lambda total, h: total + (h * h).sum(axis=-1),
}


@pytest.mark.parametrize("kind", RUNNING)
def test_what_every_step_adds_to_is_a_sum_whatever_its_shape_and_name(kind):
    cell, h, total = nn.RNNCell(4, 16, rng=0), tg.Tensor(np.zeros((2, 16))), 0.0
    for _, x in tg.steps(np.random.default_rng(0).normal(size=(40, 2, 4))):
        h = cell(x, h)
        total = RUNNING[kind](total, h)
    loss = total.mean() if total.ndim else total
    found, alone = tg.diagnose(loss), tg.diagnose((h * h).sum())
    assert found.verdict == alone.verdict == "vanishing"
    assert found.factor == pytest.approx(alone.factor, rel=1e-9)
    (warning,) = tg.trace_gradient(loss, to=cell.weight_hh).ledger().warnings
    assert "adds up the losses of several steps" in warning


@pytest.mark.parametrize("step", [lambda a, h, x: np.tanh(a * h + x), lambda a, h, x: h + np.tanh(a * h + x)])
def test_a_network_of_one_number_is_no_sum_of_losses(step):
    a, h = tg.Tensor(0.5, requires_grad=True), tg.Tensor(0.1)
    for _, x in tg.steps([0.3, -0.2, 0.1]):
        h = step(a, h, x)
    assert not tg.trace_gradient(h * h, to=a).ledger().warnings


def test_a_decoder_that_counts_from_0_again_is_told_to_number_its_steps_on():
    def run(start):
        encoder, decoder = nn.GRUCell(3, 5, rng=3), nn.GRUCell(2, 5, rng=4)
        h = tg.Tensor(np.zeros(5))
        with tg.scope("encoder"):
            for _, x in tg.steps(np.ones((10, 3))):
                h = encoder(x, h)
        with tg.scope("decoder"):
            for _, y in tg.steps(np.ones((5, 2)), start=start):
                h = decoder(y, h)
        return tg.trace_gradient((h * h).sum(), to=encoder.weight_hh).ledger().warnings, str(tg.diagnose((h * h).sum()))

    (warning,), said = run(start=0)
    assert "goes on to step 0 (decoder" in warning
    assert "number its steps on, as in tg.steps(ys, start=10)" in warning
    assert f"Warning: {warning}" in said
    warnings, said = run(start=10)
    assert not warnings
    assert "number its steps on" not in said


@pytest.mark.parametrize("together", ["a list", "a sum", "a mean of a stack", "the largest"])
def test_losses_without_any_gradient_as_of_padding_are_not_the_last(together):
    cell, h, losses, plain = nn.RNNCell(3, 5, rng=0), tg.Tensor(np.zeros(5)), [], []
    for t, x in tg.steps(np.random.default_rng(0).normal(size=(10, 3))):
        h = cell(x, h)
        plain.append((h * h).sum())
        losses.append(plain[-1] * float(t <= 5))
    made = {"a list": losses, "a sum": sum(losses), "a mean of a stack": tg.stack(losses).mean()}
    made["the largest"] = tg.stack([*plain[:5], plain[5] * 1000.0, *plain[6:]]).max()
    found, alone = tg.diagnose(made[together]), tg.diagnose(plain[5])
    assert found.verdict == alone.verdict
    assert found.factor == pytest.approx(alone.factor, rel=1e-9)
    assert "exactly 0" not in str(found)
