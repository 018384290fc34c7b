"""Networks as they are built, to be drawn: cells of `nn` and of one's own, losses in the steps, several layers."""

import numpy as np

import tinygrad_rnn as tg
from tests.trace import test_any_cell as any_cell
from tinygrad_rnn import nn
from tinygrad_rnn.graph.views.figure import ancestors


def inputs(steps, size=3):
    return [tg.Tensor(x, True, "x") for x in np.random.default_rng(0).normal(size=(steps, size))]


def zeros(size=4):
    return tg.Tensor(np.zeros(size))


def sequence(steps):
    return tg.Tensor(np.random.default_rng(0).normal(size=(steps, 3)), True, "x")


def cell(make, steps=4):
    """A cell of `nn` over some steps, with a loss at the end."""
    step = make(3, 4, rng=0)
    state = (zeros(), zeros()) if make is nn.LSTMCell else zeros()
    for _, x in tg.steps(inputs(steps)):
        state = step(x, state)
    h = state[0] if make is nn.LSTMCell else state
    return [(h * h).sum()]


def textbook_gru(*sizes, rng):
    return nn.GRUCell(*sizes, reset_after=False, rng=rng)


def own(name):
    *_, loss = any_cell.run(name, 4)
    return [loss]


def joined(begins_as_leaf=False, scale=None):
    """A peephole LSTM of [h, x]. With a scale: of 0.5 [h, x], which of the constants of step 0 is made unrecorded."""
    rng = np.random.default_rng(0)
    W, p = tg.Tensor(rng.normal(size=(12, 5)), True, "W"), tg.Tensor(rng.normal(size=3), True, "p")
    h, c = (tg.Tensor(np.zeros(3), begins_as_leaf, name) for name in ("h0", "c0"))
    for _, x in tg.steps(rng.normal(size=(4, 2))):
        hx = tg.concatenate([h, tg.Tensor(x, name="x")])
        a = W @ (hx if scale is None else scale * hx)
        f = (a[:3] + p * c).sigmoid().named("f")
        i, g, o = a[3:6].sigmoid().named("i"), np.tanh(a[6:9]).named("g"), a[9:].sigmoid().named("o")
        c = (f * c + i * g).named("c")
        h = (o * np.tanh(c)).named("h")
    return [(h * h).sum().named("loss")]


def leaky():
    """The first step has an operation less than the others: what it would be applied to is a constant."""
    rng = np.random.default_rng(0)
    W, U = tg.Tensor(rng.normal(size=(4, 4)), True, "W"), tg.Tensor(rng.normal(size=(4, 3)), True, "U")
    h = zeros()
    for _, x in tg.steps(inputs(4)):
        h = (0.9 * h + 0.1 * np.tanh(W @ h + U @ x)).named("h")
    return [(h * h).sum()]


def layers(**more):
    y, _ = nn.LSTM(3, 4, rng=0, **more)(sequence(4))
    return [(y * y).sum()]


def losses(depth=1):
    """An LSTM, or several on top of each other, with an output layer and a loss in each step."""
    cells, out = [nn.LSTMCell(3 if k == 0 else 4, 4, rng=k) for k in range(depth)], nn.Linear(4, 5, rng=9)
    states, found = [(zeros(), zeros())] * depth, []
    for t, x in tg.steps(inputs(4)):
        for k, step in enumerate(cells):
            with tg.scope(f"layer{k}"):
                states[k] = h, _ = step(x, states[k])
                x = h
        found.append(nn.cross_entropy(out(x), t % 5).named("loss"))
    return found


def twins():
    """Two LSTMs that read the same input, and an output layer that reads both."""
    cells, out = [nn.LSTMCell(3, 4, rng=k) for k in range(2)], nn.Linear(8, 3, rng=2)
    states, found = [(zeros(), zeros())] * 2, []
    for t, x in tg.steps(inputs(3)):
        for k, step in enumerate(cells):
            with tg.scope(f"twin{k}"):
                states[k] = step(x, states[k])
        found.append(nn.cross_entropy(out(tg.concatenate([h for h, _ in states])), t))
    return found


def skipping():
    """Two layers; the output layer reads the states of both."""
    cells, out = [nn.LSTMCell(3, 4, rng=0), nn.LSTMCell(4, 4, rng=1)], nn.Linear(4, 3, rng=2)
    states, found = [(zeros(), zeros())] * 2, []
    for t, x in tg.steps(inputs(3)):
        for k, step in enumerate(cells):
            with tg.scope(f"layer{k}"):
                states[k] = h, _ = step(x, states[k])
                x = h
        found.append(nn.cross_entropy(out(states[0][0] + states[1][0]), t))
    return found


def peepholes_in_one_scope():
    """Two layers whose operations are in no scopes of their own: the output gate of one is beside the next."""
    rng = np.random.default_rng(0)
    shapes = {**dict.fromkeys(("Wi", "Wf", "Wg", "Wo"), (2, 4)), **dict.fromkeys(("pi", "pf", "po"), (2,))}
    weights = [any_cell.parameters(rng, **shapes) for _ in range(2)]
    states = [(zeros(2), zeros(2))] * 2
    for _, x in tg.steps(inputs(3, size=2)):
        for k in range(2):
            states[k] = h, _ = any_cell.peephole_lstm(weights[k], x, states[k])
            x = h
    return [(states[1][0] * states[1][0]).sum()]


def state_of_a_fallen_state():
    """h2 is made of h, which is made of c: both are states."""
    rng = np.random.default_rng(0)
    A, B, U = (tg.Tensor(rng.normal(size=size), True) for size in ((4, 4), (4, 4), (4, 3)))
    h = c = h2 = c2 = zeros()
    for _, x in tg.steps(inputs(3)):
        g, f = np.tanh(A @ h + U @ x), (B @ h2 + U @ x).sigmoid()
        c = (f * c + g).named("c")
        h = (f * np.tanh(c)).named("h")
        c2 = (f * c2 + g * c).named("c2")
        h2 = (h * np.tanh(c2)).named("h2")
    return [(h2 * h2).sum()]


def squared(on_the_line):
    """Two arrows join nodes that would stand in one row, or below each other."""
    W = tg.Tensor(np.random.default_rng(0).normal(size=(4, 4)), True)
    h = c = zeros()
    for _, x in tg.steps(inputs(3, size=4)):
        f = (W @ h + x).sigmoid().named("f")
        kept = f * c
        c = (kept + (kept if on_the_line else f)).named("c")
        t = np.tanh(c)
        h = (f * t if on_the_line else t * t).named("h")
    return [(h * h).sum()]


def begun_without_a_state():
    """The first step has none to read: it has fewer operations, and fewer rows."""
    rng = np.random.default_rng(0)
    W, U = tg.Tensor(rng.normal(size=(4, 4)), True), tg.Tensor(rng.normal(size=(4, 3)), True)
    h = None
    for _, x in tg.steps(inputs(4)):
        h = (U @ x if h is None else np.tanh(W @ h + U @ x)).named("h")
    return [(h * h).sum()]


def encoder_decoder():
    """Four steps and three: each of the decoder reads what the one before wrote."""
    encoder, decoder, out = nn.LSTMCell(3, 4, rng=0), nn.LSTMCell(3, 4, rng=1), nn.Linear(4, 3, rng=2)
    h, c, y, found = zeros(), zeros(), zeros(3), []
    with tg.scope("encoder"):
        for _, x in tg.steps(inputs(4)):
            h, c = encoder(x, (h, c))
    with tg.scope("decoder"):
        for _, _ in tg.steps(range(3), start=4):
            h, c = decoder(y, (h, c))
            y = out(h).named("y")
            found.append((y * y).sum().named("loss"))
    return found


def two_states():
    """Neither is made from the other."""
    rng = np.random.default_rng(0)
    W, U, V = (tg.Tensor(rng.normal(size=size), True) for size in ((4, 4), (4, 3), (4, 4)))
    a, b = zeros(), zeros()
    for _, x in tg.steps(inputs(4)):
        a, b = np.tanh(W @ a + U @ x + b).named("a"), (V @ b + U @ x).sigmoid().named("b")
    return [(a * b).sum()]


def deep():
    h = tg.Tensor(np.ones(4), True, "x")
    for k in range(10):
        h = np.tanh(nn.Linear(4, 4, rng=k)(h))
    return [(h * h).sum().named("loss")]


def with_backward(outputs):
    """And the gradient by its first parameter, as a graph, with a loss on it."""
    loss = outputs[0]
    first = next(t for t in ancestors([loss]) if isinstance(t, nn.Parameter))
    (g,) = tg.grad(loss, [first], create_graph=True)
    return [(g * g).sum()]


LSTMS = {
    "nn lstm": lambda: cell(nn.LSTMCell),
    "peephole lstm": lambda: own("peephole LSTM"),
    "coupled lstm": lambda: own("coupled LSTM"),
    "lstm of two layers": lambda: layers(num_layers=2),
    "bidirectional lstm": lambda: layers(bidirectional=True),
    "lstm, losses": losses,
    "lstm of two layers, losses": lambda: losses(depth=2),
    "twins": twins,
    "skipping": skipping,
    "lstm encoder and decoder": encoder_decoder,
    "long lstm": lambda: cell(nn.LSTMCell, steps=500),
}
OTHERS = {
    "nn rnn": lambda: cell(nn.RNNCell),
    "nn gru": lambda: cell(nn.GRUCell),
    "textbook gru": lambda: cell(textbook_gru),
    "minimal gated unit": lambda: own("minimal gated unit"),
    "residual rnn": lambda: own("residual RNN"),
    "two states": two_states,
    "squared line": lambda: squared(on_the_line=True),
    "squared fall": lambda: squared(on_the_line=False),
    "state of a fallen state": state_of_a_fallen_state,
    "peepholes in one scope": peepholes_in_one_scope,
}
DIFFERING = {  # nets whose steps are not all alike, or that have none
    "leaky": leaky,
    "joined": joined,
    "begun without a state": begun_without_a_state,
    "deep": deep,
    "deep, backward": lambda: with_backward(deep()),
    "rnn, backward": lambda: with_backward(cell(nn.RNNCell, steps=3)),
    "lstm, backward": lambda: with_backward(cell(nn.LSTMCell, steps=3)),
}
ALL = LSTMS | OTHERS | DIFFERING
