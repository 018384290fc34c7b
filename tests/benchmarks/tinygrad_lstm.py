"""The same LSTM composed on tinygrad_rnn, as a user writes it: scopes, steps and names are recorded too."""

import tinygrad_rnn as tg


def prepare(problem):
    """-> a function of no arguments that does one training step and returns (loss, gradients by name)."""
    w = {name: tg.Tensor(p, requires_grad=True, name=name) for name, p in problem.parameters.items()}
    xs = tg.Tensor(problem.xs)
    zeros = tg.Tensor(problem.xs[0] @ problem.parameters["weight_ih"].T[:, :problem.hidden] * 0)
    n = problem.hidden

    def cell(x, h, c):
        z = tg.linear(x, w["weight_ih"], w["bias_ih"]) + tg.linear(h, w["weight_hh"], w["bias_hh"])
        i = tg.sigmoid(z[..., :n]).named("i")
        f = tg.sigmoid(z[..., n : 2 * n]).named("f")
        g = tg.tanh(z[..., 2 * n : 3 * n]).named("g")
        o = tg.sigmoid(z[..., 3 * n :]).named("o")
        c = (f * c + i * g).named("c")
        h = (o * tg.tanh(c)).named("h")
        return h, c

    def training_step():
        h = c = zeros
        states = []
        for _, x in tg.steps(xs):
            with tg.scope("lstm"):
                h, c = cell(x, h, c)
            states.append(h)
        loss = tg.stack(states).square().mean()
        return loss, dict(zip(w, tg.grad(loss, list(w.values())), strict=True))

    return training_step


def count_operations(loss):
    """How many operations the tape behind the loss holds; leaves are not counted."""
    seen, waiting = set(), [loss]
    while waiting:
        node = waiting.pop()
        if node.primitive is not None and node.index not in seen:
            seen.add(node.index)
            waiting.extend(node.inputs)
    return len(seen)
