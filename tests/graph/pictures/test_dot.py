"""The DOT text: golden files, and the same text in every run.

After a change that is meant, look at the pictures, then write the golden files anew:

    OVERWRITE_GOLDEN=1 python -m pytest tests/graph/pictures/test_dot.py
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tinygrad_rnn as tg
from tests.graph import samples
from tinygrad_rnn import nn
from tinygrad_rnn.graph import draw
from tinygrad_rnn.graph.looks.style import LOOKS, Style, kind_of
from tinygrad_rnn.graph.pictures.dot import dot_text
from tinygrad_rnn.graph.views.figure import ancestors, figure

GOLDEN = Path(__file__).with_name("golden")
ROOT = Path(__file__).parents[3]


def hostile():
    with tg.scope('a "quoted" <b>scope</b>'), tg.step(0):
        x = tg.Tensor([1.0, 2.0], True, "x\\N\n")
        return (x * x).named("<i>h</i> & \\").sum().named("\u202eloss\0")


def flow():
    loss = samples.rnn(steps=3)
    return draw(loss, flow_to=next(t for t in ancestors([loss]) if t.name == "U"))


CASES = {
    "plain_before_backward": lambda: draw(samples.plain()),
    "plain_after_backward": lambda: draw(samples.plain(backward=True)),
    "rnn": lambda: draw(samples.rnn(steps=2)),
    "lstm_before_backward": lambda: draw(samples.lstm(steps=2, keep=None)),
    "lstm_leaves_only": lambda: draw(samples.lstm(steps=2, keep="leaves")),
    "gru": lambda: draw(samples.gru(steps=2)),
    "two_layers": lambda: draw(samples.lstm(steps=2, layers=2)),
    "loss_at_every_step": lambda: draw(samples.loss_at_every_step(steps=2)),
    "bidirectional": lambda: draw(samples.bidirectional(steps=2)),
    "encoder_decoder": lambda: draw(samples.encoder_decoder(steps=3)),
    "window_of_its_own_choosing": lambda: draw(samples.rnn(steps=20)),
    "window_asked_for": lambda: draw(samples.loss_at_every_step(steps=8), steps=(2, 4)),
    "untidy": lambda: draw(samples.untidy()),
    "cells_lstm": lambda: draw(samples.lstm(steps=2), "cells"),
    "cells_gru": lambda: draw(samples.gru(steps=2), "cells"),
    "cells_two_layers": lambda: draw(samples.lstm(steps=2, layers=2), "cells"),
    "cells_bidirectional": lambda: draw(samples.bidirectional(steps=3), "cells"),
    "cells_window": lambda: draw(samples.lstm(steps=40), "cells"),
    "rolled_lstm": lambda: draw(samples.lstm(steps=3), "rolled"),
    "rolled_encoder_decoder": lambda: draw(samples.encoder_decoder(), "rolled"),
    "cells_hostile_names": lambda: draw(hostile(), "cells"),
    "hostile_names": lambda: draw(hostile()),
    "flow": lambda: flow(),
}


@pytest.mark.parametrize("case", CASES)
def test_the_text_is_the_golden_one(case):
    text, golden = CASES[case]().dot, GOLDEN / f"{case}.dot"
    if os.environ.get("OVERWRITE_GOLDEN"):
        golden.write_bytes(text.encode())
    assert text == golden.read_bytes().decode(), f"{golden.name} differs; see the head of this file"


def test_there_is_no_golden_file_without_a_case():
    assert {path.stem for path in GOLDEN.iterdir()} == set(CASES)


def test_the_text_is_the_same_in_every_process_whatever_the_hash_seed():
    program = (
        "import hashlib; from tests.graph import samples; from tinygrad_rnn.graph import VIEWS, draw\n"
        "text = ''.join(draw(make(), v).dot for make in samples.ALL.values() for v in VIEWS)\n"
        "print(hashlib.sha256(text.encode()).hexdigest())"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4711")
    }
    assert len(answers) == 1


def test_the_text_does_not_depend_on_what_was_computed_before():
    first = draw(samples.lstm()).dot
    for _ in range(1000):
        tg.Tensor(1.0)
    assert draw(samples.lstm()).dot == first


def test_drawing_changes_nothing():
    loss = samples.rnn(keep=None)
    draw(loss)
    assert loss.requires_grad
    loss.backward(keep="all")
    text = draw(loss).dot
    assert draw(loss).dot == text


def test_no_two_kinds_have_the_same_shape_or_differ_by_colour_only():
    shapes = [
        (look.attributes["shape"], look.attributes["style"], look.attributes["penwidth"]) for look in LOOKS.values()
    ]
    assert len(set(shapes)) == len(shapes)


def test_the_style_is_data_that_can_be_replaced():
    fig = figure([samples.rnn()])
    text = dot_text(fig, Style(font="Comic Sans", crossing={"color": "#123456"}))
    assert "Comic Sans" in text
    assert text.count("#123456") == sum(e.crossing for e in fig.edges)


def test_the_legend_explains_every_kind_that_occurs_and_no_other():
    for make in samples.ALL.values():
        drawing = draw(make())
        occurring = {kind_of(n) for n in drawing.figure.nodes if not n.again}
        assert {kind for kind in LOOKS if f"legend_{kind} [" in drawing.dot} == occurring


@pytest.mark.parametrize("with_flow", [False, True])
def test_words_below_a_picture_can_be_read_where_it_fills_a_slide(with_flow):
    net = nn.LSTM(3, 8, rng=0)
    loss = (net(tg.Tensor([[[0.1, 0.2, 0.3]]] * 3))[0] ** 2.0).sum()
    text = draw(loss, "cells", show=[], **({"flow_to": net.weight_hh_l0} if with_flow else {})).dot
    wide = float(re.search(r'bb="0,[^,]+,([^,]+),', text)[1])
    slide = 13.33 * 72
    words = [int(size) for size in re.findall(r'legend_\w*(?:text|note)\w* .*?POINT-SIZE="(\d+)"', text)]
    names = [int(size) for size in re.findall(r'POINT-SIZE="(\d+)"[^>]*>(?:<B>)?(?:weight|bias)_', text)]
    assert len(words) >= 7
    assert min(words) * slide / wide >= 9.5
    assert len(names) == 12
    assert min(names) * slide / wide >= 7.5


def test_before_backward_every_gradient_is_a_dash_and_the_legend_says_why():
    drawing = draw(samples.lstm(keep=None))
    assert "|grad|" not in drawing.dot
    assert "no gradient was computed yet" in drawing.dot
    assert "At a parameter" in draw(samples.lstm()).dot
