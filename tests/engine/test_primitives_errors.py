"""Every operation, used wrongly, raises the right exception, which names the operation, the shapes and the place."""

import re

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.engine.samples import OPERATIONS, node_of, samples_of
from tinygrad_rnn.engine import primitives as p

FLAT = [name for name, primitive in p.TABLE.items() if not primitive.differentiable]


def made(name):
    with tg.scope("decoder"), tg.step(7):
        return node_of(samples_of(name)[-1])


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name not in FLAT])
@pytest.mark.parametrize("ask", ["backward", "vjp"])
def test_a_cotangent_of_the_wrong_shape_is_refused(name, ask):
    y = made(name)
    wrong = np.ones((*y.shape, 7))
    words = [f"the result of {name} (decoder, step 7)", str(y.shape), str(wrong.shape)]
    with pytest.raises(ValueError, match=every(words)):
        y.backward(wrong) if ask == "backward" else tg.vjp(y, y.inputs[-1], wrong)


@pytest.mark.parametrize("name", FLAT)
def test_going_backward_from_what_carries_no_gradient_is_refused(name):
    with pytest.raises(RuntimeError, match=every([f"the result of {name} (decoder, step 7)", "requires a gradient"])):
        made(name).backward()


def every(words):
    """A pattern for a text that has all of these, in any order."""
    return "(?s)" + "".join(f"(?=.*{re.escape(word)})" for word in words)


def named(shape, name="w", dtype=float):
    return tg.Tensor(np.ones(shape, dtype), requires_grad=dtype is float, name=name)


def two(f):
    return lambda: f(named((2, 3), "a"), named((4,), "b"))


SHAPES = ["(2, 3)", "(4,)", "«a»", "«b»"]
MISUSES = {
    **{name: (two(getattr(tg, name)), ValueError, [name, *SHAPES]) for name in ("add", "subtract", "multiply")},
    **{name: (two(getattr(tg, name)), ValueError, [name, *SHAPES]) for name in ("divide", "power", "maximum")},
    "minimum": (two(tg.minimum), ValueError, ["minimum", *SHAPES]),
    "greater": (two(lambda a, b: a > b), ValueError, ["greater", *SHAPES]),
    "greater_equal": (two(lambda a, b: a >= b), ValueError, ["greater_equal", *SHAPES]),
    "less": (two(lambda a, b: a < b), ValueError, ["less", *SHAPES]),
    "less_equal": (two(lambda a, b: a <= b), ValueError, ["less_equal", *SHAPES]),
    "equal": (two(lambda a, b: a == b), ValueError, ["equal", *SHAPES]),
    "not_equal": (two(lambda a, b: a != b), ValueError, ["not_equal", *SHAPES]),
    "where": (
        lambda: tg.where(np.ones(5) > 0, named((2, 3), "a"), 0.0),
        ValueError,
        ["where", "(5,)", "(2, 3)", "«a»"],
    ),
    "clip": (lambda: named((3,)).clip(np.ones(3)), TypeError, ["clip", "a_min", "tg.maximum"]),
    "sum": (lambda: named((2, 3)).sum(axis=2), ValueError, ["sum", "axis 2", "2 axes"]),
    "max": (lambda: named((2, 0)).max(axis=1), ValueError, ["max", "(2, 0)", "«w»"]),
    "min": (lambda: named((0,)).min(), ValueError, ["min", "(0,)", "«w»"]),
    "logsumexp": (lambda: named((2, 3)).logsumexp(axis=-3), ValueError, ["logsumexp", "axis -3"]),
    "softmax": (lambda: named(()).softmax(), ValueError, ["softmax", "axis"]),
    "log_softmax": (lambda: named((2,)).log_softmax(axis=1), ValueError, ["log_softmax", "axis 1"]),
    "cumsum": (lambda: named((2,)).cumsum(axis=1), ValueError, ["cumsum", "axis 1"]),
    "reshape": (lambda: named((2, 3)).reshape(4, 2), ValueError, ["reshape", "(2, 3)", "(4, 2)", "«w»"]),
    "transpose": (lambda: named((2, 3)).transpose(0), ValueError, ["transpose", "(2, 3)", "«w»"]),
    "broadcast_to": (lambda: named((2,)).broadcast_to((3,)), ValueError, ["broadcast_to", "(2,)", "(3,)", "«w»"]),
    "concatenate": (
        lambda: tg.concatenate([named((2, 3), "a"), named((4,), "b")]),
        ValueError,
        ["concatenate", *SHAPES],
    ),
    "stack": (lambda: tg.stack([named((2, 3), "a"), named((4,), "b")]), ValueError, ["stack", *SHAPES]),
    "pad": (lambda: tg.pad(named((2,)), -1), ValueError, ["pad", "-1"]),
    "slice": (lambda: named((2, 3))[2], IndexError, ["2", "(2, 3)", "«w»"]),
    "gather": (lambda: named((2, 3))[[0, 2]], IndexError, ["2", "(2, 3)", "«w»"]),
    "matmul": (lambda: named((2, 3), "a") @ named((4,), "b"), ValueError, ["matmul", *SHAPES]),
    "linear": (lambda: tg.linear(named((4,), "b"), named((2, 3), "a")), ValueError, ["linear", *SHAPES]),
    "einsum": (lambda: tg.einsum("ij,j->i", named((2, 3), "a"), named((4,), "b")), ValueError, ["einsum", "ij,j->i"]),
    "astype": (lambda: named((2,)).astype(complex), TypeError, ["astype", "complex", "(2,)", "«w»"]),
    "negative": (lambda: -named((2,), dtype=bool), TypeError, ["negative", "(2,)", "«w»"]),
    "identity": (lambda: named((2,)).named(3), ValueError, ["name", "3"]),
}


@pytest.mark.parametrize("name", MISUSES)
def test_a_misuse_names_the_operation_the_operands_and_the_place(name):
    call, exception, words = MISUSES[name]
    with tg.scope("encoder"), tg.step(3), pytest.raises(exception, match=every(words)) as caught:
        call()
    if any("«" in word for word in words) or "axis" in words:
        assert "encoder, step 3" in str(caught.value)


def test_a_bias_that_does_not_fit_is_refused_at_once_and_not_on_the_way_back():
    x, w = np.ones((1, 3)), np.ones((2, 3))
    tg.gradcheck(tg.linear, x, w, np.ones(2))
    for shape in [(2, 2), (1, 2), (3,), (1,), ()]:
        with pytest.raises(ValueError, match=every(["linear", "(2, 3)", str(shape)])):
            tg.linear(x, w, np.ones(shape))


@pytest.mark.parametrize(("x", "w"), [((2, 3), (3,)), ((2, 3), (2, 2, 3)), ((), (2, 3)), ((2, 4), (2, 3)), ((3,), ())])
def test_linear_refuses_what_is_not_a_matrix_of_weights_that_fits(x, w):
    with pytest.raises(ValueError, match=every(["linear", str(x), str(w), "(outputs, inputs)"])):
        tg.linear(np.ones(x), np.ones(w))
