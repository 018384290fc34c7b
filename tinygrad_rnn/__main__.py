"""The command line, `python -m tinygrad_rnn COMMAND`."""

from __future__ import annotations

import argparse
import ast
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from . import doctor
from .debug import run_program

HERE = Path(__file__).parent
DEMOS = next((folder for folder in (HERE / "demos", HERE.parent / "demos") if folder.is_dir()), None)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser("python -m tinygrad_rnn", description="Which paths carry gradient across time?")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("demo", help="train three small networks on text and trace their gradients; writes to out/")
    lessons = commands.add_parser("lessons", help="list the lessons, or run one")
    lessons.add_argument("number", nargs="?", type=int, help="of the lesson to run")
    debug = commands.add_parser("debug", help="run a program, and step through its backward passes")
    debug.add_argument("-c", metavar="COMMANDS", default="", help='for the first stop, as in "break nan; continue"')
    debug.add_argument("file", help="the program")
    debug.add_argument("arguments", nargs=argparse.REMAINDER, help="its arguments")
    commands.add_parser("doctor", help="say what is installed and what is missing")
    asked = parser.parse_args(arguments)
    if asked.command == "debug":
        return run_program(asked.file, asked.arguments, asked.c)
    if asked.command == "doctor":
        return doctor.main()
    if asked.command == "demo":
        return _run_lesson(1)
    return _run_lesson(asked.number) if asked.number is not None else _list_lessons()


def _lessons() -> dict[int, Path]:
    return {int(path.name[:2]): path for path in sorted(DEMOS.glob("[0-9][0-9]_*.py"))} if DEMOS else {}


def _list_lessons() -> int:
    for number, path in _lessons().items():
        about = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n")[0]
        print(f"{number:>3}  {about}")
    print("\nRun one by its number: python -m tinygrad_rnn lessons 2" if DEMOS else _NO_DEMOS)
    return 0 if DEMOS else 1


def _run_lesson(number: int) -> int:
    lessons = _lessons()
    if number not in lessons:
        print(f"there is no lesson {number}; there are 1 to {max(lessons)}" if DEMOS else _NO_DEMOS, file=sys.stderr)
        return 1
    try:
        runpy.run_path(str(lessons[number]), run_name="__main__")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("tinygrad_rnn"):
            raise
        print(f"the demo needs {error.name}: pip install 'tinygrad_rnn[demo]'", file=sys.stderr)
        return 1
    return 0


_NO_DEMOS = "the demos are not part of this installation; get them with the source of tinygrad_rnn"

if __name__ == "__main__":
    sys.exit(main())
