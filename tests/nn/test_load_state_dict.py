"""Loading a state: all of it, or a list of everything that does not fit and the model bit for bit as it was."""

import itertools
import re
import warnings

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn


class Model(nn.Module):
    def __init__(self, dtype=np.float64):
        self.embedding = nn.Embedding(5, 3, rng=0, dtype=dtype)
        self.lstm = nn.LSTM(3, 4, rng=1, dtype=dtype)
        self.readout = nn.Linear(4, 5, rng=2, dtype=dtype)
        self.tied = nn.Linear(3, 5, rng=3, dtype=dtype)
        self.tied.weight = self.embedding.weight


def bits(model):
    return {name: (p.data.tobytes(), p.dtype, p.shape, p.index) for name, p in model.named_parameters()}


def other_state(dtype=np.float64):
    rng = np.random.default_rng(7)
    state = {name: rng.normal(size=a.shape).astype(dtype) for name, a in Model().state_dict().items()}
    return state | {"tied.weight": state["embedding.weight"]}


# What can be wrong with one array, and the words that the message must have.
WRONG = {
    "missing": (None, "missing: {name}"),
    "transposed": (lambda a: np.moveaxis(a[None], 0, -1), "{name}: expected shape"),
    "too short": (lambda a: a[:-1], "{name}: expected shape"),
    "too long": (lambda a: np.concatenate([a, a]), "{name}: expected shape"),
    "flattened behind an axis": (lambda a: a.reshape(1, -1), "{name}: expected shape"),
    "a scalar": (lambda a: 1.0, "{name}: expected shape"),
    "empty": (lambda a: np.zeros((0,)), "{name}: expected shape"),
    "broadcastable": (lambda a: np.ones((1,) * a.ndim), "{name}: expected shape"),
    "integers": (lambda a: np.ones(a.shape, int), "{name}: .* does not hold real numbers"),
    "booleans": (lambda a: np.ones(a.shape, bool), "{name}: .* does not hold real numbers"),
    "complex": (lambda a: a + 1j, "{name}: .* does not hold real numbers"),
    "text": (lambda a: np.full(a.shape, "1.0"), "{name}: .* does not hold real numbers"),
    "objects": (lambda a: a.astype(object), "{name}: .* does not hold real numbers"),
    "dates": (lambda a: np.zeros(a.shape, "M8[s]"), "{name}: .* does not hold real numbers"),
    "none": (lambda a: None, "{name}: .* does not hold real numbers"),
    "a ragged list": (lambda a: [[1.0], [1.0, 2.0]], "{name}: .* that is no array"),
    "a dict": (lambda a: {"weight": a}, "{name}: .* does not hold real numbers"),
}
NAMES = sorted(set(Model().state_dict()) - {"tied.weight", "embedding.weight"})
EACH = [(name, kind) for name in NAMES for kind in WRONG]


def spoilt(state, name, kind):
    """The state with one kind of error in it."""
    change, _ = WRONG[kind]
    if change is None:
        return {n: a for n, a in state.items() if n != name}
    return state | {name: change(state[name])}


def check_refused(model, state, strict=True):
    """The lines of the message, one for each mismatch."""
    before = bits(model)
    with pytest.raises(ValueError, match="does not fit Model, which is left as it was") as error:
        model.load_state_dict(state, strict=strict)
    assert bits(model) == before
    return str(error.value).split("\n  ")[1:]


def test_at_least_a_hundred_kinds_of_mismatch_are_tried():
    assert len(EACH) >= 100


@pytest.mark.parametrize(("name", "kind"), EACH)
def test_a_mismatch_is_named_and_changes_nothing(name, kind):
    lines = check_refused(Model(), spoilt(other_state(), name, kind))
    assert len(lines) == 1
    assert re.search(WRONG[kind][1].format(name=name), lines[0])


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(WRONG, 2)))
def test_two_mismatches_are_both_in_the_one_message(first, second):
    state = spoilt(spoilt(other_state(), NAMES[0], first), NAMES[3], second) | {"what.is.this": np.ones(2)}
    lines = check_refused(Model(), state)
    assert len(lines) == 3
    for pattern in (
        WRONG[first][1].format(name=NAMES[0]),
        WRONG[second][1].format(name=NAMES[3]),
        r"unexpected: 'what\.is\.this'",
    ):
        assert any(re.search(pattern, line) for line in lines), (pattern, lines)


def test_a_mismatch_everywhere_lists_every_parameter():
    state = {name: np.ones((9, 9)) for name in Model().state_dict()}
    lines = check_refused(Model(), state)
    assert len(lines) == len(Model().state_dict())


@pytest.mark.parametrize("key", [3, None, ("lstm", "weight"), "lstm.weight_ih_l1", "", "LSTM.weight_ih_l0"])
def test_an_unexpected_key_is_named(key):
    lines = check_refused(Model(), other_state() | {key: np.ones(1)})
    assert lines == [f"unexpected: {key!r}"]


def test_values_that_the_dtype_cannot_hold_are_refused():
    model = Model(np.float32)
    state = other_state()
    state["readout.bias"][2] = 1e300
    assert check_refused(model, state) == ["readout.bias: has values too large for float32"]


def test_two_values_for_one_shared_parameter_are_refused():
    state = other_state()
    state["tied.weight"] = state["tied.weight"] + 1.0
    lines = check_refused(Model(), state)
    assert lines == ["tied.weight: is the same parameter as embedding.weight, and the two values differ"]


@pytest.mark.parametrize("state", [None, [1.0], "weights.npz", {"a"}, Model()], ids=lambda s: type(s).__name__)
def test_what_is_no_dict_is_refused(state):
    model = Model()
    before = bits(model)
    with pytest.raises(TypeError, match="takes a dict of arrays by name"):
        model.load_state_dict(state)
    assert bits(model) == before


@pytest.mark.parametrize("kind", [k for k in WRONG if k != "missing"])
def test_arrays_that_do_not_fit_are_refused_also_where_names_may_differ(kind):
    check_refused(Model(), spoilt(other_state(), NAMES[2], kind), strict=False)


def test_a_state_that_fits_is_loaded_bit_for_bit():
    model, state = Model(), other_state()
    state["readout.bias"][:] = [np.nan, np.inf, -np.inf, -0.0, 5e-324]
    assert model.load_state_dict(state) == ([], [])
    for name, array in model.state_dict().items():
        assert array.tobytes() == state[name].tobytes()


def test_without_strict_names_on_one_side_only_are_passed_over_and_returned():
    model, state = Model(), other_state()
    before = model.readout.bias.data.copy()
    del state["readout.bias"]
    keys = model.load_state_dict(state | {"extra": np.ones(1)}, strict=False)
    assert keys == (["readout.bias"], ["extra"])
    np.testing.assert_array_equal(model.readout.bias.data, before)
    np.testing.assert_array_equal(model.readout.weight.data, state["readout.weight"])


def test_a_state_takes_the_dtype_of_the_model_and_tensors_and_lists_are_arrays_too():
    model, state = Model(np.float32), other_state()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tensors = {name: tg.Tensor(a, requires_grad=True) for name, a in state.items()}
        model.load_state_dict(tensors | {"readout.bias": [0.5] * 5})
    assert {p.dtype for p in model.parameters()} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(model.readout.bias.data, np.full(5, 0.5, np.float32))
    np.testing.assert_array_equal(model.readout.weight.data, state["readout.weight"].astype(np.float32))


def test_what_is_loaded_is_not_shared_with_the_state():
    model, state = Model(), other_state()
    model.load_state_dict(state)
    state["readout.weight"][:] = 0.0
    assert model.readout.weight.data.any()


def test_loading_under_a_live_tape_makes_its_backward_raise():
    model = Model()
    y = model.readout(np.ones(4)).sum()
    model.load_state_dict(other_state())
    with pytest.raises(RuntimeError, match="weight"):
        y.backward()
