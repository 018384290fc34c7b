"""Networks can be differentiated twice: gradients, and the gradients of gradients, agree with numerical ones."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.nn import cells

STEPS = {
    "rnn": (cells.rnn_step, 1, 1),
    "rnn, relu": (cells.rnn_relu_step, 1, 1),
    "lstm": (lambda *args: tg.concatenate(cells.lstm_step(*args)), 2, 4),
    "gru": (cells.gru_step, 1, 3),
    "textbook gru": (cells.gru_textbook_step, 1, 3),
}


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", STEPS)
def test_a_step_is_differentiated_right_by_everything_that_goes_in(name, order):
    step, states, gates = STEPS[name]
    rng = np.random.default_rng(order)
    shapes = [(2, 3)] + [(2, 2)] * states + [(2 * gates, 3), (2 * gates, 2), (2 * gates,), (2 * gates,)]
    assert tg.gradcheck(step, *(rng.normal(size=shape) for shape in shapes), order=order)


@pytest.mark.parametrize("order", [1, 2])
def test_losses_are_differentiated_right(order):
    rng = np.random.default_rng(0)
    assert tg.gradcheck(lambda x: nn.cross_entropy(x, [2, 0, 1]), rng.normal(size=(3, 4)), order=order)
    assert tg.gradcheck(nn.mse_loss, rng.normal(size=(3, 4)), rng.normal(size=(3, 4)), order=order)


def test_losses_take_plain_numbers():
    logits, targets = [[0.5, -1.0, 2.0], [0.1, 0.2, 0.3]], [2, 0]
    by_hand = [np.log(np.exp(row).sum()) - row[k] for row, k in zip(logits, targets, strict=True)]
    assert nn.cross_entropy(logits, targets).item() == pytest.approx(np.mean(by_hand), rel=1e-15)
    assert nn.cross_entropy(logits[1], 0).item() == pytest.approx(by_hand[1], rel=1e-15)
    assert nn.mse_loss([1.0, 2.0], [0.5, 4.0]).item() == (0.25 + 4.0) / 2


def test_curvature_along_a_direction_is_the_change_of_the_gradient():
    """hvp of the loss of an LSTM over time, against central differences of its gradient."""
    layer, x = nn.LSTM(2, 3, rng=0), np.random.default_rng(1).normal(size=(4, 1, 2))
    direction = np.random.default_rng(2).normal(size=layer.weight_hh_l0.shape)

    def loss():
        output, _ = layer(x)
        return output.square().sum()

    curvature = tg.hvp(loss(), layer.weight_hh_l0, direction)
    gradients = []
    start = layer.weight_hh_l0.data.copy()
    for sign in (1, -1):
        layer.weight_hh_l0.data = start + sign * 1e-5 * direction
        gradients += tg.grad(loss(), [layer.weight_hh_l0])
    np.testing.assert_allclose(curvature, (gradients[0] - gradients[1]) / 2e-5, rtol=1e-6, atol=1e-9)
