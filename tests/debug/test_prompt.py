"""The prompt: pdb's letters and habits, what it says, and what it does with what cannot be read."""

import html
import io
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.debug import stepped
from tests.debug.stepped import planted, recurrent
from tinygrad_rnn.debug.commands import HELP
from tinygrad_rnn.debug.labels import extent, norm
from tinygrad_rnn.debug.prompt import SHORT, Prompt
from tinygrad_rnn.debug.reading import ReadingError, read
from tinygrad_rnn.debug.terminal import in_one_column, wrapped


@pytest.fixture
def nan_run():
    with tg.record_lines():
        loss = planted(at=7)
    return tg.Debugger(loss)


@pytest.fixture
def lstm():
    return tg.Debugger(recurrent("LSTM")[0])


def test_a_script_finds_a_planted_nan_its_step_operation_operand_and_line(nan_run):
    said = nan_run.run_script("break nan; continue; where; back; p gate[7]; p f[6]; p f[7]")
    source = Path(stepped.__file__).read_text().splitlines()
    number = next(k for k, line in enumerate(source, 1) if "# the line to be named" in line)
    assert "break 1: nan" in said
    assert "forward: f[7] = log(gate[7])  (cell/gate, step 7)" in said
    assert f'stepped.py:{number}, in planted: "f = gate.log().named("f")  # the line to be named"' in said
    assert "NaN is made here, out of what has none" in said
    assert re.search(r"step +7\n", said)
    assert re.search(r"e\.g\. +y\[\d\]: nan = log\(-1\d\.\d+\)", said)
    assert re.search(r"gate\[7\], shape \(4,\): \[-\d", said)
    assert re.search(r"\nf\[6\], shape \(4,\): \[ ?\d", said)
    assert "*** f[7] is not made yet: that is event" in said
    assert nan_run.current.label == "gate[7]"


def test_a_stop_tells_rule_numbers_operands_derivative_what_was_added_share_and_frontier(lstm):
    said = lstm.run_script("until h[3] and backward and not op stack")
    stop = lstm.current
    assert f"event {lstm.position} of {len(lstm)}, backward: " in said
    for row in ("rule", "e.g.", "dy", "dy/d", "added", "share", "frontier"):
        assert re.search(rf"^    {re.escape(row)}", said, re.M), row
    assert re.search(r"contribution \d of \d to the gradient of h\[3\]", said)
    assert re.search(r"frontier .*together 100\.00% of the gradient of weight_hh", said)
    assert str(stop.node.shape) in said


def test_of_many_operands_the_one_that_gradient_goes_to_is_shown():
    dbg = tg.Debugger(recurrent("RNN", steps=12)[0])
    said = dbg.run_script("until stack; until stack and h[9] and backward")
    forward, backward = said.split("backward: ")
    assert "    x_0        h[0]" in forward
    assert "    ...        12 operands in all" in forward
    assert "    x_9        h[9]" in backward
    assert "    e.g.       dx_9[" in backward
    assert "h[0]" not in backward


def test_a_seed_and_both_ends_say_what_they_are(lstm):
    said = lstm.run_script("back; goto backward; s; p grad loss; goto end; s; c")
    assert "this is the beginning" in said
    assert "the backward pass begins at loss" in said
    assert "\n1\n" in said
    assert f"--- the end: all {len(lstm)} events have happened; this is what backward() computes ---" in said
    assert said.count("this is the end; back and rc go back") == 2


@pytest.mark.parametrize("letter", ["n", "s", "b", "c", "p", "l", "w", "u", "d", "q", "h"])
def test_the_letters_are_those_of_pdb(letter):
    import pdb

    full = getattr(pdb.Pdb, f"do_{letter}").__name__.removeprefix("do_")
    ours = {"p": "print", "u": "up", "d": "down"}.get(letter, full)
    assert SHORT[letter] == ours
    assert hasattr(Prompt, f"do_{ours}")


def test_an_empty_line_repeats_a_move_and_nothing_else(lstm):
    out = io.StringIO()
    prompt = Prompt(lstm, out=out, source=io.StringIO("s\n\n\nb h\n\nback\n\nq\ns\n"))
    assert prompt.interact() == "quit"
    assert lstm.position == 3 - 2
    assert len(lstm.breakpoints) == 1


def test_every_command_has_a_help_and_help_knows_every_command(lstm):
    said = lstm.run_script("help")
    assert said.strip() == HELP.strip()
    commands = Prompt(lstm, out=io.StringIO())._commands()
    for command in commands:
        assert lstm.run_script(f"help {command}").strip() not in ("", "None"), command
        spellings = [command, *(short for short, long in SHORT.items() if long == command)]
        assert any(re.search(rf"\b{one}\b", HELP) for one in spellings), command
    assert "share > 5%" in lstm.run_script("help break")
    assert "pdb" not in lstm.run_script("help zzz")


def test_a_temporary_break_point_says_that_it_was_reached(lstm):
    said = lstm.run_script("tbreak h[1]; b step 4; c; c; b")
    assert said.count("break 1: h[1]") == 1
    assert said.count("break 2: step 4") == 1
    assert "temporary" not in said.split("break 2: step 4")[1]


@pytest.mark.parametrize("wide", [40, 60, 100])
def test_on_a_narrow_terminal_rows_go_on_beside_their_titles_and_nothing_is_lost(lstm, wide):
    said = lstm.run_script("until h[3] and backward and not stack; where; why; frontier; help break")
    for line in said.splitlines():
        rows = wrapped(line, wide).split("\n")
        assert " ".join(" ".join(rows).split()) == " ".join(line.split())
        assert all(len(row) <= wide for row in rows)
        if line.startswith("    frontier   "):
            assert all(row.startswith(" " * min(15, wide // 3)) for row in rows[1:])
        assert len(line) > wide or rows == [line]


def test_on_a_narrow_terminal_help_is_one_column_with_the_same_words():
    narrow = in_one_column(HELP)
    assert sorted(narrow.split()) == sorted(HELP.split())
    assert max(len(line) for line in narrow.splitlines() if line.startswith(" ")) <= 64


def test_names_are_completed(lstm):
    prompt = Prompt(lstm, out=io.StringIO())
    assert prompt.completenames("wh") == ["where", "why"]
    assert prompt.completedefault("weight_h") == ["weight_hh"]
    assert "forget" in prompt.completedefault("fo")


def test_up_and_down_follow_operands_while_time_stands_still(lstm):
    lstm.run_until("h[2]")
    at = lstm.position
    said = lstm.run_script("d; d 0; u; u; u; d 7; goto 1; d; d")
    assert re.match(r"o\[2\] = sigmoid\(slice #\d+\)", said)
    assert "uses it" in said or "nodes use it" in said
    assert "*** it has operands 0 to " in said
    assert "is a leaf: it was given" in said
    assert at > 1


def test_where_time_has_moved_up_and_down_begin_at_the_event_again(lstm):
    prompt = Prompt(lstm, out=io.StringIO())
    prompt.run("until h[2]; d; d")
    lstm.goto(16)  # as an interrupted command leaves it
    prompt.run("d 1")
    assert prompt.stdout.getvalue().splitlines()[-3].startswith("tanh #15 = tanh(c[0]), event 15")
    prompt.run("u")
    assert prompt.stdout.getvalue().splitlines()[-3].startswith("h[0] = multiply(o[0], tanh #15), event 16")


def test_why_tells_what_a_gradient_is_the_sum_of(lstm):
    said = lstm.run_script("goto end; why weight_hh; why h[2]; goto 0; why")
    assert "the gradient of weight_hh is the sum of 6 contributions" in said
    shares = re.findall(r"^ +(-?[\d.]+)%  norm \S+ +through linear", said.partition("why h")[0], re.M)
    assert abs(sum(map(float, shares[:5])) - 100) < 0.1  # the first step's is exactly 0
    assert "path, from the source to the loss" in said
    assert "*** there is no gradient here yet" in said


def test_edges_of_one_operation_to_the_same_tensor_are_told_apart_and_unnamed_crossings_explained():
    w = tg.Tensor(np.eye(2) * 0.5, requires_grad=True, name="w")
    h, loss = tg.Tensor(np.ones(2)), 0.0
    for _, x in tg.steps(np.ones((3, 2))):
        h = (w @ h + x).tanh().named("h")
        loss = loss + (h * h).sum()
    said = tg.Debugger(loss).run_script("goto end; why h[1]; until multiply; goto backward; until multiply and step 1")
    assert [f"multiply #10, input {k} (step 1)" in said for k in (0, 1, 2)] == [True, True, False]
    assert "backward: multiply #10, input 0 -> h[1]" in said
    assert "_ is a step crossed in a tensor without a name" in said
    assert "without a name" not in tg.Debugger((h * h).sum()).run_script("goto end; why w")


def test_why_there_are_no_shares_is_said_and_nothing_else_is_claimed():
    x = tg.Tensor([1.0, 2.0], requires_grad=True, name="x")
    with np.errstate(all="ignore"):
        infinite = (x * 1e308 * 1e10).sum()
    for loss, why in (
        ((x * 0.0).sum(), "the gradient is exactly 0"),
        (infinite, "the gradient is not finite"),
        (tg.Tensor(2.0, requires_grad=True, name="y"), "the loss is not computed from any tensor"),
    ):
        said = tg.Debugger(loss).run_script("goto end; frontier; why")
        assert f"not known: {why}" in said
        assert "%" not in said
    alone = tg.Debugger((x * x).sum().named("loss"))
    assert "1 node holds 100.00% of the gradient of loss" in alone.run_script("to loss; goto end; frontier")


def test_shares_can_be_those_of_another_tensor(lstm):
    assert "of the gradient of weight_ih flows" in lstm.run_script("to weight_ih; until c[5] and backward; p share")
    assert lstm.run_script("to") == "shares are of weight_ih\n"


def test_a_picture_of_the_moment_shows_what_is_made_and_what_has_arrived(lstm, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    loss, leaves = lstm.outputs[0], recurrent("LSTM")[1]
    lstm.run_script("goto 30; graph early.dot; goto end; back 40; graph late.dot; goto 0; graph nothing.dot")
    early, late = (tmp_path / "early.dot").read_text(), (tmp_path / "late.dot").read_text()
    assert "loss" not in re.findall(r'label="?([^"\]]*)', early)
    assert "|grad|" not in early
    assert "|grad|" in late
    assert "grad -" in late
    assert not (tmp_path / "nothing.dot").exists()
    assert all(x.grad is None for x in leaves)
    assert loss._grad is None


def picture_of(dbg, path):
    """-> (names of the steps drawn, node texts, colours of the edges by their number) of the DOT text of a moment."""
    assert dbg.run_script(f"graph {path}") == f"drawn: {path}\n"
    text = path.read_text()
    return text, {color: text.count(f'color="{color}"') for color in ("#E69F00", "#0072B2")}


def test_the_picture_says_what_happens_now_and_how_far_gradient_has_come(lstm, tmp_path):
    lstm.run_until("h[2] and forward")
    text, colours = picture_of(lstm, tmp_path / "forward.dot")
    assert f"now: event {lstm.position}" in text
    assert "event 48 of 256, forward: h[2] = multiply(o[2], " in html.unescape(text)
    assert colours["#E69F00"] >= 2  # o and tanh
    assert "|grad|" not in text

    lstm.run_until("h[2] and backward")
    at, into = lstm.position, lstm.timeline.edges_into(lstm.current.target.index)
    text, _ = picture_of(lstm, tmp_path / "backward.dot")
    assert text.count(f"now: event {at}") == 1
    arrived = norm(lstm.grad("h[2]"))
    assert f"|grad| {arrived:.3g}, 1 of {len(into)}" in text
    assert "grad -" in text
    lstm.goto(-1)
    text, _ = picture_of(lstm, tmp_path / "end.dot")
    assert "grad -" not in text.replace("grad -: nothing yet", "")


def test_of_many_steps_the_picture_shows_those_around_the_moment(tmp_path):
    dbg = tg.Debugger(recurrent("RNN", steps=40)[0])
    for condition in ("h[20] and forward", "h[20] and backward and stack"):
        dbg.run_until(condition)
        text, _ = picture_of(dbg, tmp_path / "many.dot")
        shown = {int(step) for step in re.findall(r"step (\d+)<", text)}
        assert shown == {18, 19, 20, *({21, 22} if "backward" in condition else ())}


EXPRESSIONS = {
    "h[3]": lambda v: v["h", 3],
    "h[3][1]": lambda v: v["h", 3][1],
    "h[3][1:3] * 2 - 1": lambda v: v["h", 3][1:3] * 2 - 1,
    "norm(c[3] - c[2])": lambda v: np.linalg.norm(v["c", 3] - v["c", 2]),
    "-h[3] @ h[2]": lambda v: -v["h", 3] @ v["h", 2],
    "weight_hh[0, 1:3]": lambda v: v["weight_hh", None][0, 1:3],
    "weight_hh.T[0]": lambda v: v["weight_hh", None].T[0],
    "weight_hh.shape": lambda v: (16, 4),
    "max(h[3]) > 0": lambda v: np.max(v["h", 3]) > 0,
    "forget/f[3] ** 2": lambda v: v["f", 3] ** 2,
    "'h'[3]": lambda v: v["h", 3],
    "h[3].step": lambda v: 3,
    "f[3].scope": lambda v: "forget",
    "h[3].op": lambda v: "multiply",
    "sigmoid(h[3])": lambda v: 1 / (1 + np.exp(-v["h", 3])),
}


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_expressions_are_computed(text, lstm):
    lstm.goto(-1)
    known = {(n.name, n.place.step): n.value for n in lstm.timeline.order.values() if n.name}
    found = read(text, lstm.current, {})
    found = getattr(found, "value", found)
    wanted = EXPRESSIONS[text](known)
    assert np.array_equal(found, wanted) if not isinstance(wanted, str) else found == wanted


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("grad weight_hh / norm(grad weight_hh)", lambda w, h: w / np.linalg.norm(w)),
        ("grad weight_hh/2 - grad(weight_hh)*0.5", lambda w, h: w * 0),
        ("norm(grad h[3])", lambda w, h: np.linalg.norm(h)),
        ("grad h[3] * 2", lambda w, h: h * 2),
        ("grad weight_hh[0]", lambda w, h: w[0]),
        ("grad 'weight_hh'.T", lambda w, h: w.T),
        ('grad "h"[3][1]', lambda w, h: h[1]),
        ("2 * grad #64", lambda w, h: h * 2),
    ],
)
def test_gradients_are_reckoned_with_like_numbers(text, value, lstm):
    lstm.goto(-1)
    assert lstm.timeline.order[lstm.timeline.made[63]].name == "h"
    found, wanted = read(text, lstm.current, {}), value(lstm.grad("weight_hh"), lstm.grad("h[3]"))
    np.testing.assert_allclose(getattr(found, "value", found), wanted, rtol=1e-12)


def test_a_gradient_is_that_of_the_moment(lstm):
    lstm.goto(-1)
    whole = read("grad weight_hh", lstm.current, {})
    lstm.back(60)
    part = read("grad(weight_hh)", lstm.current, {})
    assert np.array_equal(part, lstm.grad("weight_hh"))
    assert not np.array_equal(part, whole)
    assert np.array_equal(read("weight_hh.grad", lstm.current, {}), part)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')", "h.__class__", "h[3].__class__", "().__class__", "open('x')", "lambda: 1", "[x for x in h]",
        "'a' * 10", "f'{h}'", "h[3](2)", "9 ** 9 ** 9 ** 9 + foo", "h if c else f", "print(1)", "h[3] := 1", "(" * 999,
        "h[99]", "foo", "h + 1", "grad h", "h[h]", "1 / (", "-" * 9999 + "1", "h[3].foo", "norm(h[3], 2)",
    ],
)  # fmt: skip
def test_what_is_not_plain_arithmetic_is_refused_with_a_reason(text, lstm):
    lstm.goto(-1)
    with pytest.raises(ReadingError):
        read(text, lstm.current, {"foo_": 1})
    assert lstm.run_script(f"p {text}").startswith("***")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("foo", "there is no command 'foo' (help lists them)"),
        ("contnue", "did you mean continue?"),
        ("goto x", "goto wants the number of an event"),
        ("goto 99999", "positions go from 0 to"),
        ("step x", "a whole number is wanted"),
        ("step ²", "a whole number is wanted"),
        ("to h [99]", "there is no h at step 99"),
        ("finish x", "finish step"),
        ("until", "What can be written"),
        ("clear 7", "no break point 7; there are: none"),
        ("disable", "b lists them"),
        ("p", "p what? For example"),
        ("p foo", "nothing here is called «foo»"),
        ("to foo", "nothing here is called «foo»"),
        ("to h", "6 tensors are called h: say which: h[0] ... h[5]"),
        ("to x", "6 tensors are called x: all are x here: give them names of their own"),
        ("to x[0]", "there is no x at step 0; it belongs to no step"),
        ("b h[11]", "there is no h at step 11; its steps are 0 to 5"),
        ("b m[11]", "«m[11]» is no name, operation or scope here; there are bias_hh, bias_ih, c, "),
        ("b weight_hx", "did you mean weight_ih or weight_hh?"),
        ("b h[-1]", "there is no h at step -1; its steps are 0 to 5"),
        ("b norm 5", "as in `norm > 10`"),
        ("b grad", "which grad? As in `grad W`"),
        ("b tanh or h", "for C or D set two break points"),
        ("b 23", "cannot stop at a line: lines are not recorded: compute inside `with tg.record_lines():`"),
        ("clear", "there are no break points"),
        ("goto h[2]", "as in until h[3]"),
        ("backward", "did you mean goto backward?"),
        ("STEP", "did you mean step?"),
        ("loss", "*** loss is not made yet"),
        ("source", "source wants a file of commands"),
        ("grad", "grad of what? As in p grad W"),
        ("p norm", "norm of what? As in p norm(W)"),
        ("p h.shape", "6 tensors are called h: say which: h[0] ... h[5]"),
        ("p grad h", "6 tensors are called h: say which: h[0] ... h[5]"),
        ("p share", "there is no share at this event: only backward events have one"),
        ("p total", "there is no total at this event\n"),
        ("h = 3", "nothing can be set here"),
        ("p weight_hh.line", "its line is not recorded: compute inside `with tg.record_lines():`"),
        ("l", "its line is not recorded: compute inside `with tg.record_lines():`"),
        ("graph", "graph wants a file name"),
        ("graph x.txt", "saved by the ending"),
        ("source nowhere", "No such file"),
        ("detach", "no program to go on with"),
        ("why loss", "its cotangent is given"),
    ],
)
def test_a_mistake_is_a_line_that_says_what_to_do_and_changes_nothing(line, says, lstm):
    lstm.goto(5)
    said = lstm.run_script(line)
    assert says in said
    assert lstm.position == 5
    assert said.count("\n") < 30


def test_a_shape_is_printed_as_a_tuple_and_tensors_one_a_line(lstm):
    lstm.goto(-1)
    assert lstm.run_script("p weight_hh.shape") == "(16, 4)\n"
    assert lstm.run_script("weight_hh.shape, 1") == "((16, 4), 1)\n"
    assert [row.partition(": ")[0] for row in lstm.run_script("p h[1], h[2]").splitlines()] == ["0", "1"]


@pytest.mark.parametrize("leave", ["q", "quit()", "exit()", "exit"])
def test_python_s_own_ways_to_leave_and_to_print_are_understood(leave, lstm):
    lstm.goto(20)
    assert lstm.run_script(f"print(h[0]); p(h[0]); pp h[0]; {leave}; p h[0]") == lstm.run_script("p h[0]") * 3


def test_what_is_cleared_is_said(lstm):
    said = lstm.run_script("b h; b c[1] and forward; watch grad weight_hh; cl 2; clear; clear")
    assert said.splitlines()[3:] == [
        "removed 2: c[1] and forward",
        "removed 1: h",
        "removed 3: grad weight_hh",
        "there are no break points",
    ]


def test_a_condition_that_never_held_is_said_and_so_is_the_end_of_the_forward_pass(lstm):
    never = "«share > 200%» did not hold anywhere on the way"
    assert never in lstm.run_script("until share > 200%")
    last = lstm.current.label
    lstm.goto(0)
    assert "did not hold" not in lstm.run_script(f"goto end; back; until {last}")
    assert "next begins the backward pass" in lstm.run_script("goto backward")
    assert lstm.run_script("back; goto backward; s; s").count("next begins") == 1


def test_nothing_is_shared_by_what_no_gradient_flows_to():
    start = tg.Tensor([1.0, 2.0], name="start")
    w = tg.Tensor([0.5, 0.1], requires_grad=True, name="w")
    dbg = tg.Debugger((w * start).sum())
    said = dbg.run_script("to start; b start; b grad start")
    assert said.splitlines() == [
        "*** no gradient flows to start, so there is nothing to have a share of",
        "*** nothing ever happens to start here: it is given, and no gradient flows to it",
        "*** no gradient ever flows to start here",
    ]
    assert dbg.shares.source is w
    assert dbg.breakpoints == ()


def test_no_number_is_minus_zero():
    assert extent(np.array([-0.0] * 9)) == "all 0, norm 0"
    assert extent(np.array([-1.0, -0.0])) == "from -1 to 0, norm 1"
    assert extent(np.array([2.0, np.nan, -0.0, np.inf])) == "from 0 to 2, 1 NaN, 1 Inf"
    assert extent(np.array([1.0, np.nan])) == "from 1 to 1, 1 NaN"


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([3], "its step is 3"),
        ([0, 1, 2], "its steps are 0 to 2"),
        ([-2, -1, 0], "its steps are -2 to 0"),
        ([0, 5, 10], "its steps are 0, 5, 10"),
        (range(0, 40, 4), "its steps are 0, 4, 8, 12, 16, 20, 24, 28, ... 36"),
    ],
)
def test_steps_that_are_there_are_listed(steps, said):
    w, h = tg.Tensor([0.5], requires_grad=True, name="w"), 1.0
    for t in steps:
        with tg.step(t):
            h = (w * h).named("h")
    assert f"*** there is no h at step 99; {said}\n" == tg.Debugger(h.sum()).run_script("b h[99]")
    assert f"*** there is no h at step 99; {said}\n" == tg.Debugger(h.sum()).run_script("p h[99]")
    first = min(steps)
    assert f"*** h[{first}] is not made yet" in tg.Debugger(h.sum()).run_script(f"p h[{first}]")
    assert f"h[{first}]" in tg.Debugger(h.sum()).run_script(f"b h[{first}]; c").partition("event 1 ")[2]


def test_of_two_layers_the_scope_says_which():
    w, states = tg.Tensor([0.5], requires_grad=True, name="w"), []
    for layer in ("layer0", "layer1"):
        with tg.scope(layer), tg.step(3):
            states.append((w * 2.0).named("h"))
    dbg = tg.Debugger((states[0] * states[1]).sum())
    said = dbg.run_script("to h[3]; goto end; p h[3]; to layer1/h[3]; why layer0/h[3]")
    assert said.count("*** 2 tensors are called h[3]: say which: layer0/h[3], layer1/h[3]") == 1
    assert said.count("*** 2 tensors are called h: say which: layer0/h[3], layer1/h[3]") == 1
    assert dbg.shares.source is states[1]
    assert "the gradient of layer0/h[3] is the sum of 1 contribution" in said
    with pytest.raises(ValueError, match=r"2 tensors are called h\[3\]: say which: layer0"):
        dbg.grad("h[3]")


def test_commands_come_from_a_file_with_comments(lstm, tmp_path):
    script = tmp_path / "script.txt"
    script.write_text("# a comment\nuntil h[2]  # and another\n\np #1\nq\ns\n")
    said = lstm.run_script(f"source {script}")
    assert lstm.current.label == "h[2]"
    assert "linear #1, shape (16,)" in said


def test_a_file_of_commands_that_reads_itself_is_read_once(lstm, tmp_path):
    script, other = tmp_path / "script.txt", tmp_path / "other.txt"
    other.write_text("s\n")
    script.write_text(f"source {script}\nsource {other}\nsource {other}\n")
    said = lstm.run_script(f"source {script}")
    assert f"*** {script} is being read already" in said
    assert lstm.position == 2


def test_at_the_end_of_its_input_it_leaves_without_a_prompt_or_colour_in_the_text(tmp_path):
    program = tmp_path / "model.py"
    program.write_text(
        "import numpy as np, tinygrad_rnn as tg\n"
        "w = tg.Tensor([0.5, 0.2], requires_grad=True, name='w')\n"
        "tg.debug((w * w).tanh().sum().named('loss'))\n"
        "print('after')\n"
    )
    ran = subprocess.run(
        [sys.executable, "-W", "error", str(program)], input="s 2\np w", capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    assert "event 2 of 8, forward: #2 = tanh(multiply #1)" in ran.stdout
    assert "w, shape (2,): [0.5 0.2]" in ran.stdout
    assert ran.stdout.endswith("after\n")
    assert "\033" not in ran.stdout
    assert "(tg)" not in ran.stdout


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc that says when a program waits")
def test_on_a_terminal_there_is_a_prompt_and_ctrl_c_and_ctrl_d_are_clean(tmp_path):
    import pty

    program = tmp_path / "model.py"
    program.write_text(
        "import signal, tinygrad_rnn as tg\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # it is ignored where tests run in the background
        "w = tg.Tensor([0.5, 0.2], requires_grad=True, name='w')\n"
        "tg.debug((w * w).tanh().sum().named('loss'))\n"
        "print('after')\n"
    )
    here, there = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    environment.pop("NO_COLOR", None)
    child = subprocess.Popen(
        [sys.executable, str(program)], stdin=there, stdout=there, stderr=there, env=environment, start_new_session=True
    )
    os.close(there)
    said = b""

    def until(text, patience=60.0):
        nonlocal said
        end = time.monotonic() + patience
        while text not in said:
            assert time.monotonic() < end, said
            if select.select([here], [], [], 0.1)[0]:
                said += os.read(here, 4096)
        before, said = said[: said.index(text) + len(text)], said[said.index(text) + len(text) :]
        return before.decode()

    def asleep(patience=60.0):
        """Wait until it is: a signal just before the read would be seen at the next one only."""
        end = time.monotonic() + patience
        while Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0] != "S":
            assert time.monotonic() < end
            time.sleep(0.01)

    try:
        until(b"(tg) ")
        os.write(here, b"s\n")
        stop = until(b"(tg) ")
        assert "\033[1mevent 1 of 8\033[0m, forward" in stop  # bold; and the same words without it
        asleep()
        child.send_signal(signal.SIGINT)
        until(b"(q leaves)")
        until(b"(tg) ")
        os.write(here, b"\n")
        assert "event 2 of 8" in until(b"(tg) ").replace("\033[1m", "").replace("\033[0m", "")
        os.write(here, b"b nan; clear\n")
        until(b"remove all break points: 1? (y/n) ")
        os.write(here, b"\x04")  # no; and the prompt is not left
        until(b"(tg) ")
        os.write(here, b"clear\n")
        until(b"remove all break points: 1? (y/n) ")
        os.write(here, b"y\n")
        assert "removed 1: nan" in until(b"(tg) ")
        os.write(here, b"\x04")
        until(b"after")
        assert child.wait(timeout=60) == 0
    finally:
        child.kill()
        child.wait()
        os.close(here)
