"""Numbers that look random and are the same on every machine, in every version of every library.

The sweep over two thousand configurations stores no inputs and no parameters: whoever makes the frozen numbers and
whoever checks against them draw the same ones here.
"""

import numpy as np


def drawn(seed, shape):
    """float64 in [-1, 1), by the splitmix64 mixing function (Steele, Lea and Flood 2014) on a counter."""
    size = int(np.prod(shape))
    with np.errstate(over="ignore"):
        z = (np.arange(1, size + 1, dtype=np.uint64) + np.uint64(seed) * np.uint64(1 << 20)) * np.uint64(
            0x9E3779B97F4A7C15
        )
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return ((z >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1.0).reshape(shape)


def configurations(count):
    """`count` configurations of recurrent layers: every kind, depth, direction and option, small sizes, plain data."""
    for number in range(count):
        u = (drawn(number + 1_000_000, (12,)) + 1) / 2
        pick = lambda k, options, u=u: options[int(u[k] * len(options))]
        kind = pick(0, ("RNN", "LSTM", "GRU"))
        yield {
            "kind": kind,
            "seed": 64 * (number + 1),
            "steps": pick(1, (1, 2, 3, 5, 7)),
            "batch": pick(2, (None, 1, 2, 3)),
            "input_size": pick(3, (1, 2, 3, 5)),
            "hidden_size": pick(4, (1, 2, 3, 4)),
            "num_layers": pick(5, (1, 1, 2, 3)),
            "bidirectional": pick(6, (False, True)),
            "bias": pick(7, (True, True, False)),
            "batch_first": pick(8, (False, True)),
            "given_state": pick(9, (False, True)),
            "scale": pick(10, (0.3, 1.0, 2.0)),
            "nonlinearity": pick(11, ("tanh", "relu")) if kind == "RNN" else None,
        }
