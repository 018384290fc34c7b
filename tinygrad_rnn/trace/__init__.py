"""Where gradient goes across time."""

from .ledger import Lag as Lag
from .ledger import Ledger as Ledger
from .measure import magnitude as magnitude
from .measure import percent as percent
from .question import GradientTrace as GradientTrace
from .question import trace_gradient as trace_gradient
