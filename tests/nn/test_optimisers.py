"""Optimisers and clipping: PyTorch's numbers, all or nothing, and nothing on the tape."""

import gc
import math
import sys

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.nn.frozen import archive
from tinygrad_rnn import nn

CASES = archive.load("optimisers.npz")


def optimiser_for(case, params):
    return getattr(nn, case.kind)(params, **case.config)


@pytest.mark.parametrize("case", [c for c in CASES if c.kind in ("SGD", "Adam")], ids=repr)
def test_ten_steps_follow_the_trajectory_of_pytorch(case):
    w, v = nn.Parameter(case["parameter/w"]), nn.Parameter(case["parameter/v"])
    optimiser = optimiser_for(case, [w, v])
    for step in range(10):
        optimiser.zero_grad()
        loss = (case["a"] @ w - case["b"]).square().sum()
        if step % 2 == 0:
            loss = loss + v.sin().sum()
        loss.backward()
        assert (v.grad is None) == (step % 2 == 1)
        optimiser.step()
        np.testing.assert_allclose(w.data, case[f"after/{step}/w"], rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(v.data, case[f"after/{step}/v"], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("case", [c for c in CASES if c.kind == "clip_grad_norm_"], ids=repr)
def test_clipping_by_the_norm_is_that_of_pytorch(case):
    w, v = nn.Parameter(np.zeros((3, 2))), nn.Parameter(np.zeros(4))
    w.grad, v.grad = case["before/w"], case["before/v"]
    config = {**case.config, "norm_type": float(case.config["norm_type"])}
    norm = nn.clip_grad_norm_([w, v], **config)
    assert norm == pytest.approx(float(case["norm"]), rel=1e-14)
    np.testing.assert_allclose(w.grad, case["after/w"], rtol=1e-13)
    np.testing.assert_allclose(v.grad, case["after/v"], rtol=1e-13)


def trained(optimiser_class, **options):
    """Two parameters with gradients, one without, and an optimiser that made one step already."""
    params = [nn.Parameter(np.arange(3.0), name="a"), nn.Parameter(np.ones((2, 2)), name="b"), nn.Parameter([5.0])]
    optimiser = optimiser_class(params, lr=0.1, **options)
    for _ in range(2):
        optimiser.zero_grad()
        (params[0].square().sum() + params[1].sin().sum()).backward()
        if not any(optimiser.memory):
            optimiser.step()
    return params, optimiser


OPTIMISERS = [(nn.SGD, {}), (nn.SGD, {"momentum": 0.9}), (nn.Adam, {}), (nn.Adam, {"weight_decay": 0.1})]


def snapshot(params, optimiser):
    memory = [{k: np.array(v).tobytes() for k, v in m.items()} for m in optimiser.memory]
    return [p.data.tobytes() for p in params], memory


class Injected(BaseException):
    pass


def with_error_at_event(k, action):
    """Runs `action` and raises at its k-th traced event (a call, line or return); whether it was reached."""
    events = 0

    def trace(frame, event, arg):
        nonlocal events
        events += 1
        if events == k:
            raise Injected
        return trace

    before = sys.gettrace()
    gc.disable()  # a collection calls back into Python, where the error would be lost instead of passed on
    sys.settrace(trace)
    try:
        action()
    except Injected:
        return True
    finally:
        sys.settrace(before)
        gc.enable()
    return False


@pytest.mark.parametrize(("optimiser_class", "options"), OPTIMISERS)
def test_a_step_interrupted_anywhere_is_a_whole_step_or_none(optimiser_class, options):
    k, outcomes = 0, set()
    while True:
        k += 1
        params, optimiser = trained(optimiser_class, **options)
        untouched = snapshot(params, optimiser)
        reached = with_error_at_event(k, optimiser.step)
        after = snapshot(params, optimiser)
        params, optimiser = trained(optimiser_class, **options)
        optimiser.step()
        whole = snapshot(params, optimiser)
        assert after in (untouched, whole), k
        outcomes.add(after == whole)
        if not reached:
            break
    assert k > 50
    assert outcomes == {True, False}


def test_loading_a_state_interrupted_anywhere_loads_all_or_nothing():
    k, outcomes = 0, set()
    state = {name: a + 1.0 for name, a in nn.LSTMCell(2, 3, rng=0).state_dict().items()}
    while True:
        k += 1
        cell = nn.LSTMCell(2, 3, rng=0)
        before = cell.state_dict()
        reached = with_error_at_event(k, lambda cell=cell: cell.load_state_dict(state))
        after = cell.state_dict()
        same = [{name: a.tobytes() for name, a in s.items()} for s in (before, state, after)]
        assert same[2] in same[:2], k
        outcomes.add(same[2] == same[1])
        if not reached:
            break
    assert k > 50
    assert outcomes == {True, False}


@pytest.mark.parametrize("clip", [lambda ps: nn.clip_grad_norm_(ps, 0.1), lambda ps: nn.clip_grad_value_(ps, 0.1)])
def test_clipping_interrupted_anywhere_clips_all_or_nothing(clip):
    k = 0
    while True:
        k += 1
        params, _ = trained(nn.SGD)
        before = [p.grad for p in params[:2]]
        kept = [np.array(g) for g in before]
        reached = with_error_at_event(k, lambda params=params: clip(params))
        changed = [p.grad is not g for p, g in zip(params, before, strict=False)]
        assert changed in ([True, True], [False, False]), k
        assert all(np.array_equal(a, b) for a, b in zip(before, kept, strict=True))  # nobody else's array is written
        if not reached:
            break
    assert changed == [True, True]


@pytest.mark.parametrize(("optimiser_class", "options"), OPTIMISERS)
def test_a_parameter_without_a_gradient_stays_as_it_is(optimiser_class, options):
    params, optimiser = trained(optimiser_class, **options)
    index = params[2].index
    optimiser.step()
    assert params[2].data.tolist() == [5.0]
    assert params[2].index == index
    assert optimiser.memory[2] == {}


@pytest.mark.parametrize(("optimiser_class", "options"), OPTIMISERS)
def test_parameters_stay_leaves_of_their_dtype_and_nothing_is_recorded(optimiser_class, options):
    p = nn.Parameter(np.ones(2, np.float32))
    optimiser = optimiser_class([p], **options)
    for _ in range(3):
        p.square().sum().backward()
        optimiser.step()
    assert (p.dtype, p.primitive, p.inputs, p.requires_grad) == (np.float32, None, (), True)
    assert all(np.asarray(v).dtype in (np.float32, int) for v in optimiser.memory[0].values())


def test_a_step_between_forward_and_backward_makes_the_backward_raise():
    p = nn.Parameter(np.ones(2), name="weight")
    optimiser = nn.SGD([p], lr=0.1)
    loss = p.square().sum()
    p.sum().backward()
    optimiser.step()
    with pytest.raises(RuntimeError, match="weight"):
        loss.backward()


def test_new_data_are_not_shared_with_what_the_optimiser_remembers():
    params, optimiser = trained(nn.SGD, momentum=0.9)
    optimiser.step()
    before = params[0].data.copy()
    optimiser.memory[0]["v"][:] = 100.0
    np.testing.assert_array_equal(params[0].data, before)


def test_what_the_optimiser_remembers_is_not_shared_with_the_gradient():
    p = nn.Parameter([1.0])
    optimiser = nn.SGD([p], lr=0.1, momentum=0.9)
    p.grad = [2.0]
    optimiser.step()
    p.grad[:] = 50.0
    assert optimiser.memory[0]["v"].tolist() == [2.0]


@pytest.mark.parametrize("optimiser_class", [nn.SGD, nn.Adam])
def test_a_step_without_any_gradient_says_to_call_backward(optimiser_class):
    with pytest.raises(RuntimeError, match=r"call loss\.backward\(\) first"):
        optimiser_class([nn.Parameter([1.0])]).step()


@pytest.mark.parametrize("optimiser_class", [nn.SGD, nn.Adam])
def test_what_cannot_be_trained_is_refused(optimiser_class):
    p = nn.Parameter([1.0], name="weight")
    with pytest.raises(ValueError, match=r"no parameters to train: pass model\.parameters\(\)"):
        optimiser_class([])
    with pytest.raises(ValueError, match="twice"):
        optimiser_class([p, p])
    with pytest.raises(TypeError, match=r"a list of parameters comes first, such as model\.parameters\(\); got 0\.1"):
        optimiser_class(0.1, [p])
    with pytest.raises(TypeError, match="not the module"):
        optimiser_class(nn.Linear(1, 1))
    with pytest.raises(TypeError, match="it is computed"):
        optimiser_class([p * 2.0])
    with pytest.raises(TypeError, match="it is a constant"):
        optimiser_class([tg.Tensor([1.0])])
    with pytest.raises(TypeError, match="holds Tensors, not ndarray"):
        optimiser_class([np.ones(2)])
    with pytest.raises(TypeError, match="holds Tensors, not str"):
        optimiser_class(dict(nn.Linear(1, 1).named_parameters()))
    for wrong in ({"lr": -1.0}, {"lr": math.nan}, {"weight_decay": -0.1}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} is at least 0"):
            optimiser_class([p], **wrong)


def test_settings_that_make_no_sense_are_refused():
    p = nn.Parameter([1.0])
    with pytest.raises(ValueError, match="momentum is at least 0"):
        nn.SGD([p], momentum=-0.9)
    for betas in ((0.9, 1.0), (-0.1, 0.9), (0.9,), 0.9):
        with pytest.raises(ValueError, match="betas of Adam are two numbers"):
            nn.Adam([p], betas=betas)
    with pytest.raises(TypeError, match="lr is a number; got 'fast'"):
        nn.SGD([p], lr="fast")
    with pytest.raises(ValueError, match="eps"):
        nn.Adam([p], eps=-1e-8)


def test_clipping_needs_gradients_that_are_finite_and_says_whose_are_not():
    good, bad = nn.Parameter([1.0], name="good"), nn.Parameter([1.0, 2.0], name="bad")
    for clip in (lambda: nn.clip_grad_norm_([good], 1.0), lambda: nn.clip_grad_value_([good], 1.0)):
        with pytest.raises(RuntimeError, match=r"call loss\.backward\(\) first"):
            clip()
    good.grad, bad.grad = [1.0], [np.nan, 1.0]
    for value in (np.nan, np.inf):
        bad.grad = [value, 1.0]
        with pytest.raises(RuntimeError, match=r"not finite are those of bad of shape \(2,\)"):
            nn.clip_grad_norm_([good, bad], 1.0)
        assert good.grad.tolist() == [1.0]
    with pytest.raises(ValueError, match="max_norm"):
        nn.clip_grad_norm_([good], -1.0)
    with pytest.raises(ValueError, match="norm_type"):
        nn.clip_grad_norm_([good], 1.0, norm_type=0.5)


def test_clipping_survives_gradients_whose_squares_overflow_or_underflow():
    p, q, nothing = nn.Parameter([0.0]), nn.Parameter([0.0]), nn.Parameter(np.zeros((0, 2)))
    nothing.grad = np.zeros((0, 2))
    p.grad, q.grad = [3e200], [4e200]
    assert nn.clip_grad_norm_([p, q, nothing], 1.0) == pytest.approx(5e200, rel=1e-12)
    np.testing.assert_allclose([*p.grad, *q.grad], [0.6, 0.8])
    p.grad, q.grad = [3e-200], [4e-200]
    assert nn.clip_grad_norm_([p, q, nothing], 1.0) == pytest.approx(5e-200, rel=1e-12, abs=0.0)
    assert (p.grad, q.grad) == ([3e-200], [4e-200])
    assert nn.clip_grad_norm_([nothing], 1.0) == 0.0


def test_clipping_by_a_norm_that_is_not_finite_can_be_asked_for_and_does_what_pytorch_does():
    p, q = nn.Parameter([1.0]), nn.Parameter([1.0])
    p.grad, q.grad = [np.nan], [2.0]
    assert math.isnan(nn.clip_grad_norm_([p, q], 1.0, error_if_nonfinite=False))
    assert np.isnan([*p.grad, *q.grad]).all()
    p.grad, q.grad = [np.inf], [2.0]
    with np.errstate(invalid="ignore"):
        assert nn.clip_grad_norm_([p, q], 1.0, error_if_nonfinite=False) == np.inf
    assert np.isnan(p.grad).all()
    assert q.grad.tolist() == [0.0]


def test_clipping_by_value_clips_every_element():
    p = nn.Parameter(np.zeros(4))
    p.grad = [-3.0, -0.5, 0.5, 3.0]
    assert nn.clip_grad_value_(p, 1.0) is None
    assert p.grad.tolist() == [-1.0, -0.5, 0.5, 1.0]


def test_an_lstm_learns_to_remember_a_bit():
    """The whole room at work: the first input decides the class after four steps of noise."""
    rng = np.random.default_rng(0)
    model = nn.Module()
    model.lstm, model.readout = nn.LSTM(1, 8, rng=1), nn.Linear(8, 2, rng=2)
    optimiser = nn.Adam(model.parameters(), lr=0.05)
    for _ in range(60):
        x = rng.normal(size=(5, 16, 1)) * 0.3
        bits = rng.integers(0, 2, size=16)
        x[0, :, 0] = 2.0 * bits - 1.0
        output, _ = model.lstm(x)
        loss = nn.cross_entropy(model.readout(output[4]), bits)
        optimiser.zero_grad()
        loss.backward()
        nn.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    assert loss.item() < 0.1
