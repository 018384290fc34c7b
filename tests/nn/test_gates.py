"""Swapping any two gates, in the parameters or in the cell, gives other numbers: so the order of the gates is right."""

import itertools

import numpy as np
import pytest

from tests.nn.frozen import archive
from tests.nn.frozen.comparison import distance, module_of, our_numbers
from tinygrad_rnn.nn import cells

GATES = {"LSTMCell": 4, "LSTM": 4, "GRUCell": 3, "GRU": 3}
CASES = [c for file in ("cells.npz", "layers.npz") for c in archive.load(file) if c.kind in GATES]
SWAPS = [
    pytest.param(case, i, j, id=f"{case}-{i}{j}")
    for case in CASES
    for i, j in itertools.combinations(range(GATES[case.kind]), 2)
]


def swapped(items, i, j):
    items = list(items)
    items[i], items[j] = items[j], items[i]
    return items


@pytest.mark.parametrize(("case", "i", "j"), SWAPS)
def test_swapping_two_gates_in_the_parameters_is_noticed(case, i, j):
    module = module_of(case)
    blocks = {name: np.split(value, GATES[case.kind]) for name, value in module.state_dict().items()}
    module.load_state_dict({name: np.concatenate(swapped(parts, i, j)) for name, parts in blocks.items()})
    assert distance(case, our_numbers(case, module)) > 1e-6


@pytest.mark.parametrize(("case", "i", "j"), SWAPS)
def test_swapping_two_gates_in_the_cell_is_noticed(case, i, j, monkeypatch):
    right = cells.parts
    monkeypatch.setattr(cells, "parts", lambda a, count: swapped(right(a, count), i, j))
    assert distance(case, our_numbers(case)) > 1e-6


def test_swapping_the_two_weights_of_a_cell_is_noticed(monkeypatch):
    square = [c for c in CASES if c.kind == "LSTMCell" and c.config["input_size"] == c.config["hidden_size"]]
    assert square
    for case in square:
        module = module_of(case)
        state = module.state_dict()
        state["weight_ih"], state["weight_hh"] = state["weight_hh"], state["weight_ih"]
        module.load_state_dict(state)
        assert distance(case, our_numbers(case, module)) > 1e-6


def test_swapping_the_two_biases_of_a_gru_is_noticed():
    """In an RNN and an LSTM they are added; in a GRU the reset gate stands before one of them."""
    biased = [c for c in CASES if c.kind == "GRUCell" and c.config["bias"]]
    assert biased
    for case in biased:
        module = module_of(case)
        state = module.state_dict()
        state["bias_ih"], state["bias_hh"] = state["bias_hh"], state["bias_ih"]
        module.load_state_dict(state)
        assert distance(case, our_numbers(case, module)) > 1e-6
