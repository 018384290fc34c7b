"""Rules as formulas: every primitive has one, and with the numbers put in they come out right."""

import math

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.debug.stepped import recurrent
from tests.engine.samples import node_of, samples_of
from tinygrad_rnn.debug import rules, terms, timeline
from tinygrad_rnn.engine.primitives import TABLE

KNOWN = {name: getattr(np, name) for name in ("exp", "log", "tanh", "sin", "cos", "sqrt", "sign", "abs", "nan", "inf")}
KNOWN |= {"max": max, "True": True, "False": False}


def worked_out(text, arrays=None):
    """What the right-hand side of `dx[2]: 0.5 = 0.25 * 2` is, and the number that is claimed."""
    claim, _, right = text.partition(": ")[2].partition(" = ")
    right = right.removesuffix(", since nothing comes of it")
    with np.errstate(all="ignore"):
        return float(eval(claim, dict(KNOWN))), float(eval(right, KNOWN | (arrays or {})))


def test_every_primitive_has_a_formula_and_nothing_else_has():
    assert rules.FORMULAS.keys() == TABLE.keys()


@pytest.mark.parametrize("name", sorted(TABLE))
def test_there_is_a_backward_formula_and_a_derivative_for_each_rule(name):
    primitive, formula = TABLE[name], rules.FORMULAS[name]
    assert bool(formula.backward) == bool(formula.derivatives) == primitive.differentiable
    if isinstance(primitive.rules, tuple) and primitive.rules:
        assert len(formula.backward) == len(formula.derivatives) == len(primitive.rules)


def nodes_of_samples(name):
    return [node_of(sample) for sample in samples_of(name)]


@pytest.mark.parametrize("name", sorted(n for n, f in rules.FORMULAS.items() if f.elementwise and n != "astype"))
def test_the_numbers_of_an_elementwise_formula_come_out(name):
    checked = 0
    for node in nodes_of_samples(name):
        if node.primitive is None or not node.size:
            continue
        assert close(*worked_out(rules.forward_numbers(node)))
        checked += 1
        if not TABLE[name].differentiable:
            continue
        loss = (node * np.linspace(1.0, 2.0, node.size).reshape(node.shape)).sum()
        line = timeline([loss])
        for event in line:
            if event.kind == "backward" and event.node == node.index:
                part = line.contribution(event.position)
                dy = line.cotangents()[node.index]
                text = rules.backward_numbers(node, event.slot, dy, part)
                assert "terms)" in text or close(*worked_out(text, {"dy": dy})), text
                if part.shape == node.shape:
                    factor = rules.local_derivative(node, event.slot)
                    assert np.allclose(factor * line.cotangents()[node.index], part, equal_nan=True)
    assert checked or not TABLE[name].differentiable


@pytest.mark.parametrize("name", sorted(name for name, primitive in TABLE.items() if primitive.differentiable))
def test_what_every_edge_adds_is_written_as_a_sum_that_comes_out(name):
    """Evaluated with all terms: those of the text, or where it names an element of dy, that one."""
    checked = 0
    for node in nodes_of_samples(name):
        if node.primitive is None or not node.size:
            continue
        weights = np.linspace(1.0, 2.0, node.size).reshape(node.shape)
        line = timeline([(node * weights).sum()])
        for event in line:
            if event.kind != "backward" or event.node != node.index or not line.order[event.producer].size:
                continue
            part = line.contribution(event.position)
            text = rules.backward_numbers(node, event.slot, line.cotangents()[node.index], part)
            assert text is not None
            if "terms)" not in text:
                assert close(*worked_out(text, {"dy": line.cotangents()[node.index]})), text
                checked += 1
    assert checked


@pytest.mark.parametrize("name", sorted(terms.CHOOSING))
def test_what_a_result_is_chosen_from_or_the_sum_of_comes_out(name):
    checked = 0
    for node in nodes_of_samples(name):
        if node.primitive is None or not node.size or not all(x.tracked for x in node.inputs):
            continue
        text = rules.forward_numbers(node)
        if text is not None and "terms)" not in text:
            known = {f"x_{k}": x.value for k, x in enumerate(node.inputs)} | {"x": node.inputs[0].value}
            assert close(*worked_out(text, known)), text
            checked += 1
    assert checked


def test_long_sums_show_their_first_terms_and_how_many_there_are():
    x = tg.Tensor(np.arange(1.0, 6.0), requires_grad=True)
    assert rules.forward_numbers(x.sum()) == "y: 15 = 1 + 2 + 3 + ... (5 terms)"
    y = tg.stack([x, x * 2.0])
    assert rules.forward_numbers(y) == "y[1, 4]: 10 = x_1[4]"
    dy = np.arange(10.0).reshape((2, 5))
    assert rules.backward_numbers(y, 1, dy, dy[1]) == "dx_1[4]: 9 = dy[1, 4]"
    b = tg.Tensor(np.zeros(5), requires_grad=True)
    added = tg.Tensor(np.ones((2, 5))) + b
    assert rules.backward_numbers(added, 1, dy, dy.sum(axis=0)) == "db[4]: 13 = 4 + 9"


def close(claim, found):
    if math.isnan(claim) or math.isinf(claim):
        return math.isnan(found) == math.isnan(claim) and math.isinf(found) == math.isinf(claim)
    return abs(found - claim) <= 5e-3 * max(abs(claim), abs(found), 0.01)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_the_numbers_of_products_come_out_where_all_terms_are_shown(kind):
    loss, _ = recurrent(kind, steps=3, hidden=2)
    line = timeline([loss])
    shown = 0
    for event in line:
        node = line.order[event.node]
        if node.primitive.name != "linear" or event.kind == "seed":
            continue
        if event.kind == "forward":
            text = rules.forward_numbers(node)
        else:
            part = line.contribution(event.position)
            text = rules.backward_numbers(node, event.slot, line.cotangents()[node.index], part)
        if "..." not in text:
            assert close(*worked_out(text)), text
            shown += 1
    assert shown > 10


def test_a_formula_says_what_the_operation_was_told():
    x = tg.Tensor(np.ones((3, 4)), requires_grad=True)
    assert rules.formula_of(x[1:3]).forward == "y = x[1:3]"
    assert rules.formula_of(x.sum(axis=0)).forward == "y = sum of x over axis -2"
    assert rules.formula_of(x.sum()).forward == "y = sum of x over all elements"
    assert "{" not in "".join(
        str(rules.formula_of(node)) for n in TABLE for node in nodes_of_samples(n) if node.primitive
    )
    with pytest.raises(ValueError, match="given"):
        rules.formula_of(x)


def test_the_most_telling_element_is_a_nan_before_an_infinity_before_the_largest():
    assert rules.telling(np.array([1.0, -3.0, 2.0])) == (1,)
    assert rules.telling(np.array([[1.0, 2.0], [-np.inf, 3.0]])) == (1, 0)
    assert rules.telling(np.array([-np.inf, np.nan, 1.0])) == (1,)
    assert rules.telling(np.array([False, True])) == (1,)
