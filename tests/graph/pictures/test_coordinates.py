"""The picture as data: everything is placed, inside the picture, and nothing stands on anything else."""

import itertools

import pytest

from tests.graph import samples
from tinygrad_rnn.graph import draw, geometry


def outputs_of(name):
    made = samples.ALL[name]()
    return made if isinstance(made, list) else [made]


@pytest.mark.parametrize("name", samples.ALL)
def test_every_node_and_every_edge_of_the_figure_has_its_place_in_the_picture(name):
    figure, g = draw(outputs_of(name)).figure, geometry(outputs_of(name))
    assert [n.id for n in g.nodes] == [n.id for n in figure.nodes]
    assert [(e.source, e.target, len(e.uses)) for e in g.edges] == [
        (e.source, e.target, len(e.uses)) for e in figure.edges
    ]
    for n in g.nodes:
        assert -0.2 <= n.x - n.width / 2 <= n.x + n.width / 2 <= g.width + 0.2
        assert -0.2 <= n.y - n.height / 2 <= n.y + n.height / 2 <= g.height + 0.2
    for e in g.edges:
        assert len(e.points) % 3 == 1


@pytest.mark.parametrize("name", ["lstm", "gru", "two_layers"])
def test_nodes_do_not_overlap_and_arrows_end_at_their_nodes(name):
    g = geometry(outputs_of(name))
    for a, b in itertools.combinations(g.nodes, 2):
        assert abs(a.x - b.x) >= (a.width + b.width) / 2 - 0.2 or abs(a.y - b.y) >= (a.height + b.height) / 2 - 0.2
    at = {n.id: n for n in g.nodes}
    for e in g.edges:
        n = at[e.target]
        assert abs(e.tip[0] - n.x) <= n.width / 2 + 0.2
        assert abs(e.tip[1] - n.y) <= n.height / 2 + 0.2


def test_the_line_about_the_gradient_is_the_one_that_is_said_to_be():
    for n in geometry(outputs_of("lstm")).nodes:
        found = [k for k, line in enumerate(n.lines) if "grad" in line.text]
        assert found == ([] if n.gradient_line is None else [n.gradient_line])
