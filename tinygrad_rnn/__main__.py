"""The command line, `python -m tinygrad_rnn COMMAND`."""

from __future__ import annotations

import argparse
import ast
import difflib
import os
import runpy
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from . import RenderError, Tensor, doctor, draw, trace_gradient
from .debug import PassError, losses_of_pass, run_program, tensor_called, traceback_of_program, usual_source
from .graph import VIEWS
from .trace import report

HERE = Path(__file__).parent
DEMOS = next((folder for folder in (HERE / "demos", HERE.parent / "demos") if folder.is_dir()), None)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    try:
        status = _done(arguments)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # what reads it wants no more, as in `... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes at its end
        return 1


def _done(arguments: Sequence[str] | None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser, commands = _parsers()
    if not given:
        parser.print_help()
        return 0
    if not given[0].startswith("-") and given[0] not in commands:
        parser.error(_no_command(given[0], commands))
    asked = parser.parse_args(given)
    if asked.command in RUNS_A_FILE:
        _say_what_comes_too_late(asked)
    if asked.command == "debug":
        return run_program(asked.file, asked.arguments, asked.c)
    if asked.command in ("trace", "draw"):
        return _look_at_a_pass(asked)
    if asked.command == "doctor":
        return doctor.main()
    if asked.command == "demo":
        return _run_lesson(1)
    return _run_lesson(asked.number) if asked.number is not None else _list_lessons()


RUNS_A_FILE = {  # with their options
    "trace": ("-h", "--help", "-o", "--to", "--pass"),
    "draw": ("-h", "--help", "-o", "--view", "--to", "--pass"),
    "debug": ("-h", "--help", "-c"),
}


def _parsers() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """The whole, and the one of each command."""
    parser = argparse.ArgumentParser("python -m tinygrad_rnn", description="Which paths carry gradient across time?")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")

    def command(name: str, what: str, example: str = "") -> argparse.ArgumentParser:
        epilog = f"Example: {parser.prog} {name} {example}" if example else None
        return commands.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.", epilog=epilog)

    command("demo", "train three networks, trace their gradients; writes to out/")
    lessons = command("lessons", "list the lessons, or run one", "2")
    lessons.add_argument("number", nargs="?", type=int, help="of the lesson to run; without it they are listed")
    trace = command(
        "trace",
        "run a program up to a backward pass, and trace the gradient",
        "--to W -o report.html train.py",
    )
    trace.add_argument("-o", metavar="REPORT", help="a file for the report: .html, .md or .txt; else it is printed")
    drawing = command(
        "draw",
        "run a program up to a backward pass, and draw the graph",
        "--view cells --to W -o net.png train.py",
    )
    drawing.add_argument(
        "-o", metavar="PICTURE", default="graph.png", help=".png, .svg, .pdf or .dot; graph.png if not said"
    )
    drawing.add_argument(
        "--view",
        choices=VIEWS,
        default="ops",
        help="every operation, a box a cell, or one cell for all; ops if not said",
    )
    tracing_to = "the gradient of which tensor; else that of the leaf used the most"
    drawing_to = "print on the arrows how much of the gradient of this tensor flows there"
    for one, what in ((trace, tracing_to), (drawing, drawing_to)):
        one.add_argument("--to", metavar="NAME", help=f"{what}: W, h[3], layer0/h[3]")
        one.add_argument(
            "--pass",
            dest="number",
            metavar="K",
            type=int,
            default=1,
            help="the K-th backward pass; 1, the first, if not said",
        )
    debug = command("debug", "run a program, and step through its backward passes", '-c "break nan; continue" train.py')
    debug.add_argument("-c", metavar="COMMANDS", default="", help='for the first stop, as in "break nan; continue"')
    for one in (trace, drawing, debug):
        one.add_argument("file", metavar="FILE", help="the program; options stand before it")
        rest = one.add_argument(
            "arguments", nargs=argparse.REMAINDER, help="of the program: all that stands after FILE"
        )
        rest.required = False  # or it is said to be missing where FILE is
    command("doctor", "say what is installed and what is missing")
    return parser, commands.choices


def _no_command(word: str, commands: Iterable[str]) -> str:
    if Path(word).is_file():
        return f"a command comes first: {', '.join(f'{one} {word}' for one in RUNS_A_FILE)}"
    near = difflib.get_close_matches(word, commands, n=1)
    meant = f" (did you mean {near[0]}?)" if near else ""
    return f"there is no command {word!r}{meant}; there are {', '.join(commands)}"


def _say_what_comes_too_late(asked: argparse.Namespace) -> None:
    """What stands after the file is the program's, as with `python -m pdb`; it may have been meant for us."""
    late = [word for word in asked.arguments if word.split("=")[0] in RUNS_A_FILE[asked.command]]
    if late:
        print(
            f"note: {' '.join(late)} after {asked.file} goes to that program; options of {asked.command} go before it",
            file=sys.stderr,
        )


def _look_at_a_pass(asked: argparse.Namespace) -> int:
    try:
        losses = losses_of_pass(asked.file, asked.arguments, asked.number)
    except PassError as error:
        print(error, file=sys.stderr)
        return 1
    except Exception as error:
        print(traceback_of_program(error), file=sys.stderr, end="")
        return 1
    try:
        to = tensor_called(asked.to, losses) if asked.to else None
        print(_traced(losses, to, asked.o) if asked.command == "trace" else _drawn(losses, to, asked.o, asked.view))
    except BrokenPipeError:
        raise
    except (ValueError, RuntimeError, RenderError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _traced(losses: list[Tensor], to: Tensor | None, path: str | None) -> str:
    trace = trace_gradient(losses, to=usual_source(losses) if to is None else to)
    return report.text(trace) if path is None else f"written: {trace.save(path)}"


def _drawn(losses: list[Tensor], to: Tensor | None, path: str, view: str) -> str:
    return f"drawn: {draw(losses, view, flow_to=to).save(path)}"


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
