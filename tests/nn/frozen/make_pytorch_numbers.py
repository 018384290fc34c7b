"""Make the frozen numbers of this folder with PyTorch (2.13.0, CPU, float64). PyTorch is not needed to run the tests.

In a virtual environment with torch and numpy, from the root of the repository:

    python -m tests.nn.frozen.make_pytorch_numbers

Each case is a module or function in one configuration. Its numbers are the inputs, initial states and parameters; the
outputs and final states; a cotangent for each of these; and, for L = sum of outputs * cotangents, the gradient of L
with respect to every parameter, input and initial state. The trajectories of the optimisers store the parameters
after each step. `sweep.npz` holds for each of two thousand configurations of `drawn.configurations` only the results,
and of each array only its inner product with a drawn one, which no wrong element leaves unchanged.
"""

import itertools

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from tests.nn.frozen.archive import Case, save
from tests.nn.frozen.drawn import configurations, drawn

SWEEP = 2000
KINDS = [("RNN", {"nonlinearity": "tanh"}), ("RNN", {"nonlinearity": "relu"}), ("LSTM", {}), ("GRU", {})]


def numbers_from(rng):
    """Draws tensors with few digits (multiples of 1/256), so that they are short in the file and exact everywhere."""
    return lambda *shape: torch.tensor(np.round(rng.normal(size=shape) * 256) / 256, dtype=torch.float64)


def name_of(kind, config):
    return "-".join([kind, *(f"{key}={value}" for key, value in config.items())])


def modules_case(kind, config, module, draw, inputs):
    """inputs: name -> tensor, passed to the module by `call`; gradients are taken with respect to all of them."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(draw(*parameter.shape) * 0.7)
    arrays = {f"input/{name}": value.numpy().copy() for name, value in inputs.items()}
    arrays |= {f"parameter/{name}": value.detach().numpy().copy() for name, value in module.named_parameters()}
    leaves = {name: value.clone().requires_grad_() for name, value in inputs.items()}
    outputs = call(module, leaves)
    loss = 0
    for name, value in outputs.items():
        cotangent = draw(*value.shape)
        arrays[f"output/{name}"] = value.detach().numpy().copy()
        arrays[f"cotangent/{name}"] = cotangent.numpy().copy()
        loss = loss + (value * cotangent).sum()
    loss.backward()
    arrays |= {f"gradient/input/{name}": value.grad.numpy().copy() for name, value in leaves.items()}
    arrays |= {f"gradient/parameter/{n}": p.grad.numpy().copy() for n, p in module.named_parameters()}
    return Case(name_of(kind, config), kind, config, arrays)


def call(module, leaves):
    """Outputs by name, for cells, layers and Linear alike."""
    x, h, c = leaves["x"], leaves.get("h"), leaves.get("c")
    state = h if c is None else (h, c)
    if isinstance(module, nn.Linear):
        return {"y": module(x)}
    result = module(x, state)
    if isinstance(module, nn.LSTMCell):
        return {"h": result[0], "c": result[1]}
    if isinstance(module, nn.RNNCellBase):
        return {"h": result}
    if isinstance(module, nn.LSTM):
        return {"output": result[0], "h": result[1][0], "c": result[1][1]}
    return {"output": result[0], "h": result[1]}


def cells(draw):
    shapes = [(2, 3, 4), (1, 1, 1), (None, 3, 2), (5, 2, 3)]
    for (batch, i, h), bias, given in itertools.product(shapes, (True, False), (True, False)):
        for kind, options in KINDS:
            kind = f"{kind}Cell"
            config = {"input_size": i, "hidden_size": h, "bias": bias, **options}
            module = getattr(nn, kind)(**config, dtype=torch.float64)
            lead = () if batch is None else (batch,)
            inputs = {"x": draw(*lead, i)}
            if given:
                inputs |= {name: draw(*lead, h) for name in (("h", "c") if kind == "LSTMCell" else ("h",))}
            yield modules_case(kind, {**config, "batch": batch, "given_state": given}, module, draw, inputs)


def layers(draw):
    # T, N, in, hidden, layers, bidirectional, bias, batch_first, given state
    rows = [
        (5, 2, 3, 4, 1, False, True, False, True),
        (5, 2, 3, 4, 1, False, True, False, False),
        (1, 1, 1, 1, 1, False, True, False, True),
        (4, 1, 2, 3, 2, False, True, True, True),
        (3, 2, 2, 2, 1, True, True, False, True),
        (4, 2, 3, 2, 2, True, True, True, False),
        (3, 3, 2, 3, 2, True, False, False, True),
        (4, None, 2, 3, 1, False, False, False, False),
        (3, None, 3, 1, 2, True, True, True, True),
        (12, 1, 1, 2, 1, False, True, False, True),
    ]
    for t, n, i, h, layer_count, both, bias, batch_first, given in rows:
        for kind, options in KINDS:
            config = {"input_size": i, "hidden_size": h, "num_layers": layer_count, "bias": bias}
            config |= {"batch_first": batch_first, "bidirectional": both, **options}
            module = getattr(nn, kind)(**config, dtype=torch.float64)
            lead = (t,) if n is None else (n, t) if batch_first else (t, n)
            inputs = {"x": draw(*lead, i)}
            if given:
                state = (layer_count * (1 + both), *(() if n is None else (n,)), h)
                inputs |= {name: draw(*state) for name in (("h", "c") if kind == "LSTM" else ("h",))}
            yield modules_case(kind, {**config, "steps": t, "batch": n, "given_state": given}, module, draw, inputs)


def linears_and_embeddings(draw):
    for lead, i, o, bias in [((4,), 3, 2, True), ((), 3, 2, True), ((2, 3), 2, 4, False), ((1,), 1, 1, True)]:
        config = {"in_features": i, "out_features": o, "bias": bias}
        module = nn.Linear(**config, dtype=torch.float64)
        yield modules_case("Linear", config, module, draw, {"x": draw(*lead, i)})
    for ids, count, size in [([[0, 2], [2, 2]], 4, 3), ([1], 2, 1), (3, 5, 2)]:
        config = {"num_embeddings": count, "embedding_dim": size}
        module = nn.Embedding(**config, dtype=torch.float64)
        with torch.no_grad():
            module.weight.copy_(draw(count, size))
        y = module(torch.tensor(ids))
        cotangent = draw(*y.shape)
        (y * cotangent).sum().backward()
        arrays = {"parameter/weight": module.weight, "output/y": y, "cotangent/y": cotangent}
        arrays["gradient/parameter/weight"] = module.weight.grad
        arrays = {role: value.detach().numpy().copy() for role, value in arrays.items()}
        yield Case(name_of("Embedding", {**config, "ids": ids}), "Embedding", {**config, "ids": ids}, arrays)


def losses(draw):
    for reduction in ("mean", "sum", "none"):
        for shape, target in [((4, 3), [0, 2, 1, 2]), ((5,), 3), ((1, 2), [1]), ((3, 1), [0, 0, 0])]:
            config = {"reduction": reduction, "target": target}
            yield loss_case("cross_entropy", config, draw(*shape) * 3, torch.tensor(target), draw)
        yield loss_case(
            "cross_entropy", {"reduction": reduction, "target": [1, 0]}, draw(2, 2) * 800, torch.tensor([1, 0]), draw
        )
        for shape in [(4, 3), (), (1,)]:
            yield loss_case("mse_loss", {"reduction": reduction}, draw(*shape), draw(*shape), draw)


def loss_case(kind, config, x, target, draw):
    arrays = {"input/input": x.numpy().copy()}
    leaves = {"input": x.requires_grad_()}
    if kind == "mse_loss":
        arrays["input/target"] = target.numpy().copy()
        leaves["target"] = target.requires_grad_()
    y = getattr(F, kind)(x, target, reduction=config["reduction"])
    cotangent = draw(*y.shape)
    (y * cotangent).sum().backward()
    arrays |= {"output/y": y.detach().numpy().copy(), "cotangent/y": cotangent.numpy().copy()}
    arrays |= {f"gradient/input/{name}": leaf.grad.numpy().copy() for name, leaf in leaves.items()}
    return Case(name_of(kind, config) + f"-{list(x.shape)}-{float(x.detach().abs().max())}", kind, config, arrays)


def optimisers(draw):
    """Ten steps on L = sum of (A w - b)^2 + sin(v), with two parameters; the second has no gradient at odd steps."""
    for kind, options in [
        ("SGD", {"lr": 0.05}),
        ("SGD", {"lr": 0.05, "momentum": 0.9}),
        ("SGD", {"lr": 0.02, "momentum": 0.5, "weight_decay": 0.1}),
        ("SGD", {"lr": 0.02, "weight_decay": 0.3}),
        ("Adam", {"lr": 0.1}),
        ("Adam", {"lr": 0.05, "betas": [0.5, 0.9], "eps": 1e-3}),
        ("Adam", {"lr": 0.05, "weight_decay": 0.2}),
    ]:
        a, b, w, v = draw(4, 3), draw(4, 2), draw(3, 2), draw(5)
        arrays = {"a": a, "b": b, "parameter/w": w, "parameter/v": v}
        arrays = {role: value.numpy().copy() for role, value in arrays.items()}
        w.requires_grad_(), v.requires_grad_()
        optimiser = getattr(torch.optim, kind)([w, v], **options)
        for step in range(10):
            optimiser.zero_grad()
            loss = ((a @ w - b) ** 2).sum()
            if step % 2 == 0:
                loss = loss + v.sin().sum()
            loss.backward()
            optimiser.step()
            arrays |= {f"after/{step}/w": w.detach().numpy().copy(), f"after/{step}/v": v.detach().numpy().copy()}
        yield Case(name_of(kind, options), kind, options, arrays)
    for scale, max_norm, norm_type in [(1, 1.0, 2.0), (0.01, 1.0, 2.0), (3, 0.5, 1.0), (3, 0.5, "inf")]:
        w, v = draw(3, 2).requires_grad_(), draw(4).requires_grad_()
        w.grad, v.grad = draw(3, 2) * scale, draw(4) * scale
        arrays = {"before/w": w.grad.numpy().copy(), "before/v": v.grad.numpy().copy()}
        arrays["norm"] = nn.utils.clip_grad_norm_([w, v], max_norm, norm_type=float(norm_type)).numpy()
        arrays |= {"after/w": w.grad.numpy().copy(), "after/v": v.grad.numpy().copy()}
        config = {"max_norm": max_norm, "norm_type": norm_type}
        yield Case(name_of("clip_grad_norm_", {**config, "scale": scale}), "clip_grad_norm_", config, arrays)


def swept(config):
    """One configuration of the sweep: inner products of output, final states and gradients with drawn arrays."""
    keys = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "bidirectional", "nonlinearity")
    module = getattr(nn, config["kind"])(
        **{key: config[key] for key in keys if config[key] is not None}, dtype=torch.float64
    )
    seed = itertools.count(config["seed"])
    draw = lambda shape: torch.tensor(drawn(next(seed), tuple(shape)))
    t, n = config["steps"], config["batch"]
    x = draw(((t,) if n is None else (n, t) if config["batch_first"] else (t, n)) + (config["input_size"],))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(draw(parameter.shape) * config["scale"])
    leaves = {"x": x.requires_grad_()}
    if config["given_state"]:
        rows = config["num_layers"] * (1 + config["bidirectional"])
        shape = (rows, *(() if n is None else (n,)), config["hidden_size"])
        leaves |= {name: draw(shape).requires_grad_() for name in (("h", "c") if config["kind"] == "LSTM" else ("h",))}
    outputs = call(module, leaves)
    results = [*outputs.values()]
    sum((y * draw(y.shape)).sum() for y in results).backward()
    results += [leaf.grad for leaf in leaves.values()]
    parameters = list(module.parameters())
    inner = [float((y.detach() * draw(y.shape)).sum()) for y in results]
    return [*inner, sum(float((p.grad * draw(p.shape)).sum()) for p in parameters)]


def main():
    rng = np.random.default_rng(1997)
    draw = numbers_from(rng)
    save("cells.npz", list(cells(draw)))
    save("layers.npz", list(layers(draw)))
    save("parts.npz", [*linears_and_embeddings(draw), *losses(draw)])
    save("optimisers.npz", list(optimisers(draw)))
    rows = [np.array(swept(config)) for config in configurations(SWEEP)]
    save("sweep.npz", [Case("sweep", "sweep", {}, {str(k): row for k, row in enumerate(rows)})])


if __name__ == "__main__":
    main()
