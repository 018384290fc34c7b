"""Cells as people get them wrong: a formula of nn/cells.py or nn/recurrent.py, and what is written instead."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.mutation.mutants import Mutant, Path, parsed, shown_with, sites

CELLS = "tinygrad_rnn.nn.cells"
LAYERS = "tinygrad_rnn.nn.recurrent"

WRONG: list[tuple[str, str, str, list[str]]] = [
    (CELLS, "rnn_step", "linear(x, w_ih, b_ih)", ["linear(x, w_ih)", "linear(h, w_ih, b_ih)", "linear(x, w_hh, b_ih)"]),
    (
        CELLS,
        "rnn_step",
        "linear(h, w_hh, b_hh)",
        ["linear(h, w_hh)", "linear(x, w_hh, b_hh)", "linear(h, w_hh.T, b_hh)"],
    ),
    (CELLS, "rnn_relu_step", "linear(x, w_ih, b_ih)", ["linear(x, w_ih)", "linear(x, w_ih, b_ih).relu()"]),
    (CELLS, "rnn_relu_step", "linear(h, w_hh, b_hh)", ["linear(h, w_hh)", "linear(h.relu(), w_hh, b_hh)"]),
    (CELLS, "lstm_step", "linear(x, w_ih, b_ih)", ["linear(x, w_ih)", "linear(x, w_hh, b_ih)"]),
    (
        CELLS,
        "lstm_step",
        "linear(h, w_hh, b_hh)",
        ["linear(h, w_hh)", "linear(c, w_hh, b_hh)", "linear(h.tanh(), w_hh, b_hh)"],
    ),
    (
        CELLS,
        "lstm_step",
        "f * c + i * g",
        ["i * c + f * g", "f * c + (1 - f) * g", "f * c + g", "c + i * g", "f * h + i * g"],
    ),
    (
        CELLS,
        "lstm_step",
        "f * c + i * g",
        ["f * c + i * c", "(1 - f) * c + i * g", "f * c * i * g", "f * c + i * x[..., :1]"],
    ),
    (
        CELLS,
        "lstm_step",
        "o * c.tanh()",
        ["c.tanh()", "o * c", "o + c.tanh()", "(o * c).tanh()", "i * c.tanh()", "o * c.sigmoid()"],
    ),
    (CELLS, "lstm_step", "parts(a, 4)", ["parts(a, 4)[::-1]", "[parts(a, 4)[k] for k in (0, 1, 3, 2)]"]),
    (
        CELLS,
        "lstm_step",
        "parts(a, 4)",
        ["[parts(a, 4)[k] for k in (1, 0, 2, 3)]", "[parts(a, 4)[k] for k in (0, 2, 1, 3)]"],
    ),
    (CELLS, "lstm_step", "parts(a, 4)", ["[a[..., k::4] for k in range(4)]", "[parts(a, 4)[k] for k in (3, 1, 2, 0)]"]),
    (CELLS, "lstm_step", "a_g.tanh()", ["a_g.sigmoid()", "a_g", "a_g.relu()", "a_g.tanh().detach()"]),
    (
        CELLS,
        "lstm_step",
        "a_f.sigmoid()",
        ["a_f.tanh()", "(a_f + 1.0).sigmoid()", "a_i.sigmoid()", "a_f.sigmoid().detach()"],
    ),
    (
        CELLS,
        "gru_step",
        "(1.0 - z) * n + z * h",
        ["z * n + (1.0 - z) * h", "(1.0 - z) * n", "n + z * h", "(1.0 - z) * (n + h)"],
    ),
    (
        CELLS,
        "gru_step",
        "(1.0 - z) * n + z * h",
        ["(1.0 - z) * n + z * n", "(1.0 - r) * n + r * h", "(1.0 - z) * n - z * h"],
    ),
    (
        CELLS,
        "gru_step",
        "x_n + r * h_n",
        ["x_n + h_n", "r * (x_n + h_n)", "x_n + z * h_n", "r * x_n + h_n", "x_n + r + h_n"],
    ),
    (CELLS, "gru_step", "x_r + h_r", ["x_r", "h_r", "x_r + h_z", "x_r * h_r"]),
    (CELLS, "gru_step", "x_z + h_z", ["x_z", "h_z", "x_r + h_r", "-(x_z + h_z)"]),
    (
        CELLS,
        "gru_step",
        "linear(h, w_hh, b_hh)",
        ["linear(h, w_hh)", "linear(h, w_hh, b_ih)", "linear(h.detach(), w_hh, b_hh)"],
    ),
    (CELLS, "gru_textbook_step", "linear(r * h, w_hh[gates:], b_n)", ["r * linear(h, w_hh[gates:], b_n)"]),
    (
        CELLS,
        "gru_textbook_step",
        "linear(r * h, w_hh[gates:], b_n)",
        ["linear(h, w_hh[gates:], b_n)", "linear(r * h, w_hh[gates:])"],
    ),
    (
        CELLS,
        "gru_textbook_step",
        "(1.0 - z) * n + z * h",
        ["z * n + (1.0 - z) * h", "(1.0 - z) * n", "(1.0 - z) * n + z * (r * h)"],
    ),
    (
        LAYERS,
        "unroll",
        "step(x, state)",
        ["step(x, states[0] if states else state)", "step(x, tuple(s.detach() for s in state))"],
    ),
    (LAYERS, "unroll", "states[::-1] if reverse else states", ["states", "states[::-1]"]),
    (LAYERS, "RecurrentLayers._run", "states[0] if suffix else states[-1]", ["states[-1]", "states[0]"]),
]


def wrong_cells() -> Iterator[Mutant]:
    for module, where, right, wrongs in WRONG:
        tree = parsed(module)
        path = place_of(tree, where, right)
        for wrong in wrongs:
            replacement = ast.parse(wrong, mode="eval").body
            before, after = shown_with(tree, path, replacement)
            yield Mutant(module, where, before, after, 1, path, replacement)


def place_of(tree: ast.Module, where: str, text: str) -> Path:
    """Where in a function an expression stands."""
    (site,) = [(path, node) for name, path, node in sites(tree) if name == where]
    found = [path for path, node in descendants(*site) if isinstance(node, ast.expr) and ast.unparse(node) == text]
    assert found, f"{text!r} is not in {where} any more: write the wrong cells for what is there now"
    return found[0]


def descendants(path: Path, node: ast.AST) -> Iterator[tuple[Path, ast.AST]]:
    yield path, node
    for field, value in ast.iter_fields(node):
        for at, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST):
                yield from descendants((*path, (field, at)), child)
