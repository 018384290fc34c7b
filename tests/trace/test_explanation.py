"""The formula with numbers: each term is that of the ledger, and every bound holds."""

import contextlib

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.trace import brute_force
from tests.trace.test_random_graphs import graph as random_program
from tests.trace.test_routes import gru, lstm, relative, rnn, stacked
from tinygrad_rnn import nn


@pytest.mark.parametrize("model", [lambda: lstm(steps=6), lambda: gru(6), lambda: rnn(6)], ids=["lstm", "gru", "rnn"])
def test_each_term_is_that_of_the_ledger_and_below_its_bound(model):
    cell, _, _, loss = model()
    loss = loss[-1] if isinstance(loss, list) else loss
    trace = tg.trace_gradient(loss, to=cell.weight_hh)
    explanation, ledger = trace.explain(), trace.ledger()
    assert [term.step for term in explanation.terms] == list(range(5, -1, -1))
    for term in explanation.terms:
        assert relative(term.contribution, ledger.contributions[0, term.step], trace.total) < 1e-12
        assert term.norm <= term.bound * (1 + 1e-12)
    assert explanation.difference < 1e-12
    assert explanation.terms[-1].cumulative == pytest.approx(1.0)
    assert explanation.states == (("c", "h") if len(explanation.states) == 2 else ("h",))


def test_it_is_rendered_as_text_markdown_and_latex_with_the_same_numbers():
    cell, _, _, losses = rnn(4)
    explanation = tg.trace_gradient(losses[-1], to=cell.weight_hh).explain()
    text, markdown, latex = (explanation.render(format) for format in ("text", "markdown", "latex"))
    assert str(explanation) == text
    share = f"{explanation.terms[1].share:.2%}"
    assert share in text
    assert f"| {share} |" in markdown
    assert share.replace("%", r"\%") in latex
    table = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len(table) == 6
    assert len({line.count("|") - line.count(r"\|") for line in table}) == 1
    assert latex.count(r"\\") == 5
    assert "relative difference" in text


def test_what_cannot_be_explained_is_said():
    cell, _, _, losses = rnn(3)
    with pytest.raises(ValueError, match="about one loss"):
        tg.trace_gradient(losses, to=cell.weight_hh).explain()
    with pytest.raises(ValueError, match="reads step"):
        tg.trace_gradient(sum(losses, tg.Tensor(0.0)), to=cell.weight_hh).explain()
    with pytest.raises(ValueError, match="rendered as"):
        tg.trace_gradient(losses[-1], to=cell.weight_hh).explain().render("html")
    both = nn.GRU(2, 3, bidirectional=True, rng=0)
    x = tg.Tensor(np.ones((4, 2)), requires_grad=True)
    states, _ = both(x)
    with pytest.raises(ValueError, match="lead back as well"):
        tg.trace_gradient(states[1].sum(), to=x).explain()
    h = tg.Tensor(np.ones(3))
    for _, x in tg.steps(np.ones((3, 3))):
        h = np.tanh(both.weight_hh_l0[:3] @ h + x).named("h")
        h = (h * 0.5).named("h")
    with pytest.raises(ValueError, match=r"scope of its own: with tg\.scope"):
        tg.trace_gradient(h.sum(), to=both.weight_hh_l0).explain()
    w = tg.Tensor(np.eye(2), requires_grad=True)
    with pytest.raises(ValueError, match=r"tg\.steps"):
        tg.trace_gradient((w @ np.ones(2)).sum(), to=w).explain()


def test_the_state_of_a_stack_is_that_of_all_its_layers():
    layers, _, loss = stacked()
    for weight, states in (
        (layers.weight_hh_l0, ("layer0/c", "layer1/c", "layer0/h", "layer1/h")),
        (layers.weight_hh_l1, ("c", "h")),
    ):
        trace = tg.trace_gradient(loss, to=weight)
        explanation, ledger = trace.explain(), trace.ledger()
        assert explanation.states == states
        assert explanation.difference < 1e-12
        for term in explanation.terms:
            assert relative(term.contribution, ledger.contributions[0, term.step], trace.total) < 1e-12


@pytest.mark.parametrize("step", range(3))
def test_a_step_that_does_not_use_the_source_has_no_row_and_one_line_says_why(step):
    _, xs, _, loss = lstm(steps=4)
    explanation = tg.trace_gradient(loss, to=xs[step]).explain()
    assert [term.step for term in explanation.terms if term.connected] == [step]
    for format, line in (("text", f"{step:>13} "), ("markdown", f"| {step} "), ("latex", f"{step} &")):
        said = explanation.render(format)
        assert "A step without a row does not use theta, so no path begins there." in said
        assert sum(row.startswith(line) for row in said.splitlines()) == 1
        assert said.count("100.00") == 2  # its share and the sum of shares, in the only row there is
    assert "without a row" not in str(tg.trace_gradient(*_loss_and_weight()).explain())


def _loss_and_weight():
    cell, _, _, loss = lstm(steps=4)
    return loss, cell.weight_hh


def test_tau_and_the_state_are_said_in_every_format():
    _, xs, _, loss = lstm(steps=4)
    for format, tau in (("text", "tau = 3"), ("markdown", "tau = 3"), ("latex", r"$\tau$ = 3")):
        said = tg.trace_gradient(loss, to=xs[0]).explain().render(format)
        assert tau in said
        assert "here (c, h)" in said


@pytest.mark.parametrize(
    ("name", "in_math", "in_text"),
    [
        ("W", "W", "W"),
        ("bias_ih", r"\mathrm{bias\_ih}", r"bias\_ih"),
        ("W_{h}^50%", r"\mbox{W\_\{h\}\textasciicircum{}50\%}", r"W\_\{h\}\textasciicircum{}50\%"),
    ],
)
def test_names_are_escaped_in_latex(name, in_math, in_text):
    w = tg.Tensor(np.eye(2) * 0.5, requires_grad=True, name=name)
    h = tg.Tensor(np.ones(2))
    for _ in tg.steps(range(3)):
        h = np.tanh(w @ h).named("h_t")
    said = tg.trace_gradient(h.sum(), to=w).explain().render("latex")
    assert rf"\frac{{\partial L}}{{\partial {in_math}}}" in said
    assert f"by the use of {in_text} at step $i$ alone" in said
    assert r"here h\_t;" in said


def test_a_product_that_underflows_says_so():
    w = tg.Tensor(np.array([[0.5]]), requires_grad=True)
    h, logs = tg.Tensor(np.array([0.5])), []
    for _ in tg.steps(range(600)):
        h = tg.sigmoid(w @ h).named("h")
        logs.append(np.log10(0.5 * h.data[0] * (1 - h.data[0])))
    last = tg.trace_gradient(h.sum(), to=w).explain().terms[-1]
    assert last.state_by_state == 0
    assert last.log10_state == pytest.approx(sum(logs[1:]), rel=1e-12)
    assert last.connected


def test_the_total_derivative_in_place_of_the_direct_one_overcounts():
    """The notes' d h_i / d theta must be the direct part: with the total, earlier uses are counted again."""
    cell, _, _, losses = rnn(6)
    w = cell.weight_hh
    trace = tg.trace_gradient(losses[-1], to=w)
    states = [node for node in trace.paths.order.values() if node.name == "h"]
    wrong = sum(tg.vjp(h, w, tg.grad(losses[-1], h)) for h in states)
    assert relative(trace.explain().total, trace.total, trace.total) < 1e-12
    assert relative(wrong, trace.total, trace.total) > 0.05


def two_states(h_name, c_name):
    w = tg.Tensor(np.random.default_rng(0).normal(size=(3, 3)), requires_grad=True)
    h = c = tg.Tensor(np.ones(3))
    for _ in tg.steps(range(5)):
        c = (w @ h).sigmoid() * c + (w @ h).tanh()
        c = c.named("c") if c_name else c
        h = c.tanh() * 0.5
        h = h.named("h") if h_name else h
    return tg.trace_gradient(h.sum(), to=w)


@pytest.mark.parametrize(("named", "operation"), [((False, False), "multiply"), ((True, False), "add")])
def test_of_states_that_cross_without_a_name_the_operation_is_named(named, operation):
    with pytest.raises(
        ValueError, match=rf"result of {operation} .*, crosses to step 4 and is no named state: name all"
    ):
        two_states(*named).explain()
    assert two_states(True, True).explain().difference < 1e-12


def test_where_no_path_crosses_time_it_is_not_the_name_that_is_missing():
    w, h0 = tg.Tensor(np.eye(2), requires_grad=True), tg.Tensor(np.ones(2))
    for _ in tg.steps(range(3)):
        h = np.tanh(w @ h0).named("h")
    with pytest.raises(ValueError, match="leads from one step to another, so there is no sum"):
        tg.trace_gradient(h.sum(), to=w).explain()


def test_paths_that_go_round_a_state_are_not_left_out_in_silence():
    """A connection over three steps, a last loss that reads an early state, a sum that every step adds to."""
    w = tg.Tensor(np.random.default_rng(0).normal(size=(3, 3)), requires_grad=True)
    hs, running = [tg.Tensor(np.ones(3))] * 3, 0.0
    for _ in tg.steps(range(6)):
        hs.append(np.tanh(w @ hs[-1] + hs[-3]).named("h"))
    with pytest.raises(ValueError, match="go round the state between"):
        tg.trace_gradient(hs[-1].sum(), to=w).explain()
    hs = [tg.Tensor(np.ones(3))]
    for t, _ in tg.steps(range(6)):
        hs.append(np.tanh(w @ hs[-1]).named("h"))
        running = running + hs[-1].sum()
        early = (hs[2] * hs[-1]).sum() if t == 5 else None
    with pytest.raises(ValueError, match="go round the state between"):
        tg.trace_gradient(early, to=w).explain()
    with pytest.raises(ValueError, match="adds up those of several"):
        tg.trace_gradient(running, to=w).explain()


def test_a_state_or_a_source_without_elements_is_not_explained():
    w, h = tg.Tensor(1.0, requires_grad=True), tg.Tensor(np.zeros(0))
    for _ in tg.steps(range(3)):
        h = (w * h).named("h")
    with pytest.raises(ValueError, match=r"«h», .* has no elements"):
        tg.trace_gradient(h.sum(), to=w).explain()


def test_a_source_that_is_a_state_itself_is_where_the_paths_begin():
    _, _, _, losses = rnn(6)
    states = {n.place.step: n for n in brute_force.ancestors(losses[-1]) if n.name == "h"}
    for t in (0, 3, 4):
        explanation = tg.trace_gradient(losses[-1], to=states[t]).explain()
        assert explanation.difference < 1e-12
        assert [term.step for term in explanation.terms if term.connected] == [t + 1]


def test_a_weight_that_the_loss_uses_too_is_not_explained_by_half():
    cell, h = nn.RNNCell(2, 3, rng=0), tg.Tensor(np.ones(3))
    for _, x in tg.steps(np.ones((4, 2))):
        h = cell(x, h)
    with pytest.raises(ValueError, match=r"the result of matmul .* leads to the loss by way of no state"):
        tg.trace_gradient((cell.weight_hh @ h).sum(), to=cell.weight_hh).explain()


def test_of_random_programs_an_explanation_is_right_or_refused():
    right = 0
    for seed in range(1500):
        losses, sources = random_program(np.random.default_rng(seed))
        for source in sources[:2]:
            with contextlib.suppress(RuntimeError, ValueError):
                explanation = tg.trace_gradient(losses[-1], to=source).explain()
                assert explanation.difference < 1e-9, seed
                right += 1
    assert right > 20


def test_a_last_state_of_another_name_is_said_to_be_that():
    w, h = tg.Tensor(np.eye(2), requires_grad=True), tg.Tensor(np.ones(2))
    for t, _ in tg.steps(range(4)):
        h = np.tanh(w @ h).named("last" if t == 3 else "h")
    with pytest.raises(ValueError, match=r"of step 3, and the last state .* after step 2, h: .* give it the same"):
        tg.trace_gradient(h.sum(), to=w).explain()


def test_bounds_and_the_sum_of_what_underflowed_are_not_0():
    w, h = tg.Tensor([[0.3]], requires_grad=True, name="W"), tg.Tensor([1.0], requires_grad=True, name="h0")
    start = h
    for _ in tg.steps(range(900)):
        h = (w @ h).named("h")
    explanation = tg.trace_gradient(h.sum(), to=start).explain()
    term = explanation.terms[-1]
    assert term.log10_bound == pytest.approx(900 * np.log10(0.3), rel=1e-12)
    assert term.log10 <= term.log10_bound + 1e-9
    table, last = str(explanation).splitlines()[-2:]
    assert table.count("10^-471 underflowed") == 2
    assert last.startswith("No number holds the gradient, of norm 10^-471 underflowed")
