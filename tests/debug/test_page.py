"""What `explore` returns and writes, without a browser."""

import html
import json
import re

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.debug.models import ancestors, losses_of
from tinygrad_rnn import nn
from tinygrad_rnn.debug.account import values
from tinygrad_rnn.debug.tape_data import tape_data
from tinygrad_rnn.debug.timeline import timeline


@pytest.fixture(scope="module")
def losses():
    return losses_of(nn.LSTMCell)[0]


def data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page.html)[1])


def test_it_writes_one_file_that_names_no_other(losses, tmp_path):
    page = tg.explore(losses, tmp_path / "explore.html")
    assert [p.name for p in tmp_path.iterdir()] == ["explore.html"]
    assert (tmp_path / "explore.html").read_text("utf-8") == page.html
    assert not re.findall(r"""(?:src|href)\s*=|@import|url\(|https?://(?!www\.w3\.org/2000/svg)""", page.html)


def test_an_older_file_stays_as_it_was_where_nothing_can_be_written(losses, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        tg.explore(losses, tmp_path / "missing" / "explore.html")
    with pytest.raises(ValueError, match=r"\.html"):
        tg.explore(losses, tmp_path / "explore.png")
    assert list(tmp_path.iterdir()) == []


def test_a_notebook_shows_it_in_a_frame_that_holds_exactly_the_page(losses):
    page = tg.explore(losses)
    frame = page._repr_html_()
    found = re.fullmatch(r'<iframe srcdoc="([^"]*)" sandbox="allow-scripts"[^<>]*></iframe>', frame)
    assert found
    assert html.unescape(found[1]) == page.html


def test_the_events_are_those_of_the_timeline(losses):
    data = tape_data(losses, None)
    index = sorted({t.index for t in ancestors(losses)})
    found = []
    for kind, number in data["events"]:
        if kind == 2:
            consumer, slot, producer = data["edges"][number][:3]
            found.append(("backward", index[consumer], slot, index[producer]))
        else:
            found.append((("forward", "seed")[kind], index[number], None, None))
    assert found == [(e.kind, e.node, e.slot, e.producer) for e in timeline(losses)]


def test_the_rules_and_their_numbers_are_those_of_the_prompt(losses):
    data, dbg = tape_data(losses, None), tg.Debugger(losses)
    for k, (kind, number) in enumerate(data["events"]):
        stop = dbg.stop_at(k + 1)
        if kind == 2:
            *_, rule, derivative, numbers = data["edges"][number]
            assert (data["texts"][rule], numbers) == (stop.rule, stop.numbers)
            left, _, right = data["texts"][derivative].partition(" = ")
            assert any(row.startswith(f"    {left}") and row.endswith(f"= {right}") for row in values(stop))
        elif kind == 0:
            node = data["nodes"][number]
            assert (data["texts"][node["rule"]], node.get("numbers")) == (stop.rule, stop.numbers)
    assert len(data["texts"]) < 60


def test_the_numbers_of_nodes_and_edges_are_those_of_the_tape(losses):
    data = tape_data(losses, None)
    nodes = ancestors(losses)
    everything = [t for t in nodes if t.tracked]
    gradients = dict(zip([t.index for t in everything], tg.grad(sum(losses[1:], losses[0]), everything), strict=True))
    for t, node in zip(nodes, data["nodes"], strict=True):
        assert (node.get("name"), node["scope"], node["step"]) == (t.name, t.place.scope, t.place.step)
        assert node["shape"] == list(t.shape)
        assert node["range"][0] == pytest.approx(t.value.min(), rel=1e-5)
        if t.index in gradients:
            assert node["norm"] == pytest.approx(np.linalg.norm(gradients[t.index]), rel=1e-5, abs=1e-300)
        else:
            assert node["norm"] is None
        if 1 < t.size <= 64:
            assert node["values"] == pytest.approx(t.value.ravel(), rel=1e-5, abs=1e-300)


@pytest.mark.parametrize("kind", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
def test_it_begins_with_the_recurrent_weight_or_with_what_was_asked_for(kind):
    losses, cell = losses_of(kind)
    data = tape_data(losses, None)
    assert data["nodes"][data["sources"][0]]["name"] == "weight_hh"
    data = tape_data(losses, cell.weight_ih)
    assert data["nodes"][data["sources"][0]]["name"] == "weight_ih"


@pytest.mark.parametrize(
    ("what", "error", "says"),
    [
        (lambda: tg.explore(3.0), TypeError, "pass the loss itself"),
        (lambda: tg.explore([]), ValueError, "at least one"),
        (lambda: tg.explore(tg.Tensor(1.0)), RuntimeError, "requires_grad=True"),
        (lambda: tg.explore(tg.Tensor([1.0, 2.0], requires_grad=True) * 2), RuntimeError, "not a single number"),
        (lambda: tg.explore(tg.Tensor(1.0, requires_grad=True) * 2, to=3), TypeError, "to= is the Tensor"),
        (
            lambda: tg.explore(tg.Tensor(1.0, requires_grad=True) * 2, to=tg.Tensor(1.0, requires_grad=True)),
            RuntimeError,
            "no path leads from",
        ),
    ],
)
def test_misuse_says_what_to_do(what, error, says):
    with pytest.raises(error, match=says):
        what()


def test_a_computation_that_no_page_can_hold_is_refused():
    x = tg.Tensor(1.0, requires_grad=True)
    y = x
    for _ in range(20_001):
        y = y * 1.0
    with pytest.raises(ValueError, match="explore a shorter sequence"):
        tg.explore(y)


def test_a_hundred_steps_of_an_lstm_fit_into_three_megabytes():
    losses, _ = losses_of(nn.LSTMCell, steps=100, hidden=32)
    assert len(tg.explore(losses[-1]).html) < 3e6


def test_what_is_not_a_number_is_written_as_text():
    x = tg.Tensor([1.0, np.nan, np.inf], requires_grad=True, name="x")
    page = tg.explore((x * 2).sum())
    node = next(n for n in data_of(page)["nodes"] if n.get("name") == "x")
    assert node["values"] == [1.0, "nan", "inf"]
    assert node["nans"] == 1
