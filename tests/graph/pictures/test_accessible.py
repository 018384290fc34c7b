"""What a picture shows is said in words inside the file itself, whatever the words are."""

import re
import xml.etree.ElementTree as ElementTree
import zlib

import pytest

from tests.graph import hostile, samples
from tinygrad_rnn.graph import draw
from tinygrad_rnn.graph.pictures import accessible
from tinygrad_rnn.graph.views.figure import ancestors

SVG = "{http://www.w3.org/2000/svg}"


def text_chunks(png):
    """Every iTXt chunk of a PNG whose checksums are all right, by key."""
    found, at = {}, 8
    while at < len(png):
        size = int.from_bytes(png[at : at + 4], "big")
        kind, body = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        assert int.from_bytes(png[at + 8 + size : at + 12 + size], "big") == zlib.crc32(kind + body)
        if kind == b"iTXt":
            key, rest = body.split(b"\0", 1)
            found[key.decode()] = rest[4:].decode("utf-8")
        at += 12 + size
    return found


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_a_drawing_says_what_it_shows_in_its_own_file(suffix, tmp_path):
    drawing = draw(samples.rnn())
    path = drawing.save(tmp_path / f"rnn.{suffix}", dpi=40)
    if suffix == "png":
        assert text_chunks(path.read_bytes()) == {"Title": "Computation graph", "Description": drawing.alt_text}
        return
    root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    assert root.get("role") == "img"
    title, desc = root[0], root[1]
    assert (title.tag, title.text) == (f"{SVG}title", "Computation graph")
    assert (desc.tag, desc.text) == (f"{SVG}desc", drawing.alt_text)
    assert root.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"


def test_two_pictures_in_one_page_do_not_answer_for_each_other():
    ids = [set(re.findall(r'id="(title-\w+|desc-\w+)"', draw(samples.rnn(steps=n)).svg())) for n in (1, 2)]
    assert all(len(own) == 2 for own in ids)
    assert not ids[0] & ids[1]


def test_the_flow_in_a_picture_is_said_in_its_file_and_in_a_notebook(tmp_path):
    loss = samples.rnn()
    drawing = draw(loss, flow_to=next(t for t in ancestors([loss]) if t.name == "U"))
    assert (
        "which share of the gradient by U" in text_chunks(drawing.save(tmp_path / "a.png").read_bytes())["Description"]
    )
    assert "which share of the gradient by U" in ElementTree.fromstring(drawing._repr_svg_())[1].text


def test_hostile_words_stay_words():
    svg, png = '<svg width="1">\n<g/></svg>', b"\x89PNG\r\n\x1a\n" + bytes.fromhex("0000000d49484452") + b"\0" * 17
    for name in hostile.names():
        root = ElementTree.fromstring(accessible.described_svg(svg, name, name))
        assert [child.tag.removeprefix(SVG) for child in root] == ["title", "desc", "g"]
        assert root[1].text == accessible.clean(name)
        inside = accessible.described_png(png, name, name)[len(png) :]
        assert accessible.clean(name).encode("utf-8") in inside


def test_words_are_never_cut():
    assert accessible.clean("x" * 20_000) == "x" * 20_000


def test_what_is_no_svg_is_refused():
    with pytest.raises(ValueError, match="not an SVG"):
        accessible.described_svg("<p>", "a", "b")
