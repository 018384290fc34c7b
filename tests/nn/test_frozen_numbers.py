"""Values and gradients are those of PyTorch, for every input, initial state and parameter."""

import itertools

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.nn.frozen import archive
from tests.nn.frozen.archive import Case
from tests.nn.frozen.comparison import OPTIONS, call, distance, our_numbers
from tests.nn.frozen.drawn import configurations, drawn
from tinygrad_rnn import nn

TOLERANCE = 1e-12
PARTS = archive.load("parts.npz")
MODULES = [*archive.load("cells.npz"), *archive.load("layers.npz")] + [
    c for c in PARTS if c.kind in ("Linear", "Embedding")
]
LOSSES = [c for c in PARTS if c.kind in ("cross_entropy", "mse_loss")]
SWEEP = list(archive.load("sweep.npz")[0].arrays.values())


@pytest.mark.parametrize("case", MODULES, ids=repr)
def test_a_module_computes_and_differentiates_as_pytorch_does(case):
    assert distance(case, our_numbers(case)) <= TOLERANCE


@pytest.mark.parametrize("case", LOSSES, ids=repr)
def test_a_loss_is_computed_and_differentiated_as_in_pytorch(case):
    leaves = {name: tg.Tensor(value, requires_grad=True) for name, value in case.group("input").items()}
    target = leaves.get("target", case.config.get("target"))
    y = getattr(nn, case.kind)(leaves["input"], target, reduction=case.config["reduction"])
    gradients = tg.grad((y * case["cotangent/y"]).sum(), list(leaves.values()))
    roles = [f"gradient/input/{name}" for name in leaves]
    assert distance(case, {"output/y": y.data} | dict(zip(roles, gradients, strict=True))) <= TOLERANCE


def test_the_frozen_numbers_cover_every_kind_and_the_smallest_sizes():
    cells = [c for c in MODULES if c.kind.endswith("Cell")]
    assert {c.kind for c in MODULES} == {"RNNCell", "LSTMCell", "GRUCell", "RNN", "LSTM", "GRU", "Linear", "Embedding"}
    assert {c.config["batch"] for c in cells} >= {None, 1, 2}
    assert min(c.config["hidden_size"] for c in cells) == 1
    assert min(c.config["steps"] for c in MODULES if "steps" in c.config) == 1


def swept(config):
    """As in make_pytorch_numbers.py: (inner products of results with drawn arrays, the sizes of their terms)."""
    module = getattr(nn, config["kind"])(**{key: config[key] for key in OPTIONS if config[key] is not None})
    seed = itertools.count(config["seed"])
    draw = lambda shape: drawn(next(seed), tuple(shape))
    t, n = config["steps"], config["batch"]
    x = draw(((t,) if n is None else (n, t) if config["batch_first"] else (t, n)) + (config["input_size"],))
    module.load_state_dict({name: draw(p.shape) * config["scale"] for name, p in module.named_parameters()})
    leaves = {"x": tg.Tensor(x, requires_grad=True)}
    if config["given_state"]:
        rows = config["num_layers"] * (1 + config["bidirectional"])
        shape = (rows, *(() if n is None else (n,)), config["hidden_size"])
        names = ("h", "c") if config["kind"] == "LSTM" else ("h",)
        leaves |= {name: tg.Tensor(draw(shape), requires_grad=True) for name in names}
    outputs = list(call(module, leaves).values())
    loss = sum((y * draw(y.shape)).sum() for y in outputs)
    gradients = tg.grad(loss, [*leaves.values(), *module.parameters()])
    terms = [a * draw(a.shape) for a in [*(y.data for y in outputs), *gradients]]
    inputs = len(outputs) + len(leaves)
    groups = [*([t] for t in terms[:inputs]), terms[inputs:]]
    return [(sum(float(t.sum()) for t in g), sum(float(np.abs(t).sum()) for t in g)) for g in groups]


def check_sweep(rows):
    worst = 0.0
    for config, expected in rows:
        got = swept(config)
        assert len(got) == len(expected)
        errors = [abs(inner - e) / max(1.0, size) for (inner, size), e in zip(got, expected, strict=True)]
        assert max(errors) <= TOLERANCE, (config, errors)
        worst = max(worst, *errors)
    print(f"{len(rows)} configurations of recurrent layers against PyTorch: the largest error is {worst:.1e}")


def test_configurations_drawn_at_random_agree_with_pytorch():
    check_sweep(list(zip(configurations(200), SWEEP, strict=False)))


@pytest.mark.full
def test_two_thousand_configurations_drawn_at_random_agree_with_pytorch():
    assert len(SWEEP) == 2000
    check_sweep(list(zip(configurations(2000), SWEEP, strict=True)))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_float32_layers_stay_in_float32_and_close_to_float64(kind, bidirectional):
    single, double = (
        getattr(nn, kind)(5, 16, num_layers=2, bidirectional=bidirectional, rng=0, dtype=dtype)
        for dtype in (np.float32, np.float64)
    )
    x = drawn(5, (12, 3, 5))
    y, state = single(x.astype(np.float32))
    reference, _ = double(x)
    assert y.dtype == np.float32
    assert all(s.dtype == np.float32 for s in (state if kind == "LSTM" else (state,)))
    np.testing.assert_allclose(y.data, reference.data, rtol=0, atol=2e-6)
    y.sum().backward()
    reference.sum().backward()
    for p, q in zip(single.parameters(), double.parameters(), strict=True):
        assert p.grad.dtype == np.float32
        np.testing.assert_allclose(p.grad, q.grad, rtol=0, atol=2e-6 * np.abs(q.grad).max())


def test_a_difference_in_one_element_is_noticed():
    case = MODULES[0]
    for role, value in our_numbers(case).items():
        off = np.array(value)
        off.flat[-1] += 1e-9
        assert distance(case, our_numbers(case) | {role: off}) > TOLERANCE
        assert distance(Case(case.name, case.kind, case.config, {}), our_numbers(case)) == np.inf
