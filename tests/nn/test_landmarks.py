"""What cells and layers record: names, scopes, steps, and as few operations as the equations have."""

from collections import Counter

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn

NAMES = {"RNN": "h", "LSTM": "ifgoch", "GRU": "rznh"}
GATES = {
    "RNN": {},
    "LSTM": {"i": "input", "f": "forget", "g": "candidate", "o": "output"},
    "GRU": {"r": "reset", "z": "update", "n": "candidate"},
}


def nodes_of(*outputs):
    """Every computed tensor behind the outputs, in the order in which they were made."""
    found, waiting = {}, list(outputs)
    while waiting:
        node = waiting.pop()
        if node.primitive is not None and node.index not in found:
            found[node.index] = node
            waiting.extend(node.inputs)
    return [found[index] for index in sorted(found)]


def count_paths(source, target):
    """How many paths lead from source to target, one edge for each use."""
    paths = Counter({source.index: 1})
    for node in nodes_of(target):
        paths[node.index] += sum(paths[x.index] for x in node.inputs)
    return paths[target.index]


class Model(nn.Module):
    def __init__(self, kind, **options):
        self.embedding = nn.Embedding(7, 3, rng=0)
        self.encoder = getattr(nn, kind)(3, 4, rng=1, **options)
        self.readout = nn.Linear(4, 7, rng=2)

    def forward(self, ids):
        hs, _ = self.encoder(self.embedding(ids))
        return self.readout(hs[len(hs) - 1])


@pytest.mark.parametrize("kind", NAMES)
def test_every_landmark_is_made_once_a_step_in_its_scope(kind):
    y = Model(kind)(np.arange(5)[:, None])
    made = [(n.name, n.place.step, n.place.scope) for n in nodes_of(y) if n.name and n.place.step is not None]
    expected = [
        (name, t, "/".join(["encoder/layer0", *([GATES[kind][name]] if name in GATES[kind] else [])]))
        for t in range(5)
        for name in NAMES[kind]
    ]
    assert sorted(made) == sorted(expected)


def test_an_embedding_names_its_output_x_and_cells_name_no_input():
    embedding, cell = nn.Embedding(7, 3), nn.LSTMCell(3, 4)
    x = embedding([1, 2])
    assert x.name == "x"
    given = tg.Tensor(np.ones((1, 3)), requires_grad=True)
    cell(given)
    assert given.name is None


@pytest.mark.parametrize("kind", NAMES)
def test_scopes_are_the_names_of_the_modules(kind):
    y = Model(kind, num_layers=2, bidirectional=True)
    y.readout = nn.Linear(8, 7)
    scopes = {n.place.scope for n in nodes_of(y(np.arange(3)[:, None]))}
    parts = [f"encoder/layer{k}{suffix}" for k in (0, 1) for suffix in ("", "_reverse")]
    inside = {f"{part}/{gate}" for part in parts for gate in GATES[kind].values()}
    assert scopes == {"embedding", "encoder", "readout", *parts, *inside}


def test_a_cell_works_in_the_scope_of_its_name_and_a_lone_one_in_none():
    class Two(nn.Module):
        def __init__(self):
            self.cell = nn.LSTMCell(2, 3)

        def forward(self, x):
            return self.cell(x)

    owner = Two()
    h, _ = owner(np.ones((1, 2)))
    assert h.place.scope == "cell"
    assert {n.place.scope for n in nodes_of(h)} == {"cell"} | {f"cell/{gate}" for gate in GATES["LSTM"].values()}
    h, _ = nn.LSTMCell(2, 3)(np.ones((1, 2)))
    assert h.place.scope == ""
    with tg.scope("lstm"):
        h, _ = nn.LSTMCell(2, 3)(np.ones((1, 2)))
    assert h.place.scope == "lstm"


@pytest.mark.parametrize(
    ("kind", "most"), [("RNN", 5), ("LSTM", 17), ("GRU", 20)]
)  # each with the slice that takes x_t from the sequence
def test_a_step_has_few_operations(kind, most):
    layer = getattr(nn, kind)(3, 4)
    x = tg.Tensor(np.ones((6, 1, 3)), requires_grad=True)
    output, _ = layer(x)
    per_step = Counter(n.place.step for n in nodes_of(output) if n.place.step is not None)
    assert set(per_step) == set(range(6))
    assert set(per_step.values()) == {most}


@pytest.mark.parametrize("cell", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
def test_a_step_of_a_cell_has_the_same_operations_with_and_without_a_given_state(cell):
    made = cell(3, 4)
    state = np.zeros((1, 4))
    x = tg.Tensor(np.ones((1, 3)), requires_grad=True)
    results = made(x), made(x, (state, state) if cell is nn.LSTMCell else state)
    shapes = [[n.primitive.name for n in nodes_of(*(r if isinstance(r, tuple) else (r,)))] for r in results]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("kind", NAMES)
def test_step_0_has_the_graph_of_every_other_step(kind):
    output, _ = getattr(nn, kind)(3, 4)(tg.Tensor(np.ones((4, 2, 3)), requires_grad=True))
    steps = [[] for _ in range(4)]
    for n in nodes_of(output):
        if n.place.step is not None:
            steps[n.place.step].append((n.primitive.name, len(n.inputs), n.name, n.place.scope))
    assert steps[0] == steps[1] == steps[2] == steps[3]


@pytest.mark.parametrize(("batch_first", "shape"), [(False, (4, 2, 3)), (True, (2, 4, 3))])
def test_both_directions_share_one_time_axis_and_every_use_of_a_weight_has_a_step(batch_first, shape):
    layer = nn.LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=batch_first)
    output, (h_n, c_n) = layer(tg.Tensor(np.ones(shape), requires_grad=True), start=10)
    nodes = nodes_of(output, h_n, c_n)
    assert {n.place.step for n in nodes} == {None, 10, 11, 12, 13}
    assert {n.primitive.name for n in nodes if n.place.step is None} == {"stack"}
    weights = {p.index for p in layer.parameters()}
    assert all(n.place.step is not None for n in nodes if any(x.index in weights for x in n.inputs))


def test_a_chunk_continues_the_time_axis():
    layer = nn.GRU(2, 3)
    x = np.ones((6, 1, 2))
    first, h = layer(x[:3])
    second, _ = layer(x[3:], h, start=3)
    assert [second[k].place.step for k in range(3)] == [3, 4, 5]
    whole, _ = layer(x)
    np.testing.assert_array_equal(np.concatenate([first.data, second.data]), whole.data)


def test_an_output_at_a_step_is_the_very_hidden_state_of_that_step():
    output, _ = nn.LSTM(3, 4)(np.ones((3, 1, 3)))
    assert [(output[t].name, output[t].place.step) for t in range(3)] == [("h", 0), ("h", 1), ("h", 2)]


def test_paths_between_states_are_as_many_as_the_equations_say():
    """RNN 1; GRU 5^T from h_0 to h_T, in both variants; LSTM by the matrix [[1, 3], [1, 4]] over (c, h)."""
    h0, c0 = (tg.Tensor(np.zeros((1, 1, 2)), requires_grad=True) for _ in range(2))
    for steps in (1, 2, 4):
        x = np.ones((steps, 1, 3))
        rnn, _ = nn.RNN(3, 2)(x, h0)
        assert count_paths(h0, rnn[steps - 1]) == 1
        for reset_after in (True, False):
            gru, _ = nn.GRU(3, 2, reset_after=reset_after)(x, h0)
            assert count_paths(h0, gru[steps - 1]) == 5**steps
        lstm, _ = nn.LSTM(3, 2)(x, (h0, c0))
        over = np.linalg.matrix_power([[1, 3], [1, 4]], steps)
        assert count_paths(c0, lstm[steps - 1]) == over[1, 0]
        assert count_paths(h0, lstm[steps - 1]) == over[1, 1]


def test_a_path_from_layer_to_layer_is_one_edge_a_step_also_between_two_modules():
    x = tg.Tensor(np.ones((10, 1, 2)), requires_grad=True)
    one, _ = nn.RNN(2, 3, num_layers=2)(x)
    hidden, _ = nn.RNN(2, 3)(x)
    two, _ = nn.RNN(3, 3)(hidden)
    assert count_paths(x, one[9]) == count_paths(x, two[9]) == 55  # 10 + 9 + ... + 1: when to change layers


@pytest.mark.parametrize(("cell", "layer"), [(nn.LSTMCell, nn.LSTM), (nn.GRUCell, nn.GRU), (nn.RNNCell, nn.RNN)])
def test_a_layer_has_the_highway_of_its_cell(cell, layer):
    expected = {
        nn.LSTMCell: 'across("c*")',
        nn.GRUCell: '~along(".* h> (z | r | n) .*")',
        nn.RNNCell: None,
    }[cell]
    assert cell.highway == cell(2, 3).highway == layer(2, 3).highway == expected


def test_calling_a_module_leaves_the_place_as_it_was_also_when_it_fails():
    model = Model("LSTM")
    model(np.arange(3)[:, None])
    assert tg.Tensor(1.0).place == tg.Place()
    with pytest.raises(IndexError):
        model([[99]])
    assert tg.Tensor(1.0).place == tg.Place()


@pytest.mark.parametrize(("make", "names"), [(nn.RNN, {"h0"}), (nn.LSTM, {"h0", "c0"}), (nn.GRU, {"h0"})])
def test_initial_states_of_zeros_have_names_too(make, names):
    output, _ = make(3, 2)(np.ones((4, 1, 3)))
    leaves, to_visit, seen = set(), [output], set()
    while to_visit:
        node = to_visit.pop()
        if node.index not in seen:
            seen.add(node.index)
            to_visit += node.inputs
            leaves |= {node.name} if not node.inputs and not node.requires_grad else set()
    assert leaves >= names
