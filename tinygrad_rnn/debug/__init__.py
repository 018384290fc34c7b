"""Forwards and backwards through a computation, step by step.

timeline.py     every event of a forward and a backward pass, in order, and the arrays that go with it
"""

from __future__ import annotations

from .timeline import Event as Event
from .timeline import Timeline as Timeline
from .timeline import timeline as timeline
