"""`python -m tinygrad_rnn`."""

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys

import pytest

import tinygrad_rnn.__main__ as command_line


def test_the_command_line_explains_itself():
    asked = subprocess.run([sys.executable, "-m", "tinygrad_rnn", "--help"], capture_output=True, text=True)
    assert asked.returncode == 0
    assert "demo" in asked.stdout


def test_an_unknown_command_is_an_error_that_lists_the_known_ones():
    asked = subprocess.run([sys.executable, "-m", "tinygrad_rnn", "nonsense"], capture_output=True, text=True)
    assert asked.returncode == 2
    assert "demo" in asked.stderr


def said_by(capsys, *arguments):
    """-> (exit status, stdout, stderr)"""
    try:
        status = command_line.main(list(arguments))
    except SystemExit as left:
        status = left.code
    return status, *capsys.readouterr()


def test_alone_it_lists_the_commands_one_line_each(capsys):
    status, said, _ = said_by(capsys)
    assert status == 0
    assert said == said_by(capsys, "--help")[1]
    commands = ("demo", "lessons", "trace", "draw", "debug", "doctor")
    listed = [line.split()[0] for line in said.partition("COMMAND\n")[2].splitlines()]
    assert listed == list(commands)
    for command in commands:
        assert said_by(capsys, command, "--help")[1].startswith(f"usage: python -m tinygrad_rnn {command} ")


def test_a_reader_that_wants_no_more_is_no_error(tmp_path):
    program = tmp_path / "two.py"
    program.write_text(
        "import tinygrad_rnn as tg\nw = tg.Tensor([1.0], requires_grad=True, name='w')\n(w * w).sum().backward()\n"
    )
    for arguments in (["lessons"], ["trace", str(program)], ["doctor"]):
        here, there = os.pipe()
        os.close(here)  # nobody reads
        command = [sys.executable, "-m", "tinygrad_rnn", *arguments]
        ran = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=there, stderr=subprocess.PIPE, text=True)
        os.close(there)
        assert ran.stderr == "", arguments


def test_a_slip_in_the_command_or_a_file_in_its_place_is_told_what_was_meant(tmp_path, capsys):
    status, _, said = said_by(capsys, "tracee", "x.py")
    assert status == 2
    assert "there is no command 'tracee' (did you mean trace?); there are demo" in said
    (tmp_path / "two.py").touch()
    status, _, said = said_by(capsys, str(tmp_path / "two.py"))
    assert status == 2
    assert f"a command comes first: trace {tmp_path / 'two.py'}, draw" in said
    assert "are required: FILE\n" in said_by(capsys, "trace")[2]


@pytest.mark.parametrize("command", ["trace", "draw", "debug"])
def test_every_option_that_stands_after_the_file_is_told_where_it_goes(command, tmp_path, capsys, monkeypatch):
    program = str(tmp_path / "two.py")
    (tmp_path / "two.py").write_text("import sys\nprint(sys.argv[1:])\n")
    options = said_by(capsys, command, "--help")[1].partition("\noptions:")[2].partition("\nExample:")[0]
    for option in {*re.findall(r"(?<![\w-])--?[a-z]+", options)}:
        _, said, noted = said_by(capsys, command, program, option, "W", f"{option}=W", "--epochs", "3")
        assert f"[{option!r}, 'W', '{option}=W', '--epochs', '3']" in said
        assert (
            f"note: {option} {option}=W after {program} goes to that program; options of {command} go before" in noted
        )
    assert "note" not in said_by(capsys, command, program, "--epochs", "3", "W")[2]


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
