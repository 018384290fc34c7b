"""The prompt: a terminal on which commands are typed, with pdb's letters and habits."""

from __future__ import annotations

import cmd
import difflib
import inspect
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO, final

from ..engine.primitives import TABLE
from ..graph import RenderError
from .commands import HELP, MOMENTS, Commands
from .terminal import in_one_column, wrapped
from .walk import Walk

SHORT = {
    "s": "step", "b": "break", "c": "continue", "p": "print", "l": "list", "w": "where", "u": "up", "d": "down",
    "q": "quit", "n": "next", "h": "help", "r": "finish", "f": "finish", "j": "goto", "g": "goto", "e": "events",
    "cont": "continue", "bt": "where", "rs": "back", "return": "finish", "reverse": "rc", "exit": "quit",
    "unwatch": "clear", "delete": "clear", "cl": "clear", "unt": "until", "pp": "print", "ll": "list",
    "EOF": "end_of_input", "exit()": "quit", "quit()": "quit",
}  # fmt: skip
_EXPRESSION = re.compile(r"\w+([\[.(/]| ([-+*/@<>]|[*<>=!]?[*/=]) )")  # what is no command, but can be printed
REPEATED = {"step", "next", "back", "continue", "rc", "finish", "until", "up", "down", "events"}
BOLD, RED, PLAIN = "\033[1m", "\033[31;1m", "\033[0m"


@final
class Prompt(Commands, cmd.Cmd):
    """A terminal for a debugger. `left` says how it was left: "quit", or "continue" where `goes_on`.

    goes_on: there is a program to go back to after the last event.
    """

    def __init__(
        self, debugger: Walk, out: TextIO | None = None, source: TextIO | None = None, goes_on: bool = False
    ) -> None:
        Commands.__init__(self, debugger, goes_on)
        cmd.Cmd.__init__(self, stdin=source, stdout=out)
        self.finished = False  # a command has left
        self.reading: list[Path] = []  # files of commands
        terminal = out is None and sys.stdout.isatty()
        self.wide = (lambda: shutil.get_terminal_size().columns) if terminal else None
        self.coloured = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        asked = source is None and out is None and sys.stdin is not None and sys.stdin.isatty()
        self.prompt = "(tg) " if asked else ""
        self.use_rawinput = source is None
        self.last_move = ""

    # The loop ------------------------------------------------------------------------------------------------------

    def interact(self, greeting: str = "") -> str:
        """Ask until the user leaves. Returns how: "quit" or "continue"."""
        if greeting:
            self.say(greeting)
        while True:
            try:
                self.cmdloop()
                return self.left
            except KeyboardInterrupt:  # at the prompt itself: throw away what was typed
                self.say("\n(q leaves)")

    def run(self, script: str) -> str:
        """Commands from a text, a line or a `;` between them; # begins a comment."""
        for line in script.splitlines():
            if line.split("#", 1)[0].strip() and self.onecmd(_without_comment(line)):
                break
        return self.left

    def onecmd(self, line: str) -> bool:
        for piece in re.split(r";+", line):
            if not piece.strip():
                if not line.strip():
                    return self.emptyline()
                continue
            if self._one(piece.strip()):
                self.finished = True
                return True
        return False

    def _one(self, line: str) -> bool:
        line = re.sub(r"^(p|print)\(", r"\1 (", line)
        word, rest = line.split(None, 1) if " " in line else (line, "")
        if found := re.match(r"([?!])\s*(.*)", line):
            word, rest = found.groups()
        if word == "!" or (line not in ("exit()", "quit()") and _EXPRESSION.match(line)):
            word, rest = "print", line.removeprefix("!")  # h[3] is the tensor, h alone is help; as in pdb
        word = "help" if word == "?" else SHORT.get(word, word)
        action: Callable[[str], bool | None] | None = getattr(self, f"do_{word}", None) if word else None
        try:
            if action is None:
                self.default(line)
                return False
            self.last_move = line if word in REPEATED else ""
            return bool(action(rest.strip()))
        except KeyboardInterrupt:
            at = self.debugger.position
            self.say(f"\ninterrupted after event {at} of {len(self.debugger)}; nothing is half done, c goes on")
        except BrokenPipeError:  # nobody reads what is said any more
            raise
        except (ValueError, RuntimeError, RenderError, OSError) as error:
            self.say(f"*** {error}")
        return False

    def emptyline(self) -> bool:
        return self._one(self.last_move) if self.last_move else False

    def default(self, line: str) -> None:
        word = line.split()[0] if line.split() else line
        if word == "grad" or self._known(word):
            return self.do_print(line)
        known = [*self._commands(), *SHORT]
        near = [f"goto {word}"] * (word in MOMENTS) or difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.7)
        meant = f"; did you mean {near[0]}?" if near else ""
        self.say(f"*** there is no command {word!r}{meant} (help lists them)")
        return None

    def _known(self, word: str) -> bool:
        return bool(self.debugger.labels.find(word.split("[")[0])) or word.split("[")[0] in self.debugger.variables

    def _commands(self) -> list[str]:
        return sorted(name[3:] for name in dir(self) if name.startswith("do_") and name != "do_end_of_input")

    def say(self, text: str) -> None:
        print("\n".join(map(self._dressed, text.split("\n"))), file=self.stdout, flush=True)

    def _dressed(self, line: str) -> str:
        """As wide as the terminal, and in its colours."""
        shown = wrapped(line, self.wide()) if self.wide else line
        if self.coloured and line.startswith(("    NOTE ", "*** ")):
            return f"{RED}{shown}{PLAIN}"
        return re.sub(r"^(event \d+ of \d+)", rf"{BOLD}\1{PLAIN}", shown) if self.coloured else shown

    def sure(self, question: str) -> bool:
        """The answer on a terminal, where Ctrl-C and Ctrl-D mean no; a script is sure."""
        if not self.prompt:
            return True
        try:
            return input(f"{question} (y/n) ").strip().lower() in ("y", "yes")
        except (EOFError, KeyboardInterrupt):
            self.say("")
            return False

    # Leaving -------------------------------------------------------------------------------------------------------

    def do_quit(self, rest: str) -> bool:
        """q, quit: leave the debugger."""
        self.left = "quit"
        return True

    def do_detach(self, rest: str) -> bool:
        """detach: let the program run on, without stopping at its further backward passes."""
        if not self.goes_on:
            raise ValueError("there is no program to go on with; q leaves")
        self.left = "detach"
        return True

    def do_source(self, rest: str) -> bool:
        """source FILE: the commands in a file, one a line."""
        if not rest:
            raise ValueError("source wants a file of commands, one a line")
        path = Path(rest).resolve()
        if path in self.reading:
            raise ValueError(f"{rest} is being read already")
        self.reading.append(path)
        try:
            self.run(path.read_text(encoding="utf-8"))
        finally:
            self.reading.pop()
        return self.finished

    def do_end_of_input(self, rest: str) -> bool:
        """Ctrl-D leaves."""
        if self.prompt:
            self.say("")
        return self.do_quit("")

    def do_help(self, rest: str) -> None:
        """help [COMMAND]"""
        if not rest:
            self.say(in_one_column(HELP) if self.wide and self.wide() < max(map(len, HELP.splitlines())) else HELP)
            return
        word = SHORT.get(rest, rest)
        action = getattr(self, f"do_{word}", None)
        if action is None:
            self.default(rest)
        else:
            self.say(inspect.cleandoc(action.__doc__ or ""))

    # Completion ----------------------------------------------------------------------------------------------------

    def completenames(self, text: str, *ignored: Any) -> list[str]:
        return [name for name in self._commands() if name.startswith(text)]

    def completedefault(self, *arguments: Any) -> list[str]:
        text = arguments[0]
        labels = self.debugger.labels
        words = {*labels.named, *labels.scopes(), *TABLE, "nan", "inf", "forward", "backward", "grad", "step", "norm"}
        return sorted(word for word in words if word.startswith(text))


def _without_comment(line: str) -> str:
    return re.split(r"(?:^|\s)#(?!\d)", line, maxsplit=1)[0]
