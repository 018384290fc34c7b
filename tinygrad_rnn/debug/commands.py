"""What the commands of the prompt do: they move in time, set break points, and look at a moment."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from ..engine.tensor import Tensor
from ..trace import trace_gradient
from . import account, reading
from .conditions import GRAMMAR, ConditionError, condition, the_one_called
from .gaze import Gaze
from .labels import norm
from .moment import picture
from .stop import Stop
from .walk import Walk

MOMENTS = ("start", "beginning", "forward", "backward", "end")  # where goto goes by a word

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


class Commands(ABC):
    """Each command is a method, `do_step` that of step; its docstring is its help, and True leaves the prompt.

    goes_on: there is a program to go back to after the last event. left: how the prompt was left.
    """

    def __init__(self, debugger: Walk, goes_on: bool) -> None:
        self.debugger, self.goes_on = debugger, goes_on
        self.left = "quit"
        self.gaze = Gaze(debugger)

    @abstractmethod
    def say(self, text: str) -> None:
        """Print it."""

    @abstractmethod
    def sure(self, question: str) -> bool:
        """Whether the user wants that, where there is one to be asked."""

    # Moving --------------------------------------------------------------------------------------------------------

    def _show(self, stop: Stop) -> None:
        """What happened at a stop; the end and the beginning say so."""
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
            self._show(self.debugger.finish(rest or "both"))  # type: ignore[arg-type]  # one of these three

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
        if rest.isdecimal():
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
        if number is None and gone and not self.sure(f"remove all break points: {numbers}?"):
            return
        self.debugger.clear(number)
        self.say("\n".join(f"removed {one.number}: {one.text}" for one in gone) or "there are no break points")

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
        self.say(self.gaze.up())

    def do_down(self, rest: str) -> None:
        """d, down [k]: look at operand k (0 if not said) of the node looked at; time stands still."""
        self.say(self.gaze.down(_number(rest, 0)))

    def do_graph(self, rest: str) -> None:
        """graph FILE.png: a picture of what has been made by now, and of the gradient that has arrived (.svg, .pdf).

        Of many time steps those around this moment are drawn.
        """
        if not rest:
            raise ValueError("graph wants a file name, as in graph now.png")
        self.say(f"drawn: {picture(self.debugger.current).save(rest)}")

    def _tensor(self, text: str) -> Tensor:
        return the_one_called(text, self.debugger.labels)


def _number(text: str, default: Any) -> Any:
    if not text:
        return default
    if not text.isdecimal():
        raise ValueError(f"a whole number is wanted here; got «{text}»")
    return int(text)


def _wanted(text: str) -> int:
    if not text.isdecimal():
        raise ValueError("which? Give its number; b lists them")
    return int(text)
