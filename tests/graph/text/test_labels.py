"""Whatever a name is made of, it is printed as it is, and nothing else happens."""

import unicodedata
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import matplotlib
import pytest
from matplotlib import ft2font

import tinygrad_rnn as tg
from tests.graph import hostile
from tinygrad_rnn.graph import draw
from tinygrad_rnn.graph.pictures.render import render
from tinygrad_rnn.graph.text.labels import LONGEST, Line, visible, width

SVG = "{http://www.w3.org/2000/svg}"


def drawing_of(names, view):
    """One picture in which every name is that of a result."""
    x = tg.Tensor([1.0], True, "x")
    return draw([(x + 1.0).named(name) for name in names], view)


def printed(text):
    """Spaces that would be lost at the ends and in a row are printed as no-break spaces."""
    return text.replace("\u00a0", " ")


def check(names, view="ops"):
    drawing = drawing_of(names, view)
    tree = ElementTree.fromstring(render(drawing.dot, "svg"))
    groups = {g.find(f"{SVG}title").text: g for g in tree.iter(f"{SVG}g") if g.get("class") == "node"}
    drawn = {n.id: n for n in drawing.figure.nodes}
    assert {v for v in groups if not v.startswith("legend_")} == set(drawn)
    edges = [g for g in tree.iter(f"{SVG}g") if g.get("class") == "edge"]
    assert len(edges) == len(drawing.figure.edges)
    for v, node in drawn.items():
        if node.output:
            first = next(iter(groups[v].iter(f"{SVG}text"))).text
            assert printed(first) == printed(visible(node.name)), repr(node.name)
    allowed = {"svg", "g", "title", "polygon", "path", "text", "ellipse", "polyline"}
    assert {element.tag.removeprefix(SVG) for element in tree.iter()} <= allowed  # no link, no script, no picture
    assert not [a for element in tree.iter() for a in element.attrib if "href" in a or a.startswith("on")]


def test_there_are_two_hundred_hostile_names():
    assert len(hostile.names()) >= 200


@pytest.mark.parametrize("part", range(2))
def test_hostile_names_are_printed_verbatim_in_the_svg_and_add_nothing_to_it(part):
    check(hostile.names()[part::2])


@pytest.mark.parametrize("view", ["cells", "rolled"])
def test_hostile_names_are_printed_verbatim_in_folded_views(view):
    check(hostile.names()[::4], view)


def test_random_names_are_printed_verbatim():
    check(hostile.random_names(250, seed=1))


@pytest.mark.full
@pytest.mark.parametrize("seed", range(20))
def test_five_thousand_random_names_are_printed_verbatim(seed):
    check(hostile.random_names(250, seed=100 + seed))


def test_hostile_scopes_are_printed_verbatim():
    names = [name for name in hostile.names() if "/" not in name][:120]
    for name in names[::8]:
        x = tg.Tensor([1.0], True)
        for _ in range(7):
            with tg.scope(name), tg.step(1):
                x = x + 1.0
        drawing = draw(x)
        assert drawing.dot.count("subgraph") == 2
    tree = ElementTree.fromstring(render(drawing.dot, "svg"))
    headings = [t.text for g in tree.iter(f"{SVG}g") if g.get("class") == "cluster" for t in g.iter(f"{SVG}text")]
    assert printed(f"step 1  ·  {visible(names[::8][-1])}") in map(printed, headings)


def test_characters_without_a_glyph_are_made_visible():
    assert visible("a\nb\0\x7f") == "a␊b␀␡"
    assert visible("\u202eabc\u2066") == "‹U+202E›abc‹U+2066›"
    assert visible("\ud800\uffff\u200b") == "‹U+D800›‹U+FFFF›‹U+200B›"
    assert visible('é "中" \\N <b>') == 'é "中" \\N <b>'


def test_long_names_are_cut_and_their_length_is_said():
    assert visible("x" * LONGEST) == "x" * LONGEST
    assert visible("x" * 20_000) == "x" * LONGEST + "… (20,000 characters)"


def test_what_is_printed_has_no_character_that_xml_or_the_eye_cannot_take():
    for name in hostile.names() + hostile.random_names(500, seed=2):
        for character in visible(name):
            assert unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp"), repr(name)
            assert ord(character) & 0xFFFE != 0xFFFE, repr(name)


@pytest.mark.parametrize("bold", [False, True])
def test_text_is_never_wider_than_the_room_that_is_kept_for_it(bold):
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    font = ft2font.FT2Font(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name))
    font.set_size(100, 72)
    texts = [
        "|grad| 0.00123",
        "−0.123 to 4.56e−12",
        "multiply",
        "forget/sigmoid",
        "weight_hh",
        "log_softmax",
        "(12, 345)",
        "mmm",
    ]
    for text in texts:
        font.set_text(text)
        real = font.get_width_height()[0] / 64
        assert real <= width(Line(text, 100, bold)) <= 1.35 * real + 10, text
