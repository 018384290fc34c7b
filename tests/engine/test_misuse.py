"""What a learner gets wrong: the exception has the right type, and says what happened, where, and what to do.

The cases are in mistakes.py. All of it is run at the scope "encoder" and at step 3, with a few tensors at hand; a
message about an operation names that place.
"""

import math

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.engine.mistakes import ELSEWHERE, OPERATIONS, PLACE
from tinygrad_rnn.engine.annotate import HERE


def tensors_at_hand():
    w = tg.Tensor([0.5, 1.5, 2.5], requires_grad=True, name="w")
    m = tg.Tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True, name="m")
    v = tg.Tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True, name="v")
    return {
        "w": w,
        "m": m,
        "v": v,
        "c": tg.Tensor([0.5, 1.5], name="c"),
        "ids": tg.Tensor([0, 1], name="ids"),
        "scalar": tg.Tensor(2.0, requires_grad=True, name="scalar"),
        "empty": tg.Tensor(np.zeros((0, 2)), requires_grad=True, name="empty"),
        "cube": tg.Tensor(np.ones((2, 3, 4)), requires_grad=True, name="cube"),
        "loss": (w * w).sum().named("loss"),
        "a": np.ones(3),
        "np": np,
        "tg": tg,
        "math": math,
        "List": list,
    }


INSIDES = (
    *(
        "gufunc",
        "core dimension",
        "ufunc '",
        "inhomogeneous",
        "remapped",
        "np.int64(",
        "np.str_(",
        "zip()",
        "no identity",
    ),
    *("has no attribute", "object is not iterable", "numpy.", "_core", "umath", "<U", "dtype('", "__", "scalar arrays"),
    *("could not convert", "invalid literal", "missing 1 required", "subscriptable", "<lambda>"),
)


def what_it_raises(code):
    at_hand = tensors_at_hand()
    with tg.scope("encoder"), tg.step(3):
        inside = HERE.get()
        with pytest.raises(Exception) as found:
            exec(code, at_hand)
        assert HERE.get() == inside
    return found.value, at_hand


def assert_explained(code, kind, words):
    error, at_hand = what_it_raises(code)
    assert isinstance(error, kind), f"{type(error).__name__}: {error}"
    message = str(error)
    missing = [word for word in words if word not in message]
    assert not missing, message
    if kind is not AttributeError:
        allowed = "Tensor.__init__() got an unexpected keyword"  # Python's own, and clear
        assert message.startswith(allowed) or not [word for word in INSIDES if word in message], message
    assert len(message) < 600
    # Nothing is broken by it: no gradient was added, and the tape goes on.
    assert at_hand["w"].grad is None or "w.grad" in code
    np.testing.assert_array_equal(tg.grad(at_hand["loss"], tensors_of(at_hand["loss"])), [1.0, 3.0, 5.0])


def tensors_of(loss):
    """The leaf that a loss was computed from, whatever has become of its name since."""
    while loss.inputs:
        loss = loss.inputs[0]
    return loss


@pytest.mark.parametrize("code", OPERATIONS)
def test_an_operation_that_cannot_be_computed_says_so_with_its_operands_and_place(code):
    kind, *words = OPERATIONS[code]
    assert_explained(code, kind, [*words, PLACE])


@pytest.mark.parametrize("code", ELSEWHERE)
def test_misuse_is_explained(code):
    kind, *words = ELSEWHERE[code]
    assert_explained(code, kind, words)


def test_there_are_more_than_a_hundred_and_twenty_cases():
    assert len(OPERATIONS) + len(ELSEWHERE) >= 120


def test_outside_of_any_scope_and_step_the_message_says_that():
    w, v = tg.Tensor(np.ones(3), requires_grad=True), tg.Tensor(np.ones(4))
    with pytest.raises(ValueError, match=r"add cannot be computed \(no scope or step\)"):
        w + v


def test_a_scope_alone_and_a_step_alone_are_enough_to_be_named():
    w, v = tg.Tensor(np.ones(3), requires_grad=True), tg.Tensor(np.ones(4))
    with tg.scope("decoder"), pytest.raises(ValueError, match=r"\(decoder\)"):
        w + v
    with tg.step(7), pytest.raises(ValueError, match=r"\(step 7\)"):
        w + v


def test_an_operand_that_was_computed_is_described_by_how_and_where():
    with tg.scope("encoder"), tg.step(1):
        h = (tg.Tensor(np.ones(3), requires_grad=True) * 2.0).named("h")
    with pytest.raises(ValueError, match=r"«h», the result of multiply \(encoder, step 1\), shape \(3,\)"):
        h + np.ones(4)


def numpy_functions():
    """The functions of NumPy that ask their operands what they mean: the ufuncs and the dispatched ones."""
    for module in (np, np.linalg, np.fft):
        for name in module.__all__:
            function = getattr(module, name)
            if isinstance(function, np.ufunc) or hasattr(function, "_implementation"):
                yield f"{module.__name__}.{name}".replace("numpy", "np", 1), function


ABOUT_FORM_ONLY = {"np.shape", "np.ndim", "np.size"}


def test_every_numpy_function_is_recorded_or_raises_a_type_error_that_names_it():
    """Over the whole of NumPy: nothing answers an array, and so drops the gradient, where a Tensor was given."""
    t = tg.Tensor([[0.5, 0.25], [0.125, 0.75]], requires_grad=True, name="t")
    recorded, refused = set(), set()
    for name, function in numpy_functions():
        for arguments in ((t,), (t, t), (t, 1), (t, t, t), ([t, t],)):
            try:
                result = function(*arguments)
            except TypeError as error:
                if f"{function.__name__} does not work on a Tensor" in str(error):
                    refused.add(name)
                continue
            except Exception:  # these arguments do not fit the function
                continue
            results = result if isinstance(result, (list, tuple)) else [result]
            assert name in ABOUT_FORM_ONLY or all(isinstance(r, tg.Tensor) for r in results), name
            recorded.add(name)
    assert not recorded & refused
    assert len(recorded) > 40
    assert len(refused) > 250
    assert {"np.tanh", "np.concatenate", "np.matmul"} <= recorded
    assert {"np.fft.fft", "np.linalg.inv", "np.linalg.norm", "np.sort", "np.heaviside"} <= refused
