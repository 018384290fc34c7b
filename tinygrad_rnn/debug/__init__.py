"""Forwards and backwards through a computation, step by step.

timeline.py     every event of a forward and a backward pass, in order, and the arrays that go with it
page.py         a page on which a computation is explored; tape_data.py, linear.py: what it knows; page/: how it looks
"""

from __future__ import annotations

from .page import Page as Page
from .page import explore as explore
from .timeline import Event as Event
from .timeline import Timeline as Timeline
from .timeline import timeline as timeline
