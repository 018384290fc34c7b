"""What the user holds: files, a notebook's picture, a sentence."""

import os

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.graph import samples
from tests.graph.pictures.test_render import SIGNATURES
from tinygrad_rnn.graph import Drawing, RenderError, draw
from tinygrad_rnn.graph.pictures import drawing as drawings


@pytest.fixture(scope="module")
def drawing():
    return draw(samples.rnn())


@pytest.mark.parametrize("suffix", [*SIGNATURES, "PNG"])
def test_the_ending_of_the_name_says_what_is_saved(drawing, tmp_path, suffix):
    path = drawing.save(tmp_path / f"picture.{suffix}")
    assert path == tmp_path / f"picture.{suffix}"
    assert path.read_bytes().startswith(SIGNATURES[suffix.lower()])
    assert os.listdir(tmp_path) == [path.name]


def test_dot_text_is_saved_without_a_renderer(drawing, tmp_path, no_renderer):
    assert drawing.save(str(tmp_path / "picture.dot")).read_text(encoding="utf-8") == drawing.dot


def test_with_no_renderer_the_dot_text_is_written_and_the_error_says_where(drawing, tmp_path, no_renderer):
    with pytest.raises(RenderError, match=r"pip install \"tinygrad_rnn\[render\]\"") as caught:
        drawing.save(tmp_path / "picture.png")
    assert str(tmp_path / "picture.dot") in str(caught.value)
    assert (tmp_path / "picture.dot").read_text(encoding="utf-8") == drawing.dot
    assert sorted(os.listdir(tmp_path)) == ["picture.dot"]


FAILURES = ["exit 1", "/bin/sleep 60", "/bin/cat", "kill -9 $$"]


@pytest.mark.parametrize("script", FAILURES)
def test_an_older_picture_survives_a_renderer_that_fails(drawing, tmp_path, only_dot, script):
    only_dot(script)
    target = tmp_path / "picture.png"
    target.write_bytes(b"older")
    with pytest.raises(RenderError, match=r"picture\.dot"):
        drawing.save(target, timeout=0.3)
    assert target.read_bytes() == b"older"
    assert sorted(os.listdir(tmp_path)) == ["bin", "picture.dot", "picture.png"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_older_picture_survives_when_writing_fails_and_no_other_file_is_left(drawing, tmp_path, monkeypatch, error):
    target = tmp_path / "picture.dot"
    target.write_bytes(b"older")

    def full(*_):
        raise error

    monkeypatch.setattr(drawings.os, "replace", full)
    with pytest.raises(type(error), match=r"picture\.dot.*No space left" if isinstance(error, OSError) else None):
        drawing.save(target)
    assert target.read_bytes() == b"older"
    assert os.listdir(tmp_path) == ["picture.dot"]


def test_saving_over_an_older_picture_replaces_it_and_through_a_link_keeps_the_link(drawing, tmp_path):
    (tmp_path / "real.dot").write_bytes(b"older")
    (tmp_path / "link.dot").symlink_to("real.dot")
    drawing.save(tmp_path / "link.dot")
    assert (tmp_path / "link.dot").is_symlink()
    assert (tmp_path / "real.dot").read_text(encoding="utf-8") == drawing.dot


@pytest.mark.parametrize("name", ["picture.jpg", "picture", ".png", "picture.", "picture.png.bak"])
def test_an_unknown_ending_is_an_error_that_lists_the_known_ones(drawing, tmp_path, name):
    with pytest.raises(ValueError, match=r"\.png, \.svg, \.pdf, \.dot"):
        drawing.save(tmp_path / name)
    assert os.listdir(tmp_path) == []


def test_a_missing_folder_a_folder_and_a_forbidden_place_are_clear_errors(drawing, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere; make it first"):
        drawing.save(tmp_path / "nowhere" / "picture.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(IsADirectoryError, match="it is a folder"):
        drawing.save(tmp_path / "folder.png")
    monkeypatch.setattr(drawings.os, "access", lambda *_: False)
    with pytest.raises(PermissionError, match="no permission"):
        drawing.save(tmp_path / "picture.png")
    assert os.listdir(tmp_path) == ["folder.png"]


@pytest.mark.parametrize("dpi", [0, -1, float("nan"), float("inf")])
def test_dpi_must_be_a_positive_number(drawing, tmp_path, dpi):
    with pytest.raises(ValueError, match="dots per inch"):
        drawing.save(tmp_path / "picture.png", dpi=dpi)


def test_a_notebook_shows_the_svg_and_the_sentence(drawing):
    bundle = drawing._repr_mimebundle_()
    assert "<svg" in bundle["image/svg+xml"]
    assert bundle["text/plain"] == drawing.alt_text
    assert drawing._repr_svg_() == bundle["image/svg+xml"]
    assert repr(drawing) == f"<Drawing: {drawing.alt_text}>"


def test_a_notebook_without_a_renderer_shows_the_sentence_and_what_to_install(no_renderer):
    bundle = draw(samples.rnn())._repr_mimebundle_()
    assert list(bundle) == ["text/plain"]
    assert "pip install" in bundle["text/plain"]
    assert draw(samples.rnn())._repr_svg_() is None


def test_the_sentence_is_made_of_the_numbers():
    loss = samples.rnn(steps=3)
    sentence = draw(loss).alt_text
    operations = 3 * 4 + 2
    assert f"Computation graph of {operations} operations and 3 time steps, 0 to 2" in sentence
    assert "It has 3 parameters. Named results: h." in sentence
    assert f"loss is {loss.item():.3g}." in sentence
    assert "the largest norm is 1.73, at a result of multiply" in sentence
    assert "are not drawn" not in sentence
    assert "No gradients are shown" in draw(samples.rnn(keep=None)).alt_text
    assert "Nothing here requires a gradient" in draw(tg.Tensor(1.0)).alt_text


def test_the_sentence_says_what_is_not_drawn():
    drawing = draw(samples.rnn(steps=30))
    gap = next(n.gap for n in drawing.figure.nodes if n.gap is not None)
    assert (gap.steps, gap.operations) == (24, 96)
    assert "96 operations, all those of 24 steps among them, are not drawn." in drawing.alt_text
    assert "… 24 steps …" in drawing.dot
    assert "Of 122 operations 96 are not drawn" in drawing.dot


def test_draw_takes_a_tensor_or_a_list_of_tensors_and_says_so():
    x = tg.Tensor([1.0], True)
    assert isinstance(draw(x * x), Drawing)
    assert isinstance(draw([x * x, x + 1.0]), Drawing)
    for wrong in (1.5, np.ones(2), [], [x, 2.0], None, "loss"):
        with pytest.raises(TypeError, match="draw takes a Tensor, such as the loss"):
            draw(wrong)


def test_an_unknown_view_is_an_error_that_lists_the_known_ones():
    with pytest.raises(ValueError, match="'ops'"):
        draw(tg.Tensor(1.0), view="pie")


def test_what_was_never_recorded_is_drawn_as_the_constant_it_is():
    with tg.no_grad():
        y = tg.Tensor([1.0, 2.0], True) * 2.0
    drawing = draw(y)
    assert [n.kind for n in drawing.figure.nodes] == ["constant"]
    assert "0 operations" in drawing.alt_text
