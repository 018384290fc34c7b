"""Arrays in a few numbers."""

import numpy as np
import pytest

from tinygrad_rnn.graph.text.summary import gradient_text, norm, number, shape_text, summary, value_text


@pytest.mark.parametrize("scale", [1e-300, 1e-170, 1.0, 1e170, 1e300])
def test_the_norm_neither_underflows_nor_overflows(scale):
    assert norm(np.array([3.0, -4.0]) * scale) == pytest.approx(5 * scale, rel=1e-12)


def test_a_small_gradient_is_never_shown_as_zero():
    assert gradient_text(norm(np.array([1e-170, 1e-170]))) == "|grad| 1.41e−170"
    assert gradient_text(norm(np.array([5e-324]))) == "|grad| 4.94e−324"
    assert gradient_text(0.0) == "|grad| 0"


def test_no_gradient_is_a_dash():
    assert gradient_text(None) == "grad -"


def test_nan_and_inf_are_shown():
    assert gradient_text(norm(np.array([1.0, np.nan]))) == "|grad| nan"
    assert gradient_text(norm(np.array([1.0, -np.inf]))) == "|grad| inf"
    assert value_text(summary(np.array([1.0, np.nan, 2.0]))) == "1 to 2, 1 nan"
    assert value_text(summary(np.array([np.nan, np.nan]))) == "only nan (2)"
    assert value_text(summary(np.array([-np.inf, 2.0]))) == "−inf to 2"


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.array(0.12345), "0.123"),
        (np.array([-0.7654, 0.8123]), "−0.77 to 0.81"),
        (np.zeros((3, 0)), "no elements"),
        (np.zeros(3), "0"),
        (np.array([-0.0]), "0"),
        (np.array([1, 2, 7]), "1 to 7"),
        (np.array([True, True]), "all true"),
        (np.array([False, False]), "all false"),
        (np.array([True, False]), "true and false"),
        (np.array([3 + 4j, 0j]), "0 to 5"),
    ],
)
def test_values_are_short(array, text):
    assert value_text(summary(array)) == text


def test_the_mean_of_huge_numbers_does_not_overflow():
    assert summary(np.full(4, 1.5e308)).mean == pytest.approx(1.5e308)


def test_shapes_are_written_as_in_python():
    assert shape_text(summary(np.zeros((2, 3)))) == "(2, 3)"
    assert shape_text(summary(np.zeros(3))) == "(3,)"
    assert shape_text(summary(np.zeros(()))) == "scalar"


def test_numbers_have_three_digits_and_true_minus_signs():
    assert [number(x) for x in (0.012345, -1.5e-7, 12345.0)] == ["0.0123", "−1.5e−07", "1.23e+04"]
