"""What is wrong, where, and what to do: the messages for inputs that do not fit."""

import re

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn

STEP = np.ones((2, 3))
SEQUENCE = np.ones((5, 2, 3))


class Model(nn.Module):
    def __init__(self, part):
        self.part = part

    def forward(self, *args, **kwargs):
        return self.part(*args, **kwargs)


# (module, arguments, kind of error, what the message says in this order)
WRONG = {
    "rnn cell, features": (
        lambda: nn.RNNCell(4, 5),
        (STEP,),
        ValueError,
        ["RNNCell(4, 5)", "part", "(4,) or (batch, 4)", "weight_ih", "(5, 4)", "(2, 3)", "last axis of x 4 long", "3"],
    ),
    "lstm cell, features": (
        lambda: nn.LSTMCell(4, 5),
        (STEP,),
        ValueError,
        ["LSTMCell(4, 5)", "part", "(4,) or (batch, 4)", "weight_ih", "(20, 4)", "(2, 3)", "last axis of x 4 long"],
    ),
    "gru cell, features": (
        lambda: nn.GRUCell(4, 5),
        (STEP,),
        ValueError,
        ["GRUCell(4, 5)", "part", "weight_ih", "(15, 4)", "(2, 3)", "last axis"],
    ),
    "cell, a sequence": (
        lambda: nn.LSTMCell(3, 5),
        (SEQUENCE,),
        ValueError,
        ["LSTMCell(3, 5)", "(3,) or (batch, 3)", "(5, 2, 3)", "reshape x"],
    ),
    "cell, a number": (
        lambda: nn.RNNCell(1, 5),
        (1.0,),
        ValueError,
        ["RNNCell(1, 5)", "(1,) or (batch, 1)", "got ()"],
    ),
    "cell, batch of the state": (
        lambda: nn.LSTMCell(3, 4),
        (STEP, (np.zeros((2, 4)), np.zeros((1, 4)))),
        ValueError,
        ["LSTMCell(3, 4)", "expects c of shape (2, 4)", "(1, 4)", "np.zeros((2, 4))", "leave the state out"],
    ),
    "cell, size of the state": (
        lambda: nn.GRUCell(3, 4),
        (STEP, np.zeros((2, 3))),
        ValueError,
        ["GRUCell(3, 4)", "expects h of shape (2, 4)", "(2, 3)", "np.zeros((2, 4))"],
    ),
    "lstm cell, h alone": (
        lambda: nn.LSTMCell(3, 4),
        (STEP, np.zeros((2, 4))),
        TypeError,
        ["the state of LSTMCell(3, 4)", "tuple (h, c)", "ndarray"],
    ),
    "lstm cell, three states": (
        lambda: nn.LSTMCell(3, 4),
        (STEP, (np.zeros((2, 4)),) * 3),
        TypeError,
        ["tuple (h, c)", "got 3 of them"],
    ),
    "layer, features": (
        lambda: nn.LSTM(4, 5),
        (SEQUENCE,),
        ValueError,
        ["LSTM(4, 5)", "part", "(time, 4) or (time, batch, 4)", "weight_ih_l0", "(20, 4)", "(5, 2, 3)", "last axis"],
    ),
    "layer, batch first": (
        lambda: nn.GRU(3, 5, batch_first=True),
        (SEQUENCE[None],),
        ValueError,
        ["GRU(3, 5, batch_first=True)", "(time, 3) or (batch, time, 3)", "(1, 5, 2, 3)", "reshape"],
    ),
    "layer, no steps": (
        lambda: nn.RNN(3, 5),
        (np.ones((0, 2, 3)),),
        ValueError,
        ["RNN(3, 5)", "(0, 2, 3)", "at least one step"],
    ),
    "layer, state of one layer for two": (
        lambda: nn.LSTM(3, 4, num_layers=2),
        (SEQUENCE, (np.zeros((1, 2, 4)),) * 2),
        ValueError,
        ["LSTM(3, 4, num_layers=2)", "expects h of shape (2, 2, 4)", "(1, 2, 4)"],
    ),
    "layer, state without the layer axis": (
        lambda: nn.GRU(3, 4),
        (SEQUENCE, np.zeros((2, 4))),
        ValueError,
        ["GRU(3, 4)", "expects h of shape (1, 2, 4)", "got (2, 4)"],
    ),
    "linear, features": (
        lambda: nn.Linear(4, 5),
        (STEP,),
        ValueError,
        ["Linear(4, 5)", "part", "(..., 4)", "weight", "(5, 4)", "(2, 3)", "last axis of x 4 long", "size 3"],
    ),
    "linear, a number": (lambda: nn.Linear(1, 1), (2.0,), ValueError, ["Linear(1, 1)", "(..., 1)", "got ()"]),
    "embedding, too large": (
        lambda: nn.Embedding(3, 2),
        ([0, 3],),
        IndexError,
        ["Embedding(3, 2)", "0 to 3", "3 rows"],
    ),
    "embedding, negative": (lambda: nn.Embedding(3, 2), ([-1],), IndexError, ["Embedding(3, 2)", "-1", "3 rows"]),
    "embedding, floats": (
        lambda: nn.Embedding(3, 2),
        ([1.0],),
        TypeError,
        ["Embedding(3, 2)", "whole numbers", "float64"],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_input_that_does_not_fit_is_explained(name):
    make, arguments, kind, said = WRONG[name]
    model = Model(make())
    with tg.scope("encoder"), tg.step(3), pytest.raises(kind) as error:
        model(*arguments)
    pattern = ".*".join(re.escape(words) for words in said)
    assert re.search(pattern, str(error.value)), str(error.value)
    assert "(encoder/part, step 3)" in str(error.value)


LOGITS = np.zeros((4, 3))
WRONG_LOSSES = {
    "one-hot targets": ((LOGITS, np.eye(4, 3)), TypeError, ["float64", "argmax"]),
    "one-hot integer targets": ((LOGITS, np.eye(4, 3, dtype=int)), ValueError, ["(4, 3) with (4, 3)", "reshape"]),
    "a sequence of logits": ((np.zeros((5, 4, 3)), np.zeros((5, 4), int)), ValueError, ["(5, 4, 3)", "reshape(-1"]),
    "another batch": ((LOGITS, [0, 1]), ValueError, ["(4, 3) with (2,)"]),
    "a single class for a batch": ((LOGITS, 1), ValueError, ["(4, 3) with ()"]),
    "a class too many": ((LOGITS, [0, 1, 2, 3]), IndexError, ["from 0 to 3", "classes 0 to 2"]),
    "an ignored index": ((LOGITS, [0, 1, 2, -100]), IndexError, ["from -100 to 2", "classes 0 to 2"]),
    "a class below 0": ((LOGITS, [0, 1, 2, -1]), IndexError, ["from -1 to 2", "classes 0 to 2"]),
    "nothing": ((np.zeros((0, 3)), np.zeros(0, int)), ValueError, ["no examples"]),
}


@pytest.mark.parametrize("name", WRONG_LOSSES)
def test_logits_and_targets_that_do_not_fit_are_explained(name):
    arguments, kind, said = WRONG_LOSSES[name]
    with tg.scope("decoder"), tg.step(3), pytest.raises(kind) as error:
        nn.cross_entropy(*arguments)
    pattern = r"cross_entropy.*\(decoder, step 3\).*" + ".*".join(map(re.escape, said))
    assert re.search(pattern, str(error.value)), str(error.value)


@pytest.mark.parametrize("loss", [nn.cross_entropy, nn.mse_loss])
def test_a_reduction_that_does_not_exist_is_refused(loss):
    with pytest.raises(
        ValueError, match=f'{loss.__name__} .no scope or step. is "mean", "sum" or "none"; got \'average\''
    ):
        loss(np.ones(1), 0 if loss is nn.cross_entropy else np.ones(1), reduction="average")


def test_mse_refuses_to_broadcast():
    with pytest.raises(ValueError, match=r"mse_loss \(no scope or step\).*\(5, 1\) and \(5,\).*reshape"):
        nn.mse_loss(np.ones((5, 1)), np.ones(5))
    with pytest.raises(ValueError, match="no examples"):
        nn.mse_loss(np.ones((0, 2)), np.ones((0, 2)))


@pytest.mark.parametrize(
    ("make", "kind", "said"),
    [
        (lambda: nn.LSTM(0, 4), ValueError, "input_size is at least 1"),
        (lambda: nn.GRU(3, -4), ValueError, "hidden_size is at least 1"),
        (lambda: nn.RNN(3, 4, num_layers=0), ValueError, "num_layers is at least 1"),
        (lambda: nn.LSTMCell(3, 4.0), TypeError, "hidden_size is a whole number"),
        (lambda: nn.Linear(True, 4), TypeError, "in_features is a whole number"),
        (lambda: nn.Linear(3, 0), ValueError, "out_features is at least 1"),
        (lambda: nn.Embedding(27, 0), ValueError, "embedding_dim is at least 1"),
        (lambda: nn.Embedding("27", 4), TypeError, "num_embeddings is a whole number"),
        (lambda: nn.RNNCell(3, 4, nonlinearity="sigmoid"), ValueError, '"tanh" or "relu"; got \'sigmoid\''),
        (lambda: nn.RNN(3, 4, nonlinearity="Tanh"), ValueError, '"tanh" or "relu"; got \'Tanh\''),
        (lambda: nn.LSTM(3, 4, dtype=int), TypeError, "real numbers: dtype is np.float64 or np.float32, not int64"),
        (lambda: nn.Linear(3, 4, rng="seed"), TypeError, "rng is a numpy.random.Generator, a seed .* not str"),
        (lambda: nn.Parameter([1, 2]), TypeError, "1.0 for 1"),
    ],
)
def test_sizes_and_options_that_make_no_sense_are_refused(make, kind, said):
    with pytest.raises(kind, match=said):
        make()
