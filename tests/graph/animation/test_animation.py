"""The backward sweep as pictures: lit is what flowed, known is the gradient, and all are of one size."""

import io
import os

import numpy as np
import pytest
from PIL import Image

import tinygrad_rnn as tg
from tests.graph import samples
from tests.graph.pictures.test_accessible import text_chunks
from tinygrad_rnn.graph.animation import film
from tinygrad_rnn.graph.animation.frames import frames, overlays, swept, visible_in
from tinygrad_rnn.graph.looks.overlay import BLUE, ORANGE
from tinygrad_rnn.graph.pictures.dot import dot_text
from tinygrad_rnn.graph.views.cells import cells
from tinygrad_rnn.graph.views.figure import ancestors, figure


def cut(loss, most=40):
    drawn = figure([loss])
    nodes = {t.index: t for t in ancestors([loss])}
    found = swept([loss], drawn)
    return drawn, nodes, found, frames([loss], nodes, found, most)


MODELS = {
    "plain": samples.plain,
    "rnn": lambda: samples.rnn(keep=None),
    "lstm": lambda: samples.lstm(keep=None),
    "losses": lambda: samples.loss_at_every_step(keep=None),
    "windowed": lambda: samples.lstm(steps=40, keep=None),
}


@pytest.mark.parametrize("model", MODELS)
def test_the_norms_are_those_of_backward_and_no_grad_is_touched(model):
    loss = MODELS[model]()
    _, nodes, found, _ = cut(loss)
    assert all(t._grad is None for t in nodes.values())
    loss.backward(keep="all")
    kept = {index: np.linalg.norm(t._grad) for index, t in nodes.items() if t._grad is not None}
    assert found.norms.keys() == kept.keys()
    for index, size in kept.items():
        assert found.norms[index] == pytest.approx(size, rel=1e-12)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("most", [2, 7, 40, 10_000])
def test_every_use_is_lit_once_and_a_gradient_is_known_when_all_its_uses_have_sent(model, most):
    loss = MODELS[model]()
    _, nodes, found, made = cut(loss, most)
    assert 2 <= len(made) <= most
    lit = [use for frame in made for use in frame.now]
    assert len(lit) == len(set(lit))
    assert set(lit) == {use for uses in found.sent.values() for use in uses}
    for frame in made:
        waiting = {nodes[c].inputs[slot].index for c, slot in set(lit) - frame.sent}
        assert frame.known == found.norms.keys() - waiting
    assert made[-1].known == found.norms.keys()
    assert made[0].known == {loss.index}


def test_consumers_send_before_their_producers_do():
    made = cut(samples.lstm(keep=None), 10_000)[3]
    seen = set()
    for frame in made:
        for consumer, _ in frame.now:
            assert consumer in made[0].known or consumer in seen
        seen |= frame.known
    assert len(made) - 1 == len({c for f in made for c, _ in f.now})  # one operation a frame


def test_frames_are_by_landmark_then_by_scope_then_by_step_as_fewer_are_allowed():
    loss = samples.lstm(steps=3, keep=None)
    words = {most: [frame.words for frame in cut(loss, most)[3]] for most in (1000, 30, 10, 5, 3)}
    assert "through h, made by multiply at step 2" in words[1000]
    assert "through f at step 1" in words[30]
    assert words[5][-3:] == ["through step 2", "through step 1", "through step 0"]
    assert words[3][-1].startswith("through steps ") or words[3][-1] == "through step 0"


def test_of_many_steps_few_are_drawn_and_the_sweep_goes_over_the_others_at_once(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(film, "_rendered", lambda texts, width, timeout: shown.append(texts) or [b""] * len(texts))
    monkeypatch.setattr(film, "_numbered", lambda folder, pictures, words: shown.append(words))
    for view in ("ops", "cells"):
        tg.animate(samples.lstm(steps=12, keep=None), tmp_path / "frames", view)
        texts, words = shown[-2:]
        assert len(texts) <= 40
        assert [t for t in range(12) if f"step {t} " in texts[0]] == [0, 10, 11]
        assert sum("steps 9 to 1, not drawn" in one for one in words) == 1
        for part in ("through c at step 11", "through c at step 0", "through c at step 10"):
            assert sum(part in one for one in words) == 1
        tg.animate(samples.lstm(steps=12, keep=None), tmp_path / "frames", view, steps=(3, 6))
        assert [t for t in range(12) if f"step {t} " in shown[-2][0]] == [3, 4, 5]


def test_the_uses_of_a_weight_are_shown_apart_and_add_up_to_its_gradient():
    loss = samples.rnn(keep=None)
    drawn, nodes, found, _ = cut(loss)
    weight = next(t for t in nodes.values() if t.name == "U")
    ledger = tg.trace_gradient(loss, to=weight).ledger()
    at_step = {n.step: found.parts[n.id] for n in drawn.nodes if n.index == weight.index}
    assert at_step == pytest.approx(dict(zip(ledger.steps, ledger.norms[0], strict=True)), rel=1e-12)


def test_what_is_drawn_in_each_frame_is_what_has_flowed():
    drawn, _, found, made = cut(samples.lstm(keep=None))
    for frame, overlay in zip(made, overlays(made, drawn, found), strict=True):
        for edge, stroke in zip(drawn.edges, overlay.strokes, strict=True):
            (use,) = edge.uses
            assert stroke.color == (ORANGE if use in frame.now else BLUE if use in frame.sent else "#BDBDBD")
        for n in drawn.nodes:
            if n.operation is not None and n.tracked:
                (line,) = overlay.inside[n.id]
                assert (line.text == "grad -") == (n.index not in frame.known)
                assert (n.id in overlay.faded) == (n.index not in frame.known)
    constants = {n.id for n in drawn.nodes if n.kind == "constant"}
    assert constants <= overlay.faded


def test_the_cells_view_lights_up_too_folded_weights_with_it():
    loss = samples.lstm(keep=None)
    drawn = cells([loss])
    found = swept([loss], drawn)
    every = frames([loss], {t.index: t for t in ancestors([loss])}, found, 40)
    made = visible_in(drawn, every)
    assert len(made) < len(every)  # from g to the slice it is made of: both are in one node
    assert all(frame.now & {use for e in drawn.edges for use in e.uses} for frame in made[1:])
    *_, last = overlays(made, drawn, found)
    assert made[-1].known == found.norms.keys()
    assert not {n.id for n in drawn.nodes if n.tracked} & last.faded
    for frame, overlay in zip(made, overlays(made, drawn, found), strict=True):
        for edge, stroke in zip(drawn.edges, overlay.strokes, strict=True):
            expected = ORANGE if set(edge.uses) & frame.now else BLUE if set(edge.uses) & frame.sent else "#BDBDBD"
            assert stroke.color == expected


def test_all_frames_have_their_nodes_in_the_same_places():
    drawn, _, found, made = cut(samples.rnn(steps=2, keep=None))

    def places(overlay):
        text = dot_text(drawn, overlay=overlay, show=())
        return [line.split("pos=")[1].split()[0] for line in text.splitlines() if line.startswith("\t\tn")]

    first, *others = (places(overlay) for overlay in overlays(made, drawn, found))
    assert len(first) > 12
    assert all(other == first for other in others)


def test_a_gif_has_a_picture_for_each_frame_of_one_size_and_says_what_it_shows(tmp_path):
    loss = samples.rnn(steps=2, keep=None)
    path = tg.animate(loss, tmp_path / "backward.gif", frames=4, width=300)
    assert os.listdir(tmp_path) == ["backward.gif"]
    with Image.open(path) as gif:
        assert gif.n_frames == len(cut(loss, 4)[3])
        assert abs(gif.width - 300) < 12
        assert gif.info["comment"].startswith(b"Animation of the backward sweep in 4 pictures")
        assert gif.info["loop"] == 0


def test_a_folder_gets_numbered_pictures_and_loses_those_of_an_earlier_animation_only(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    (folder / "frame_77.png").write_bytes(b"old")
    (folder / "mine.png").write_bytes(b"mine")
    assert tg.animate(samples.plain(), folder, width=200) == folder
    assert sorted(os.listdir(folder)) == [*(f"frame_0{k}.png" for k in range(1, 8)), "mine.png"]
    said = [text_chunks((folder / f"frame_0{k}.png").read_bytes())["Description"] for k in range(1, 8)]
    assert said[0].startswith("The backward sweep, picture 1 of 7: it starts at the loss")
    assert "8 of 8 gradients are known" in said[-1]
    sizes = {Image.open(io.BytesIO((folder / f"frame_0{k}.png").read_bytes())).size for k in range(1, 8)}
    assert len(sizes) == 1


def test_an_older_gif_stays_if_a_frame_fails(tmp_path, monkeypatch):
    path = tmp_path / "backward.gif"
    path.write_bytes(b"old")
    monkeypatch.setattr(film, "render", lambda *_: (_ for _ in ()).throw(tg.RenderError("no")))
    with pytest.raises(tg.RenderError):
        tg.animate(samples.plain(), path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["backward.gif"]


@pytest.mark.parametrize(
    ("path", "how", "error", "said"),
    [
        ("sweep.mp4", {}, ValueError, "a .gif, or a folder"),
        ("nowhere/sweep.gif", {}, FileNotFoundError, "make it first"),
        ("nowhere/frames", {}, FileNotFoundError, "make it first"),
        ("sweep.gif", {"frames": 1}, ValueError, "2 or more"),
        ("sweep.gif", {"seconds": 0}, ValueError, "more than 0"),
        ("sweep.gif", {"view": "tree"}, ValueError, "view is one of"),
        ("sweep.gif", {"view": "rolled"}, ValueError, "animate 'ops' or 'cells'"),
    ],
)
def test_what_cannot_be_animated_is_refused_with_what_can(path, how, error, said, tmp_path):
    with pytest.raises(error, match=said):
        tg.animate(samples.plain(), tmp_path / path, **how)


def test_a_result_that_is_not_one_number_has_no_sweep(tmp_path):
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(RuntimeError, match="not a single number"):
        tg.animate(x * 2.0, tmp_path / "sweep.gif")


def test_without_pillow_the_error_names_it_and_the_other_way(tmp_path, monkeypatch):
    real = film.importlib.import_module

    def without(name):
        if name.startswith("PIL"):
            raise ImportError(name)
        return real(name)

    monkeypatch.setattr(film.importlib, "import_module", without)
    with pytest.raises(ImportError, match=r"tinygrad_rnn\[plot\].*or give a folder"):
        tg.animate(samples.plain(), tmp_path / "sweep.gif")
