"""The ways in: a program that is run, a stop inside a cell, what is left of an error; and the way out."""

import bdb
import io
import subprocess
import sys

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.debug import run_program
from tinygrad_rnn.debug.labels import array_text
from tinygrad_rnn.engine import observed, tensor
from tinygrad_rnn.engine.annotate import HERE

MODEL = """
import sys
import numpy as np
import tinygrad_rnn as tg

w = tg.Tensor([[0.5, 0.1], [0.2, -0.3]], requires_grad=True, name="w")

def loss_of(scale):
    h = tg.Tensor([0.1, 0.2])
    for t, x in tg.steps(np.ones((4, 2))):
        h = (w @ h * scale + x).tanh().named("h")
    return (h * h).sum().named("loss")

for epoch in range(3):
    loss_of(1.0).backward()  # here it stops
    print("epoch", epoch, sys.argv[1:], float(np.abs(w.grad).sum()) > 0)
"""


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.py"
    path.write_text(MODEL)
    return path


@pytest.fixture(autouse=True)
def nothing_is_left_behind():
    argv, path = sys.argv, sys.path[:]
    yield
    assert tensor.record is observed._record
    assert observed.OBSERVERS.get() == ()
    assert HERE.get() == tg.Place()
    assert (sys.argv, sys.path) == (argv, path)


def session(path, typed, script="", arguments=()):
    out = io.StringIO()
    status = run_program(str(path), arguments, script, io.StringIO(typed), out)
    return status, out.getvalue()


def test_a_program_stops_before_each_backward_pass_and_knows_its_lines(model, capsys):
    status, said = session(
        model, "until h[2]\nwhere\nc\nc\nb h[1] and forward\nc\nc\nc\nc\nc\nc\n", arguments=["a", "-b"]
    )
    assert status == 0
    assert said.count("stopped before the backward pass at model.py:15") == 3
    assert 'model.py:11, in loss_of: "h = (w @ h * scale + x).tanh().named("h")"' in said
    assert said.count("break 1: h[1] and forward") == 2  # the break point is kept for the next pass
    assert capsys.readouterr().out.splitlines() == [f"epoch {k} ['a', '-b'] True" for k in range(3)]
    assert said.endswith("the program has ended\n")


def test_break_points_are_kept_as_they_are_and_wait_for_a_pass_that_has_what_they_name(tmp_path):
    (tmp_path / "two.py").write_text(
        "import tinygrad_rnn as tg\n"
        "u, w = (tg.Tensor([0.5], requires_grad=True, name=name) for name in 'uw')\n"
        "for x in (u, w, u):\n"
        "    (x * 2.0).named('y').sum().backward()\n"
    )
    first = "b nan\nb grad u\nb y and backward\nb y\ntbreak y and forward\nclear 1\ndisable 3\nignore 4 5\n"
    status, said = session(tmp_path / "two.py", f"{first}goto end\nc\nb\nb w\ngoto end\nc\nb\ndetach\n")
    assert status == 0
    assert said.count("(break 2: grad u: there is no such thing in this pass)") == 1
    assert said.count("(break 6: w: there is no such thing in this pass)") == 1
    second, third = said.split("stopped before")[2:]
    assert "  2  break grad u" not in second
    assert "  3  break y and backward  (hit 0 times, disabled)" in second
    assert "  4  break y  (hit 0 times, lets the next 5 pass)" in second
    assert "  5  break y and forward  (hit 0 times, temporary)" in second
    assert "break point 6  break w" in second
    assert third.index("  2  break grad u") < third.index("  3  break y and backward  (hit 0 times, disabled)")


def test_a_program_without_a_backward_pass_is_said_to_have_none(tmp_path):
    (tmp_path / "none.py").write_text("import tinygrad_rnn as tg\n")
    ended = "the program has ended: it made no backward pass, such as loss.backward(), to stop at\n"
    assert session(tmp_path / "none.py", "") == (0, ended)


def test_q_ends_the_program_and_detach_lets_it_run(model, capsys):
    assert session(model, "q\n")[0] == 0
    assert "epoch" not in capsys.readouterr().out
    status, said = session(model, "detach\n")
    assert (status, said.count("stopped before")) == (0, 1)
    assert capsys.readouterr().out.count("epoch") == 3


def test_tg_grad_stops_too_and_what_it_returns_is_not_changed(tmp_path, capsys):
    path = tmp_path / "asks.py"
    path.write_text(
        "import tinygrad_rnn as tg\n"
        "w = tg.Tensor([1.0, 2.0], requires_grad=True, name='w')\n"
        "print(tg.grad((w * w * w).sum(), w), tg.jacobian(w * w, w).shape)\n"
    )
    _, said = session(path, "goto end\np grad w\nc\n")
    assert said.count("stopped before") == 1  # the Jacobian has leading axes
    assert "[ 3. 12.]" in said
    assert "[ 3. 12.] (2, 2)" in capsys.readouterr().out


def test_an_error_in_the_forward_pass_is_looked_at_post_mortem(tmp_path, capsys):
    path = tmp_path / "broken.py"
    path.write_text(MODEL.replace("loss_of(1.0)", "loss_of(np.ones(3))"))
    status, said = session(path, "p w\nwhere\nq\n")
    assert status == 1
    assert "post mortem" in said
    assert "multiply cannot be computed (step 0)" in said
    assert "matmul(w, a constant)" in said
    assert "w, shape (2, 2)" in said
    assert "observed.py" not in said.split("post mortem")[1]


def test_a_program_that_is_not_there_is_an_error(capsys):
    assert run_program("nowhere.py") == 2
    assert "no file nowhere.py" in capsys.readouterr().err


def test_the_command_line_runs_a_script_and_goes_on_from_a_pipe(model):
    command = [sys.executable, "-m", "tinygrad_rnn", "debug", "-c", "until h[1]; p h[1]", str(model), "x"]
    ran = subprocess.run(command, input="goto end\nc\ndetach\n", capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert "h[1], shape (2,)" in ran.stdout
    assert "epoch 2 ['x'] True" in ran.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="a pipe that is closed is another error there")
def test_a_reader_that_has_enough_ends_the_session_without_a_traceback(model):
    command = [sys.executable, "-m", "tinygrad_rnn", "debug", "-c", "n; n; n; n; n; n; n; n", str(model)]
    asking = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert "stopped before" in asking.stdout.readline()
    asking.stdout.close()
    _, complaints = asking.communicate("s\n" * 10_000, timeout=120)
    assert complaints == ""
    assert asking.returncode == 1


def tell(monkeypatch, text):
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_set_trace_stops_inside_a_cell_with_its_variables_and_the_tape_so_far(monkeypatch, capsys):
    w = tg.Tensor([[0.5, 0.1], [0.2, -0.3]], requires_grad=True, name="w")

    def cell(x, h, t):
        pre = w @ h + x
        if t == 2:
            tg.set_trace()
        return pre.tanh().named("h")

    tell(monkeypatch, "where\np pre * 2\np h[1]\np t + 1\nwhy w\nfrontier\nb grad w\nback\nc\nc\n")
    h = tg.Tensor([0.1, 0.2])
    with tg.scope("rnn"):
        for t, x in tg.steps(np.ones((4, 2))):
            h = cell(x, h, t)
            assert HERE.get() == tg.Place("rnn", t)
    said = capsys.readouterr().out
    assert "stopped at test_program.py:" in said
    assert "after 8 operations" in said
    assert "\n3\n" in said
    assert "line       not recorded: compute inside `with tg.record_lines():`" in said
    assert "*** there is no backward pass here, so there are no gradients" in said
    assert "nobody holds a gradient yet: there is no backward pass here" in said
    assert "*** no gradient ever flows to w here" in said
    assert "h[1], shape (2,)" in said
    (h * h).sum().backward()  # and the program went on as if nothing had been
    assert w.grad is not None
    tell(monkeypatch, "q\n")
    with pytest.raises(bdb.BdbQuit):
        cell(np.ones(2), h, 2)


def test_a_name_of_several_tensors_is_the_variable_where_the_program_stands(monkeypatch, capsys):
    w = tg.Tensor([[0.5, 0.1], [0.2, -0.3]], requires_grad=True, name="w")

    def cell(h, t):
        if t == 2:
            tg.set_trace()
        return (w @ h).tanh().named("h")

    states = [tg.Tensor([0.1, 0.2])]
    tell(monkeypatch, "p h\np h * 2\np h[0]\nc\n")
    for t in range(3):
        with tg.step(t):
            states.append(cell(states[-1], t))
    said = capsys.readouterr().out
    assert "2 tensors are called h" in said
    assert f"in the program h is now h[1]: {array_text(states[2].value)}" in said
    assert f"shape (2,): {np.array2string(states[2].value * 2, precision=6)}" in said


def test_debug_reads_from_a_pipe_and_touches_nothing(monkeypatch, capsys):
    w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    loss = (w * w).sum().named("loss")
    tell(monkeypatch, "goto end\np grad w\n")
    tg.debug(loss)
    assert "[2. 4.]" in capsys.readouterr().out
    assert w.grad is None


def test_post_mortem_of_an_error_in_the_backward_pass_stands_before_the_edge_that_failed(monkeypatch, capsys):
    w = tg.Tensor([0.0, 4.0], requires_grad=True, name="w")
    loss = (w * 1.0).sqrt().named("root").sum()
    with pytest.raises(FloatingPointError) as caught, np.errstate(all="raise"):
        loss.backward()
    tell(monkeypatch, "s\n")
    tg.post_mortem(caught.value)
    said = capsys.readouterr().out
    assert "FloatingPointError: divide by zero" in said
    assert "backward: root (sqrt) -> multiply #1" in said
    assert "Inf is made here" in said


def test_post_mortem_of_an_anomaly_stands_where_it_was_made(monkeypatch, capsys):
    w = tg.Tensor([0.0, 4.0], requires_grad=True, name="w")
    with pytest.raises(tg.AnomalyError) as caught, np.errstate(all="ignore"), tg.detect_anomaly():
        (w * 1.0).sqrt().named("root").sum().backward()
    tell(monkeypatch, "back\n")
    tg.post_mortem(caught.value)
    assert "backward: root (sqrt) -> multiply #1" in capsys.readouterr().out


def test_post_mortem_without_a_tape_says_so(capsys):
    with pytest.raises(KeyError) as caught:
        {}["x"]
    tg.post_mortem(caught.value)
    assert "no tape" in capsys.readouterr().out
