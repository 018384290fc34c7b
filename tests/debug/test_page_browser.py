"""The page, opened in a real browser: it steps, answers as the library does, and lets no text become a script."""

import json

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.debug.models import CELLS, losses_of

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
    page.wait_for_function("explorer.ledger.table()?.done === explorer.ledger.table()?.rows")
    found = page.evaluate(
        "() => { const t = explorer.ledger.table(); return {steps: t.steps, losses: t.lossSteps, "
        "shares: [...t.shares], norms: [...t.norms], connected: [...t.connected]}; }"
    )
    ledger = tg.trace_gradient(losses, to=cell.weight_hh).ledger()
    assert (found["steps"], found["losses"]) == (list(ledger.steps), list(ledger.loss_steps))
    np.testing.assert_allclose(found["shares"], ledger.shares.ravel(), rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(found["norms"], ledger.norms.ravel(), rtol=1e-9, atol=1e-14)
    assert list(map(bool, found["connected"])) == ledger.connected.ravel().tolist()
