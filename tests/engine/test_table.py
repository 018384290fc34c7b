"""The table is closed, every operation has samples, and a rule that is off by a millionth does not pass."""

import functools
import operator

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.engine.checks import CHECKS, slots
from tests.engine.samples import OPERATIONS, every_sample, node_of, samples_of
from tinygrad_rnn.engine import primitives as p

A_MILLIONTH = 1 + 1e-6


def test_every_primitive_has_samples_and_every_sample_a_primitive():
    assert OPERATIONS.keys() == p.TABLE.keys()


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_primitive_has_25_samples_of_its_own_and_one_of_size_0(name):
    samples = samples_of(name)
    assert len(samples) >= 25
    assert {node_of(sample).primitive.name for sample in samples} == {name}
    assert any(x.size == 0 for sample in samples for x in sample.inputs)
    assert len({str(sample) for sample in samples}) == len(samples)


def test_every_operation_that_can_is_sampled_on_single_numbers():
    def is_single(sample):
        return any(x.ndim == 0 for x in sample.inputs)

    need_an_axis = {"softmax", "log_softmax", "cumsum", "concatenate", "pad", "gather", "matmul", "linear"}
    assert {sample.primitive for sample in every_sample() if is_single(sample)} == p.TABLE.keys() - need_an_axis


def test_an_operation_is_defined_once():
    before = dict(p.TABLE)
    with pytest.raises(ValueError, match=r"already has a primitive called 'tanh'.*defined once"):
        p.define("tanh", np.tanh, lambda g, y, x: g)
    assert before == p.TABLE


def test_a_primitive_shows_its_name():
    assert repr(p.tanh) == "<primitive tanh>"


def test_comparisons_and_sign_let_no_gradient_flow_and_all_others_do():
    flat = {name for name, primitive in p.TABLE.items() if not primitive.differentiable}
    assert flat == {"sign", "greater", "greater_equal", "less", "less_equal", "equal", "not_equal"}
    for sample in every_sample():
        assert node_of(sample).requires_grad == (sample.primitive not in flat)


def test_what_is_not_complex_analytic_is_marked_so():
    """The complex step cannot check these: they choose by size, or drop the imaginary part."""
    marked = {name for name, primitive in p.TABLE.items() if not primitive.analytic}
    assert marked == {"astype", "abs", "sign", "relu", "maximum", "minimum", "clip", "max", "min"}


def test_the_condition_of_where_gets_no_gradient():
    condition, a = tg.Tensor([1.0, 0.0], requires_grad=True), tg.Tensor([2.0, 3.0], requires_grad=True)
    y = tg.where(condition, a, 0.0)
    assert p.where.rules[0] is None
    assert [slot for slot, _ in slots(y)] == [1]
    with pytest.raises(RuntimeError, match="no path"):
        tg.grad(y.sum(), condition)


# Mutations --------------------------------------------------------------------------------------------------------

SLOTS = sorted({(sample.primitive, slot) for sample in every_sample() for slot, _ in slots(node_of(sample))})


def is_caught(name):
    """Whether some check fails on some sample of the primitive."""
    for sample, check in ((sample, check) for sample in samples_of(name) for check in CHECKS):
        try:
            check(sample)
        except AssertionError:
            return True
    return False


class WithOneChanged:
    """Rules of which one is changed: fixed slots, or as many as the operation has inputs."""

    def __init__(self, rules, slot, change):
        self.rules, self.slot, self.change = rules, slot, change

    def __getitem__(self, slot):
        rule = self.rules[slot]
        return (lambda *args, **params: self.change(rule(*args, **params))) if slot == self.slot else rule

    def __bool__(self):
        return True


def changed(rules, slot, change):
    if not isinstance(rules, p.EverySlot):
        return tuple(WithOneChanged(rules, slot, change)[k] for k in range(len(rules)))

    def every(g, y, *xs, **params):
        part_of = rules.rule(g, y, *xs, **params)
        return lambda k: change(part_of(k)) if k == slot else part_of(k)

    return p.EverySlot(every)


@pytest.mark.parametrize(("name", "slot"), SLOTS)
def test_a_rule_off_by_a_millionth_is_caught(name, slot, monkeypatch):
    primitive = p.TABLE[name]
    monkeypatch.setattr(
        primitive, "rules", changed(primitive.rules, slot, functools.partial(operator.mul, A_MILLIONTH))
    )
    assert is_caught(name)


@pytest.mark.parametrize("name", [name for name, primitive in p.TABLE.items() if primitive.add_into])
def test_adding_into_a_buffer_off_by_a_millionth_is_caught(name, monkeypatch):
    primitive = p.TABLE[name]
    right = primitive.add_into
    monkeypatch.setattr(
        primitive, "add_into", lambda buffer, g, *rest, **params: right(buffer, g * A_MILLIONTH, *rest, **params)
    )
    assert is_caught(name)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_forward_function_off_by_a_millionth_is_caught(name, monkeypatch):
    primitive = p.TABLE[name]
    right = primitive.forward
    monkeypatch.setattr(primitive, "forward", lambda *xs, **params: right(*xs, **params) * A_MILLIONTH)
    assert is_caught(name)


@pytest.mark.parametrize("name", sorted({name for name, _ in SLOTS}))
def test_no_check_fails_on_the_table_as_it_is(name):
    assert not is_caught(name)
