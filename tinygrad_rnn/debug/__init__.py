"""Forwards and backwards through a computation, step by step.

timeline.py             every event of a forward and a backward pass, in order, and the arrays that go with it
cursor.py, stop.py      where a move leads; all about one moment, computed when it is asked for
rules.py, terms.py      the rules as formulas and with numbers; shares.py: who carries how much of the gradient
labels.py, account.py   what nodes are called; what a stop says
conditions.py           when to stop
lines.py, anomaly.py    lines of the user's program; who made a NaN
walk.py, commands.py    the moves, and what is typed for them: reading.py reads `p c[3] * 2`, gaze.py goes up and
                        down, moment.py draws
prompt.py, terminal.py  where it is typed; text made to fit
debugger.py, program.py the ways in; passes.py: a program up to one of its backward passes
page.py                 a page on which a computation is explored; tape_data.py, linear.py: what it knows; page/: how
                        it looks
"""

from __future__ import annotations

from .anomaly import AnomalyError as AnomalyError
from .anomaly import detect_anomaly as detect_anomaly
from .debugger import Debugger as Debugger
from .lines import record_lines as record_lines
from .page import Page as Page
from .page import explore as explore
from .passes import PassError as PassError
from .passes import losses_of_pass as losses_of_pass
from .passes import tensor_called as tensor_called
from .passes import traceback_of_program as traceback_of_program
from .passes import usual_source as usual_source
from .program import debug as debug
from .program import post_mortem as post_mortem
from .program import run_program as run_program
from .program import set_trace as set_trace
from .stop import Stop as Stop
from .timeline import Event as Event
from .timeline import Timeline as Timeline
from .timeline import timeline as timeline
