"""Parameters before training: PyTorch's distributions, drawn from an explicit generator."""

import numpy as np
import pytest

from tinygrad_rnn import nn


@pytest.mark.parametrize("make", [nn.RNNCell, nn.LSTMCell, nn.GRUCell, nn.RNN, nn.LSTM, nn.GRU])
def test_recurrent_parameters_are_uniform_within_one_over_the_root_of_hidden(make):
    for name, p in make(40, 64, rng=0).named_parameters():
        bound = 1 / 8
        assert np.abs(p.data).max() < bound, name
        assert p.data.std() == pytest.approx(bound / np.sqrt(3), rel=0.2), name
        assert np.abs(p.data).max() > 0.9 * bound, name


def test_linear_parameters_are_uniform_within_one_over_the_root_of_the_inputs():
    layer = nn.Linear(100, 50, rng=0)
    for p in layer.parameters():
        assert 0.09 < np.abs(p.data).max() < 0.1
    assert layer.weight.data.std() == pytest.approx(0.1 / np.sqrt(3), rel=0.05)


def test_an_embedding_is_drawn_from_the_standard_normal_distribution():
    weight = nn.Embedding(100, 100, rng=0).weight.data
    assert weight.mean() == pytest.approx(0, abs=0.05)
    assert weight.std() == pytest.approx(1, abs=0.05)


def equal(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.mark.parametrize(
    "make",
    [
        lambda rng: nn.GRU(3, 4, num_layers=2, rng=rng),
        lambda rng: nn.LSTMCell(3, 4, rng=rng),
        lambda rng: nn.Linear(3, 4, rng=rng),
        lambda rng: nn.Embedding(3, 4, rng=rng),
    ],
)
def test_a_seed_repeats_and_a_generator_goes_on(make):
    assert equal(make(1), make(np.int64(1)))
    assert equal(make(1), make(1))
    assert equal(make(1), make(np.random.default_rng(1)))
    assert not equal(make(1), make(2))
    assert not equal(make(None), make(None))
    rng = np.random.default_rng(1)
    assert not equal(make(rng), make(rng))


def test_no_two_parameters_of_a_module_are_drawn_alike():
    layer = nn.LSTM(4, 4, num_layers=2, bidirectional=True, rng=0)
    drawn = [p.data.ravel()[:4].tolist() for p in layer.parameters()]
    assert len({tuple(d) for d in drawn}) == len(drawn)


def test_a_seed_means_the_same_numbers_in_every_dtype():
    for make in (nn.LSTM, nn.GRUCell, nn.Linear, nn.Embedding):
        single, double = make(3, np.int32(4), rng=5, dtype=np.float32), make(3, 4, rng=5)
        for name, p in single.named_parameters():
            assert p.dtype == np.float32
            np.testing.assert_array_equal(p.data, double.state_dict()[name].astype(np.float32))


def test_numpys_global_generator_is_left_alone():
    before = np.random.get_state()[1].copy()
    nn.LSTM(3, 4)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
