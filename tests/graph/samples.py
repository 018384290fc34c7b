"""Small programs to draw, written from bare operations so that no golden text depends on the cells of `nn`."""

import contextlib
import random

import numpy as np

import tinygrad_rnn as tg


def plain(backward=False):
    x = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True, name="x")
    w = tg.Tensor(2.0, requires_grad=True, name="w")
    y = (w * x.tanh() + x * x / 3.0).sum().named("y")
    if backward:
        y.backward(keep="all")
    return y


def weights(**shapes):
    rng = np.random.default_rng(7)
    return {name: tg.Tensor(rng.normal(size=shape) * 0.5, True, name) for name, shape in shapes.items()}


def inputs(steps, size=2):
    rng = np.random.default_rng(11)
    return [tg.Tensor(rng.normal(size=(1, size)), name="x") for _ in range(steps)]


def start(name, size=3):
    return tg.Tensor(np.zeros((1, size)), name=name)


def finish(loss, keep):
    if keep is not None:
        loss.backward(keep=keep)
    return loss


def rnn(steps=3, keep="all", named=True):
    p = weights(W=(3, 2), U=(3, 3), b=(3,))
    h = start("h0")
    for _, x in tg.steps(inputs(steps)):
        with tg.scope("rnn"):
            h = (tg.linear(x, p["W"], p["b"]) + tg.linear(h, p["U"])).tanh()
            h = h.named("h") if named else h
    return finish((h * h).sum().named("loss"), keep)


def lstm(steps=3, keep="all", layers=1):
    h = [start("h0") for _ in range(layers)]
    c = [start("c0") for _ in range(layers)]
    p = [weights(W_ih=(12, 2 if k == 0 else 3), W_hh=(12, 3), b_ih=(12,), b_hh=(12,)) for k in range(layers)]
    for _, x in tg.steps(inputs(steps)):
        for k in range(layers):
            with tg.scope(f"layer{k}"):
                a = tg.linear(x, p[k]["W_ih"], p[k]["b_ih"]) + tg.linear(h[k], p[k]["W_hh"], p[k]["b_hh"])
                a_i, a_f, a_g, a_o = tg.split(a, 4, axis=-1)
                with tg.scope("input"):
                    i = a_i.sigmoid().named("i")
                with tg.scope("forget"):
                    f = a_f.sigmoid().named("f")
                g, o = a_g.tanh().named("g"), a_o.sigmoid().named("o")
                c[k] = (f * c[k] + i * g).named("c")
                x = h[k] = (o * c[k].tanh()).named("h")
    return finish((h[-1] * h[-1]).mean().named("loss"), keep)


def gru(steps=3, keep="all"):
    p = weights(W=(9, 2), U=(9, 3), b=(9,))
    h = start("h0")
    for _, x in tg.steps(inputs(steps)):
        with tg.scope("gru"):
            x_r, x_z, x_n = tg.split(tg.linear(x, p["W"], p["b"]), 3, axis=-1)
            h_r, h_z, h_n = tg.split(tg.linear(h, p["U"]), 3, axis=-1)
            r, z = (x_r + h_r).sigmoid().named("r"), (x_z + h_z).sigmoid().named("z")
            n = (x_n + r * h_n).tanh().named("n")
            h = ((1.0 - z) * n + z * h).named("h")
    return finish((h * h).sum().named("loss"), keep)


def loss_at_every_step(steps=3, keep="all"):
    """Embedding before the time loop, losses inside it, their sum behind it."""
    p = weights(E=(5, 3), U=(3, 3), V=(5, 3))
    states, ids = start("h0"), [1, 4, 0, 2, 3, 3, 1, 0, 2, 4][:steps]
    embedded = tg.embedding(p["E"], np.array(ids)).named("embedded")
    losses = []
    for t, x in tg.steps(embedded):
        states = (x + tg.linear(states, p["U"])).tanh().named("h")
        with tg.scope("readout"):
            losses.append(-tg.log_softmax(tg.linear(states, p["V"]))[0, ids[t]])
    total = losses[0]
    for loss in losses[1:]:
        total = total + loss
    return finish(total.named("total"), keep)


def bidirectional(steps=3, keep=None):
    p = weights(W_f=(3, 2), U_f=(3, 3), W_b=(3, 2), U_b=(3, 3))
    xs, h, g = inputs(steps), start("h0"), start("g0")
    ahead, back = [], []
    for _, x in tg.steps(xs):
        with tg.scope("forward"):
            h = (tg.linear(x, p["W_f"]) + tg.linear(h, p["U_f"])).tanh().named("h")
            ahead.append(h)
    for _, x in tg.steps(xs, reverse=True):
        with tg.scope("backward"):
            g = (tg.linear(x, p["W_b"]) + tg.linear(g, p["U_b"])).tanh().named("g")
            back.insert(0, g)
    both = tg.concatenate([tg.stack(ahead), tg.stack(back)], axis=-1).named("both")
    return finish((both * both).sum().named("loss"), keep)


def encoder_decoder(steps=3, keep=None):
    """A memory that every step of the decoder reads, and skip connections of two steps."""
    p = weights(U=(3, 3), V=(3, 3))
    h, states = start("h0"), []
    for _, x in tg.steps(inputs(steps, size=3)):
        with tg.scope("encoder"):
            h = (x + tg.linear(h, p["U"]) + (0.5 * states[-2] if len(states) > 1 else 0.0)).tanh().named("h")
            states.append(h)
    memory = tg.stack([s.reshape(3) for s in states]).named("memory")
    for _, _ in tg.steps(range(2), start=steps):
        with tg.scope("decoder"):
            attention = tg.softmax(h @ memory.T).named("a")
            h = (tg.linear(attention @ memory, p["V"]) + h).tanh().named("h")
    return finish((h * h).sum().named("loss"), keep)


def translator(steps=3, keep=None):
    """An encoder whose state a decoder goes on with; the decoder reads its own output, and has a loss at every step."""
    p, q = (weights(W_ih=(12, 3), W_hh=(12, 3), b_ih=(12,), b_hh=(12,)) for _ in range(2))
    r = weights(V=(3, 3))
    zeros = tg.Tensor(np.zeros((1, 3)))

    def cell(p, x, h, c):
        a = tg.linear(x, p["W_ih"], p["b_ih"]) + tg.linear(h, p["W_hh"], p["b_hh"])
        i, f, g, o = tg.split(a, 4, axis=-1)
        i, f, g, o = i.sigmoid().named("i"), f.sigmoid().named("f"), g.tanh().named("g"), o.sigmoid().named("o")
        c = (f * c + i * g).named("c")
        return (o * c.tanh()).named("h"), c

    h = c = zeros
    with tg.scope("encoder"):
        for _, x in tg.steps(inputs(steps, size=3)):
            h, c = cell(p, x, h, c)
    y, total = zeros, tg.Tensor(0.0)
    with tg.scope("decoder"):
        for _, _ in tg.steps(range(2), start=steps):
            h, c = cell(q, y, h, c)
            y = tg.linear(h, r["V"]).named("y")
            total = total + (y * y).sum().named("loss")
    return finish(total.named("total"), keep)


def untidy(steps=3):
    """No names, no scopes, steps that differ, a step outside the loop, an output that is used again."""
    w = tg.Tensor([[0.5, -0.2], [0.1, 0.3]], requires_grad=True)
    h = tg.Tensor([[1.0, 2.0]])
    for t in range(steps):
        with tg.step(2 * t):
            h = tg.maximum(h @ w, 0.1) if t % 2 else (h @ w).sin() + h * h
    return h * w[0]


def random_program(seed):
    """Anything goes: steps in any order and out of order, scopes within scopes, all results used by anyone later."""
    choose = random.Random(seed)
    leaves = [tg.Tensor(np.full((2, 2), k + 1.0), k % 2 == 0, choose.choice([None, f"leaf{k}"])) for k in range(4)]
    pool = [*leaves, leaves[0] + 1.0]
    steps = [choose.choice([None, 0, 1, 2, 5]) for _ in range(choose.randrange(1, 5))]
    scopes = ["", "a", "a/b", "a/b/c", "d", "d/b"][: choose.randrange(1, 7)]
    for k in range(choose.randrange(1, 40)):
        step = choose.choice(steps) if choose.random() < 0.3 else steps[k * len(steps) // 40]
        operands = [choose.choice(pool[-6:] if choose.random() < 0.8 else pool) for _ in range(2)]
        with contextlib.ExitStack() as inside:
            if step is not None:
                inside.enter_context(tg.step(step))
            for part in filter(None, choose.choice(scopes).split("/")):
                inside.enter_context(tg.scope(part))
            kind = choose.randrange(5)
            if kind == 0:
                y = operands[0].tanh()
            elif kind == 1:
                y = tg.stack(operands)[0] * 1.0
            elif kind == 2:
                y = operands[0] @ operands[1] * 0.5
            else:
                y = operands[0] + operands[1]
            pool.append(y.named(choose.choice("hcxyz")) if choose.random() < 0.3 else y)
    return [t for t in pool[-3:] if t.requires_grad] or [pool[4]]


ALL = {
    "plain": plain,
    "rnn": rnn,
    "lstm": lstm,
    "two_layers": lambda: lstm(layers=2),
    "gru": gru,
    "loss_at_every_step": loss_at_every_step,
    "bidirectional": bidirectional,
    "encoder_decoder": encoder_decoder,
    "translator": translator,
    "untidy": untidy,
    "windowed": lambda: lstm(steps=40),
    "windowed_losses": lambda: loss_at_every_step(steps=10, keep=None),
    "one_step": lambda: gru(steps=1),
}
