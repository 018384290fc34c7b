"""`python -m tinygrad_rnn`."""

import subprocess
import sys

import tinygrad_rnn.__main__ as command_line


def test_the_command_line_explains_itself():
    asked = subprocess.run([sys.executable, "-m", "tinygrad_rnn", "--help"], capture_output=True, text=True)
    assert asked.returncode == 0
    assert "demo" in asked.stdout


def test_an_unknown_command_is_an_error_that_lists_the_known_ones():
    asked = subprocess.run([sys.executable, "-m", "tinygrad_rnn", "nonsense"], capture_output=True, text=True)
    assert asked.returncode == 2
    assert "demo" in asked.stderr


def test_without_the_demos_or_what_they_need_it_says_what_to_do(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(command_line, "DEMOS", None)
    assert command_line.main(["demo"]) == 1
    assert "source of tinygrad_rnn" in capsys.readouterr().err
    (tmp_path / "01_first_light.py").write_text("import a_package_that_nobody_has\n")
    monkeypatch.setattr(command_line, "DEMOS", tmp_path)
    assert command_line.main(["demo"]) == 1
    assert "pip install 'tinygrad_rnn[demo]'" in capsys.readouterr().err
