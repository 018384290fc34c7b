"""Our modules on the inputs and parameters of a frozen case, and how far their numbers are from the frozen ones."""

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import nn

OPTIONS = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "bidirectional", "nonlinearity")


def module_of(case):
    """The module of a case with the parameters of the case in it."""
    config = case.config
    if case.kind == "Linear":
        module = nn.Linear(config["in_features"], config["out_features"], config["bias"])
    elif case.kind == "Embedding":
        module = nn.Embedding(config["num_embeddings"], config["embedding_dim"])
    else:
        module = getattr(nn, case.kind)(**{k: config[k] for k in OPTIONS if config.get(k) is not None})
    module.load_state_dict(case.group("parameter"))
    return module


def call(module, leaves):
    """The outputs by name, of cells, layers and Linear alike."""
    x, h, c = leaves["x"], leaves.get("h"), leaves.get("c")
    if isinstance(module, nn.Linear):
        return {"y": module(x)}
    result = module(x, h if c is None else (h, c))
    if isinstance(module, nn.LSTMCell):
        return {"h": result[0], "c": result[1]}
    if isinstance(module, nn.RNNCell | nn.GRUCell):
        return {"h": result}
    if isinstance(module, nn.LSTM):
        return {"output": result[0], "h": result[1][0], "c": result[1][1]}
    return {"output": result[0], "h": result[1]}


def our_numbers(case, module=None):
    """role -> array for everything that a case of a module computes: outputs, and gradients of all that goes in."""
    module = module or module_of(case)
    if case.kind == "Embedding":
        leaves, outputs = {}, {"y": module(case.config["ids"])}
    else:
        leaves = {name: tg.Tensor(value, requires_grad=True) for name, value in case.group("input").items()}
        outputs = call(module, leaves)
    loss = sum((y * case[f"cotangent/{name}"]).sum() for name, y in outputs.items())
    parameters = dict(module.named_parameters())
    sources = [*leaves.values(), *parameters.values()]
    roles = [f"gradient/input/{name}" for name in leaves] + [f"gradient/parameter/{name}" for name in parameters]
    numbers = {f"output/{name}": y.data for name, y in outputs.items()}
    return numbers | dict(zip(roles, tg.grad(loss, sources), strict=True))


def distance(case, numbers):
    """The largest difference from the frozen numbers, of any output or gradient, relative to the largest of its kind.

    Infinite where a shape or a role is not the same.
    """
    expected = {role: a for role, a in case.arrays.items() if role.startswith(("output/", "gradient/"))}
    if {r: a.shape for r, a in expected.items()} != {r: a.shape for r, a in numbers.items()}:
        return np.inf
    return max(float(np.abs(numbers[r] - a).max()) / max(1.0, float(np.abs(a).max())) for r, a in expected.items())
