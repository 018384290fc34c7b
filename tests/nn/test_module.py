"""A network is a tree of attributes: what is found in it, under which names, and how it prints."""

import copy

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn


class Block(nn.Module):
    def __init__(self):
        self.scale = nn.Parameter(np.ones(2))
        self.inner = nn.Linear(2, 2, rng=0)
        self.constant = tg.Tensor([1.0, 2.0])
        self.nothing = None

    def forward(self, x):
        return self.inner(x) * self.scale


class Stack(nn.Module):
    def __init__(self):
        self.blocks = nn.ModuleList([Block(), Block()])
        self.last = nn.Linear(2, 1, bias=False, rng=1)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.last(x)


def test_parameters_have_the_names_of_the_attributes_that_lead_to_them():
    assert [name for name, _ in Stack().named_parameters()] == [
        "blocks.0.scale",
        "blocks.0.inner.weight",
        "blocks.0.inner.bias",
        "blocks.1.scale",
        "blocks.1.inner.weight",
        "blocks.1.inner.bias",
        "last.weight",
    ]


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (nn.LSTMCell(2, 3), ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]),
        (nn.RNNCell(2, 3, bias=False), ["weight_ih", "weight_hh"]),
        (nn.Linear(2, 3), ["weight", "bias"]),
        (nn.Embedding(2, 3), ["weight"]),
        (
            nn.GRU(2, 3, num_layers=2, bidirectional=True, bias=False),
            [f"weight_{part}_l{k}{end}" for k in (0, 1) for end in ("", "_reverse") for part in ("ih", "hh")],
        ),
    ],
)
def test_parameters_have_the_names_and_order_of_pytorch(module, names):
    assert [name for name, _ in module.named_parameters()] == names


def test_a_parameter_is_called_like_its_attribute_unless_it_has_a_name():
    block = Block()
    assert (block.scale.name, block.inner.weight.name) == ("scale", "weight")
    block.other = nn.Parameter(np.ones(1), name="alpha")
    assert block.other.name == "alpha"


def test_a_shared_parameter_is_found_once_and_gets_one_gradient():
    tied = nn.Module()
    tied.embedding = nn.Embedding(5, 3, rng=0)
    tied.readout = nn.Linear(3, 5, bias=False)
    tied.readout.weight = tied.embedding.weight
    assert [name for name, _ in tied.named_parameters()] == ["embedding.weight"]
    assert list(tied.state_dict()) == ["embedding.weight", "readout.weight"]
    tied.readout(tied.embedding([1, 2])).sum().backward()
    w = tied.embedding.weight.data
    expected = np.tile(w[1] + w[2], (5, 1))
    expected[[1, 2]] += w.sum(axis=0)
    np.testing.assert_allclose(tied.embedding.weight.grad, expected)


def test_a_shared_module_is_found_once_and_keeps_its_first_name():
    class Siamese(nn.Module):
        def __init__(self):
            self.left = nn.Linear(2, 2)
            self.right = self.left

        def forward(self, x):
            return self.right(x)

    model = Siamese()
    assert [name for name, _ in model.named_parameters()] == ["left.weight", "left.bias"]
    assert model(np.ones(2)).place.scope == "left"


def test_setting_attributes_needs_no_super_init_before():
    class Careless(nn.Module):
        def __init__(self):
            self.weight = nn.Parameter(np.ones(2))
            self.inner = nn.Linear(2, 2)
            super().__init__()

    assert len(list(Careless().parameters())) == 3


def test_replacing_an_attribute_replaces_the_parameter():
    block = Block()
    block.scale = nn.Parameter(np.zeros(2))
    block.inner = None
    assert [(name, p.data.tolist()) for name, p in block.named_parameters()] == [("scale", [0.0, 0.0])]
    del block.scale
    assert list(block.parameters()) == []


@pytest.mark.parametrize("wrong", [np.zeros(2), tg.Tensor([0.0, 0.0], requires_grad=True), 0.0])
def test_a_parameter_is_not_replaced_by_what_would_not_be_trained(wrong):
    block = Block()
    before, values = dict(block.named_parameters()), block.scale.data.copy()
    with pytest.raises(TypeError, match=r"Block\.scale is a Parameter.*give it new values by \.scale\.data = array"):
        block.scale = wrong
    with pytest.raises(TypeError, match=r"is a leaf.*write w\.data = w\.data - x"):
        block.scale -= 0.1 * values
    assert dict(block.named_parameters()) == before
    assert np.array_equal(block.scale.data, values)
    block.scale = None  # as a bias that is left out
    assert "scale" not in dict(block.named_parameters())


HIDING = {
    "list": list,
    "tuple": tuple,
    "dict": lambda items: dict(enumerate(items)),
    "set": set,
    "list in a dict": lambda items: {"all": [1, items]},
}


@pytest.mark.parametrize("hide", HIDING.values(), ids=HIDING)
@pytest.mark.parametrize("what", [lambda: nn.Linear(1, 1), lambda: nn.Parameter([1.0])], ids=["module", "parameter"])
def test_what_a_plain_container_would_hide_from_training_is_refused(hide, what):
    model = nn.Module()
    model.layers = hide([what()])
    with pytest.raises(TypeError, match=r"Module\.layers is a plain .*ModuleList"):
        list(model.parameters())


def test_other_things_may_be_in_a_plain_container():
    model = nn.Linear(1, 1)
    model.sizes, model.words, model.fixed = [1, (2, 3)], {"a": {"b": np.ones(2)}}, [tg.Tensor(1.0)]
    assert [name for name, _ in model.named_parameters()] == ["weight", "bias"]


def test_a_child_may_know_its_parent():
    parent = nn.Module()
    parent.child = nn.Linear(1, 1)
    object.__setattr__(parent.child, "parent", parent)
    assert [name for name, _ in parent.named_parameters()] == ["child.weight", "child.bias"]


def test_a_module_list_is_a_list_that_opens_a_scope_for_each_of_its_modules():
    model = Stack()
    assert len(model.blocks) == 2
    assert [b is model.blocks[k] for k, b in enumerate(model.blocks)] == [True, True]
    y = model.blocks[1](np.ones(2))
    assert y.place.scope == "blocks/1"
    model.blocks.append(Block())
    assert model.blocks[2].inner(np.ones(2)).place.scope == "inner"
    assert model.blocks[2](np.ones(2)).place.scope == "blocks/2"
    nested = nn.Module()
    nested.rows = nn.ModuleList([nn.ModuleList([nn.Linear(1, 1)])])
    assert nested.rows[0][0](np.ones(1)).place.scope == "rows/0/0"
    assert next(nested.named_parameters())[0] == "rows.0.0.weight"
    model.blocks.gain = nn.Parameter(np.ones(1))
    assert "blocks.gain" in dict(model.named_parameters())
    with pytest.raises(TypeError, match="holds modules"):
        model.blocks.append(tg.Tensor(1.0))


def test_a_part_of_a_model_takes_keywords_like_the_part_alone():
    model = nn.Module()
    model.encoder = nn.GRU(2, 3)
    output, _ = model.encoder(np.ones((4, 1, 2)), start=7)
    assert [output[t].place for t in range(4)] == [tg.Place("encoder/layer0", 7 + t) for t in range(4)]


def test_zero_grad_forgets_all_gradients():
    model = Stack()
    model(np.ones((3, 2))).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())


def test_a_state_is_a_copy():
    model = Stack()
    state = model.state_dict()
    for array in state.values():
        array += 1.0
    assert all(not np.array_equal(state[name], p.data) for name, p in model.named_parameters())


def test_a_copied_model_is_independent_and_keeps_what_is_shared():
    model = Stack()
    model.last.weight = model.blocks[0].inner.weight
    twin = copy.deepcopy(model)
    assert twin.last.weight is twin.blocks[0].inner.weight
    assert {id(p) for p in twin.parameters()}.isdisjoint(id(p) for p in model.parameters())
    assert [name for name, _ in twin.named_parameters()] == [name for name, _ in model.named_parameters()]
    assert all(isinstance(p, nn.Parameter) and p.requires_grad for p in twin.parameters())
    assert twin.blocks[1](np.ones(2)).place.scope == "blocks/1"


def test_a_module_without_forward_says_what_to_write():
    with pytest.raises(NotImplementedError, match=r"Module has no forward; write def forward"):
        nn.Module()(1.0)


def test_a_module_prints_as_a_tree():
    class Model(nn.Module):
        def __init__(self):
            self.embedding = nn.Embedding(27, 8)
            self.lstm = nn.LSTM(8, 16, num_layers=2, bidirectional=True)
            self.heads = nn.ModuleList([nn.Linear(32, 27, bias=False)])

    assert repr(Model()) == (
        "Model(\n"
        "  (embedding): Embedding(27, 8)\n"
        "  (lstm): LSTM(8, 16, num_layers=2, bidirectional=True)\n"
        "  (heads): ModuleList(\n"
        "    (0): Linear(32, 27, bias=False)\n"
        "  )\n"
        ")"
    )
    assert repr(nn.GRUCell(2, 3, reset_after=False)) == "GRUCell(2, 3, reset_after=False)"
    assert repr(nn.RNN(2, 3, nonlinearity="relu", batch_first=True)) == (
        "RNN(2, 3, batch_first=True, nonlinearity='relu')"
    )
    assert repr(nn.Module()) == "Module()"
    layer = nn.Linear(2, 3)
    layer.after = nn.Linear(3, 1)
    assert repr(layer) == "Linear(\n  2, 3\n  (after): Linear(3, 1)\n)"


def test_the_weights_of_recurrent_modules_stay_column_by_column_in_memory():
    """It is what makes the product of every step quick, so neither training nor loading may lose it."""
    for module in (nn.GRUCell(3, 4), nn.LSTM(3, 4)):
        state = module.state_dict()
        assert all(array.flags.c_contiguous for array in state.values())
        module.load_state_dict(state)
        for p in module.parameters():
            p.grad = np.ones(p.shape)
        nn.SGD(module.parameters(), lr=0.1).step()
        for name, p in copy.deepcopy(module).named_parameters():
            p.data = np.array(p.data, order="C")
            assert p.data.flags.f_contiguous, name
            np.testing.assert_array_equal(p.data, state[name] - 0.1)
