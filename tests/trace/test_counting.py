"""Numbers of paths are exact whole numbers, however large, and can always be printed."""

import math
from fractions import Fraction

import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.trace.counting import Count, log10_of


def doubling(times):
    """Each operation uses the one before it twice."""
    x = y = tg.Tensor(1.0, requires_grad=True, name="x")
    for _ in range(times):
        y = (y + y) * 0.5
    return tg.trace_gradient(y, to=x)


def test_a_number_of_more_digits_than_python_writes_is_exact_and_printed_by_its_power_of_ten(tmp_path):
    trace = doubling(14_400)
    count = trace.count_paths()
    assert count == 2**14_400
    with pytest.raises(ValueError, match="digits"):
        str(2**14_400)
    about = f"about 10^{14_400 * math.log10(2):.0f}"
    assert [f"{count}", str(count), repr(count), f"{count:,}"] == [about] * 4
    assert f"; {about} paths lead there" in trace.save(tmp_path / "report.txt").read_text(encoding="utf-8")


def test_a_number_that_can_be_read_is_printed_as_any_other():
    count = doubling(100).count_paths()
    assert (str(count), f"{count:,}", f"{count:>40}") == (str(2**100), f"{2**100:,}", f"{2**100:>40}")
    assert isinstance(count, int)
    assert count // 2**99 == 2


@pytest.mark.parametrize("n", [1, 7, 2**64 - 1, 2**64, 10**39, 10**40, 5**3000 + 1])
def test_its_logarithm_is_that_of_the_whole_number(n):
    power = log10_of(Count(n))
    below = Fraction(10) ** math.floor(power)
    assert 1 <= n / below < 10
    assert math.log10(n / below) == pytest.approx(power - math.floor(power), abs=1e-11)
