"""Every printed output in every situation: «underflowed», «overflowed», «0 exactly», «no path» and «not a number» are
never said for one another, and no None, nan or bare inf stands without a word."""

import functools
import math
import re

import numpy as np
import pytest

import tinygrad_rnn as tg

STEPS = 1200


def chain(weight, start, step=lambda z: z * 1.0, steps=STEPS):
    """h' = step(W h) -> the states, from the first on, and W."""
    w = tg.Tensor(weight, requires_grad=True, name="W")
    states = [tg.Tensor(np.array([start]), requires_grad=True, name="h0")]
    for _ in tg.steps(range(steps)):
        states.append(step(w * states[-1]).named("h"))
    return states, w


@functools.cache
def situation(name):
    """-> the states of the chain; the trace of a loss at its end to its beginning."""
    with np.errstate(all="ignore"):
        states, _ = {
            "underflowed": lambda: chain(0.5, 0.3, tg.sigmoid),
            "overflowed": lambda: chain(3.0, 0.0),
            "exactly 0": lambda: chain(-0.5, 0.3, tg.relu, steps=6),
            "not a number": lambda: chain(math.nan, 0.3, steps=6),
        }[name]()
        return states, tg.trace_gradient(states[-1].sum(), to=states[0])


def exponent(name):
    """log10 of the true norm, from the slopes alone."""
    states, _ = situation(name)
    if name == "overflowed":
        return STEPS * math.log10(3.0)
    return sum(math.log10(float(h.data[0] * (1 - h.data[0]) * 0.5)) for h in states[1:])


OUTPUTS = {
    "ledger": lambda t, s: str(t.ledger()),
    "streaming ledger": lambda t, s: str(t.streaming_ledger()),
    "streaming ledger of two losses": lambda t, s: str(
        tg.trace_gradient([s[-1].sum(), s[-1].sum()], to=s[0]).streaming_ledger()
    ),
    "part": lambda t, s: str(t.across("h*")),
    "without": lambda t, s: str(t.without(tg.across("h{2}"))),
    "partition": lambda t, s: str(t.partition({"h": tg.through("h"), "rest": tg.avoiding("h")})["h"]),
    "by crossings": lambda t, s: str(t.by_crossings("h")[-1]),
    "flow": lambda t, s: str(t.flow()),
    "flow of a route": lambda t, s: str(t.flow(tg.across("h*"))),
    "uses": lambda t, s: str(t.uses()),
    "jacobian bounds": lambda t, s: str(tg.state_jacobians(s).bounds(np.array([[1.0]]))[-1]),
    "report .txt": lambda t, s: report(t, ".txt"),
    "report .md": lambda t, s: report(t, ".md"),
    "report .html": lambda t, s: re.sub(r"<[^>]*>", " ", report(t, ".html").split("</style>")[1]),
    "ops": lambda t, s: drawn(t, "ops"),
    "cells": lambda t, s: drawn(t, "cells"),
    "rolled": lambda t, s: drawn(t, "rolled"),
    "plot of the ledger": lambda t, s: tg.plot_ledger(t).alt_text,
    "plot of lags": lambda t, s: tg.plot_lags(t).alt_text,
}
SHORT = {  # too long for a chain of 1,200 steps
    "spectrum": lambda t, s: str(t.spectrum("h")),
    "streaming spectrum": lambda t, s: str(t.streaming_spectrum("h")),
    "plot of the spectrum": lambda t, s: tg.plot_spectrum(t.spectrum("h")).alt_text,
}


def report(trace, suffix):
    return tg.trace.report.WRITERS[suffix](trace)


def drawn(trace, view):
    drawing = tg.draw(trace.paths.losses, view, flow_to=trace)
    alone = re.search(r"(The gradient by|Arrows show).*", drawing.alt_text)[0]
    labels = re.sub(r"<[^>]*>", " ", "".join(re.findall(r"legend_note\d+ \[label=<.*", drawing.dot)))
    return alone + labels


# What must be said, and what must not.
SAID = {
    "underflowed": (r"underflowed", r"exactly|no path|overflowed|infinite|not finite"),
    "overflowed": (r"overflowed", r"exactly|no path|underflowed|infinite|not finite"),
    "exactly 0": (r"0 exactly|exactly 0", r"no path|underflowed|overflowed|infinite|not finite"),
    "not a number": (r"not a number|not finite", r"exactly|no path|underflowed|overflowed|infinite"),
}


def asked(name, output):
    states, trace = situation(name)
    with np.errstate(all="ignore"):
        try:
            return {**OUTPUTS, **SHORT}[output](trace, states)
        except ValueError as refused:
            return str(refused)


@pytest.mark.parametrize("output", [*OUTPUTS, *SHORT])
@pytest.mark.parametrize("name", SAID)
def test_each_output_says_what_it_is_and_nothing_else(name, output):
    if output in SHORT and name in ("underflowed", "overflowed"):
        name = {"underflowed": "exactly 0", "overflowed": "not a number"}[name]
    said = asked(name, output)
    must, must_not = SAID[name]
    said = said.replace("-: no path", "")  # the legend of a table
    assert re.search(must, said), said
    assert not re.search(must_not, said), said
    assert not re.search(r"\b(None|nan|inf)\b", said), said
    assert not re.search(r"\d ?%", re.sub("add up to 100 %|1 % of it is left", "", said)), said


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("name", ["underflowed", "overflowed"])
def test_what_is_beyond_the_range_of_numbers_is_said_with_its_power_of_ten(name, output):
    said, power = asked(name, output), exponent(name)
    mantissa = f"{10 ** (power % 1):.3g}e{math.floor(power):+}"
    assert f"10^{power:.0f}" in said or mantissa in said, said


def logistic():
    states, w = chain(0.5, 0.3, tg.sigmoid)
    return tg.trace_gradient(states[-1].sum(), to=w), states[-1].sum(), w


def test_a_share_that_underflowed_beside_one_that_did_not_is_a_power_of_ten_in_every_table_of_flow():
    trace, loss, w = logistic()
    first = trace.flow().boundaries[0]
    slope = trace.through("h[0]")  # the only paths over the first boundary
    assert first.net == 0.0
    exact = slope.log10 - math.log10(abs(float(trace.total)))
    assert first.log10_gross == pytest.approx(exact, rel=1e-12)
    row = str(trace.flow()).splitlines()[2]
    assert row.split()[3:] == [f"10^{exact:.0f}"] * 3
    assert "underflowed" in str(trace.flow()).splitlines()[-1]
    far = trace.flow(tg.through("h[0]"))
    assert f": 10^{exact:.0f} of the gradient in all" in str(far)
    for view in ("ops", "cells"):
        drawing = tg.draw(loss, view, flow_to=w)
        assert f"0 to 1 10^{exact:.0f}, gross 10^{exact:.0f}" in drawing.alt_text
        assert "underflowed: a share too small for a number" in drawing.dot
        assert "exactly 0" not in drawing.dot
        assert f"net 10^{exact:.0f}" in drawing.dot
    assert "underflowed" in str(trace.uses()[0])
    (row,) = (line for line in str(trace.ledger()).splitlines() if line.split()[0] == "1199")
    assert row.split()[1] == "underflowed"


def test_on_every_edge_of_a_chain_with_a_way_around_it_the_underflowed_flow_is_the_same():
    """Kirchhoff's law below the range of numbers: the chain is one wire."""
    states, _ = chain(0.5, 0.3, tg.sigmoid)
    h0 = states[0]
    flow = tg.trace_gradient(states[-1].sum() + h0.sum(), to=h0).flow()
    under = [flow.log10[use] for use, share in flow.shares.items() if share == 0]
    assert len(under) > 2 * STEPS
    assert under == pytest.approx([exponent("underflowed")] * len(under), rel=1e-12)
    assert flow.total == 1.0


def test_a_share_of_exactly_0_is_not_called_underflowed():
    """W meets the initial state, which is 0; and one edge is orthogonal to the gradient."""
    states, w = chain(0.5, 0.0, steps=3)
    flow = tg.trace_gradient(states[-1].sum() + (w * 2.0), to=w).flow()
    zeros = [use for use, share in flow.shares.items() if share == 0]
    assert zeros
    assert {flow.log10[use] for use in zeros} == {-math.inf}
    x = tg.Tensor([1.0, 1.0], requires_grad=True)
    flow = tg.trace_gradient((x * [0.1, -0.1]).sum() + (x * [0.2, 0.4]).sum(), to=x).flow()
    assert list(flow.log10.values()) == [-math.inf] * 3
    assert "10^" not in str(flow)


def test_where_there_is_no_path_that_is_what_is_said():
    states, trace = situation("underflowed")
    route = tg.across("h{3}")
    for said in (
        str(trace.on(route)),
        str(trace.partition({"three": route, "rest": ~route})["three"]),
        str(trace.by_crossings("h")[3]),
        str(trace.without("h")),
    ):
        assert said.endswith("no path")
    states, w = chain(0.5, 0.3, steps=6)
    flow = tg.trace_gradient(states[-1].sum(), to=w).flow(tg.across("h{9}"))
    assert str(flow).endswith("nothing flows, there is no path.")
    assert "No path of" in tg.draw(states[-1].sum(), flow_to=w, highlight=tg.across("h{9}")).alt_text


def test_some_elements_of_a_source_are_not_given_the_size_of_the_whole():
    """Rows of an embedding of which only one is used."""
    e = tg.Tensor(np.ones((3, 2)), requires_grad=True, name="E")
    with tg.step(0):
        loss = (e[1] * 1e-3).sum()
    ledger = tg.trace_gradient(loss, to=e).ledger()
    assert "0 or underflowed" in str(ledger.at(0))
    assert "10^" not in str(ledger.at(0))
    assert "0.00141" in str(ledger.at(1))


def test_contributions_that_cancel_are_exactly_0_and_have_not_underflowed():
    w = tg.Tensor([2.0], requires_grad=True)
    with tg.step(0):
        losses = [(w * 3.0).sum(), (w * -3.0).sum()]
    said = str(tg.trace_gradient(losses, to=w).ledger())
    assert "0 exactly" in said
    assert "The gradient is exactly 0, so there are no shares." in said
    assert "underflowed" not in said


def unnamed(steps=4):
    w = tg.Tensor(np.eye(2) * 0.5, requires_grad=True, name="W")
    h = tg.Tensor(np.ones(2))
    for _ in tg.steps(range(steps)):
        h = (w @ h).tanh()
    return tg.trace_gradient(h.sum(), to=w)


def test_what_an_underscore_is_stands_once_under_each_table_that_has_one():
    trace = unnamed()
    for said in (str(trace.flow()), str(trace.top_paths(2)), report(trace, ".txt"), report(trace, ".md")):
        assert said.count("_ : a crossing of an unnamed tensor; name it where it is made, with .named(") == 1
    assert str(trace.flow()).splitlines()[-1].startswith("_ : ")
    states, w = chain(0.5, 0.3, steps=4)
    named = tg.trace_gradient(states[-1].sum(), to=w)
    assert "_ :" not in str(named.flow()) + str(named.top_paths(2)) + report(named, ".txt")


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_mean_number_of_crossings_that_signed_shares_may_make_negative_says_so(sign):
    x = tg.Tensor(1.0, requires_grad=True)
    with tg.step(0):
        h, c = (x * 1.0).named("h"), (x * 1.0).named("c")
    with tg.step(1):
        loss = 3.0 * x - sign * 0.5 * h + 0.2 * c
    said = report(tg.trace_gradient(loss, to=x), ".txt")
    mean = -sign * 0.5 / (3.0 - sign * 0.5 + 0.2)
    line = next(line for line in said.splitlines() if line.startswith("A path crosses in h"))
    assert f"{mean:.2f} times on average" in line
    assert ("Some shares are negative" in line) == (sign > 0)


def test_a_boundary_of_which_only_a_part_underflowed_explains_the_power_too():
    x = tg.Tensor(1.0, requires_grad=True)
    with tg.step(0):
        h, c = (x * 1.0).named("h"), ((x * 1e-200) * 1.0).named("c")
    with tg.step(1):
        loss = h * 1.0 + (c * 1e-150) * 1e-150
    *_, row, _, note = str(tg.trace_gradient(loss, to=x).flow()).splitlines()
    assert row.split()[3:] == ["100.00%", "10^-500", "100.00%", "100.00%"]
    assert "the share underflowed" in note
