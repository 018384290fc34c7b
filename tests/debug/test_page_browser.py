"""The page, opened in a real browser: it steps, answers as the library does, and lets no text become a script."""

import json
import random
import time
from itertools import pairwise

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.debug.models import CELLS, ancestors, losses_of
from tests.debug.random_routes import routes
from tests.graph import samples
from tests.trace.test_truncation import STEPS, skipping
from tinygrad_rnn import nn

pytestmark = pytest.mark.browser

ROUTES = {
    "rnn": [("across", r) for r in ("h*", "h{2}", "h+", ".", "h[2:4]*")]
    + [("along", r) for r in ("h h", ".* h[3] .*", "!h*", "h+", "h> .*")],
    "lstm": [("across", r) for r in ("c*", "h*", "c+ h c*", "(c | h){2}", "!h+", "c* h? c*")]
    + [("along", r) for r in ("(i | g) c+ h", ".* f .*", ".* o .* f .*", ".* c> c .*", "f c h[4]")],
    "gru": [("across", r) for r in ("h*", "h^3", "h?")]
    + [("along", r) for r in (".* z .*", ".* r .*", "(n | z) .*", ".* h> (z | r | n) .*")],
}
COMBINED = {
    'across("c*") & ~through("o")': tg.across("c*") & ~tg.through("o"),
    'tbptt(2) | across("h+")': tg.tbptt(2) | tg.across("h+"),
    '~(avoiding("f") | tg.chunks(2))': ~(tg.avoiding("f") | tg.chunks(2)),
}


def until(page, condition, seconds=10.0):
    """Wait for a condition. (Playwright's own waiting evaluates text inside the page, which its policy forbids.)"""
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        time.sleep(0.03)


def until_drawn(page, selector, condition):
    """Wait until so many elements of the graph are drawn, as in "> 3": it is drawn with the next frame."""
    until(page, f"document.querySelectorAll('#graph {selector}').length {condition}")


def number_of(page, name):
    return page.evaluate("name => explorer.tape.nodes.findIndex(n => n.name === name)", name)


def ask(page, kind, text):
    return page.evaluate(
        "([kind, text]) => { document.getElementById('kind').value = kind;"
        " document.getElementById('route').value = text; return JSON.stringify(explorer.showRoute()); }",
        [kind, text],
    )


@pytest.mark.parametrize("name", CELLS)
def test_shares_and_norms_of_routes_are_those_of_the_library(watched, tmp_path, name):
    losses, cell = losses_of(CELLS[name], batch=2 if name == "gru" else None)
    tg.explore(losses, tmp_path / "page.html")
    page = watched.open(tmp_path / "page.html")
    for source in (cell.weight_hh, cell.weight_ih):
        page.evaluate("k => explorer.setSource(k)", number_of(page, source.name))
        trace = tg.trace_gradient(losses, to=source)
        cases = [(kind, text, getattr(tg, kind)(text)) for kind, text in ROUTES[name]]
        if name == "lstm":
            cases += [("across", text, route) for text, route in COMBINED.items()]
        for kind, text, route in cases:
            found, wanted = json.loads(ask(page, kind, text)), trace.on(route)
            assert found["connected"] == wanted.connected, text
            assert found["share"] == pytest.approx(wanted.share, rel=1e-9, abs=1e-12), text
            assert found["norm"] == pytest.approx(wanted.norm, rel=1e-9, abs=1e-15), text


@pytest.mark.parametrize("name", CELLS)
def test_the_ledger_is_that_of_the_library(watched, tmp_path, name):
    losses, cell = losses_of(CELLS[name])
    tg.explore(losses, tmp_path / "page.html", to=cell.weight_hh)
    page = watched.open(tmp_path / "page.html")
    until(page, "explorer.ledger.table()?.done === explorer.ledger.table()?.rows")
    found = page.evaluate(
        "() => { const t = explorer.ledger.table(); return {steps: t.steps, losses: t.lossSteps, "
        "shares: [...t.shares], norms: [...t.norms], connected: [...t.connected]}; }"
    )
    ledger = tg.trace_gradient(losses, to=cell.weight_hh).ledger()
    assert (found["steps"], found["losses"]) == (list(ledger.steps), list(ledger.loss_steps))
    np.testing.assert_allclose(found["shares"], ledger.shares.ravel(), rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(found["norms"], ledger.norms.ravel(), rtol=1e-9, atol=1e-14)
    assert list(map(bool, found["connected"])) == ledger.connected.ravel().tolist()


@pytest.mark.parametrize("name", CELLS)
def test_the_share_on_every_edge_is_that_of_the_library(watched, tmp_path, name):
    losses, cell = losses_of(CELLS[name])
    tg.explore(losses, tmp_path / "page.html", to=cell.weight_ih)
    page = watched.open(tmp_path / "page.html")
    trace = tg.trace_gradient(losses, to=cell.weight_ih)
    index = sorted({t.index for t in ancestors(losses)})
    for text in (None, "h*"):
        if text is not None:
            ask(page, "across", text)
        found = page.evaluate(
            "() => explorer.tape.edges.map(e => [e.consumer, e.slot, explorer.flow()[e.id]])"
            ".filter(([, , share]) => !Number.isNaN(share))"
        )
        wanted = trace.flow(None if text is None else tg.across(text)).shares
        assert {(index[c], slot) for c, slot, _ in found} == set(wanted)
        for c, slot, share in found:
            assert share == pytest.approx(wanted[index[c], slot], rel=1e-9, abs=1e-12)


READY = {name: getattr(tg, name) for name in ("along", "across", "through", "avoiding", "tbptt", "chunks")}


@pytest.mark.parametrize("name", CELLS)
def test_any_route_is_answered_or_refused_as_the_library_does(watched, tmp_path, name):
    losses, cell = losses_of(CELLS[name])
    tg.explore(losses, tmp_path / "page.html", to=cell.weight_hh)
    page = watched.open(tmp_path / "page.html")
    trace = tg.trace_gradient(losses, to=cell.weight_hh)
    names = {"rnn": ["h"], "lstm": list("chifgo"), "gru": list("hrzn")}[name]
    answered = refused = 0
    for kind, text in routes(random.Random(name), [*names, "q"], 120):
        found = json.loads(ask(page, kind or "across", text))
        try:
            wanted = trace.on(eval(text, READY.copy()) if kind is None else READY[kind](text))
        except ValueError:
            wanted = None
        assert ("error" in found) == (wanted is None), (kind, text, found)
        if wanted is None:
            refused += 1
            continue
        assert found.get("connected") == wanted.connected, (kind, text, found)
        assert found["share"] == pytest.approx(wanted.share, rel=1e-9, abs=1e-12), (kind, text)
        assert found["norm"] == pytest.approx(wanted.norm, rel=1e-9, abs=1e-15), (kind, text)
        answered += 1
    assert min(answered, refused) > 20


def test_a_truncation_counts_steps_and_not_crossings(watched, tmp_path):
    """A connection over three steps takes three of them."""
    _, weight, losses = skipping()
    tg.explore(losses[-1], tmp_path / "page.html", to=weight)
    page = watched.open(tmp_path / "page.html")
    trace = tg.trace_gradient(losses[-1], to=weight)
    for text in [*(f"tbptt({k})" for k in range(STEPS)), 'tbptt(4) & ~across("h h")', '~(tbptt(2) | across("h"))']:
        found, wanted = json.loads(ask(page, "across", text)), trace.on(eval(text, READY.copy()))
        assert (found["connected"], found["share"]) == (wanted.connected, pytest.approx(wanted.share, rel=1e-9)), text
    assert "up to 500" in json.loads(ask(page, "across", "tbptt(501)"))["error"]
    with pytest.raises(ValueError, match="at most 500"):
        tg.tbptt(501)


UNREADABLE = [
    "c* )",
    "(c",
    "c{5,2}",
    "c{2",
    "c[",
    "c $ d",
    "h/",
    "c^",
    "'c",
    "'it''s",
    "a/'c",
    "across('c*') & across('(c')",
]


def test_a_route_that_cannot_be_read_is_pointed_at_where_the_library_points(lstm_page):
    for text in UNREADABLE:
        found = json.loads(ask(lstm_page, "across", text))
        inner = text if "across" not in text else "(c"
        with pytest.raises(tg.RouteError) as error:
            tg.across(inner)
        problem, _, pointer = str(error.value).split("\n")
        assert found["error"] == problem.rstrip(":")
        assert found["at"] == len(pointer) - 1 - 4 + text.rindex(inner)
        assert lstm_page.locator("#answer .problem").first.inner_text() == found["error"]


def test_a_letter_that_stands_for_nothing_is_an_error_that_says_what_there_is(lstm_page):
    for text, says in {
        ".* q .*": "no landmark called «q» lies on a path. There are: c, f, g, h, i, o",
        "nowhere/f .*": "no «f» is in a scope «nowhere». There are: forget",
        "h[5] .*": "«h» is at steps 0 to 4, none of which is asked for",
    }.items():
        assert json.loads(ask(lstm_page, "along", text))["error"] == says
        assert lstm_page.locator("#answer .problem").first.inner_text() == says


def test_nothing_crosses_time_where_there_are_no_steps(watched, tmp_path):
    x = tg.Tensor([0.5, -1.0], requires_grad=True, name="x")
    tg.explore((x.tanh().named("y") * x).sum(), tmp_path / "page.html")
    page = watched.open(tmp_path / "page.html")
    assert "nothing crosses time" in json.loads(ask(page, "across", "y*"))["error"]
    assert json.loads(ask(page, "along", "y"))["connected"]


# Steps and clicks ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lstm_html(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "explore.html"
    losses, _ = losses_of(CELLS["lstm"])
    tg.explore(losses, path)
    return path


@pytest.fixture
def lstm_page(watched, lstm_html):
    return watched.open(lstm_html)


def state_of(page):
    """Everything that the graph shows."""
    return page.evaluate("() => [explorer.position(), document.getElementById('moment').textContent,"
                         " document.querySelector('#graph .nodes').outerHTML,"
                         " document.querySelector('#graph .edges').outerHTML,"
                         " document.querySelector('#graph .words').outerHTML]")  # fmt: skip


def test_it_steps_by_mouse_and_by_keyboard_and_back_is_where_it_was(lstm_page):
    last = lstm_page.evaluate("explorer.timeline.events.length")
    assert lstm_page.evaluate("explorer.position()") == last
    lstm_page.uncheck("#follow")
    lstm_page.click("#first")
    start = state_of(lstm_page)
    assert start[0] == 0
    seen = [start]
    for act in (lambda: lstm_page.click("#next"), lambda: lstm_page.keyboard.press("n")) * 3:
        act()
        seen.append(state_of(lstm_page))
    assert [state[0] for state in seen] == list(range(7))
    assert all(a[2:] != b[2:] for a, b in pairwise(seen))
    for act, wanted in zip(
        (lambda: lstm_page.click("#back"), lambda: lstm_page.keyboard.press("b")) * 3, seen[-2::-1], strict=True
    ):
        act()
        assert state_of(lstm_page) == wanted
    lstm_page.keyboard.press("End")
    assert lstm_page.evaluate("explorer.position()") == last
    lstm_page.keyboard.press(",")
    assert last - 40 < lstm_page.evaluate("explorer.position()") < last
    lstm_page.keyboard.press(".")
    assert lstm_page.evaluate("explorer.position()") == last


@pytest.mark.parametrize("name", CELLS)
def test_at_every_moment_the_same_tensors_hold_the_gradient_as_in_the_debugger(watched, tmp_path, name):
    losses, cell = losses_of(CELLS[name])
    tg.explore(losses, tmp_path / "page.html", to=cell.weight_hh)
    page = watched.open(tmp_path / "page.html")
    index = sorted({t.index for t in ancestors(losses)})
    by_index = {t.index: t for t in ancestors(losses)}
    state = next(i for i in index if by_index[i].name == "h" and by_index[i].place.step == 2)
    for source in (cell.weight_hh.index, state, losses[-1].index):  # a leaf, an interior tensor, a loss
        page.evaluate("at => explorer.setSource(at)", index.index(source))
        dbg = tg.Debugger(losses, to=by_index[source])
        for position in range(dbg.timeline.forward_end, len(dbg) + 1, 5):
            found = page.evaluate("k => explorer.frontier(k)", position)
            wanted = dict(dbg.shares.frontier(position))
            assert {index[at] for at, _ in found} == set(wanted), position
            for at, share in found:
                assert share == pytest.approx(wanted[index[at]], rel=1e-9, abs=1e-12), position


def test_a_moment_tells_the_rule_with_numbers_what_was_added_to_what_and_who_holds_the_gradient(lstm_page):
    losses, _ = losses_of(CELLS["lstm"])
    dbg = tg.Debugger(losses)
    stop = dbg.run_until("c[2] and backward and tanh")
    lstm_page.evaluate("k => explorer.goto(k)", dbg.position)
    details = lstm_page.locator("#details").inner_text()
    for text in (stop.rule, stop.numbers, "dy/dx = 1 - y * y", "y = tanh(x)", "part 2 of 2 of the gradient of c"):
        assert text in details
    assert "Held now, 100.00% of the gradient of weight_hh together" in details
    rows = [
        tuple(map(float, row.split())) for row in lstm_page.locator("#details dl:last-of-type pre").all_inner_texts()
    ]
    for row, array in zip(rows, (stop.before, stop.total), strict=True):
        assert row == pytest.approx(array, rel=1e-3)
    holding = lstm_page.locator("#graph .node.holds").count()
    assert holding >= len([1 for _, share in dbg.shares.frontier(dbg.position) if share])
    lstm_page.keyboard.press("End")
    until_drawn(lstm_page, ".node.holds", "== 0")


@pytest.mark.parametrize("width", [1920, 1280, 390])
def test_nothing_is_wider_than_the_window_or_its_panel(watched, lstm_html, width):
    page = watched.open(lstm_html)
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate("explorer.tape.edges.forEach(e => explorer.selectEdge(e.id))")
    cut = page.evaluate(
        """() => explorer.tape.nodes.concat(explorer.tape.edges).flatMap((one) => {
          one.consumer === undefined ? explorer.selectNode(one.at) : explorer.selectEdge(one.id);
          return [...document.querySelectorAll('#details pre')].filter((pre) => pre.scrollWidth > pre.clientWidth + 1)
            .map((pre) => pre.textContent);
        })"""
    )
    assert cut == []


def test_it_plays_to_the_end_and_stops(lstm_page):
    lstm_page.evaluate("explorer.goto(explorer.timeline.events.length - 50)")
    lstm_page.select_option("#speed", "100")
    lstm_page.focus("#graph")
    lstm_page.keyboard.press("Space")
    until(lstm_page, "explorer.position() === explorer.timeline.events.length", 20.0)
    until(lstm_page, "document.getElementById('play').getAttribute('aria-pressed') === 'false'")


def test_before_gradient_arrives_a_tensor_shows_none_and_not_0(lstm_page):
    lstm_page.evaluate("explorer.picture.zoomAt(4)")
    texts = (
        "() => [...document.querySelectorAll('#graph .node text')].map(t => t.textContent).filter(t => /grad/.test(t))"
    )
    until(lstm_page, f"({texts})().length > 5")
    lstm_page.evaluate("explorer.goto(explorer.timeline.forward)")
    assert set(lstm_page.evaluate(texts)) == {"grad –"}
    lstm_page.evaluate("explorer.goto(explorer.timeline.events.length)")
    shown = lstm_page.evaluate(texts)
    assert sum(text.startswith("|grad| ") for text in shown) > 5


def test_at_the_beginning_the_picture_is_seen_from_top_to_bottom(lstm_page):
    """Whatever room the words above it take, which are only there once the gradient is computed."""
    until_drawn(lstm_page, ".node", "> 20")
    low, high = lstm_page.evaluate(
        "() => { const frame = document.getElementById('graph').getBoundingClientRect();"
        " const at = [...document.querySelectorAll('#graph .node')].map(n => n.getBoundingClientRect());"
        " return [Math.max(...at.map(r => r.bottom)) - frame.bottom, Math.min(...at.map(r => r.top)) - frame.top]; }"
    )
    assert low < 0 < high


def test_a_click_on_a_node_or_an_edge_shows_its_rule_and_numbers(lstm_page):
    node = lstm_page.locator("#graph .node.landmark").last  # in a small window the page begins at the last steps
    node.click(force=True)
    details = lstm_page.locator("#details").inner_text()
    assert "operation" in details
    assert "|gradient|" in details
    until_drawn(lstm_page, ".node.selected", "== 1")
    edge = lstm_page.evaluate("explorer.tape.edges.find(e => explorer.tape.nodes[e.consumer].op === 'tanh').id")
    lstm_page.evaluate("id => explorer.selectEdge(id)", edge)
    details = lstm_page.locator("#details").inner_text()
    assert "dx = dy * (1 - y * y)" in details
    assert "it adds" in details
    lstm_page.keyboard.press("Escape")
    until_drawn(lstm_page, ".selected", "== 0")


def test_what_an_edge_is_said_to_add_is_its_contribution(watched, tmp_path):
    x = tg.Tensor([0.5, -1.0, 2.0], requires_grad=True, name="x")
    loss = (x.tanh() * tg.Tensor([1.0, 2.0, 3.0])).sum()
    tg.explore(loss, tmp_path / "page.html")
    page = watched.open(tmp_path / "page.html")
    page.evaluate(
        "explorer.selectEdge(explorer.tape.edges.find(e => explorer.tape.nodes[e.consumer].op === 'tanh').id)"
    )
    added = [float(word) for word in page.locator("#details pre").last.inner_text().split()]
    assert added == pytest.approx(tg.grad(loss, x), rel=1e-3)


def test_with_the_graph_in_focus_the_arrow_keys_walk_along_its_edges(lstm_page):
    lstm_page.focus("#graph")
    lstm_page.keyboard.press("ArrowLeft")
    assert "Selected: step 0, readout: loss" in lstm_page.locator("#spoken").inner_text()
    for _ in range(4):  # sum, slice, log_softmax
        lstm_page.keyboard.press("ArrowLeft")
    assert "linear" in lstm_page.locator("#spoken").inner_text()
    lstm_page.keyboard.press("ArrowRight")
    assert "log_softmax" in lstm_page.locator("#spoken").inner_text()


def test_a_cell_of_the_ledger_lights_its_paths_up_and_escape_puts_them_out(lstm_page):
    until(lstm_page, "explorer.ledger.table()?.done === 5")
    lstm_page.focus("#ledger")
    for key in ("ArrowUp", "ArrowLeft", "ArrowLeft", "Enter"):
        lstm_page.keyboard.press(key)
    row, column = lstm_page.evaluate(
        "(() => { const t = explorer.ledger.table(); return [t.rows - 2, t.columns - 3]; })()"
    )
    said = lstm_page.locator("#cell").inner_text()
    assert f"the loss at step {row}" in said
    lit = lstm_page.evaluate("explorer.light().share")
    share = lstm_page.evaluate(
        "([r, c]) => explorer.ledger.table().shares[r * explorer.ledger.table().columns + c]", [row, column]
    )
    assert lit == pytest.approx(share, rel=1e-12)
    until_drawn(lstm_page, ".node.dim", "> 10")
    assert lstm_page.locator("#clear").is_visible()
    lstm_page.keyboard.press("Escape")
    until_drawn(lstm_page, ".node.dim", "== 0")


SEEN = """() => {
  const frame = document.getElementById('graph').getBoundingClientRect();
  return [...document.querySelectorAll('#graph .node:not(.dim)')].filter((node) => {
    const at = node.getBoundingClientRect();
    return at.left >= frame.left && at.right <= frame.right && at.top < frame.bottom && at.bottom > frame.top;
  }).map((node) => explorer.tape.nodes[explorer.picture.nodes[node.dataset.node].at])
    .map((node) => `${node.name ?? node.op} ${node.step}`);
}"""


def test_after_a_route_a_cell_of_the_ledger_is_what_is_lit_told_and_shown(watched, tmp_path):
    losses, _ = losses_of(CELLS["lstm"], steps=20)
    tg.explore(losses[-1], tmp_path / "page.html")
    page = watched.open(tmp_path / "page.html")
    page.fill("#route", "c*")
    page.press("#route", "Enter")
    until(page, "explorer.ledger.table()?.done === 1")
    page.evaluate("explorer.ledger.take([0, explorer.ledger.table().steps.indexOf(4)])")
    label = "from the loss at step 19 to the use at step 4"
    share = page.locator("#answer .share").inner_text()
    assert share in page.locator("#cell").inner_text()
    assert page.locator("#lit").inner_text().startswith(f"Lit: {label} — {share} of")
    assert page.locator("#answer p").first.inner_text() == label
    assert page.input_value("#route") == ""
    until(page, f"({SEEN})().includes('linear 4')")
    page.fill("#route", "h*")
    page.press("#route", "Enter")
    assert page.locator("#answer p").first.inner_text() == 'across("h*")'
    assert page.locator("#lit").inner_text().startswith('Lit: across("h*") — ')
    assert page.locator("#cell").inner_text() == ""


def test_a_route_that_cannot_be_read_leaves_none_lit(lstm_page):
    ask(lstm_page, "across", "h*")
    assert "error" in json.loads(ask(lstm_page, "across", "(c"))
    assert lstm_page.evaluate("explorer.light()") is None
    assert lstm_page.locator("#lit").inner_text().startswith("Width and number of an edge")
    until_drawn(lstm_page, ".node.dim", "== 0")


def test_a_parameter_is_lit_only_where_a_lit_path_uses_it(lstm_page):
    lstm_page.evaluate("explorer.picture.center(explorer.picture.width / 2, 800, 0.12)")
    until(lstm_page, "explorer.ledger.table()?.done === 5")
    lstm_page.evaluate("explorer.ledger.take([2, 2])")
    until(
        lstm_page,
        "document.querySelectorAll('#graph .node.source').length === 5"
        " && document.querySelectorAll('#graph .node.source:not(.dim)').length === 1",
    )


def test_an_empty_route_says_what_it_means(lstm_page):
    for kind, meaning in {
        "across": "the paths that never cross to another step",
        "along": "the paths that meet no name on their way",
    }.items():
        ask(lstm_page, kind, "")
        assert lstm_page.locator("#answer p").first.inner_text() == f'{kind}(""), the empty route: {meaning}'


def test_what_happens_now_is_never_dimmed_by_a_route(lstm_page):
    ask(lstm_page, "along", "(i | g) c+ h")
    for at in lstm_page.evaluate("explorer.timeline.events.map((_, k) => k + 1).filter((k) => k % 7 === 0)"):
        lstm_page.evaluate("at => explorer.goto(at)", at)
        faint = "getComputedStyle(one).opacity !== '1'"
        now = "[...document.querySelectorAll('#graph .node.now, #graph .edge.now, #graph .edge.fed')]"
        assert lstm_page.evaluate(f"{now}.filter((one) => {faint}).length") == 0, at
        assert lstm_page.evaluate(f"{now}.length"), at


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_line_runs_through_the_number_of_an_edge(browser, lstm_html, scheme):
    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    page.goto(lstm_html.as_uri())
    until_drawn(page, ".flow", "> 5")
    found = page.evaluate(
        """() => [...document.querySelectorAll('#graph .flow')].map((text) => {
          const style = getComputedStyle(text);
          const [size, halo] = [parseFloat(style.fontSize), parseFloat(style.strokeWidth)];
          return [style.paintOrder, style.stroke, halo / size];
        })"""
    )
    ground = page.evaluate("getComputedStyle(document.querySelector('#graph .box rect')).fill")
    context.close()
    for order, colour, halo in found:  # letters are about 0.3 of their size apart, with what is open in them
        assert (order, colour) == ("stroke", ground)
        assert halo >= 0.4


def test_from_further_away_names_of_a_kind_have_nearly_one_size_and_stay_in_their_boxes(watched, tmp_path):
    x = tg.Tensor(np.ones((2, 3)), requires_grad=True, name="averyveryveryverylongname" * 3)
    y = tg.Tensor(np.ones((2, 3)), name="y")
    z = tg.concatenate([x, y]).tanh().named("hiddenState") * 2.0
    loss = nn.cross_entropy(z.named("z"), np.array([0, 1, 2, 0])).named("loss")
    tg.explore(loss, tmp_path / "page.html")
    page = watched.open(tmp_path / "page.html")
    page.evaluate("explorer.picture.center(explorer.picture.width / 2, 300, 0.2)")
    until(page, "document.getElementById('graph').dataset.level === 'middle'")
    found = page.evaluate(
        """() => [...document.querySelectorAll('#graph .node')].map((group) => {
          const { w, h, shape } = explorer.picture.nodes[group.dataset.node];
          const lines = [...group.querySelectorAll('.brief')];
          const size = parseFloat(lines[0].getAttribute('font-size'));
          const wide = Math.max(...lines.map((line) => line.getBBox().width));
          return { shape, size, fits: wide <= w && 1.1 * size * lines.length <= h,
                   text: lines.map((line) => line.textContent), title: group.querySelector('title')?.textContent };
        })"""
    )
    assert all(one["fits"] for one in found), found
    for shape in {one["shape"] for one in found}:
        sizes = [one["size"] for one in found if one["shape"] == shape]
        assert min(sizes) >= 0.7 * max(sizes), shape
    texts = [one["text"] for one in found]
    assert ["concat-", "enate"] in texts
    assert ["hidden", "State"] in texts
    long = next(one for one in found if one["shape"] == "leaf")
    assert long["text"][0].endswith("…")
    assert long["title"].startswith(x.name[:48])


def test_search_finds_by_name_and_step_and_goes_there(lstm_page):
    lstm_page.keyboard.press("/")
    lstm_page.keyboard.type("h step 3")
    assert [text.split(": ")[-1] for text in lstm_page.locator("#results button").all_inner_texts()] == ["h"]
    lstm_page.keyboard.press("Enter")
    assert "step 3" in lstm_page.locator("#spoken").inner_text()
    until_drawn(lstm_page, ".node.selected", "== 1")


def test_search_ranks_what_is_called_exactly_so_before_what_has_the_word_in_it(lstm_page):
    def found(text):
        lstm_page.fill("#search", text)
        return lstm_page.evaluate("explorer.search().map((at) => explorer.tape.nodes[at])")

    everywhere = [node.get("name") for node in found("h")]
    assert everywhere[:5] == ["h"] * 5
    assert "h" not in everywhere[5:]
    assert len(everywhere) > 10
    assert [node.get("name") for node in found("step 3 c")] == ["c"]
    assert [node.get("name") for node in found("forget sigmoid 3")] == ["f"]
    assert {node["op"] for node in found("sigmoid step3")} == {"sigmoid"}
    assert {node["op"] for node in found("sigm step 3")} == {"sigmoid"}


def test_letters_typed_into_a_field_are_no_commands(lstm_page):
    before = lstm_page.evaluate("explorer.position()")
    lstm_page.focus("#route")
    lstm_page.keyboard.type("b n b b ?")
    assert lstm_page.evaluate("explorer.position()") == before
    assert not lstm_page.evaluate("document.getElementById('help-text').open")


def test_everything_that_can_be_used_has_a_name_for_screen_readers(lstm_page):
    unnamed = lstm_page.evaluate(
        "() => [...document.querySelectorAll('button, input, select, canvas, svg[tabindex], dialog')].filter(e =>"
        " !(e.textContent.trim() || e.ariaLabel || e.getAttribute('aria-labelledby') || e.labels?.length))"
        ".map(e => e.outerHTML)"
    )
    assert unnamed == []


CONTRAST = """() => {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => {
    const h = style.getPropertyValue(name).trim();
    const [r, g, b] = [1, 3, 5].map((k) => parseInt(h.slice(k, k + 2), 16) / 255)
      .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => { const [x, y] = [of(a), of(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  const kinds = ["landmark", "operation", "parameter", "leaf", "constant", "output"];
  const text = [["--ink", "--page"], ["--ink", "--panel"], ["--muted", "--page"], ["--muted", "--panel"],
    ["--accent", "--panel"], ["--positive", "--step"], ["--negative", "--step"], ["--negative", "--panel"],
    ...kinds.map((n) => ["--ink", "--" + n])];
  const lines = [["--wire", "--step"], ...kinds.map((n) => [`--${n}-line`, "--step"])];
  const all = [...text.map((p) => [p, ratio(...p), 4.5]), ...lines.map((p) => [p, ratio(...p), 3])];
  return all.filter(([, r, least]) => r < least);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_lines_stand_out_from_what_is_behind_them(browser, lstm_html, scheme):
    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    page.goto(lstm_html.as_uri())
    assert page.evaluate(CONTRAST) == []
    context.close()


def test_a_hundred_steps_are_shown_a_few_at_a_time_and_answer_at_once(watched, tmp_path):
    losses, _ = losses_of(CELLS["lstm"], steps=100, hidden=32)
    tg.explore(losses[-1], tmp_path / "page.html")
    page = watched.open(tmp_path / "page.html")
    assert page.evaluate("explorer.picture.count()") < 5000
    milliseconds = page.evaluate(
        "() => { const t = performance.now(); for (let k = 0; k < 50; k++) explorer.goto(60 * k);"
        " return (performance.now() - t) / 50; }"
    )
    assert milliseconds < 50
    page.evaluate("explorer.picture.zoomAt(0.01)")
    until(page, "document.getElementById('graph').dataset.level === 'far'")
    assert page.evaluate("explorer.picture.count()") < 5000


def resize(page, width, height):
    page.set_viewport_size({"width": width, "height": height})
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))")


def fitted(page):
    page.click("#fit")
    return page.evaluate("(({ view, width }) => ({ ...view, all: width * view.scale }))(explorer.picture)")


def test_fit_shows_a_short_graph_whole(watched, tmp_path):
    tg.explore(samples.rnn(steps=3), tmp_path / "page.html")
    page = watched.open(tmp_path / "page.html")
    resize(page, 1280, 800)
    page.evaluate("explorer.picture.center(0, 0, 2)")
    short = fitted(page)
    assert short["x"] >= 0
    assert short["x"] + short["all"] <= short["width"]


def test_fit_fills_the_height_where_the_whole_could_not_be_read(watched, lstm_html):
    page = watched.open(lstm_html)
    resize(page, 1400, 900)
    view = fitted(page)
    assert view["all"] > view["width"]
    assert view["y"] == pytest.approx(12)


def test_fit_shows_of_a_long_graph_the_height_where_one_is(watched, tmp_path):
    losses, _ = losses_of(CELLS["lstm"], steps=100)
    tg.explore(losses[-1], tmp_path / "page.html")
    page = watched.open(tmp_path / "page.html")
    end = fitted(page)
    assert end["x"] + end["all"] == pytest.approx(end["width"] - 12)  # it begins at the loss
    assert end["all"] > 10 * end["width"]
    page.evaluate("explorer.picture.center(explorer.picture.width / 2, 0, 0.02)")
    middle = fitted(page)
    assert middle["scale"] == end["scale"]
    assert (middle["width"] / 2 - middle["x"]) / middle["all"] == pytest.approx(0.5, abs=0.01)
    page.evaluate("explorer.picture.center(0, 0)")
    assert fitted(page)["x"] == pytest.approx(12)


def test_a_leaf_without_a_name_is_no_constant_and_a_search_without_a_hit_says_so(watched, tmp_path):
    w, x = tg.Tensor([1.0, 2.0], requires_grad=True), tg.Tensor([3.0, 4.0])
    tg.explore((w * x).sum(), tmp_path / "page.html")
    page = watched.open(tmp_path / "page.html")
    assert page.locator("#source option").first.inner_text().startswith("unnamed leaf")
    assert sorted(page.locator("#graph .leaf .brief, #graph .constant .brief").all_text_contents()) == [
        "constant",
        "leaf",
    ]
    assert not page.locator("#search-panel").is_visible()
    page.fill("#search", "nowhere")
    assert page.locator("#found").is_visible()
    assert page.locator("#found").inner_text().startswith("Nothing is called “nowhere”: search for a name")


def test_printing_shows_the_graph_and_the_numbers_but_no_controls(lstm_page):
    lstm_page.emulate_media(media="print", color_scheme="dark")
    assert lstm_page.locator("#graph").is_visible()
    assert not lstm_page.locator(".transport").is_visible()
    assert not lstm_page.locator(".tools").is_visible()
    assert lstm_page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_on_paper_is_what_was_on_the_screen(lstm_page):
    before = lstm_page.locator("#graph .node").count()
    lstm_page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    lstm_page.emulate_media(media="print")
    resize(lstm_page, 1000, 700)
    until_drawn(lstm_page, ".node", f"== {before}")
    paper, loss = (lstm_page.locator(at).last.bounding_box() for at in ("#graph", "#graph .node.output"))
    assert paper["x"] <= loss["x"]
    assert loss["x"] + loss["width"] <= paper["x"] + paper["width"]


def test_inside_the_frame_of_a_notebook_it_runs(browser, tmp_path):
    losses, _ = losses_of(CELLS["rnn"], steps=3)
    (tmp_path / "notebook.html").write_text(f"<!doctype html><meta charset=utf-8>{tg.explore(losses)._repr_html_()}")
    context = browser.new_context()
    page = context.new_page()
    problems = []
    page.on("console", lambda m: problems.append(m.text))
    page.on("pageerror", lambda e: problems.append(str(e)))
    page.goto((tmp_path / "notebook.html").as_uri())
    frame = page.frames[1]
    until(frame, "explorer.ledger.table().done === 3")
    until_drawn(frame, ".node", "> 10")
    assert problems == []
    context.close()


def test_what_is_too_large_for_the_page_is_said_with_the_line_to_ask_instead(watched, tmp_path):
    x = tg.Tensor(np.ones((200, 200)), requires_grad=True, name="x")
    tg.explore((x.cumsum(axis=0) ** 2).sum(), tmp_path / "page.html")
    page = watched.open(tmp_path / "page.html")
    assert "trace_gradient" in page.locator("#route-missing").inner_text()
    assert not page.locator("#route-form").is_visible()


def test_any_graph_is_shown_with_the_shares_of_the_library(watched, tmp_path):
    """Two layers, both directions, skips, attention, an embedding, no names, a window with gaps."""
    for name, make in samples.ALL.items():
        made = make()
        outputs = made if isinstance(made, list) else [made]
        losses = [y if y.size == 1 else (y * y).sum() for y in outputs]
        tg.explore(losses, tmp_path / f"{name}.html")
        page = watched.open(tmp_path / f"{name}.html")
        nodes = ancestors(losses)
        source = nodes[page.evaluate("Number(document.getElementById('source').value)")]
        wanted = tg.trace_gradient(losses, to=source).flow().shares
        found = page.evaluate(
            "() => explorer.tape.edges.map(e => [e.consumer, e.slot, explorer.flow()[e.id]])"
            ".filter(([, , share]) => !Number.isNaN(share))"
        )
        assert {(nodes[c].index, slot) for c, slot, _ in found} == set(wanted), name
        for c, slot, share in found:
            assert share == pytest.approx(wanted[nodes[c].index, slot], rel=1e-9, abs=1e-12), name
        page.evaluate("for (let k = 0; k <= explorer.timeline.events.length; k += 7) explorer.goto(k)")
        until_drawn(page, ".node", "> 3")
    watched.requests = watched.requests[:1]  # one file each: all of them were opened from here


def odd_losses():
    x = tg.Tensor([1.0, -2.0], requires_grad=True, name="x")
    yield "a leaf", tg.Tensor(2.0, requires_grad=True, name="x")
    yield "exactly zero", (x * 0.0).sum()
    yield "nan", (x - 3.0).sqrt().sum()
    yield "inf", (x * 1e308 * 10.0).sum()
    yield "float32", (tg.Tensor(np.ones(3, np.float32), requires_grad=True) ** 2).sum()
    yield "tiny", (x * 1e-170).sum() * 1e-130
    yield "no steps", (x.tanh() * x).sum()
    yield "empty", (tg.Tensor(np.zeros((0, 3)), requires_grad=True, name="none") * 2.0).sum() + x.sum()


def test_odd_losses_are_shown_too(watched, tmp_path):
    said = {}
    with np.errstate(all="ignore"):
        for name, loss in odd_losses():
            tg.explore(loss, tmp_path / "page.html")
            page = watched.open(tmp_path / "page.html")
            page.click("#first")
            for _ in range(4):
                page.keyboard.press("n")
            page.keyboard.press("End")
            page.evaluate("explorer.tape.nodes.forEach(n => explorer.selectNode(n.at))")
            said[name] = page.locator("#lit").inner_text()
    watched.requests = watched.requests[:1]
    assert "is exactly 0, so there are no shares" in said["exactly zero"]
    assert "norm 1.41e-300" in said["tiny"]
    assert "is not finite (NaN), so there are no shares" in said["nan"]
    assert all("no shares" not in said[name] for name in ("a leaf", "float32", "tiny", "no steps"))
