"""Renderers: whichever is there draws; one that misbehaves gives a clear error in time and leaves nothing behind."""

import os
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.graph import samples
from tinygrad_rnn.graph import RenderError, draw
from tinygrad_rnn.graph.pictures import render as renderer

SIGNATURES = {"png": b"\x89PNG\r\n\x1a\n", "svg": b"<?xml", "pdf": b"%PDF-"}
TRIVIAL = 'digraph { layout=nop2; a [pos="0,0"] }'


def like_dot():
    """A `dot` made of the Graphviz in pygraphviz, which understands -Tpng and -Gdpi=96."""
    return f'exec "{sys.executable}" -P "{renderer.BUNDLED}" "${{1#-T}}" ${{2#-G}}'


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        with open(f"/proc/{pid}/stat") as stat:  # one that has ended and waits to be reaped is not running
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:  # ended just now, or a system without /proc
        return not os.path.exists("/proc")


@pytest.mark.parametrize("format", SIGNATURES)
def test_whatever_graphviz_this_machine_has_draws_every_format(format):
    picture = renderer.render(draw(samples.rnn()).dot, format)
    assert picture.startswith(SIGNATURES[format])
    assert len(picture) > 5000


@pytest.mark.parametrize("format", SIGNATURES)
def test_without_dot_on_the_path_the_graphviz_in_pygraphviz_draws(format, no_dot):
    assert renderer.render(draw(samples.rnn()).dot, format).startswith(SIGNATURES[format])


def structure(svg):
    """What an SVG is made of, without any coordinate: the class and the texts of each group."""
    root = ElementTree.fromstring(svg)
    groups = list(root.iter("{http://www.w3.org/2000/svg}g"))
    return [(g.get("class"), [text.strip() for text in g.itertext() if text.strip()]) for g in groups]


@pytest.mark.skipif(shutil.which("dot") is None, reason="there is no dot on the PATH of this machine")
@pytest.mark.parametrize("name", ["lstm", "gru", "bidirectional", "windowed"])
def test_the_graphviz_of_the_system_draws_the_same_structure_as_the_one_in_pygraphviz(name, monkeypatch, tmp_path):
    text = draw(samples.ALL[name]()).dot
    by_system = structure(renderer.render(text, "svg"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert structure(renderer.render(text, "svg")) == by_system


@pytest.mark.parametrize("format", ["png", "pdf"])
def test_a_machine_without_any_font_is_an_error_that_says_what_to_install(format, no_dot, tmp_path, monkeypatch):
    (tmp_path / "fonts.conf").write_text(f"<fontconfig><cachedir>{tmp_path}/cache</cachedir></fontconfig>")
    monkeypatch.setenv("FONTCONFIG_FILE", str(tmp_path / "fonts.conf"))
    renderer._can_write.cache_clear()
    try:
        with pytest.raises(RenderError, match=r"found no font .* fonts-dejavu-core .* save the picture as \.svg"):
            renderer.render(TRIVIAL, format)
        assert b"</svg>" in renderer.render(TRIVIAL, "svg")
    finally:
        renderer._can_write.cache_clear()


def test_a_font_that_is_not_there_is_replaced_by_one_that_is(no_dot):
    text = draw(samples.rnn()).dot.replace("DejaVu Sans,", "No Such Font,")
    assert renderer.render(text, "png").startswith(SIGNATURES["png"])


def test_dot_on_the_path_comes_first(only_dot):
    only_dot("/bin/cat > /dev/null; echo '<svg>from dot</svg>'")
    assert renderer.render(TRIVIAL, "svg") == b"<svg>from dot</svg>\n"


def test_both_renderers_draw_the_same(only_dot, monkeypatch, tmp_path):
    text = draw(samples.lstm()).dot
    only_dot(like_dot())
    by_dot = renderer.render(text, "png", dpi=40)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert renderer.render(text, "png", dpi=40) == by_dot


def test_dpi_is_what_it_says(no_dot):
    width = [int.from_bytes(renderer.render(TRIVIAL, "png", dpi=dpi)[16:20], "big") for dpi in (72, 144)]
    assert width[1] == pytest.approx(2 * width[0], abs=2)


def test_a_dot_that_hangs_is_stopped_with_all_that_it_started(only_dot, tmp_path):
    only_dot(f"/bin/sleep 60 & echo $! > {tmp_path}/child; wait")
    begin = time.monotonic()
    with pytest.raises(RenderError, match=r"stopped after 1\.5 s.*timeout=600"):
        renderer.render(TRIVIAL, "svg", timeout=1.5)
    assert time.monotonic() - begin < 10
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 5
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_running(child)


def test_a_dot_that_hangs_while_it_prints_is_stopped(only_dot):
    only_dot("while :; do echo more; done")
    with pytest.raises(RenderError, match="stopped after"):
        renderer.render(TRIVIAL, "svg", timeout=0.3)


def test_an_interrupt_stops_the_renderer(only_dot, monkeypatch):
    only_dot("/bin/sleep 60")
    started = []

    def interrupted(process, *args):
        started.append(process)
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "communicate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        renderer.render(TRIVIAL, "svg")
    assert started[0].returncode is not None


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("/bin/cat > /dev/null; echo 'no such font' >&2; exit 3", "ended with code 3, saying: no such font"),
        ("kill -SEGV $$", "ended with code -11"),
        ("exit 0", "something that is not a png"),
        ("/bin/cat", "something that is not a png"),
        ("/bin/cat > /dev/null; printf '\\211PNG\\r\\n\\032\\n and then nothing'", "something that is not a png"),
        ("exit 1", "ended with code 1"),  # without reading its input: no BrokenPipeError
    ],
)
def test_a_dot_that_fails_is_named_and_quoted(only_dot, script, said):
    only_dot(script)
    with pytest.raises(RenderError, match=re.escape(said)) as caught:
        renderer.render(TRIVIAL + " " * 200_000, "png")
    assert "/dot)" in str(caught.value)


def test_a_dot_that_cannot_be_run_is_a_render_error(only_dot, tmp_path):
    only_dot("")
    (tmp_path / "bin" / "dot").write_bytes(b"\x7fELF nonsense")
    with pytest.raises(RenderError, match="cannot be run"):
        renderer.render(TRIVIAL, "svg")


def test_text_that_is_not_dot_is_a_render_error(no_dot):
    with pytest.raises(RenderError, match="could not draw the picture"):
        renderer.render("digraph { a -> ", "svg")


def test_with_no_renderer_the_error_says_what_to_install(no_renderer):
    with pytest.raises(RenderError, match=r"pip install \"tinygrad_rnn\[render\]\".*graphviz of your system"):
        renderer.render(TRIVIAL, "svg")


def test_a_png_that_is_too_large_is_drawn_with_as_many_dots_as_fit_and_refused_if_it_cannot_be_read(no_dot):
    text = 'digraph { layout=nop2; a [pos="0,0"]; b [pos="9000,0"] }'
    with pytest.warns(UserWarning, match=r"too large for 600 dpi and was drawn with \d+: draw fewer steps") as said:
        picture = renderer.render(text, "png", dpi=600)
    drawn_with = int(re.search(r"drawn with (\d+)", str(said[0].message))[1])
    wide = int.from_bytes(picture[16:20], "big")
    assert 32_000 < wide < 32_768
    assert wide == pytest.approx(9000 / 72 * drawn_with, rel=0.01)
    with pytest.raises(RenderError, match=r"too large for a png that can be read: draw fewer steps"):
        renderer.render(text.replace("9000", "90000"), "png", dpi=600)
    assert renderer.render(text, "svg")


def many_at_once(count):
    texts = [f'digraph {{ layout=nop2; a [pos="0,0" label="number {k}!"] }}' for k in range(count)]
    with ThreadPoolExecutor(8) as pool:
        pictures = list(pool.map(lambda text: renderer.render(text, "svg"), texts))
    assert all(f">number {k}!<".encode() in picture for k, picture in enumerate(pictures))


def test_renders_at_the_same_time_do_not_disturb_each_other(no_dot):
    many_at_once(8)


@pytest.mark.full
def test_eighty_renders_at_the_same_time_do_not_disturb_each_other(no_dot):
    many_at_once(80)


def test_two_hundred_steps_are_drawn_in_time(no_dot):
    loss = samples.lstm(steps=200)
    begin = time.monotonic()
    text = draw(loss, steps=(0, 200)).dot
    assert renderer.render(text, "svg").count(b'class="cluster"') == 201  # the legend is one too
    assert time.monotonic() - begin < 10


@pytest.mark.full
def test_a_hundred_thousand_steps_are_folded_in_time():
    loss = samples.rnn(steps=100_000, keep=None)
    begin = time.monotonic()
    drawing = draw(loss)
    assert renderer.render(drawing.dot, "png", dpi=50)
    assert time.monotonic() - begin < 5
    assert "99,994 steps" in drawing.alt_text
