"""Plots show the numbers of the trace, and say in words what is zero, missing, too small or not finite."""

import dataclasses
import itertools
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

import tinygrad_rnn as tg
from tests.graph import hostile
from tests.graph.pictures.test_accessible import SVG, text_chunks
from tests.graph.plots import plot_samples
from tinygrad_rnn.graph.plots import style as plot_style
from tinygrad_rnn.graph.plots.gates import FIXED, gates_of, looks_of
from tinygrad_rnn.graph.plots.jacobians import spread
from tinygrad_rnn.graph.plots.numbers import by_lag, table
from tinygrad_rnn.graph.plots.powers import power_ticks, written_powers


def texts(plot):
    """All that is written in a plot."""
    from matplotlib.text import Text

    return [text.get_text() for text in plot.figure.findobj(Text) if text.get_text()]


def heat_maps(plot):
    return [axes.images[0].get_array() for axes in plot.figure.axes if axes.images]


def curves(axes):
    return [line.get_ydata() for line in axes.get_lines() if len(line.get_ydata()) > 2]


EVERY = {
    "ledger": lambda **look: tg.plot_ledger(plot_samples.trace(), **look),
    "lags": lambda **look: tg.plot_lags({"RNN": plot_samples.trace(every=False)}, **look),
    "spectrum": lambda **look: tg.plot_spectrum(plot_samples.trace("LSTM").spectrum("h"), **look),
    "gates": lambda **look: tg.plot_gates(plot_samples.states("LSTM", 5)[1][-1][0], **look),
    "jacobians": lambda **look: tg.plot_jacobians(tg.state_jacobians(plot_samples.states("GRU", 6)[1]), **look),
}


@pytest.mark.parametrize("kind", EVERY)
def test_every_plot_is_drawn_light_and_dark_for_slide_and_paper_without_a_warning(kind, tmp_path):
    for theme, size in (("light", "paper"), ("dark", "slide")):
        plot = EVERY[kind](theme=theme, size=size)
        plot.save(tmp_path / "plot.png", dpi=30)
        wide = int.from_bytes((tmp_path / "plot.png").read_bytes()[16:20], "big")
        assert wide == pytest.approx(30 * plot_style.FORMATS[size].inches[0], abs=1)
        assert plot.figure.get_facecolor()[:3] == pytest.approx(
            [int(plot_style.THEMES[theme].paper[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        )


def test_a_plot_says_what_it_shows_in_its_files(tmp_path):
    plot = EVERY["ledger"]()
    png, svg, pdf = (plot.save(tmp_path / f"plot.{suffix}", dpi=30) for suffix in ("png", "svg", "pdf"))
    assert text_chunks(png.read_bytes()) == {"Title": plot.title, "Description": plot.alt_text}
    root = ElementTree.fromstring(svg.read_text(encoding="utf-8"))
    assert (root.get("role"), root[0].text, root[1].text) == ("img", plot.title, plot.alt_text)
    assert root[1].tag == f"{SVG}desc"
    assert pdf.read_bytes().startswith(b"%PDF-")
    assert plot._repr_mimebundle_()["text/plain"] == plot.alt_text
    assert plot._repr_png_().startswith(b"\x89PNG")


def test_no_global_setting_is_changed_and_none_shows():
    import matplotlib

    before = dict(matplotlib.rcParams)
    plain = EVERY["ledger"](size="paper").png(dpi=40)
    assert dict(matplotlib.rcParams) == before
    with matplotlib.rc_context({"font.size": 30, "text.color": "red", "axes.facecolor": "red", "axes.grid": True}):
        assert EVERY["ledger"](size="paper").png(dpi=40) == plain


def test_the_ledger_is_drawn_as_it_is():
    trace = plot_samples.trace("LSTM", steps=7)
    ledger = trace.ledger()
    shares, norms = heat_maps(tg.plot_ledger(trace))[:2]
    drawn = ~np.ma.getmaskarray(shares)
    assert np.array_equal(drawn, ledger.connected & (ledger.norms > 0))
    assert np.array_equal(shares[drawn].data, ledger.shares[drawn])
    assert np.allclose(10.0 ** norms[drawn].data, ledger.norms[drawn], rtol=1e-12)


def test_no_path_exactly_zero_and_small_are_told_apart_in_the_ledger():
    plot = tg.plot_ledger(plot_samples.trace("RNN", steps=6))
    written = "\n".join(texts(plot))
    assert "Hatched: no path" in written
    assert "Grey: a path exists and carries exactly 0" in written  # W_hh meets the initial state, which is 0
    zeros = plot.figure.axes[0].images[1].get_array()
    assert np.array_equal(~np.ma.getmaskarray(zeros)[:, 0], np.ones(6, bool))
    assert "6 of 36 cells are exactly 0. To 15 of 36 cells there is no path." in plot.alt_text


def test_the_largest_share_in_the_words_is_the_largest():
    trace = plot_samples.trace("GRU", steps=5)
    ledger, words = trace.ledger(), tg.plot_ledger(trace).alt_text
    row, column = np.unravel_index(np.abs(ledger.shares).argmax(), ledger.shares.shape)
    said = re.search(r"largest share, (-?[\d.]+)%, is that of step (\d+) in the loss at step (\d+)", words)
    assert (float(said[1]), int(said[2]), int(said[3])) == (round(100 * ledger.shares[row, column], 2), column, row)


def underflowing(every=False):
    return plot_samples.trace("RNN", steps=140, scale=0.002, every=every)


def test_what_underflowed_is_drawn_at_its_true_size_and_what_is_zero_is_not():
    trace = underflowing()
    numbers = by_lag(trace.ledger())
    exact = trace.log10_norms()
    assert numbers.underflowed.any()
    for lag, log10 in zip(numbers.lags, numbers.log10, strict=True):
        assert log10 == pytest.approx(exact[139 - lag], abs=1e-9)
    assert np.isneginf(numbers.log10[-1])  # the initial state is 0: exactly
    plot = tg.plot_lags(trace)
    drawn = curves(plot.figure.axes[1])[0]
    assert np.array_equal(drawn[:-1], numbers.log10[:-1])
    assert np.isnan(drawn[-1])
    assert "exactly 0 at lag 139" in plot.alt_text
    assert any("too small for a number" in text for text in texts(plot))


def test_a_ledger_of_some_elements_does_not_claim_to_know_which_zero_it_is():
    plot = tg.plot_lags(underflowing().ledger().at(0))
    assert "0 or underflowed at" in plot.alt_text
    assert "exactly 0 at" not in plot.alt_text
    assert any("the ledger of the whole source" in text for text in texts(plot))


def test_underflow_in_a_table_of_losses_is_found_by_loss():
    trace = underflowing(every=True)
    cells = table(trace.ledger())
    last = tg.trace_gradient(trace.paths.losses[-1], to=trace.paths.source).log10_norms()
    assert cells.underflowed[-1].any()
    assert not cells.underflowed[0].any()
    for column in np.flatnonzero(cells.underflowed[-1]):
        assert cells.log10[-1, column] == last[column]
    assert "underflowed: their norms are shown by logarithm" in tg.plot_ledger(trace).alt_text


def test_shares_and_norms_by_lag_are_those_of_the_ledger():
    traces = {kind: plot_samples.trace(kind, steps=8, every=False) for kind in ("RNN", "LSTM", "GRU")}
    plot = tg.plot_lags(traces)
    shares = curves(plot.figure.axes[0])
    for k, trace in enumerate(traces.values()):
        lags = trace.ledger().lags()
        assert np.array_equal(shares[2 * k], [lag.share for lag in lags])
        assert np.array_equal(shares[2 * k + 1], [lag.cumulative for lag in lags])
        assert np.allclose(10.0 ** curves(plot.figure.axes[1])[k][:-1], [lag.norm for lag in lags][:-1], rtol=1e-12)
    for kind, trace in traces.items():
        assert any(f"{kind}: 99 % within {trace.ledger().horizon()} step" in text for text in texts(plot))


def test_several_panels_stand_side_by_side_and_share_their_axes():
    one, other = plot_samples.trace("RNN", every=False), plot_samples.trace("LSTM", every=False)
    plot = tg.plot_lags({"before": {"RNN": one}, "after": {"RNN": one, "LSTM": other}})
    assert [axes.get_title(loc="left") for axes in plot.figure.axes] == ["before", "after", "", ""]
    assert plot.figure.axes[2].get_ylim() == plot.figure.axes[3].get_ylim()
    assert "before, RNN: " in plot.alt_text
    assert "after, LSTM: " in plot.alt_text


def test_bounds_are_drawn_as_given():
    plot = tg.plot_lags(plot_samples.trace(every=False), bounds={"(σγ)^lag": [1.0, 0.5, 0.25, 0.0]})
    bound = curves(plot.figure.axes[1])[0]
    assert np.allclose(bound[:3], np.log10([1.0, 0.5, 0.25]))
    assert np.isnan(bound[3])
    assert "(σγ)^lag" in plot.alt_text


def gradient_of(coefficient):
    """The trace of a loss whose gradient by w is `coefficient` times its three uses."""
    w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    h = tg.Tensor([1.0, 1.0])
    for _, x in tg.steps([1.0, 1.0, 1.0]):
        h = (h + w * x).named("h")
    return tg.trace_gradient((h * coefficient).sum(), to=w)


def test_a_gradient_of_zero_has_no_shares_and_the_plot_says_why():
    for plot in (
        tg.plot_ledger(gradient_of(0.0)),
        tg.plot_lags(gradient_of(0.0)),
        tg.plot_spectrum(gradient_of(0.0).spectrum("h")),
    ):
        assert "No shares: the gradient is exactly 0" in plot.alt_text
        assert any("No shares: the gradient is" in text for text in texts(plot))
        assert "%" not in plot.alt_text
        plot.png(dpi=20)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_gradient_that_is_not_finite_has_no_shares_and_the_plot_says_why(wrong):
    for plot in (tg.plot_ledger(gradient_of(wrong)), tg.plot_lags(gradient_of(wrong))):
        assert "No shares: the gradient is not finite" in plot.alt_text
        plot.png(dpi=20)


def test_the_spectrum_is_drawn_as_it_is_and_its_bars_are_its_sums():
    spectrum = plot_samples.trace("LSTM", steps=7, every=False).spectrum("h")
    plot = tg.plot_spectrum(spectrum)
    (drawn,) = [values for values in heat_maps(plot) if len(values) == len(spectrum.shares)]
    there, few = ~np.ma.getmaskarray(drawn), drawn.shape[1]
    assert np.array_equal(there, spectrum.norms[:, :few] > 0)
    assert np.array_equal(drawn[there].data, spectrum.shares[:, :few][there])
    above, left = plot.figure.axes[1], plot.figure.axes[2]
    assert np.allclose([bar.get_height() for bar in above.patches], spectrum.shares[:, :few].sum(axis=0), rtol=1e-12)
    assert np.allclose([bar.get_width() for bar in left.patches], spectrum.shares.sum(axis=1), rtol=1e-12)


def test_a_legend_hides_nothing_and_a_spectrum_has_no_empty_columns():
    long = {kind: plot_samples.trace(kind, steps=30, every=False) for kind in ("RNN", "LSTM", "GRU")}
    three = {kind: tg.state_jacobians(plot_samples.states(kind, 30)[1]) for kind in long}
    for size in ("slide", "paper"):
        for plot in (
            tg.plot_lags(long, bounds={"bound": np.ones(30)}, size=size),
            tg.plot_lags({"before": long, "after": long}, bounds={"bound": np.ones(30)}, size=size),
            tg.plot_jacobians(three, size=size),
            tg.plot_jacobians(three["RNN"], w=np.eye(4), size=size),
        ):
            plot.figure.draw_without_rendering()
            boxes = [axes.get_window_extent() for axes in plot.figure.axes]
            words = [text.get_window_extent() for axes in plot.figure.axes for text in (axes.title, axes._left_title)]
            legends = [axes.get_legend().get_window_extent() for axes in plot.figure.axes if axes.get_legend()]
            assert legends
            whole = [box for box in words if box.width] + boxes
            assert not any(legend.count_overlaps(whole) for legend in legends)
            assert all(plot.figure.bbox.x0 <= one.x0 and one.x1 <= plot.figure.bbox.x1 for one in legends)
    spectrum = long["RNN"].spectrum("h")
    shares = spectrum.shares
    plot = tg.plot_spectrum(spectrum)
    drawn = heat_maps(plot)[0].shape[1]
    assert (np.abs(shares[:, drawn:]) < 0.0005).all()
    assert (np.abs(shares[:, drawn - 1]) >= 0.0005).any()
    assert 2 < drawn < shares.shape[1]
    assert any(f"paths with {drawn} or more crossings" in text for text in texts(plot))


def test_gates_are_those_of_the_cell_at_every_step():
    cell, found = plot_samples.states("LSTM", 5)
    gates = gates_of(found[-1][0])
    assert [(gate.name, gate.kind) for gate in gates] == [
        ("i", "sigmoid"),
        ("f", "sigmoid"),
        ("g", "tanh"),
        ("o", "sigmoid"),
    ]
    h, xs = np.zeros(4), np.random.default_rng(1).normal(size=(5, 3))
    for t, x in enumerate(xs):
        before = cell.weight_ih.data @ x + cell.bias_ih.data + cell.weight_hh.data @ h + cell.bias_hh.data
        i, f, g, o = np.split(before, 4)
        for gate, by_hand in zip(
            gates, (1 / (1 + np.exp(-i)), 1 / (1 + np.exp(-f)), np.tanh(g), 1 / (1 + np.exp(-o))), strict=True
        ):
            assert np.allclose(gate.values[t, 0], by_hand, rtol=1e-12)
        h = found[t][0].data
    shown = heat_maps(tg.plot_gates(found[-1][0]))
    assert np.array_equal(shown[1], gates[1].values[:, 0].T)


def test_flat_and_saturated_are_told_apart():
    w = tg.Tensor([0.0, 6.0, 40.0, -700.0], requires_grad=True)
    for _, x in tg.steps([1.0, 1.0, 1.0]):
        y = (w * x).sigmoid().named("f")
        z = (w * x).tanh().named("g")
    f, g = gates_of((y * z).sum())
    assert f.flat[-1, 0].tolist() == [False, True, True, True]
    assert f.saturated[-1, 0].tolist() == [False, False, True, False]  # at -700 it is 1e-304, not 0
    assert g.saturated[-1, 0].tolist() == [False, False, True, True]
    plot = tg.plot_gates((y * z).sum())
    assert "f: mean 0.62, between 0.00 and 1.00, 75% flat, 25% saturated" in plot.alt_text
    assert any("its true value is not 0" in text for text in texts(plot))


def test_gates_are_chosen_by_name_and_scope_and_too_many_or_none_are_refused():
    _, found = plot_samples.states("GRU", 3)
    assert [gate.name for gate in gates_of(found[-1], names=("z",))] == ["z"]
    with pytest.raises(ValueError, match="there is no gate called 'q'"):
        tg.plot_gates(found[-1], names=("q",))
    h = tg.Tensor(np.zeros(2), requires_grad=True)
    for _, _x in tg.steps(range(2)):
        for k in range(9):
            with tg.scope(f"layer{k}"):
                h = h.tanh().named("h")
    with pytest.raises(ValueError, match="there are 9 gates, and at most 8 fit"):
        tg.plot_gates(h)
    assert len(gates_of(h, scope="layer3")) == 1


def test_singular_values_are_those_of_the_products_and_lie_below_their_bounds():
    cell, found = plot_samples.states("RNN", 9)
    jacobians = tg.state_jacobians(found)
    numbers = spread(jacobians)
    for lag in range(9):
        exact = jacobians.singular_values(8, 8 - lag)
        known = np.isfinite(numbers.values[lag])
        assert known[0]
        assert np.allclose(10.0 ** numbers.values[lag][known], exact[known], rtol=1e-6)
    for bound in jacobians.bounds(cell.weight_hh):
        assert 10.0 ** numbers.product_of_norms[bound.lag] == pytest.approx(bound.product_of_norms, rel=1e-12)
    plot = tg.plot_jacobians(jacobians, w=cell.weight_hh)
    drawn = curves(plot.figure.axes[0])
    assert any(np.array_equal(line, numbers.values[:, 0]) for line in drawn)
    sigma = np.linalg.norm(cell.weight_hh.data, 2)
    assert any(np.allclose(line, np.arange(9) * np.log10(sigma)) for line in drawn)


def test_singular_values_below_the_smallest_number_are_not_zero_and_below_rounding_are_not_drawn():
    _, found = plot_samples.states("RNN", 300, scale=0.01)
    numbers = spread(tg.state_jacobians(found))
    assert -900 < numbers.values[-1, 0] < -400
    assert np.isnan(numbers.values[-1, -1])
    assert "e-" in tg.plot_jacobians(tg.state_jacobians(found)).alt_text


def test_a_jacobian_that_is_exactly_zero_is_said_to_be():
    plot = tg.plot_jacobians(tg.StateJacobians(np.stack([np.zeros((2, 2)), np.eye(2)]), (2,)))
    assert "exactly 0 at lag 2" in plot.alt_text
    assert any("exactly 0 from here on" in text for text in texts(plot))


def test_hostile_names_are_shown_and_do_nothing():
    touchy = [name for name in hostile.names() if len(name) < 60]
    some = [*touchy[::13], "$x^2$", "$\\frac{1}{", "中文", "_hidden", "%s"]
    trace = plot_samples.trace(every=False)
    plot = tg.plot_lags(dict.fromkeys(some, trace), bounds={some[1]: [1.0, 1.0, 1.0]}, title=some[2])
    root = ElementTree.fromstring(plot.svg())
    assert root.find(f"{SVG}script") is None
    assert text_chunks(plot.png(dpi=20))["Description"].count("; norm ") == len(some)
    written = texts(plot)
    for name in some:
        assert any(plot_style.drawable(plot_style.visible(name)) + ":" in text for text in written), name


def test_hostile_names_of_gates_scopes_and_sources_are_shown():
    names = ["$a_{$", "<b>", "x\ny", "\ud800", "中", 'a"b']
    w = tg.Tensor([0.5, 0.2], requires_grad=True, name="$w^")
    h = tg.Tensor([1.0, 0.0])
    for _, x in tg.steps([0.3, 0.2]):
        for name in names:
            with tg.scope(name.replace("/", "|")):
                h = (h * w + x).tanh().named(name)
    written = texts(tg.plot_gates(h))
    assert all(plot_style.drawable(plot_style.visible(name)) in written for name in names)
    ElementTree.fromstring(tg.plot_gates(h, size="paper").svg())
    assert any("«$w^»" in text for text in texts(tg.plot_ledger(tg.trace_gradient((h * h).sum(), to=w))))


def test_an_older_plot_stays_unless_the_new_one_is_complete(tmp_path, monkeypatch):
    path = tmp_path / "plot.png"
    path.write_bytes(b"old")
    plot = EVERY["ledger"](size="paper")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match=r"cannot save .*plot\.png: No space left"):
        plot.save(path, dpi=20)
    assert [p.name for p in tmp_path.iterdir()] == ["plot.png"]
    assert path.read_bytes() == b"old"


def test_what_cannot_be_saved_is_refused_before_it_is_drawn(tmp_path):
    plot = EVERY["gates"](size="paper")
    with pytest.raises(ValueError, match=r"one of \.png, \.svg, \.pdf"):
        plot.save(tmp_path / "plot.jpg")
    with pytest.raises(FileNotFoundError, match="make it first"):
        plot.save(tmp_path / "nowhere" / "plot.png")
    with pytest.raises(ValueError, match="dpi is a number"):
        plot.save(tmp_path / "plot.png", dpi=0)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: tg.plot_ledger(3), "a ledger is plotted, or the trace it is of"),
        (lambda: tg.plot_lags([1]), "a trace or a ledger, or a dict of them by name"),
        (lambda: tg.plot_spectrum(1), r"trace\.spectrum"),
        (lambda: tg.plot_gates(1.0), "plot_gates takes a Tensor"),
        (lambda: tg.plot_jacobians([1]), r"what tg\.state_jacobians\(states\) gives"),
    ],
)
def test_what_is_no_trace_is_refused_with_what_would_be(call, said):
    with pytest.raises(TypeError, match=said):
        call()


def test_themes_and_sizes_are_named_where_another_is_asked_for():
    with pytest.raises(ValueError, match="'light', 'dark'; got 'blue'"):
        EVERY["ledger"](theme="blue")
    with pytest.raises(ValueError, match="'slide', 'paper'; got 'a4'"):
        EVERY["ledger"](size="a4")


def test_without_matplotlib_the_error_says_what_to_install():
    code = (
        "import sys\nsys.modules['matplotlib'] = None\nimport tinygrad_rnn as tg\n"
        "w = tg.Tensor([1.0], requires_grad=True)\n"
        "with tg.step(0): loss = (w * w).sum()\n"
        "try:\n    tg.plot_ledger(tg.trace_gradient(loss, to=w))\n"
        "except ImportError as error: print(error)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "tinygrad_rnn[plot]"' in ran.stdout


def test_plotting_opens_no_window_and_imports_no_pyplot():
    code = (
        "import sys, tinygrad_rnn as tg\nw = tg.Tensor([1.0], requires_grad=True, name='w')\n"
        "with tg.step(0): loss = (w * w).sum()\n"
        "tg.plot_ledger(tg.trace_gradient(loss, to=w)).png(dpi=20)\nassert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_what_is_below_the_smallest_number_of_float32_is_plotted_by_its_logarithm():
    s, v, h = np.float32(0.9), tg.Tensor(np.ones(1, np.float32), requires_grad=True), tg.Tensor(np.ones(1, np.float32))
    for _ in tg.steps(range(1200)):
        h = (s * h + v).named("h")
    found = by_lag(tg.trace_gradient(h.sum(), to=v).ledger())
    assert found.log10 == pytest.approx(np.arange(1200) * np.log10(float(s)), rel=1e-6, abs=1e-6)
    assert found.underflowed.sum() == sum(
        k * np.log10(float(s)) < np.log10(np.finfo(np.float32).tiny) for k in found.lags
    )


def spaced(text):
    """The text without its line ends."""
    return " ".join(text.split())


def check_notes_lie_apart(plot):
    """Notes lie in the figure and below all axes; no label of a norm axis touches another."""
    plot.figure.draw_without_rendering()
    notes = plot.figure._supxlabel.get_window_extent()
    assert plot.figure.bbox.x0 <= notes.x0
    assert notes.x1 <= plot.figure.bbox.x1
    assert plot.figure.bbox.y0 <= notes.y0
    for axes in plot.figure.axes:
        assert notes.y1 <= axes.get_tightbbox().y0
        if axes.get_ylabel() == "norm":
            labels = [label.get_window_extent() for label in axes.get_yticklabels()]
            assert len(labels) > 1
            for lower, upper in itertools.pairwise(labels):
                assert lower.y1 <= upper.y0


SUMMED = {
    "ledger": lambda **look: tg.plot_ledger(plot_samples.of_summed_loss(), **look),
    "lags": lambda **look: tg.plot_lags(plot_samples.of_summed_loss(), **look),
    "lags of three": lambda **look: tg.plot_lags(
        {kind: plot_samples.of_summed_loss(kind) for kind in ("RNN", "LSTM", "GRU")}, **look
    ),
}


@pytest.mark.parametrize("kind", SUMMED)
def test_what_the_ledger_warns_of_stands_below_the_plot_and_in_its_words(kind):
    (warning,) = plot_samples.of_summed_loss().ledger().warnings
    for theme, size in (("light", "slide"), ("dark", "slide"), ("light", "paper")):
        plot = SUMMED[kind](theme=theme, size=size)
        assert plot.alt_text.count(f" Warning: {warning}") == 1
        notes = plot.figure._supxlabel
        assert spaced(notes.get_text()).startswith(f"Warning: {warning}")
        assert notes.get_color() == plot_style.THEMES[theme].ink
        check_notes_lie_apart(plot)


def test_a_warning_on_some_of_the_sources_names_them_and_a_plot_without_one_says_nothing_of_warnings():
    clean, summed = plot_samples.trace(steps=8, every=False), plot_samples.of_summed_loss()
    assert "Warning on RNN: «loss»" in tg.plot_lags({"LSTM": clean, "RNN": summed}).alt_text
    assert "Warning on after, RNN: " in tg.plot_lags({"before": {"RNN": clean}, "after": {"RNN": summed}}).alt_text
    four = tg.plot_lags({"clean": clean, **{f"m{k}": summed for k in range(4)}})
    assert "Warning on m0; m1; 2 others: «loss»" in four.alt_text
    plot = tg.plot_lags(clean)
    assert "arning" not in plot.alt_text + "".join(texts(plot))


@pytest.mark.parametrize("size", ["slide", "paper"])
def test_many_and_long_warnings_are_wrapped_and_counted(size):
    lines = {
        kind: plot_samples.of_summed_loss(kind, name=name)
        for kind, name in (("RNN", "W" * 40), ("LSTM", "m%" * 22), ("GRU", "x" * 3000))
    }
    bounds = {"bound": np.ones(8)}
    for plot in (
        tg.plot_lags(lines, size=size),
        tg.plot_lags({"before": lines, "after": lines}, size=size, bounds=bounds),
        tg.plot_ledger(lines["RNN"], size=size),
        tg.plot_lags(lines["GRU"], size=size),
    ):
        check_notes_lie_apart(plot)
    assert plot.alt_text.endswith("pass the list of losses: tg.trace_gradient(losses, to=...).")
    assert len(plot.alt_text) < 1000
    assert "2 more warnings: print it to read all." in tg.plot_lags(lines).alt_text


@given(some.floats(-400, 300), some.floats(np.log10(1.5), 300))
def test_ticks_of_norms_are_two_to_seven_simple_numbers_whatever_the_range(low, span):
    ticks = power_ticks(low, low + span)
    assert 2 <= len(ticks) <= 7
    assert low - 1e-8 <= ticks[0]
    assert ticks[-1] <= low + span + 1e-8
    assert min(np.diff(ticks)) >= span / 7
    labels = written_powers(ticks)
    assert len(set(labels)) == len(labels)
    digits = [10 ** (tick % 1) for tick in ticks]
    if not all(min(abs(np.array([1, 2, 5, 10]) - digit)) < 1e-6 for digit in digits):
        assert span < 1
        numbers = 10.0 ** (np.array(ticks) - np.floor(ticks[-1]))
        assert np.allclose(np.diff(numbers), numbers[1] - numbers[0])  # at even steps


def test_ticks_of_norms_over_a_small_range_are_the_numbers_one_two_and_five():
    assert written_powers(power_ticks(np.log10(0.0002), np.log10(0.0032))) == ["0.0002", "0.0005", "0.001", "0.002"]
    assert written_powers(power_ticks(np.log10(2.1), np.log10(3.15))) == ["2.2", "2.4", "2.6", "2.8", "3"]
    assert written_powers(power_ticks(-6.1, -4.9)) == ["1 × 10⁻⁶", "2 × 10⁻⁶", "5 × 10⁻⁶", "1 × 10⁻⁵"]
    assert written_powers(power_ticks(-420.0, 2.0)) == ["10⁻⁴⁰⁰", "10⁻³⁰⁰", "10⁻²⁰⁰", "10⁻¹⁰⁰", "10⁰"]


@pytest.mark.parametrize("plot", [tg.plot_lags, tg.plot_ledger])
def test_the_line_for_zeros_is_clear_of_the_axis_which_ends_above_it(plot):
    norms = plot(plot_samples.trace(every=False)).figure.axes[1]
    zero, *ticks = norms.get_yticks()
    drawn = norms.get_ylim()
    assert norms.get_yticklabels()[0].get_text() == "0"
    assert zero < norms.spines["left"].get_bounds()[0] < ticks[0]
    assert ticks[0] - zero > 0.18 * (drawn[1] - drawn[0])


def test_panels_have_one_line_for_zeros_though_only_one_of_them_has_any():
    zero, none = plot_samples.trace(every=False), gradient_of(1.0)
    plot = tg.plot_lags({"zero": {"RNN": zero}, "none": {"RNN": none}})
    (drawn,) = [line for line in plot.figure.axes[2].get_lines() if line.get_markerfacecolor() == "#FFFFFF"]
    low, high = plot.figure.axes[2].get_ylim()
    assert low < drawn.get_ydata()[0] < high


def test_the_ledger_of_one_loss_is_bars_of_shares_and_points_of_norms():
    trace = plot_samples.trace("LSTM", steps=7, every=False)
    ledger = trace.ledger()
    plot = tg.plot_ledger(trace)
    shares, norms = plot.figure.axes
    assert not heat_maps(plot)
    assert [bar.get_height() for bar in shares.patches] == ledger.shares[0].tolist()
    signs = plot_style.THEMES["light"].signs
    from matplotlib.colors import to_rgba

    for bar, share in zip(shares.patches, ledger.shares[0], strict=True):
        assert bar.get_facecolor() == to_rgba(signs[3] if share >= 0 else signs[1])
    line = curves(norms)[0]
    assert np.allclose(10.0 ** line[1:], ledger.norms[0, 1:], rtol=1e-12)
    assert np.isnan(line[0])
    (hollow,) = [points for points in norms.get_lines() if points.get_markerfacecolor() == "#FFFFFF"]
    assert (hollow.get_xdata().tolist(), hollow.get_ydata()[0]) == ([0], norms.get_yticks()[0])
    assert plot.title.endswith("contributes to the loss")
    assert "1 of 7 contributions are exactly 0" in plot.alt_text
    written = [text.get_text() for text in shares.texts]
    assert written == [plot_style.written_share(share) for share in ledger.shares[0, 1:]]


def test_no_path_and_no_step_are_told_apart_in_the_ledger_of_one_loss():
    w = tg.Tensor([0.5, 0.3], requires_grad=True, name="w")
    outside, h = (w * 2.0).sum(), tg.Tensor([0.1, 0.1])
    for _, x in tg.steps([1.0, 2.0, 3.0]):
        h = (h * w + x).named("h")
    with tg.step(3):
        late = w * 2.0
    ledger = tg.trace_gradient([h.sum() + outside, late.sum()], to=w).ledger()
    first = dataclasses.replace(
        ledger, contributions=ledger.contributions[:1], connected=ledger.connected[:1], loss_steps=ledger.loss_steps[:1]
    )
    plot = tg.plot_ledger(first.at(slice(None)))
    assert "From 1 of 5 uses there is no path" in plot.alt_text
    assert any("Hatched: no path from that use to the loss" in text for text in texts(plot))
    for axes in plot.figure.axes:
        (band,) = [patch for patch in axes.patches if patch.get_hatch()]
        assert (band.get_x(), band.get_width()) == (2.5, 1.0)
    norms = plot.figure.axes[1]
    assert [label.get_text() for label in norms.get_xticklabels()] == ["0", "1", "2", "3", "none"]
    plot.figure.draw_without_rendering()
    assert sum(axes.get_window_extent().height for axes in plot.figure.axes) > 0.6 * plot.figure.bbox.height
    line, alone = curves(norms)[0], norms.get_lines()[1]
    assert np.isnan(line[-1])  # no line leads to a use without a step
    assert (alone.get_xdata().tolist(), alone.get_linestyle()) == ([4], "None")
    assert "none: uses outside the time loop." in spaced(plot.figure._supxlabel.get_text())


def test_what_underflowed_is_a_point_at_its_true_size_in_the_ledger_of_one_loss():
    trace = underflowing()
    plot, exact = tg.plot_ledger(trace), trace.log10_norms()
    assert np.allclose(curves(plot.figure.axes[1])[0][1:], [exact[step] for step in range(1, 140)], atol=1e-9)
    assert any("too small for a number: the plain gradient has 0 here" in text for text in texts(plot))
    assert "1 of 140 contributions are exactly 0. 34 underflowed" in plot.alt_text


def test_colour_bars_say_that_their_scale_is_not_linear_and_have_simple_ticks():
    plot = tg.plot_ledger(plot_samples.trace("GRU", steps=8))
    written = texts(plot)
    assert "square root scale" in written
    assert "logarithmic scale" in written
    spectrum = tg.plot_spectrum(plot_samples.trace("LSTM").spectrum("h"))
    assert "square root scale" in texts(spectrum)
    for drawn in (plot, spectrum):
        ticks = [text for text in texts(drawn) if re.fullmatch(r"[+−-][\d.]+ %", text)]
        assert len(set(ticks)) == 4
        assert all(re.fullmatch(r"[+−](0\.0*)?[125]0* %", tick) for tick in ticks)


def test_numbers_in_plots_have_true_minus_signs():
    plots = [
        EVERY["gates"](),
        tg.plot_ledger(plot_samples.trace("GRU", steps=8, inputs=np.random.default_rng(5).normal(size=(8, 3)))),
        tg.plot_ledger(plot_samples.trace(every=False)),
        EVERY["spectrum"](),
    ]
    for plot in plots:
        plot.figure.draw_without_rendering()
        assert not any(re.match(r"-\d|.*\de-", text) for text in texts(plot))
    assert any(re.match("−", text) for text in texts(plots[0]))


def gates_named(*names):
    """What leads to gates of these names, computed in this order."""
    h = tg.Tensor([0.5, 0.2], requires_grad=True)
    for _, x in tg.steps([0.3, 0.2, 0.1]):
        for name in names:
            h = (h + x).sigmoid().named(name)
    return h


def test_a_gate_has_one_look_in_all_plots_whatever_the_order_of_computation():
    found = {}
    for names in ("ifgo", "figo", "rzn", "nzr", "h", "zhof"):
        plot = tg.plot_gates(gates_named(*names))
        for name, axes in zip(names, plot.figure.axes[::2], strict=False):
            line = axes.get_lines()[0]
            found.setdefault(name, set()).add((line.get_color(), line.get_marker(), line.get_linestyle()))
    assert set(found) == set(FIXED)
    assert all(len(looks) == 1 for looks in found.values())
    assert len(set.union(*found.values())) == len(FIXED)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_gates_of_other_names_have_the_colours_that_are_left_by_the_alphabet(theme):
    canvas = plot_style.begin(theme, "slide")
    looks = looks_of(canvas, ["f", "q", "i", "attend", "b"])
    series = plot_style.THEMES[theme].series
    assert {name: look["color"] for name, look in looks.items()} == {
        "i": series[0], "f": series[1], "attend": series[2], "b": series[3], "q": series[4],
    }  # fmt: skip
    assert [looks[name]["linestyle"] for name in ("i", "attend")] == ["-", "--"]
    assert len(set(series)) == len(set(plot_style.MARKERS)) == len(FIXED)
    assert len({look["color"] for look in looks_of(canvas, "abcdefgh").values()}) == 8
