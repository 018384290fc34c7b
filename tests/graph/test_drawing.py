"""What the user holds: files, a notebook's picture, a sentence."""

import os
import stat

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.graph import samples
from tests.graph.test_render import SIGNATURES, no_dot, no_renderer, only_dot  # noqa: F401
from tinygrad_rnn.graph import Drawing, RenderError, draw
from tinygrad_rnn.graph import drawing as drawings


@pytest.fixture(scope="module")
def drawing():
    return draw(samples.rnn())


@pytest.mark.parametrize("suffix", [*SIGNATURES, "PNG"])
def test_the_ending_of_the_name_says_what_is_saved(drawing, tmp_path, suffix):
    path = drawing.save(tmp_path / f"picture.{suffix}")
    assert path == tmp_path / f"picture.{suffix}"
    assert path.read_bytes().startswith(SIGNATURES[suffix.lower()])
    assert os.listdir(tmp_path) == [path.name]


def test_dot_text_is_saved_without_a_renderer(drawing, tmp_path, no_renderer):  # noqa: F811
    assert drawing.save(str(tmp_path / "picture.dot")).read_text() == drawing.dot
