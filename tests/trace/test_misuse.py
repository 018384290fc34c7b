"""What a first reader does wrong is told in words, with what to do."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.trace.test_routes import lstm
from tinygrad_rnn import nn


def untimed():
    w = tg.Tensor(np.eye(2) * 0.5, requires_grad=True)
    h = tg.Tensor(np.ones(2))
    for _ in range(3):
        h = np.tanh(w @ h).named("h")
    return tg.trace_gradient(h.sum(), to=w), h.sum()


def test_without_steps_nothing_is_said_about_time():
    trace, loss = untimed()
    for ask in (
        lambda: trace.across("h*"),
        lambda: trace.on(tg.tbptt(3)),
        lambda: trace.partition({"a": tg.across("h*"), "b": ~tg.across("h*")}),
        lambda: trace.by_crossings("h"),
        lambda: trace.spectrum("h"),
        lambda: trace.streaming_spectrum("h"),
        lambda: trace.explain(),
        lambda: trace.flow(tg.chunks(2)),
    ):
        with pytest.raises(ValueError, match=r"tg\.steps\(xs\)"):
            ask()
    assert "tg.steps(xs)" in str(tg.diagnose(loss))
    assert trace.along("h h").connected  # a word of landmarks needs no time
    assert "No use is at a time step." in str(trace.ledger())


CELL, XS, _, LOSS = lstm(steps=4)
TRACE = tg.trace_gradient(LOSS, to=XS[0])

MISTAKES = {
    "an edge as a list": (lambda: TRACE.without([LOSS, 0]), TypeError, r"as in \(h3, 0\)"),
    "a tensor as an edge": (lambda: TRACE.without(LOSS), TypeError, r"as in \(h3, 0\)"),
    "inputs as an array": (
        lambda: tg.connectivity([LOSS], np.ones((3, 2))),
        TypeError,
        "list of Tensors as its inputs",
    ),
    "inputs that lead nowhere": (
        lambda: tg.connectivity([LOSS], [tg.Tensor(1.0, requires_grad=True)]),
        RuntimeError,
        "no path leads there",
    ),
    "half a path": (lambda: TRACE.top_paths(2.5), ValueError, "k is a whole number from 1; got 2.5"),
    "a search of no expansions": (
        lambda: TRACE.top_paths(2, most_expansions=0),
        ValueError,
        "most_expansions is a whole",
    ),
    "a number for a name": (lambda: tg.detached(3, [1]), TypeError, "called by its name"),
    "text for a loss": (lambda: tg.diagnose("x"), TypeError, "diagnose takes a loss"),
    "one step, not a list": (lambda: tg.detached("h", 3), TypeError, r"such as \[3\]"),
    "no gates": (lambda: tg.half_life([]), ValueError, "from 0 to 1"),
    "a name for gates": (lambda: tg.half_life("f"), ValueError, "from 0 to 1"),
    "the arguments swapped": (
        lambda: tg.trace_gradient(CELL.weight_hh, to=LOSS),
        RuntimeError,
        "the first argument is",
    ),
    "a constant": (lambda: tg.trace_gradient(LOSS, to=tg.Tensor(1.0)), RuntimeError, "make it with requires_grad=True"),
    "a lone !": (lambda: tg.along("!"), tg.RouteError, "! is followed by one name"),
    "an open quote": (lambda: tg.along("'my state"), tg.RouteError, "closing quote"),
    "& in the text": (lambda: tg.across("c* & h*"), tg.RouteError, "combined outside the text"),
    "~ in the text": (lambda: tg.across("~c*"), tg.RouteError, "outside the text"),
    "> after +": (lambda: tg.along("c+>"), tg.RouteError, "> stands right after the name"),
    "too many repetitions": (lambda: tg.across("h{2000,}"), tg.RouteError, "at most 500 times"),
    "too many powers": (lambda: tg.across("h^2000"), tg.RouteError, "at most 500 times"),
    "too long a truncation": (lambda: tg.tbptt(2500), ValueError, "the ledger has the same"),
    "a scope that is nowhere": (lambda: TRACE.across("layer1/c*"), ValueError, r"make them with tg\.scope"),
    "a step that never is": (lambda: TRACE.along(".* c[99] .*"), ValueError, "is at steps 0 to 3"),
    "a range of no steps": (lambda: TRACE.along(".* c[3:2] .*"), ValueError, "is at steps 0 to 3"),
    "a detached step that never is": (lambda: TRACE.on(tg.detached("h", [99])), ValueError, "is at steps 0 to 3"),
    "a lag that is not there": (lambda: TRACE.ledger().log10_at(35), ValueError, r"the lags are \[3\]"),
    "the hidden state alone": (lambda: tg.state_jacobians(hidden_states()), ValueError, r"such as \(h, c\)"),
}


def hidden_states():
    h, c, states = tg.Tensor(np.zeros(2), requires_grad=True), tg.Tensor(np.zeros(2)), []
    for _, x in tg.steps(np.ones((4, 2))):
        h, c = CELL(x, (h, c))
        states.append(h)
    return states


@pytest.mark.parametrize("mistake", MISTAKES)
def test_it_is_told_what_to_do(mistake):
    ask, kind, words = MISTAKES[mistake]
    with pytest.raises(kind, match=f"(?i){words}"):
        ask()


def test_a_saturated_network_is_diagnosed_as_exactly_zero_with_its_reason():
    w = tg.Tensor(np.array([[60.0]]), requires_grad=True)
    h = tg.Tensor(np.ones(1))
    for _ in tg.steps(range(6)):
        h = np.tanh(w @ h).named("h")
    found = tg.diagnose(h.sum())
    assert found.verdict == "zero"
    assert "exactly 0" in str(found)
    assert "tanh is saturated" in str(found)


def test_a_state_detached_once_is_noticed():
    rng = np.random.default_rng(0)
    cell, h = nn.RNNCell(2, 4, rng=rng), tg.Tensor(np.zeros(4))
    for t, x in tg.steps(rng.normal(size=(20, 2))):
        h = cell(x, h.detach() if t == 10 else h)
    assert "No step before 10 leads to the loss" in str(tg.diagnose(h.sum()))


def test_what_underflows_is_not_blamed_on_a_slope():
    rng = np.random.default_rng(1)
    w, h = tg.Tensor(rng.normal(0, 0.5, (4, 4)), requires_grad=True), tg.Tensor(np.zeros(4))
    for _, x in tg.steps(rng.normal(size=(600, 4))):
        h = tg.sigmoid(w @ h + x).named("h")
    trace = tg.trace_gradient((h * h).sum(), to=w)
    assert {"underflowed" in zero.why for zero in trace.zeros()} == {True}


def test_a_leak_is_asked_for_with_other_names_too():
    rng = np.random.default_rng(0)
    cell, h = nn.GRUCell(2, 3, rng=rng), tg.Tensor(np.zeros(3))
    for _, x in tg.steps(rng.normal(size=(4, 2))):
        h = cell(x, h)
    trace = tg.trace_gradient(h.sum(), to=cell.weight_hh)
    usual = trace.on(tg.leak_only())
    assert np.array_equal(usual.gradient, trace.on(tg.leak_only("h", heard_by="n | z | r")).gradient)
    assert not np.allclose(usual.gradient, trace.on(tg.leak_only(heard_by="n")).gradient)


QUESTIONS = {
    "total": lambda t: t.total,
    "ledger": lambda t: t.ledger(),
    "streaming_ledger": lambda t: t.streaming_ledger(),
    "across": lambda t: t.across("h*"),
    "partition": lambda t: t.partition({"all": tg.along(".*")}),
    "without": lambda t: t.without("h"),
    "by_crossings": lambda t: t.by_crossings("h"),
    "spectrum": lambda t: t.spectrum("h"),
    "streaming_spectrum": lambda t: t.streaming_spectrum("h"),
    "expected_detached": lambda t: t.expected_detached("h", keep=0.5),
    "mean_crossings": lambda t: t.mean_crossings("h"),
    "uses": lambda t: t.uses(),
    "flow": lambda t: t.flow(),
    "top_paths": lambda t: t.top_paths(2),
    "count_paths": lambda t: t.count_paths(),
    "log10_norms": lambda t: t.log10_norms(),
    "zeros": lambda t: t.zeros(),
    "explain": lambda t: t.explain(),
}


@pytest.mark.parametrize("replaced", ["the source", "another weight"])
@pytest.mark.parametrize("question", QUESTIONS)
def test_a_trace_of_data_that_was_replaced_since_answers_nothing(question, replaced):
    w, u = (tg.Tensor(np.eye(3) * 0.5, requires_grad=True, name=name) for name in "WU")
    h = tg.Tensor(np.ones(3))
    for _, x in tg.steps(np.ones((4, 3))):
        h = (w @ h + u @ x).tanh().named("h")
    trace = tg.trace_gradient((h * h).sum(), to=w)
    QUESTIONS[question](tg.trace_gradient((h * h).sum(), to=w))  # it can be asked
    changed = w if replaced == "the source" else u
    changed.data = changed.data * 0.9
    with pytest.raises(RuntimeError, match=f"the data of «{changed.name}», .* was replaced"):
        QUESTIONS[question](trace)
