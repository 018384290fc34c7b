"""A program up to one of its backward passes: `python -m tinygrad_rnn trace FILE` and `draw FILE`."""

import io
import subprocess
import sys

import numpy as np
import pytest

import tinygrad_rnn as tg
import tinygrad_rnn.__main__ as command_line
from tinygrad_rnn.debug import PassError, losses_of_pass, tensor_called
from tinygrad_rnn.engine import observed, tensor

MODEL = """
import sys
import numpy as np
import tinygrad_rnn as tg

w = tg.Tensor([[0.5, 0.1], [0.2, -0.3]], requires_grad=True, name="w")
for epoch in range(3):
    try:
        h = tg.Tensor([0.1, 0.2])
        for t, x in tg.steps(np.ones((4, 2))):
            h = (w @ h * (epoch + 1.0) + x).tanh().named("h")
        loss = (h * h).sum().named("loss")
        tg.jacobian(h, w)  # begins at no single number
        loss.backward()
    except Exception:
        print("swallowed")
    w.data = w.data - w.grad
    w.grad = None
    print("epoch", epoch, sys.argv[1:])
"""


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.py"
    path.write_text(MODEL)
    return str(path)


@pytest.fixture(autouse=True)
def nothing_is_left_behind():
    argv, path = sys.argv, sys.path[:]
    yield
    assert tensor.record is observed._record
    assert (sys.argv, sys.path) == (argv, path)


@pytest.mark.parametrize("number", [1, 3])
def test_the_program_runs_up_to_the_pass_that_is_wanted_and_no_further(model, number, capsys):
    (loss,) = losses_of_pass(model, ["a"], number)
    assert capsys.readouterr().out.splitlines() == [f"epoch {k} ['a']" for k in range(number - 1)]
    assert loss.name == "loss"
    w = tensor_called("w", [loss])
    assert w.grad is None
    h = np.array([0.1, 0.2])
    for _ in range(4):
        h = np.tanh(w.data @ h * number + 1.0)
    assert loss.item() == pytest.approx((h * h).sum(), rel=1e-12)


@pytest.mark.parametrize(
    ("number", "says"), [(4, "came to its end with 3 backward passes, so there is no number 4"), (0, "counted from 1")]
)
def test_a_pass_that_is_not_there_is_an_error(model, number, says):
    with pytest.raises(PassError, match=says):
        losses_of_pass(model, number=number)


@pytest.mark.parametrize("program", ["print(1)", "import sys; sys.exit()"])
def test_a_program_without_a_backward_pass_is_an_error(program, tmp_path):
    (tmp_path / "none.py").write_text(program)
    with pytest.raises(PassError, match=r"with no backward pass, such as loss\.backward"):
        losses_of_pass(str(tmp_path / "none.py"))
    with pytest.raises(PassError, match="there is no file"):
        losses_of_pass("nowhere.py")


@pytest.mark.parametrize("program", ["import sys; sys.exit(3)", "raise ValueError('its own')"])
def test_what_the_program_raises_is_raised(program, tmp_path):
    (tmp_path / "broken.py").write_text(program)
    with pytest.raises((SystemExit, ValueError), match=r"3|its own"):
        losses_of_pass(str(tmp_path / "broken.py"))


@pytest.mark.parametrize("command", ["trace", "draw", "debug"])
def test_an_error_of_the_program_is_told_as_by_python_itself(command, tmp_path, capsys, monkeypatch):
    """Also where the program runs another by runpy: all its own frames are there, and none of what runs it here."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    (tmp_path / "inner.py").write_text("def f():\n    {}['key']\n\nf()\n")
    (tmp_path / "outer.py").write_text("import runpy\nrunpy.run_path('inner.py')\n")
    assert command_line.main([command, "outer.py"]) == 1
    said = capsys.readouterr().err
    alone = subprocess.run([sys.executable, "outer.py"], capture_output=True, text=True)
    assert said.partition("(no post mortem")[0] == alone.stderr.replace(f"{tmp_path}/", "")
    assert (command == "debug") == said.endswith("(no post mortem: the error came before anything was computed)\n")


def test_names_of_tensors_are_those_that_gradient_reaches(model):
    losses = losses_of_pass(model)
    assert tensor_called("h[2]", losses).place.step == 2
    with pytest.raises(ValueError, match=r"4 tensors with a gradient are called h: say which: h\[0\] \.\.\. h\[3\]"):
        tensor_called("h", losses)
    with pytest.raises(ValueError, match="nothing here is called «q»"):
        tensor_called("q", losses)


def test_of_a_tensor_without_gradient_it_is_said_what_to_do():
    w = tg.Tensor([0.5], requires_grad=True, name="w")
    start = tg.Tensor([1.0], name="start")
    twins = [(w * x).named("twin") for x in (start, 2.0)]
    loss = (twins[0] * twins[1]).sum()
    with pytest.raises(ValueError, match="no gradient flows to start: make it with requires_grad=True, or ask about w"):
        tensor_called("start", [loss])
    with pytest.raises(
        ValueError, match="2 tensors with a gradient are called twin: all are twin here: give them names of their own"
    ):
        tensor_called("twin", [loss])


def test_trace_prints_the_report_of_the_gradient_or_writes_it(model, tmp_path, capsys):
    assert command_line.main(["trace", "--pass", "2", model]) == 0
    said = capsys.readouterr().out
    losses = losses_of_pass(model, number=2)
    trace = tg.trace_gradient(losses, to=tensor_called("w", losses))
    trace.save(tmp_path / "report.txt")
    assert said.strip().endswith((tmp_path / "report.txt").read_text().strip())
    assert "By lag" in said
    page = tmp_path / "report.html"
    assert command_line.main(["trace", "--to", "h[0]", "-o", str(page), model, "-o", "an argument of its own"]) == 0
    assert "«h»" in page.read_text()


def test_draw_draws_the_graph_with_flow_if_asked_for(model, tmp_path):
    for view in ("ops", "cells", "rolled"):
        path = tmp_path / f"{view}.dot"
        assert command_line.main(["draw", "-o", str(path), "--view", view, "--to", "w", model]) == 0
        losses = losses_of_pass(model)
        assert path.read_text() == tg.draw(losses, view, flow_to=tensor_called("w", losses)).dot
    plain = tmp_path / "plain.dot"
    assert command_line.main(["draw", "-o", str(plain), model]) == 0
    assert plain.read_text() == tg.draw(losses_of_pass(model)).dot


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["trace", "--pass", "9"], "there is no number 9"),
        (["trace", "--to", "q"], "nothing here is called «q»"),
        (["draw", "-o", "picture.xyz"], "saved by the ending of its name"),
        (["trace", "-o", "report.xyz"], "a report is saved by the ending"),
    ],
)
def test_a_mistake_is_a_line_that_says_what_is_wrong(arguments, says, model, capsys):
    assert command_line.main([*arguments, model]) == 1
    assert says in capsys.readouterr().err
