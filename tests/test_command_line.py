"""`python -m tinygrad_rnn`."""

import importlib.metadata
import importlib.util
import shutil
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


def test_the_lessons_are_listed_by_their_first_sentences_and_run_by_number(capsys):
    assert command_line.main(["lessons"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed[1].startswith("  2  Why a plain RNN forgets")
    assert command_line.main(["lessons", "2"]) == 0
    assert capsys.readouterr().out.startswith("1. ")
    assert command_line.main(["lessons", "99"]) == 1
    assert "there is no lesson 99" in capsys.readouterr().err


def test_the_doctor_says_what_is_there_and_what_to_install(monkeypatch, capsys):
    assert command_line.main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "a gradient" in said
    assert "a picture was drawn" in said

    def nothing(package):
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(importlib.metadata, "version", nothing)
    monkeypatch.setattr(shutil, "which", lambda program: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    assert command_line.main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "missing  no matplotlib, for plots and animations: pip install 'tinygrad_rnn[plot]'" in said
    assert "no picture can be drawn: no Graphviz was found" in said
