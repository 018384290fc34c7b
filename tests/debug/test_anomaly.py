"""A NaN or an Inf is blamed on the right operation and line, forward or backward; -inf masks raise no alarm."""

import warnings

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.debug import faults
from tests.debug.faults import CLEAN, CONTEXTS, FAULTS
from tinygrad_rnn.debug.lines import line_of

CASES = [(fault, context) for fault in FAULTS for context in CONTEXTS]


@pytest.fixture(autouse=True)
def quiet():
    with np.errstate(all="ignore"):
        yield


def test_there_are_a_hundred_programs_and_twenty_clean_ones():
    assert len(CASES) >= 100
    assert len(CLEAN) >= 20


@pytest.mark.parametrize(("fault", "context"), CASES, ids=[f"{f.function.__name__}-{c.__name__}" for f, c in CASES])
def test_the_operation_and_the_line_are_blamed(fault, context):
    at = 3
    leaves = []

    def program():
        loss, used = context(fault.function, at, np.random.default_rng(0))
        leaves.extend(used)
        loss.backward()

    with pytest.raises(tg.AnomalyError) as caught, tg.detect_anomaly():
        program()
    blame = caught.value.blame
    assert (blame.operation, blame.line.number) == (fault.operation, fault.line)
    assert blame.line.file == faults.__file__
    assert blame.direction == fault.direction
    if context is not faults.bare:
        assert blame.step == at
        assert blame.scope == ("second" if context is faults.second_use else "gate")
        assert f"step {at}" in str(caught.value)
    assert f"faults.py:{fault.line}" in str(caught.value)
    assert str(caught.value).startswith(f"{blame.made} is made by ")
    assert all(leaf.grad is None for leaf in leaves)


@pytest.mark.parametrize("program", CLEAN, ids=[f.__name__ for f in CLEAN])
def test_a_clean_program_with_a_mask_raises_no_alarm(program):
    w = tg.Tensor(faults.FINE, requires_grad=True, name="w")
    with tg.detect_anomaly():
        loss = program(w)
        loss.backward()
    assert np.isfinite(loss.data)
    assert np.isfinite(w.grad).all()


@pytest.mark.parametrize("fault", FAULTS, ids=[f.function.__name__ for f in FAULTS])
def test_what_is_blamed_is_what_break_nan_stops_at_first_or_on_the_way(fault):
    with tg.record_lines():
        loss, _ = faults.recurrent(fault.function, 3, np.random.default_rng(0))
    dbg = tg.Debugger(loss)
    dbg.break_at("nan")
    stops = []
    while dbg.position < len(dbg):
        stop = dbg.run()
        if dbg.state.reached:
            stops.append((stop.kind, stop.operation, stop.line.number))
    if fault.function is faults.among_constants:  # not on the tape
        return
    assert (fault.direction, fault.operation, fault.line) in stops


def test_every_way_to_ask_for_a_gradient_is_looked_at():
    def program():
        w = tg.Tensor(faults.FINE, requires_grad=True, name="w")
        return w, faults.root_of_zero(w, True)

    ways = [
        lambda w, y: y.sum().backward(),
        lambda w, y: tg.grad(y.sum(), w),
        lambda w, y: tg.grad(y.sum(), w, create_graph=True),
        lambda w, y: tg.vjp(y, w, np.ones(3)),
        lambda w, y: tg.jacobian(y, w),
    ]
    for way in ways:
        with pytest.raises(tg.AnomalyError, match="made by sqrt, backward"), tg.detect_anomaly():
            way(*program())


def test_a_forward_pass_without_a_backward_pass_is_looked_at_when_it_is_over():
    with pytest.raises(tg.AnomalyError, match="made by log, forward"), tg.detect_anomaly():
        y = (tg.Tensor([-1.0], requires_grad=True)).log() * 2.0
    assert np.isnan(y.data)
    with tg.detect_anomaly():
        masked = tg.Tensor([1.0, 2.0], requires_grad=True) + np.array([0.0, -np.inf])
    assert masked.data[1] == -np.inf


def test_a_nan_that_was_given_is_not_blamed_on_an_operation():
    x = tg.Tensor([1.0, np.nan], name="x")
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    with (
        pytest.raises(tg.AnomalyError, match="NaN is in x from the start: it was given") as caught,
        tg.detect_anomaly(),
    ):
        (w * x).sum().backward()
    assert caught.value.blame.operation is None


def test_a_function_is_decorated_with_parentheses():
    @tg.detect_anomaly()
    def logarithm(x):
        return x.log()

    assert logarithm(tg.Tensor([1.0], requires_grad=True)).data == 0.0
    for _ in range(2):
        with pytest.raises(tg.AnomalyError, match="made by log, forward"):
            logarithm(tg.Tensor([-1.0], requires_grad=True))

    @tg.record_lines()
    def doubled(x):
        return x * 2.0

    assert "return x * 2.0" in line_of(doubled(tg.Tensor([1.0], requires_grad=True))).text
    with pytest.raises(TypeError, match="write it below @classmethod"):
        tg.detect_anomaly()(classmethod(logarithm))
    for wrong in (tg.detect_anomaly, tg.record_lines):
        with pytest.raises(TypeError, match=rf"write @tg.{wrong.__name__}\(\), with parentheses"):
            wrong(logarithm)


def test_an_error_of_the_program_is_not_hidden():
    def program():
        y = tg.Tensor([-1.0], requires_grad=True).log()
        raise KeyError(y.shape)

    with pytest.raises(KeyError), tg.detect_anomaly():
        program()


def test_outside_nothing_is_looked_at_and_results_are_the_same_inside():
    def gradient():
        w = tg.Tensor(faults.FINE, requires_grad=True)
        loss = faults.attention_at_every_step(w)
        loss.backward()
        return w.grad.tobytes()

    plain = gradient()
    with tg.detect_anomaly():
        assert gradient() == plain
    w = tg.Tensor(faults.FINE, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        faults.root_of_zero(w, True).sum().backward()
    assert not np.isfinite(w.grad).any()
