"""The ledger against oracles that know nothing of it: untied copies, forward mode, finite differences, the formula."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.nn.cells import gru_step, lstm_step, rnn_step
from tinygrad_rnn.trace import trace_gradient

INPUT, HIDDEN = 3, 5
GATES = {"rnn": 1, "gru": 3, "lstm": 4}


def weights_of(cell, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    rows = GATES[cell] * HIDDEN
    shapes = [(rows, INPUT), (rows, HIDDEN), (rows,), (rows,)]
    return [tg.Tensor(rng.normal(0, 0.6, s).astype(dtype), requires_grad=True) for s in shapes]


def states_of(cell, weights, length, seed=1):
    """h at every step; `weights` is called with the step, so that the copies of a weight may differ."""
    rng = np.random.default_rng(seed)
    h, c = tg.Tensor(rng.normal(size=HIDDEN)), tg.Tensor(rng.normal(size=HIDDEN))
    states = []
    for t, x in tg.steps(rng.normal(size=(length, INPUT))):
        x = tg.Tensor(x)
        if cell == "lstm":
            h, c = lstm_step(x, h, c, *weights(t))
        else:
            h = {"rnn": rnn_step, "gru": gru_step}[cell](x, h, *weights(t))
        states.append(h)
    return states


def loss_of(h):
    return (h * np.linspace(-1, 1.5, HIDDEN)).sum()


def relative(a, b):
    return np.max(np.abs(a - b)) / max(np.max(np.abs(b)), 1e-300)


@pytest.mark.parametrize("cell", GATES)
def test_the_ledger_of_every_weight_sums_to_the_gradient_at_40_steps(cell):
    weights = weights_of(cell)
    loss = loss_of(states_of(cell, lambda t: weights, 40)[-1])
    for w in weights:
        trace = trace_gradient(loss, to=w)
        ledger = trace.ledger()
        assert ledger.contributions.shape == (1, 40, *w.shape)
        assert relative(ledger.total, tg.grad(loss, w)) < 1e-12
        assert np.array_equal(trace.total, tg.grad(loss, w))
        assert ledger.steps == tuple(range(40))
        assert ledger.loss_steps == (39,)
        assert abs(ledger.shares.sum() - 1) < 1e-12


@pytest.mark.parametrize("cell", GATES)
def test_each_entry_is_the_gradient_of_an_untied_copy_of_the_weight(cell):
    length = 40
    weights = weights_of(cell)
    ledgers = [trace_gradient(loss_of(states_of(cell, lambda t: weights, length)[-1]), to=w).ledger() for w in weights]
    for k, ledger in enumerate(ledgers):
        copies = [tg.Tensor(weights[k].data, requires_grad=True) for _ in range(length)]
        untied = states_of(cell, lambda t, k=k, copies=copies: [*weights[:k], copies[t], *weights[k + 1 :]], length)
        expected = np.stack(tg.grad(loss_of(untied[-1]), copies))
        assert relative(ledger.contributions[0], expected) < 1e-12


def test_with_a_loss_at_every_step_rows_are_losses_and_later_uses_have_no_path():
    weights = weights_of("lstm")
    losses = [loss_of(h) for h in states_of("lstm", lambda t: weights, 7)]
    ledger = trace_gradient(losses, to=weights[1]).ledger()
    assert np.array_equal(ledger.connected, np.tri(7, dtype=bool))
    assert not ledger.contributions[~ledger.connected].any()
    for row, loss in enumerate(losses):
        alone = trace_gradient(loss, to=weights[1]).ledger()
        assert relative(ledger.contributions[row, : row + 1], alone.contributions[0]) < 1e-12
    assert relative(ledger.total, tg.grad(sum(losses[1:], losses[0]), weights[1])) < 1e-12


def test_the_ledger_of_an_rnn_is_the_notes_formula_term_by_term():
    """dL_T/dh_T . product over j from T-1 down to i of diag(1 - h_{j+1}^2) W . d+h_i/dW, later factors on the left."""
    length = 6
    weights = weights_of("rnn")
    h = [s.data for s in states_of("rnn", lambda t: weights, length)]
    first = np.random.default_rng(1).normal(size=HIDDEN)
    before = [first, *h[:-1]]
    ledger = trace_gradient(loss_of(states_of("rnn", lambda t: weights, length)[-1]), to=weights[1]).ledger()
    for i in range(length):
        row = np.linspace(-1, 1.5, HIDDEN)
        for j in range(length - 2, i - 1, -1):
            row = row @ (np.diag(1 - h[j + 1] ** 2) @ weights[1].data)
        term = np.outer(row * (1 - h[i] ** 2), before[i])
        assert relative(ledger.contributions[0, i], term) < 1e-12


def test_the_ledger_of_an_rnn_is_the_forward_mode_influence():
    """Real-time recurrent learning carries dh_t/dW forward; a copy of it for each use is the ledger, at every loss."""
    length = 6
    weights = weights_of("rnn")
    states = states_of("rnn", lambda t: weights, length)
    w_hh = weights[1].data
    ledger = trace_gradient([loss_of(h) for h in states], to=weights[1]).ledger()
    influence = np.zeros((length, HIDDEN, HIDDEN, HIDDEN))  # use, row of h, the weight
    previous = np.random.default_rng(1).normal(size=HIDDEN)
    for t, state in enumerate(states):
        slope = 1 - state.data**2
        influence = np.einsum("a,ab,ubjk->uajk", slope, w_hh, influence)
        influence[t] += np.einsum("a,aj,k->ajk", slope, np.eye(HIDDEN), previous)
        expected = np.einsum("a,uajk->ujk", np.linspace(-1, 1.5, HIDDEN), influence)
        assert relative(ledger.contributions[t], expected) < 1e-12
        previous = state.data


def test_an_entry_is_the_finite_difference_of_one_copy():
    weights, length, at, use = weights_of("gru"), 5, (7, 2), 1
    ledger = trace_gradient(loss_of(states_of("gru", lambda t: weights, length)[-1]), to=weights[1]).ledger()

    def moved(by):
        data = np.array(weights[1].data)
        data[at] += by
        copy = [weights[0], tg.Tensor(data), *weights[2:]]
        return loss_of(states_of("gru", lambda t: copy if t == use else weights, length)[-1]).item()

    assert abs((moved(1e-5) - moved(-1e-5)) / 2e-5 - ledger.contributions[0, use, *at]) < 1e-8


def test_a_weight_transposed_outside_the_loop_is_used_at_the_steps_that_use_the_transpose():
    rng = np.random.default_rng(0)
    w = tg.Tensor(rng.normal(0, 0.5, (HIDDEN, HIDDEN)), requires_grad=True)

    def run(weight_at):
        h = tg.Tensor(np.ones(HIDDEN))
        for t, _ in tg.steps(range(6)):
            h = (h @ weight_at(t)).tanh()
        return loss_of(h)

    doubled = w.T * 2.0
    ledger = trace_gradient(run(lambda t: doubled), to=w).ledger()
    copies = [tg.Tensor(w.data, requires_grad=True) for _ in range(6)]
    expected = np.stack(tg.grad(run(lambda t: copies[t].T * 2.0), copies))
    assert ledger.steps == tuple(range(6))
    assert relative(ledger.contributions[0], expected) < 1e-12


def test_uses_outside_the_time_loop_have_a_column_of_their_own():
    weights = weights_of("rnn")
    h = states_of("rnn", lambda t: weights, 4)[-1]
    loss = (h * weights[1][0]).sum()
    ledger = trace_gradient(loss, to=weights[1]).ledger()
    assert ledger.steps == (0, 1, 2, 3, None)
    assert np.array_equal(ledger.contributions[0, -1, 0], h.data)
    assert not ledger.contributions[0, -1, 1:].any()
    assert relative(ledger.total, tg.grad(loss, weights[1])) < 1e-12


def test_the_ledger_of_an_input_a_state_and_an_embedding_row():
    table = tg.Tensor(np.random.default_rng(2).normal(size=(4, INPUT)), requires_grad=True)
    weights = weights_of("lstm")
    ids = [0, 1, 1, 3, 1]
    h = c = tg.Tensor(np.zeros(HIDDEN), requires_grad=True)
    states = [h]
    for _, k in tg.steps(ids):
        h, c = lstm_step(tg.embedding(table, k), h, c, *weights)
        states.append(h)
    loss = loss_of(h)
    ledger = trace_gradient(loss, to=table).ledger()
    assert relative(ledger.total, tg.grad(loss, table)) < 1e-12
    used = ledger.contributions[0].any(axis=-1)
    assert np.array_equal(used, np.eye(4, dtype=bool)[ids])
    assert trace_gradient(loss, to=states[3]).ledger().steps == (3,)
    assert trace_gradient(loss, to=states[0]).ledger().steps == (0,)


def test_shares_survive_gradients_far_below_the_square_root_of_the_smallest_number():
    weights = weights_of("rnn")
    h = states_of("rnn", lambda t: weights, 5)[-1]
    whole, tiny = (trace_gradient(loss_of(h) * scale, to=weights[1]).ledger() for scale in (1.0, 1e-250))
    assert relative(tiny.shares, whole.shares) < 1e-12
    assert relative(tiny.norms * 1e250, whole.norms) < 1e-12


def test_where_the_gradient_is_exactly_zero_there_are_no_shares_and_the_report_says_so():
    weights = weights_of("rnn")
    h = states_of("rnn", lambda t: weights, 3)[-1]
    ledger = trace_gradient((h * 0.0).sum(), to=weights[1]).ledger()
    assert np.isnan(ledger.shares).all()
    assert ledger.connected.all()
    assert "exactly 0" in str(ledger)


def test_lags_add_up_and_the_report_counts_both_ways():
    weights = weights_of("gru")
    losses = [loss_of(h) for h in states_of("gru", lambda t: weights, 6)]
    ledger = trace_gradient(losses, to=weights[1]).ledger()
    lags = ledger.lags()
    assert [lag.lag for lag in lags] == list(range(6))
    assert abs(lags[-1].cumulative - 1) < 1e-12
    lag_2 = sum(ledger.contributions[t, t - 2] for t in range(2, 6))
    assert abs(lags[2].norm - np.linalg.norm(lag_2)) < 1e-12
    assert "steps 0 to 5 (counted from 1: 1 to 6)" in str(ledger)


def test_an_operation_left_outside_the_steps_is_reported():
    w = tg.Tensor(np.eye(2), requires_grad=True)
    h = tg.Tensor(np.ones(2))
    for t in range(3):
        with tg.step(t):
            h = h @ w
        h = h.tanh().named("h")
    ledger = trace_gradient(h.sum(), to=w).ledger()
    assert len(ledger.warnings) == 2
    assert "«h», the result of tanh" in ledger.warnings[0]
    assert "from step 0" in ledger.warnings[0]
    weights = weights_of("lstm")
    assert not trace_gradient(loss_of(states_of("lstm", lambda t: weights, 3)[-1]), to=weights[0]).ledger().warnings


def test_a_sum_of_losses_two_loops_from_zero_and_no_steps_at_all_are_reported():
    w = tg.Tensor(np.array([[0.5]]), requires_grad=True, name="W")

    def states(xs, h, **where):
        found = []
        for _, x in tg.steps(xs, **where):
            h = np.tanh(w @ h + x).named("h")
            found.append(h)
        return found

    xs = np.ones((4, 1))
    losses = [(h * h).sum() for h in states(xs, tg.Tensor([1.0]))]
    (warning,) = tg.trace_gradient(sum(losses, tg.Tensor(0.0)), to=w).ledger().warnings
    assert "pass the list of losses" in warning
    assert not tg.trace_gradient(losses, to=w).ledger().warnings
    running, h = tg.Tensor(0.0), tg.Tensor([1.0])
    for _, x in tg.steps(xs):
        h = np.tanh(w @ h + x).named("h")
        running = running + (h * h).sum()
    assert "pass the list of losses" in tg.trace_gradient(running, to=w).ledger().warnings[0]
    again = states(xs, states(xs, tg.Tensor([1.0]))[-1])
    assert any("number its steps on" in said for said in tg.trace_gradient(again[-1].sum(), to=w).ledger().warnings)
    further = states(xs, states(xs, tg.Tensor([1.0]))[-1], start=4)
    assert not tg.trace_gradient(further[-1].sum(), to=w).ledger().warnings
    h = tg.Tensor([1.0])
    for x in xs:
        h = np.tanh(w @ h + x).named("h")
    ledger = tg.trace_gradient(h.sum(), to=w).ledger()
    assert "put the loop into" in str(ledger)
    assert (ledger.lags(), ledger.horizon(), ledger.steps) == ([], None, (None,))


def test_losses_may_repeat_and_may_not_all_lead_to_the_source():
    weights = weights_of("rnn")
    states = states_of("rnn", lambda t: weights, 3)
    other = tg.Tensor(1.0, requires_grad=True)
    losses = [loss_of(states[2]), (other * 2).sum(), loss_of(states[0])]
    losses.append(losses[0])
    trace = trace_gradient(losses, to=weights[1])
    assert relative(trace.ledger().total, trace.total) < 1e-12
    assert not trace.ledger().connected[1].any()
    assert np.array_equal(trace.ledger().contributions[0], trace.ledger().contributions[3])


def test_float32_networks_are_traced_in_their_own_precision():
    weights = weights_of("lstm", dtype=np.float32)
    loss = loss_of(states_of("lstm", lambda t: weights, 8)[-1])
    assert relative(trace_gradient(loss, to=weights[1]).ledger().total, tg.grad(loss, weights[1])) < 1e-5


@pytest.mark.parametrize(
    ("ask", "error", "says"),
    [
        (lambda h, w: trace_gradient(h, to=w), RuntimeError, "not a single number"),
        (lambda h, w: trace_gradient(h.sum().item(), to=w), TypeError, "got float"),
        (lambda h, w: trace_gradient([1.0], to=w), TypeError, "pass the loss itself"),
        (lambda h, w: trace_gradient([], to=w), ValueError, "at least one"),
        (lambda h, w: trace_gradient(h.sum(), to="w"), TypeError, "to="),
        (lambda h, w: trace_gradient(h.sum(), to=tg.Tensor(1.0)), RuntimeError, "does not require a gradient"),
        (lambda h, w: trace_gradient(h.sum(), to=tg.Tensor(1.0, True)), RuntimeError, "no loss was computed from it"),
        (lambda h, w: trace_gradient(tg.Tensor(1.0), to=w), RuntimeError, "does not depend"),
    ],
)
def test_misuse_is_explained(ask, error, says):
    weights = weights_of("rnn")
    h = states_of("rnn", lambda t: weights, 2)[-1]
    with pytest.raises(error, match=says):
        ask(h, weights[1])
