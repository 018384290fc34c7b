"""The tester is tested: `gradcheck` passes what is right and catches what is wrong, however small."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.engine.samples import generator, spread
from tinygrad_rnn.engine import primitives as p
from tinygrad_rnn.engine.check import GradcheckError

X, Y = spread(generator("gradcheck"), 0.3, 2.1, (2, 3), (3,))


def test_it_returns_true_for_a_right_gradient():
    assert tg.gradcheck(lambda x, y: (x * y).tanh() @ y.exp(), X, Y) is True
    assert tg.gradcheck(lambda x, y: (x * y).tanh() @ y.exp(), X, Y, order=2) is True


def test_any_shape_of_result_will_do():
    for f in (lambda x: x.sum(), lambda x: x[0], lambda x: x[None] * x, lambda x: x[:0], lambda x: x.max()):
        assert tg.gradcheck(f, X, order=2)


WRONG = {
    "a millionth too large": lambda g, y, x: g * (1 - y * y) * (1 + 1e-6),
    "1e-11 too large": lambda g, y, x: g * (1 - y * y) * (1 + 1e-11),
    "the wrong sign": lambda g, y, x: -g * (1 - y * y),
    "a term missing": lambda g, y, x: g * (y * y),
    "0": lambda g, y, x: g * 0.0,
    "nan": lambda g, y, x: g * np.nan,
    "inf": lambda g, y, x: g * np.inf,
    "the input for the result": lambda g, y, x: g * (1 - x * x),
    "the square missing": lambda g, y, x: g * (1 - y),
    "no cotangent": lambda g, y, x: 0.0 * g + (1 - y * y),
    "transposed": lambda g, y, x: (g * (1 - y * y))[..., ::-1],
    "the mean over elements": lambda g, y, x: (g * (1 - y * y)).sum(keepdims=True) / y.size + 0.0 * g,
    "one element of six": lambda g, y, x: p.where(y == y.max(), 2.0, 1.0) * g * (1 - y * y),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_rule_is_caught(kind, monkeypatch):
    assert tg.gradcheck(tg.tanh, X)
    monkeypatch.setattr(p.tanh, "rules", (WRONG[kind],))
    with pytest.raises(GradcheckError):
        tg.gradcheck(tg.tanh, X)


def right_once(g, y, x):
    """The rule of tanh; on Tensors, one that forgets that it depends on x."""
    return g * (1 - y.detach() * y.detach()) if isinstance(y, tg.Tensor) else g * (1 - y * y)


@pytest.mark.parametrize("f", [tg.tanh, lambda x: tg.abs(x).tanh()], ids=["complex step", "real differences"])
def test_a_rule_that_is_wrong_only_when_differentiated_again_is_caught_by_order_2(f, monkeypatch):
    assert tg.gradcheck(f, X, order=2)
    monkeypatch.setattr(p.tanh, "rules", (right_once,))
    assert tg.gradcheck(f, X)
    with pytest.raises(GradcheckError, match="gradient of the gradient"):
        tg.gradcheck(f, X, order=2)


def mixed_twice(g, y, x):
    """The rule of square; on Tensors, one whose derivative has errors that add up to 0 over all elements."""
    mixed = x[..., ::-1] - x
    return g * (2 * x) + (mixed - mixed.detach() if isinstance(x, tg.Tensor) else 0.0)


def test_elements_that_are_exchanged_are_caught_also_where_all_slopes_are_the_same(monkeypatch):
    monkeypatch.setattr(p.square, "rules", (mixed_twice,))
    assert tg.gradcheck(tg.square, X)
    with pytest.raises(GradcheckError, match="gradient of the gradient"):
        tg.gradcheck(tg.square, X, order=2)
    monkeypatch.setattr(p.negative, "rules", (lambda g, y, x: -g[..., ::-1],))
    with pytest.raises(GradcheckError):
        tg.gradcheck(tg.negative, X)


def test_errors_are_relative_to_the_largest_derivative(monkeypatch):
    assert tg.gradcheck(lambda x: x**5 * 1e6, X, order=2)
    assert tg.gradcheck(tg.abs, [1e6, -2e6])
    assert tg.gradcheck(lambda x: abs(x) * 1e6, X)
    right = p.tanh.rules[0]
    monkeypatch.setattr(p.tanh, "rules", (lambda g, y, x: right(g, y, x) * (1 + 1e-11),))
    with pytest.raises(GradcheckError, match="by more than 1e-12"):
        tg.gradcheck(lambda x: x.tanh() * 1e6, X)


def test_one_operation_that_is_not_analytic_is_enough_for_real_differences():
    assert tg.gradcheck(lambda x: abs(x) + x.exp(), X - 1.0)
    assert tg.gradcheck(lambda x: x.exp() + abs(x), X - 1.0)


def test_what_is_not_a_number_is_the_worst(monkeypatch):
    monkeypatch.setattr(p.exp, "rules", (lambda g, y, x: np.where(x == 0.5, np.nan, g * 2.0),))
    with pytest.raises(GradcheckError, match="wrong in 3 of 3") as caught:
        tg.gradcheck(tg.exp, [0.1, 0.5, 3.0])
    assert str(caught.value).splitlines()[2].startswith("input 0[1] ")


@pytest.mark.parametrize("factor", [1 + 1e-6, 1 - 1e-6, 1 + 1e-7])
@pytest.mark.parametrize("f", [tg.abs, tg.relu, tg.max, lambda x: tg.maximum(x, 1.0), lambda x: tg.clip(x, 0.5, 9.0)])
def test_real_differences_catch_a_factor_of_a_ten_millionth(f, factor, monkeypatch):
    primitive = f(tg.Tensor(X, requires_grad=True)).primitive
    right = primitive.rules
    assert not primitive.analytic
    assert tg.gradcheck(f, X)
    rules = tuple(lambda *args, rule=rule, **params: rule(*args, **params) * factor for rule in right)
    monkeypatch.setattr(primitive, "rules", rules)
    with pytest.raises(GradcheckError, match="central differences"):
        tg.gradcheck(f, X)


def test_a_path_that_was_cut_is_caught():
    with pytest.raises(GradcheckError):
        tg.gradcheck(lambda x: x * x.detach(), X)
    with pytest.raises(GradcheckError):
        tg.gradcheck(lambda x, y: (x.detach() + y).exp(), X, Y)


def test_the_message_is_a_table_of_the_worst_elements(monkeypatch):
    monkeypatch.setattr(p.exp, "rules", (lambda g, y, x: g * y * (1 + 1e-6 * (x == x.max())),))
    at = np.unravel_index(X.argmax(), X.shape)
    with pytest.raises(GradcheckError, match=r"wrong in 1 of 9 elements, by more than 1e-12") as caught:
        tg.gradcheck(lambda y, x: x.exp() * y, Y, X)
    lines = str(caught.value).splitlines()
    assert lines[1].split() == ["where", "by", "backward", "sweep", "by", "complex", "step", "difference"]
    assert lines[2].startswith(f"input 1[{at[0]}, {at[1]}] ")
    assert len(lines) == 3
    *_, ours, numeric, difference = lines[2].split()
    assert float(ours) / float(numeric) == pytest.approx(1 + 1e-6, abs=1e-12)
    assert float(difference) == pytest.approx(float(ours) - float(numeric), rel=0.1)


def test_the_table_has_at_most_ten_rows_and_the_worst_first(monkeypatch):
    x = np.linspace(0.1, 2.0, 40)
    monkeypatch.setattr(p.exp, "rules", (lambda g, y, x: g * 1.0,))
    with pytest.raises(GradcheckError, match="wrong in 40 of 40") as caught:
        tg.gradcheck(tg.exp, x)
    rows = str(caught.value).splitlines()[2:]
    errors = [abs(float(row.split()[-1])) for row in rows]
    assert len(rows) == 10
    assert errors == sorted(errors, reverse=True)


def test_broadcasting_is_undone_in_the_complex_numbers_of_the_check_too():
    assert tg.gradcheck(lambda x, b: (x + b).tanh() * b, X, X[:, :1], order=2)


def test_an_input_without_influence_has_gradient_0():
    assert tg.gradcheck(lambda x, y: x * 2.0, X, Y, order=2)
    assert tg.gradcheck(lambda x: tg.Tensor(1.0), X, order=2)


def test_whole_numbers_are_handed_on_unchecked():
    assert tg.gradcheck(lambda x, ids: x[:, ids.data], X, np.array([0, 0, 2]), order=2)


def test_single_precision_is_checked_in_double():
    assert tg.gradcheck(tg.tanh, X.astype(np.float32), order=2)
    seen = []
    tg.gradcheck(lambda x: seen.append(x.dtype) or x.tanh(), tg.Tensor(X, dtype=np.float32))
    assert {*seen} == {np.dtype(np.float64), np.dtype(np.complex128)}


def test_the_inputs_are_left_as_they_are():
    x, before = tg.Tensor(X, requires_grad=True), X.copy()
    tg.gradcheck(lambda a, b: a * b, x, X)
    assert x.grad is None
    np.testing.assert_array_equal(X, before)


def test_the_tolerance_can_be_chosen(monkeypatch):
    monkeypatch.setattr(p.tanh, "rules", (WRONG["a millionth too large"],))
    assert tg.gradcheck(tg.tanh, X, tolerance=1e-5)
    with pytest.raises(GradcheckError, match="by more than 1e-07"):
        tg.gradcheck(tg.tanh, X, tolerance=1e-7)


def test_a_failure_is_an_assertion_error():
    assert issubclass(GradcheckError, AssertionError)


def test_it_refuses_what_does_not_return_a_tensor():
    with pytest.raises(TypeError, match="returns a Tensor"):
        tg.gradcheck(lambda x: 1.0, X)


def test_a_list_of_inputs_is_refused_with_the_right_call():
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(TypeError, match=r"not in a list: tg\.gradcheck\(f, x, w\)"):
        tg.gradcheck(tg.exp, [x])


def test_of_a_kink_it_says_that_there_is_no_derivative():
    with pytest.raises(GradcheckError, match="At a kink, such as that of relu at 0"):
        tg.gradcheck(tg.relu, [0.0, 1.0])
