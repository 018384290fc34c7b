"""What is timed against each other computes the same numbers."""

import numpy as np

from tests.benchmarks import numpy_bptt, tinygrad_lstm
from tests.benchmarks.problem import make_problem


def test_bptt_by_hand_and_the_composed_cell_agree_on_loss_and_gradients():
    problem = make_problem(T=7, batch=3, inputs=4, hidden=5, dtype=np.float64)
    loss_by_hand, by_hand = numpy_bptt.prepare(problem)()
    loss, gradients = tinygrad_lstm.prepare(problem)()

    np.testing.assert_allclose(loss.item(), loss_by_hand, rtol=1e-12)
    assert gradients.keys() == by_hand.keys()
    for name, expected in by_hand.items():
        np.testing.assert_allclose(gradients[name], expected, rtol=0, atol=1e-12 * np.abs(expected).max())
