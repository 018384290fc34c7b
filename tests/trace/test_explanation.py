"""The formula with numbers: each term is that of the ledger, and every bound holds."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.trace.test_routes import gru, lstm, relative, rnn, stacked


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
    assert len({line.count("|") - line.count(r"\|") for line in markdown.splitlines()[:6]}) == 1
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
    layers, _, loss = stacked()
    with pytest.raises(ValueError, match="explain one layer"):
        tg.trace_gradient(loss, to=layers.weight_hh_l0).explain()
    w = tg.Tensor(np.eye(2), requires_grad=True)
    with pytest.raises(ValueError, match=r"tg\.steps"):
        tg.trace_gradient((w @ np.ones(2)).sum(), to=w).explain()


def test_the_total_derivative_in_place_of_the_direct_one_overcounts():
    """The notes' d h_i / d theta must be the direct part: with the total, earlier uses are counted again."""
    cell, _, _, losses = rnn(6)
    w = cell.weight_hh
    trace = tg.trace_gradient(losses[-1], to=w)
    states = [node for node in trace.paths.order.values() if node.name == "h"]
    wrong = sum(tg.vjp(h, w, tg.grad(losses[-1], h)) for h in states)
    assert relative(trace.explain().total, trace.total, trace.total) < 1e-12
    assert relative(wrong, trace.total, trace.total) > 0.05


def test_states_without_a_name_are_not_explained():
    w = tg.Tensor(np.eye(2), requires_grad=True)
    h = tg.Tensor(np.ones(2))
    for _ in tg.steps(range(3)):
        h = np.tanh(w @ h)
    with pytest.raises(ValueError, match="no named state"):
        tg.trace_gradient(h.sum(), to=w).explain()
