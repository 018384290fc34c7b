"""No text of the user becomes a script: 200 payloads in every place where a text of the user can stand.

Each payload would count up `window.ran`. The page is opened with its policy and without it, and everything on it that
shows a text is made to show every one of them. Positive controls: in a careless page the payloads do run.
"""

import json
import re

import pytest

import tinygrad_rnn as tg
from tests.debug.conftest import Watched
from tests.debug.hostile import payloads
from tinygrad_rnn.graph import visible

pytestmark = pytest.mark.browser
PAYLOADS = payloads()


@pytest.fixture(scope="module")
def page_html():
    """Every payload as the name of a leaf, of a weight, of a state and of a loss, and as a scope."""
    w = tg.Tensor(0.5, requires_grad=True, name=PAYLOADS[0])
    losses = []
    for t, text in tg.steps(PAYLOADS):
        with tg.scope(text):
            x = tg.Tensor(0.1, requires_grad=True, name=text)
            h = (x * w + (losses[-1] if losses else 0.0)).tanh().named(text)
            losses.append((h * h).named(text[::-1] if t % 2 else text))
    return tg.explore(losses).html


def exercised(page):
    """Show everything everywhere; returns what the page shows for each tensor."""
    return page.evaluate(
        """(texts) => {
        const e = explorer, get = (id) => document.getElementById(id);
        const shown = [];
        for (const node of e.tape.nodes.filter((one) => one.name !== undefined)) {
          e.selectNode(node.at);
          shown.push([node.name ?? null, get('details').querySelector('h3').textContent]);
          get('details').querySelectorAll('button').length;
        }
        for (const edge of e.tape.edges) if (edge.id % 3 === 0) e.selectEdge(edge.id);
        for (let k = 0; k <= e.timeline.events.length; k += 29) e.goto(k);
        e.picture.zoomAt(0.001);
        e.picture.zoomAt(1000);
        for (const text of texts) {
          get('search').value = text;
          e.search();
          const routes = [['along', text], ['across', text], ['along', `'${text}'`], ['across', `across("${text}")`]];
          for (const [kind, route] of routes) {
            get('kind').value = kind;
            get('route').value = route;
            try { e.showRoute(); } catch (error) { shown.push(['error', String(error)]); }
          }
        }
        e.clear();
        for (const option of get('source').options) {
          if (option.index % 20 === 0) e.setSource(Number(option.value));
        }
        get('ledger').focus();
        return shown;
      }""",
        PAYLOADS,
    )


def test_there_are_200_payloads():
    assert len(set(PAYLOADS)) == 200


@pytest.mark.parametrize("policy", ["with its policy", "without any policy"])
def test_no_payload_runs_and_every_text_is_shown_as_it_is(browser, tmp_path, page_html, policy):
    if policy == "without any policy":
        page_html, count = re.subn(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page_html)
        assert count == 1
    (tmp_path / "page.html").write_text(page_html, "utf-8")
    watched = Watched(browser)
    page = watched.open(tmp_path / "page.html")
    shown = exercised(page)
    page.wait_for_timeout(200)  # what an image or a frame would start, comes later
    assert page.evaluate("window.ran ?? 0") == 0
    names = [(name, text) for name, text in shown if name is not None]
    assert len(names) >= 3 * len(PAYLOADS)
    for name, text in names:
        assert name != "error", text
        assert text == visible(name)
    assert {name for name, _ in names} >= set(PAYLOADS)
    elements = page.evaluate("[...new Set([...document.querySelectorAll('*')].map(e => e.localName))].sort()")
    assert not set(elements) & {"img", "iframe", "video", "object", "embed", "base", "math", "a", "template", "link"}
    assert page.evaluate("document.scripts.length") == 2
    watched.context.close()
    assert watched.problems == []
    assert watched.requests == [(tmp_path / "page.html").as_uri()]


def test_the_frame_of_a_notebook_lets_none_out(browser, tmp_path):
    text = "\"></iframe><script>window.ran=1</script>' <img src=x onerror=window.ran=1>"
    loss = (tg.Tensor(1.0, requires_grad=True, name=text) * 2.0).named(text)
    (tmp_path / "notebook.html").write_text(
        f"<!doctype html><meta charset=utf-8>{tg.explore(loss)._repr_html_()}", "utf-8"
    )
    watched = Watched(browser)
    page = watched.open(tmp_path / "notebook.html")
    page.wait_for_timeout(300)
    assert page.evaluate("window.ran ?? 0") == 0
    assert page.frames[1].evaluate("window.ran ?? 0") == 0
    assert page.evaluate("[document.querySelectorAll('iframe').length, document.scripts.length]") == [1, 0]
    watched.context.close()
    assert watched.problems == []


def test_positive_controls_in_a_careless_page_the_payloads_run_and_are_seen(browser, tmp_path):
    """Else the tests above would pass of themselves."""
    careless = {
        "template": lambda text: f"<!doctype html><meta charset=utf-8><p>{text}</p>",
        "script": lambda text: f"<!doctype html><meta charset=utf-8><script>const d = {json.dumps(text)};</script>",
        "inner": lambda text: (
            "<!doctype html><meta charset=utf-8><p id=p></p><script>document.getElementById('p')"
            f".innerHTML = {json.dumps(text).replace('<', chr(92) + 'u003c')};</script>"
        ),
    }
    ran = {}
    watched = Watched(browser)
    for kind, make in careless.items():
        ran[kind] = 0
        for k, text in enumerate(PAYLOADS[:60:12]):
            path = tmp_path / f"{kind}{k}.html"
            path.write_text(make(text), "utf-8", errors="replace")
            page = watched.open(path)
            page.wait_for_timeout(30)
            ran[kind] += bool(page.evaluate("window.ran ?? 0"))
    watched.context.close()
    assert all(count > 0 for count in ran.values()), ran
