"""tinygrad_rnn: which paths carry gradient across time, and how much?

    import tinygrad_rnn as tg

(Not the *tinygrad* framework, which is another project.)
"""

from . import nn as nn
from .debug import AnomalyError as AnomalyError
from .debug import Debugger as Debugger
from .debug import Page as Page
from .debug import debug as debug
from .debug import detect_anomaly as detect_anomaly
from .debug import explore as explore
from .debug import post_mortem as post_mortem
from .debug import record_lines as record_lines
from .debug import set_trace as set_trace
from .engine.annotate import Place as Place
from .engine.annotate import no_grad as no_grad
from .engine.annotate import scope as scope
from .engine.annotate import step as step
from .engine.annotate import steps as steps
from .engine.check import gradcheck as gradcheck
from .engine.derivatives import grad as grad
from .engine.derivatives import hvp as hvp
from .engine.derivatives import jacobian as jacobian
from .engine.derivatives import jvp as jvp
from .engine.derivatives import vjp as vjp
from .engine.functions import *  # noqa: F403 - it lists its names in __all__
from .engine.tensor import Tensor as Tensor
from .graph import Drawing as Drawing
from .graph import Plot as Plot
from .graph import RenderError as RenderError
from .graph import animate as animate
from .graph import draw as draw
from .graph import plot_gates as plot_gates
from .graph import plot_jacobians as plot_jacobians
from .graph import plot_lags as plot_lags
from .graph import plot_ledger as plot_ledger
from .graph import plot_spectrum as plot_spectrum
from .trace import Boundary as Boundary
from .trace import Diagnosis as Diagnosis
from .trace import Flow as Flow
from .trace import GradientTrace as GradientTrace
from .trace import Lag as Lag
from .trace import Ledger as Ledger
from .trace import Part as Part
from .trace import Route as Route
from .trace import RouteError as RouteError
from .trace import Spectrum as Spectrum
from .trace import StateJacobians as StateJacobians
from .trace import StreamingLedger as StreamingLedger
from .trace import StreamingSpectrum as StreamingSpectrum
from .trace import Use as Use
from .trace import Zero as Zero
from .trace import across as across
from .trace import along as along
from .trace import avoiding as avoiding
from .trace import chunks as chunks
from .trace import connectivity as connectivity
from .trace import detached as detached
from .trace import diagnose as diagnose
from .trace import half_life as half_life
from .trace import jacobian_parts as jacobian_parts
from .trace import leak_only as leak_only
from .trace import state_jacobians as state_jacobians
from .trace import tbptt as tbptt
from .trace import through as through
from .trace import trace_gradient as trace_gradient
from .trace import truncated_1997 as truncated_1997

# What `help(tinygrad_rnn)` and `import *` show: all that is imported above, but not the rooms themselves.
__all__ = sorted({name for name in globals() if not name.startswith("_")} - {"engine", "graph", "trace"})
