"""The prompt: pdb's letters and habits, forwards and backwards in time."""

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

import numpy as np

from ..engine.primitives import TABLE
from ..engine.tensor import Tensor
from ..graph import RenderError
from ..trace import trace_gradient
from . import account, reading
from .conditions import GRAMMAR, ConditionError, condition, the_one_called
from .labels import array_text, norm
from .lines import line_of
from .moment import picture
from .stop import Stop
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
MOMENTS = ("start", "beginning", "forward", "backward", "end")  # where goto goes by a word
REPEATED = {"step", "next", "back", "continue", "rc", "finish", "until", "up", "down", "events"}
BOLD, RED, PLAIN = "\033[1m", "\033[31;1m", "\033[0m"

HELP = """\
Everything that happened is recorded: the operations, then the backward pass, edge by edge. You are between two events.

    s, step [n]         on by one event, or n           back [n]            back by one event, or n
    n, next             on, over scopes inside          goto K, j K         to event K; forward, backward, end
    r, finish [step]    to the end of this scope or     until COND          on until a condition holds
                        of this time step               c, continue         on to a break point or the end
    b, break COND       stop there; b lists them        rc                  back to a break point or the beginning
    tbreak COND         stop there once                 watch h, grad W     stop when it is made or changes
    clear [N]  disable N  enable N  ignore N COUNT

    w, where            all about this event            l, list             the lines of your program around it
    rule                the rule, with numbers          e, events [n]       the events around this one
    values              the operands and results        p EXPR              p h[3], p grad W, p norm(c[3] - c[2])
    frontier            who holds the gradient now      why [NAME]          what feeds this gradient
    u, d, up, down [k]  look at its user / operand k    to NAME             shares of the gradient of NAME
    graph FILE.png      a picture of this moment        source FILE         commands from a file
    detach              run on without stopping         q, quit             leave
    help COMMAND

An empty line repeats the last move. Conditions (help break) join with `and`. Commands join with `;`."""


@final
class Prompt(cmd.Cmd):
    """A terminal for a debugger. `left` says how it was left: "quit", or "continue" where `goes_on`.

    goes_on: there is a program to go back to after the last event.
    """

    def __init__(
        self, debugger: Walk, out: TextIO | None = None, source: TextIO | None = None, goes_on: bool = False
    ) -> None:
        super().__init__(stdin=source, stdout=out)
        self.debugger, self.goes_on = debugger, goes_on
        self.left = "quit"
        self.finished = False  # a command has left
        self.focus: Tensor | None = None  # what up and down look at
        self.trail: list[Tensor] = []
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
        if word == "!" or (
            word not in ("exit()", "quit()") and _EXPRESSION.match(line)
        ):  # h[3] is the tensor, h alone is help; as in pdb
            word, rest = "print", line.removeprefix("!")
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
        except (ConditionError, reading.ReadingError, ValueError, RuntimeError, RenderError, OSError) as error:
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
        if self.wide:
            text = "\n".join(wrapped(line, self.wide()) for line in text.split("\n"))
        if self.coloured:
            text = re.sub(r"^(event \d+ of \d+)", rf"{BOLD}\1{PLAIN}", text, flags=re.M)
            text = re.sub(r"^(    NOTE .*|\*\*\* .*)$", rf"{RED}\1{PLAIN}", text, flags=re.M)
        print(text, file=self.stdout, flush=True)

    # Moving --------------------------------------------------------------------------------------------------------

    def _show(self, stop: Stop) -> None:
        """What happened at a stop; the end and the beginning say so."""
        self.focus, self.trail = None, []
        before = stop.position
        self.say(account.account(stop))
        if before == len(self.debugger):
            done = "this is what backward() computes" if stop.timeline.seeds else "the forward pass ends here"
            self.say(f"--- the end: all {before} events have happened; {done} ---")
        elif before == stop.timeline.forward_end:
            self.say("--- the forward pass ends here; next begins the backward pass ---")

    def _end(self, forwards: bool) -> bool:
        """Whether there is nowhere to go; says so."""
        at = self.debugger.position
        if forwards and at == len(self.debugger):
            self.say("this is the end; back and rc go back" + (", c goes on with the program" if self.goes_on else ""))
            return True
        if not forwards and at == 0:
            self.say("this is the beginning: nothing has happened yet")
            return True
        return False

    def do_step(self, rest: str) -> None:
        """s, step [n]: on by one event, or by n."""
        n = _number(rest, 1)
        if not self._end(True):
            self._show(self.debugger.step(n))

    def do_back(self, rest: str) -> None:
        """back [n]: back by one event, or by n."""
        n = _number(rest, 1)
        if not self._end(False):
            self._show(self.debugger.back(n))

    def do_next(self, rest: str) -> None:
        """n, next: to the next event that is not deeper in the model; what scopes inside do is stepped over."""
        if not self._end(True):
            self._show(self.debugger.next())

    def do_finish(self, rest: str) -> None:
        """r, finish: to the last event of this scope at this time step.  finish step, finish scope: of either alone."""
        if rest not in ("", "step", "scope", "both"):
            raise ValueError("finish, finish step, or finish scope")
        if not self._end(True):
            self._show(self.debugger.finish(rest or "both"))  # type: ignore[arg-type]

    def do_goto(self, rest: str) -> None:
        """goto K: to the moment after event K; K is a number (0 the beginning, -1 the end), or forward, backward, end.

        `goto backward` is where the backward pass begins.
        """
        line = self.debugger.timeline
        named = dict(zip(MOMENTS, (0, 0, 0, line.forward_end, len(line)), strict=True))
        if rest not in named and not re.fullmatch(r"#?-?\d+", rest):
            raise ValueError(
                f"goto wants the number of an event, 0 to {len(line)}, or forward, backward, end; by until one goes on "
                "to a tensor or a step, as in until h[3]"
            )
        self._show(self.debugger.goto(named[rest] if rest in named else int(rest.removeprefix("#"))))

    def do_until(self, rest: str) -> None:
        """until COND: on until a condition holds (help break tells what can be written); until K: to event K."""
        if rest.isdigit():
            return self.do_goto(rest)
        if not rest:
            raise ConditionError("until what? What can be written:\n" + GRAMMAR)
        if not self._end(True):
            stop = self.debugger.run_until(rest)
            self._show(stop)
            if stop.position == len(self.debugger) and not condition(rest, self.debugger.labels)(stop):
                self.say(f"«{rest}» did not hold anywhere on the way")
        return None

    def do_continue(self, rest: str) -> bool:
        """c, continue: on to the next break point, or to the end. From the end, on with the program if there is one."""
        dbg = self.debugger
        if dbg.position == len(dbg) and self.goes_on:
            self.left = "continue"
            return True
        if not self._end(True):
            self._arrive(dbg.run)
        return False

    def do_rc(self, rest: str) -> None:
        """rc, reverse: back to the last break point before this moment, or to the beginning."""
        if not self._end(False):
            self._arrive(self.debugger.run_back)

    def _arrive(self, run: Callable[[], Stop]) -> None:
        known = {one.number: one for one in self.debugger.breakpoints}  # a temporary one is gone when it is reached
        stop = run()
        for number in self.debugger.state.reached:
            one = known[number]
            self.say(f"{'watch' if one.watch else 'break'} {number}: {one.text}" + self._changed(stop, one.watch))
        self._show(stop)

    def _changed(self, stop: Stop, watch: str | None) -> str:
        if watch is None or stop.kind != "backward" or stop.total is None:
            return ""
        before = "nothing" if stop.before is None else f"norm {norm(stop.before):.4g}"
        return f"   {before} -> norm {norm(stop.total):.4g}"

    # Break points --------------------------------------------------------------------------------------------------

    def do_break(self, rest: str) -> None:
        if not rest:
            listed = "\n".join(map(str, self.debugger.breakpoints))
            self.say(listed or "no break points; for example: break nan, break h[7], break log and step 7 (help break)")
            return
        self.say(f"break point {self._added(self.debugger.break_at(rest).number)}")

    do_break.__doc__ = f"b, break COND: stop where it holds; b alone lists the break points.\n\n{GRAMMAR}"

    def _added(self, number: int) -> str:
        return next(str(one) for one in self.debugger.breakpoints if one.number == number).strip()

    def do_tbreak(self, rest: str) -> None:
        """tbreak COND: like break, and gone after the first stop."""
        self.say(f"break point {self._added(self.debugger.break_at(rest, temporary=True).number)}")

    def do_watch(self, rest: str) -> None:
        """watch h[3], watch grad W: stop when it is made, or its gradient changes; joins with `and norm > 10`."""
        self.say(f"watch point {self._added(self.debugger.watch(rest).number)}")

    def do_clear(self, rest: str) -> None:
        """clear N: remove break or watch point N; clear: all of them."""
        number = _number(rest, None)
        gone = [one for one in self.debugger.breakpoints if number in (None, one.number)]
        numbers = ", ".join(str(one.number) for one in gone)
        if number is None and gone and self.prompt and not self._sure(f"remove all break points: {numbers}?"):
            return
        self.debugger.clear(number)
        self.say("\n".join(f"removed {one.number}: {one.text}" for one in gone) or "there are no break points")

    def _sure(self, question: str) -> bool:
        """The answer on a terminal; Ctrl-C and Ctrl-D mean no."""
        try:
            return input(f"{question} (y/n) ").strip().lower() in ("y", "yes")
        except (EOFError, KeyboardInterrupt):
            self.say("")
            return False

    def do_disable(self, rest: str) -> None:
        """disable N: keep break point N, but do not stop there."""
        self.say(str(self.debugger.change(_wanted(rest), enabled=False)).strip())

    def do_enable(self, rest: str) -> None:
        """enable N: stop at break point N again."""
        self.say(str(self.debugger.change(_wanted(rest), enabled=True)).strip())

    def do_ignore(self, rest: str) -> None:
        """ignore N COUNT: let the next COUNT hits of break point N pass."""
        number, _, count = rest.partition(" ")
        self.say(str(self.debugger.change(_wanted(number), ignored=_number(count, 1))).strip())

    # Looking -------------------------------------------------------------------------------------------------------

    def do_where(self, rest: str) -> None:
        """w, where: the place in the program and in the model, the rule, the numbers, what was added to what."""
        self.say(account.where(self.debugger.current))

    def do_rule(self, rest: str) -> None:
        """rule: the operation's forward and backward rules as formulas, and with the numbers of one element."""
        self.say(account.rule(self.debugger.current))

    def do_values(self, rest: str) -> None:
        """values: the operands, the result, the cotangent and the local derivative, with shapes."""
        stop = self.debugger.current
        self.say("\n".join([account.headline(stop), *account.values(stop)]))

    def do_frontier(self, rest: str) -> None:
        """frontier: the nodes that hold the gradient at this moment, and their shares, which add up to 100%."""
        self.say("\n".join(account.frontier(self.debugger.current)))

    def do_to(self, rest: str) -> None:
        """to NAME: shares are those of the gradient of NAME from now on."""
        if not rest:
            source = self.debugger.shares.source
            self.say("shares are of " + (self.debugger.labels.label(source) if source is not None else "nothing"))
            return
        node = self._tensor(rest)
        if node.index not in self.debugger.timeline.order:
            raise ValueError(f"no gradient flows to {rest}, so there is nothing to have a share of")
        self.debugger.shares = type(self.debugger.shares)(self.debugger.timeline, self.debugger.outputs, node)
        self.say(f"shares are of the gradient of {rest}")

    def do_why(self, rest: str) -> None:
        """why [NAME]: what the gradient here (or of NAME) is the sum of, and the heaviest paths that feed it."""
        stop = self.debugger.current
        node = self._tensor(rest) if rest else stop.target
        if not stop.timeline.seeds:
            raise ValueError("there is no backward pass here, so there are no gradients")
        if node is None:
            raise ValueError("there is no gradient here yet; why NAME asks about the one of NAME")
        self.say(account.why(stop, node))
        whole = stop.timeline.cotangents().get(node.index)
        if self.debugger.outputs and whole is not None and np.isfinite(whole).all() and np.any(whole):
            paths = str(trace_gradient(self.debugger.outputs, to=node).top_paths(3))
            unnamed = "\n    (_ is a step crossed in a tensor without a name)" * bool(
                re.search(r" _($|[\s^])", paths, re.M)
            )
            self.say(paths + unnamed)

    def do_print(self, rest: str) -> None:
        """p EXPR: a tensor, a gradient so far, or arithmetic on them.

        p h[3]    p grad W    p W[0, 1:3]    p norm(c[3] - c[2])    p layer0/h[3]    p #41    p x.shape    p h[3].line
        At a stop also: result, operands, cotangent, contribution, derivative, total, share.
        """
        if not rest:
            raise reading.ReadingError("p what? For example " + ", ".join(self._examples()))
        self.say(reading.shown(rest, self.debugger.current, self.debugger.variables))

    def _examples(self) -> list[str]:
        labels = self.debugger.labels
        return [f"p {labels.label(nodes[-1])}" for nodes in list(labels.named.values())[-3:]] or ["p result"]

    def do_list(self, rest: str) -> None:
        """l, list: the lines of your program around the one that made this node."""
        self.say(account.source_text(self.debugger.current))

    def do_events(self, rest: str) -> None:
        """e, events [n]: the n events before and after this moment."""
        dbg, n = self.debugger, max(_number(rest, 4), 1)
        for k in range(max(0, dbg.position - n), min(len(dbg), dbg.position + n)):
            mark = "->" if k + 1 == dbg.position else "  "
            self.say(f"{mark} {account.headline(dbg.stop_at(k + 1))}")

    def do_up(self, rest: str) -> None:
        """u, up: look at the node that uses the one looked at; time stands still."""
        line, node = self.debugger.timeline, self._focus()
        if self.trail:
            self._look(self.trail.pop())
            return
        users = [one for one in line.order.values() if any(x.index == node.index for x in one.inputs)]
        if not users:
            raise ValueError(f"nothing uses {self.debugger.labels.label(node)}")
        if len(users) > 1:
            names = ", ".join(self.debugger.labels.label(one) for one in users[:6])
            self.say(f"({len(users)} nodes use it: {names}{', ...' if len(users) > 6 else ''})")
        self._look(users[0])

    def do_down(self, rest: str) -> None:
        """d, down [k]: look at operand k (0 if not said) of the node looked at; time stands still."""
        node, k = self._focus(), _number(rest, 0)
        if not node.inputs:
            raise ValueError(f"{self.debugger.labels.label(node)} is a leaf: it was given, and not computed")
        if k >= len(node.inputs):
            last = len(node.inputs) - 1
            raise ValueError(f"it has operands 0 to {last}" if last else "it has one operand, 0")
        self.trail.append(node)
        self._look(node.inputs[k])

    def _focus(self) -> Tensor:
        node = self.focus if self.focus is not None else self.debugger.current.node
        if node is None:
            raise ValueError("nothing has happened yet")
        return node

    def _look(self, node: Tensor) -> None:
        self.focus = node
        stop, label = self.debugger.current, self.debugger.labels.label
        made = f"{node.primitive.name}({', '.join(map(label, node.inputs[:4]))})" if node.primitive else "given"
        at = self.debugger.timeline.made_at(node.index)
        when = f", event {at + 1}" if at >= 0 else ""
        value = array_text(node.value) if at < stop.position else "not made yet"
        total = self.debugger.timeline.total(node.index, stop.position)
        line = "" if line_of(node) is None else f"  {line_of(node)}"
        self.say(f"{label(node)} = {made}{when}  ({node.place}){line}\n    value      {value}")
        if node.tracked:
            self.say(f"    gradient   {'- (nothing yet)' if total is None else array_text(total)}")

    def do_graph(self, rest: str) -> None:
        """graph FILE.png: a picture of what has been made by now, and of the gradient that has arrived (.svg, .pdf).

        Of many time steps those around this moment are drawn.
        """
        if not rest:
            raise ValueError("graph wants a file name, as in graph now.png")
        self.say(f"drawn: {picture(self.debugger.current).save(rest)}")

    def _tensor(self, text: str) -> Tensor:
        return the_one_called(text, self.debugger.labels)

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
        self.run(Path(rest).read_text(encoding="utf-8"))
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


def _number(text: str, default: Any) -> Any:
    if not text:
        return default
    if not text.isdigit():
        raise ValueError(f"a whole number is wanted here; got «{text}»")
    return int(text)


def _wanted(text: str) -> int:
    if not text.isdigit():
        raise ValueError("which? Give its number; b lists them")
    return int(text)
