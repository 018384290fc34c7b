"""What a message says to write instead of a NumPy function computes the same."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.engine.checks import close
from tests.engine.test_misuse import numpy_functions
from tinygrad_rnn.engine.numpy_advice import INSTEAD, WITHOUT_GRADIENT
from tinygrad_rnn.engine.numpy_protocol import SPELLINGS, name_of

X, Y = np.array([[0.3, 1.4], [1.7, 0.2]]), np.array([[0.8, 0.5], [0.4, 1.2]])
AT_HAND = {"np": np, "tg": tg, "k": np.array([[1, 0]])}


def plain(result):
    """The numbers of a tensor or an array, or of each of several."""
    if isinstance(result, (list, tuple)):
        return [plain(one) for one in result]
    return np.asarray(result.data if isinstance(result, tg.Tensor) else result)


def on_tensors():
    x, y = (tg.Tensor(a, requires_grad=True) for a in (X, Y))
    return AT_HAND | {"x": x, "y": y}


@pytest.mark.parametrize("call", INSTEAD)
def test_what_to_write_for_a_numpy_function_computes_the_same(call):
    expected, found = plain(eval(call, AT_HAND | {"x": X, "y": Y})), plain(eval(INSTEAD[call], on_tensors()))
    if "empty" in call:
        expected, found = np.zeros_like(expected), np.zeros_like(found)
    close(found, expected, 1e-14)
    with pytest.raises(TypeError) as error:
        eval(call, on_tensors())
    assert f"For {call} write {INSTEAD[call]}." in str(error.value)


@pytest.mark.parametrize("call", [call for call in INSTEAD if "_like" not in call])
def test_what_to_write_for_a_numpy_function_keeps_the_gradient(call):
    at_hand = on_tensors()
    result = eval(INSTEAD[call], at_hand)
    y = result[0] if isinstance(result, list) else result
    assert np.isfinite(tg.vjp(y, at_hand["x"], np.ones(y.shape))).all()


def test_functions_without_a_gradient_are_functions_of_numpy_that_do_not_work():
    assert {name for name, _ in numpy_functions()} >= WITHOUT_GRADIENT
    assert not WITHOUT_GRADIENT & {name_of(f) for f in SPELLINGS}


def test_nothing_slows_every_attribute_of_a_tensor_down():
    """A __getattr__, even one that is called for missing names only, makes a training step an eighth slower."""
    assert not hasattr(tg.Tensor, "__getattr__")
    assert tg.Tensor.__getattribute__ is object.__getattribute__


def test_keywords_of_numpy_that_change_nothing_are_passed_over_and_others_refused():
    x = tg.Tensor(X, requires_grad=True)
    close(np.einsum("ij,jk->ik", x, Y, optimize=True).data, X @ Y, 1e-15)
    close(np.sum(x, axis=0, out=None, dtype=None).data, X.sum(0), 1e-15)
    close(np.reshape(x, (4, 1), order="C").data, X.reshape(4, 1), 0)
    close(np.reshape(x, shape=(4, 1)).data, X.reshape(4, 1), 0)
    close(np.transpose(x, axes=(1, 0)).data, X.T, 0)
    for call in (
        lambda: np.sum(x, out=np.zeros(())),
        lambda: np.reshape(x, 4, order="F"),
        lambda: np.mean(x, dtype=int),
    ):
        with pytest.raises(TypeError, match="does not take the argument"):
            call()
