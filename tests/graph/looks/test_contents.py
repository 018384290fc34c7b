"""Facts inside nodes: shapes, values, numbers in shaded cells, slopes, saturation."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.graph import samples
from tinygrad_rnn.engine.primitives import TABLE
from tinygrad_rnn.graph import draw
from tinygrad_rnn.graph.looks.contents import SLOPES, contents, slope
from tinygrad_rnn.graph.text.labels import WIDE_CELL, Cell, Grid, Line, fitting_size, html_label, width
from tinygrad_rnn.graph.text.summary import number
from tinygrad_rnn.graph.views.figure import ancestors, figure


def inside(y, *show):
    fig = figure([y])
    found = contents(fig, ancestors([y]), show).inside
    return {n.name or n.operation: found[n.id] for n in fig.nodes if n.id in found}


def words(rows):
    return [row.text for row in rows]


@pytest.mark.parametrize("name", SLOPES)
def test_the_slope_is_what_the_rule_of_the_operation_multiplies_by(name):
    primitive = TABLE[name]
    x = tg.Tensor(np.array([-2.0, -0.3, 0.0, 0.4, 3.0]), requires_grad=True)
    y = primitive(x)
    expected = tg.vjp(y, x, np.ones(5))
    assert np.max(np.abs(slope(y) - expected)) < 1e-14


def test_saturation_counts_flat_units_and_calls_saturated_only_what_rounds_to_zero():
    z = tg.Tensor(np.array([0.0, 4.0, 5.0, -6.0, 40.0]), requires_grad=True)
    found = inside(z.sigmoid().named("f"), "saturation")
    assert words(found["f"]) == ["flat 3 of 5", "saturated 1 of 5"]  # s(1-s) is 0.0177 at 4, 0.0066 at 5
    assert words(inside(tg.Tensor([0.0, 2.0], True).tanh(), "saturation")["tanh"]) == ["flat 0 of 2"]
    assert inside(z * 2.0, "saturation", "slope") == {}


def test_slopes_are_a_range():
    assert words(inside(tg.Tensor([0.0, 2.0], True).sigmoid(), "slope")["sigmoid"]) == ["slope 0.1 to 0.25"]
    assert words(inside(tg.Tensor([0.0, 0.0], True).tanh(), "slope")["tanh"]) == ["slope 1"]


def test_small_tensors_are_grids_blue_above_zero_orange_below_and_their_sign_is_never_colour_alone():
    (grid,) = inside(tg.Tensor([1.0, -2.0, 0.0, np.nan], True, "x") * 1.0, "numbers")["x"]
    assert [cell.text for cell in grid.rows[0]] == ["1", "−2", "0", "nan"]
    assert [cell.color for cell in grid.rows[0]] == ["#80B8D8", "#E69F00", "#FFFFFF", "#FFFFFF"]
    (grid,) = inside(tg.Tensor(np.linspace(-1, 1, 12).reshape(3, 4), True, "x") * 1.0, "numbers")["x"]
    assert [len(row) for row in grid.rows] == [4, 4, 4]
    assert [cell.text for row in grid.rows for cell in row] == ["−"] * 6 + [""] * 6


@pytest.mark.parametrize("shape", [(), (1,), (17,), (9, 2), (2, 0), (0,)])
def test_other_tensors_have_no_grid(shape):
    assert "x" not in inside(tg.Tensor(np.ones(shape), True, "x") * 1.0, "numbers")


def test_infinities_have_cells_too():
    (grid,) = inside(tg.Tensor([np.inf, -np.inf, 3.0], True, "x") * 1.0, "numbers")["x"]
    assert [cell.color for cell in grid.rows[0]] == ["#0072B2", "#E69F00", "#FFFFFF"]


def test_the_text_of_a_cell_is_escaped():
    assert "&lt;b&gt;" in html_label((Grid(((Cell("<b>", "#FFFFFF"),),), True),))


def test_only_the_facts_that_were_asked_for_are_shown():
    loss = samples.rnn(steps=2)
    plain = draw(loss).dot
    assert draw(loss, show=["shape", "value", "gradient"]).dot == plain
    shapes = draw(loss, show=["shape"]).dot
    assert "(3, 3)" in shapes
    assert not re.search(r"\|grad\||grad -|\.\.", shapes)
    assert "|grad|" in draw(loss, show=["gradient"]).dot
    assert "(3, 3)" not in draw(loss, show=[]).dot


@pytest.mark.parametrize("wrong", ["shape", ["colour"], ["shape", "everything"]])
def test_unknown_facts_are_an_error_that_lists_the_known_ones(wrong):
    with pytest.raises(ValueError, match="'shape', 'value', 'gradient', 'numbers', 'slope', 'saturation'"):
        draw(samples.rnn(steps=1), show=wrong)


def test_a_picture_with_every_fact_is_valid_and_the_legend_explains_them():
    drawing = draw(samples.lstm(steps=2), show=["numbers", "slope", "saturation"])
    text = "".join(ElementTree.fromstring(drawing.svg()).itertext())
    for said in ("flat 0 of 3", "slope 0.", "Cells: the numbers", "flat: units whose", "saturated: it rounds to 0"):
        assert said in text


@pytest.mark.parametrize("value", [0.5, -0.25, 1e-5, -1.2e-5, -0.00036, -1.2e-300, float("nan"), -float("inf")])
def test_a_number_fits_into_its_cell(value):
    text = number(value, 2)
    assert width(Line(text, fitting_size(text))) <= WIDE_CELL[0]


def test_facts_are_shown_where_there_is_room_for_them_and_else_the_picture_says_how_to_get_them():
    few, many = draw(samples.lstm(steps=3)), draw(samples.lstm(steps=4))
    assert "|grad|" in few.dot
    assert "(1, 12)" in few.dot
    assert "show=[" not in few.dot
    assert "|grad|" not in many.dot
    assert "(1, 12)" not in many.dot
    assert "show=[&#x27;shape&#x27;, &#x27;value&#x27;, &#x27;gradient&#93;".replace("&#93;", "&#x27;&#93;") in many.dot
    assert "|grad|" in draw(samples.lstm(steps=4), show=["shape", "value", "gradient"]).dot


def test_alt_text_speaks_of_gradients_only_where_the_picture_shows_them():
    loss = samples.lstm(steps=3)
    assert "Gradients are shown at" in draw(loss).alt_text
    assert "Gradients" not in draw(loss, show=["shape"]).alt_text
    assert "Gradients" not in draw(loss, "cells").alt_text
