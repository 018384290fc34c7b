"""Where gradient goes across time."""

from .diagnosis import Diagnosis as Diagnosis
from .diagnosis import diagnose as diagnose
from .expression import RouteError as RouteError
from .flow import Boundary as Boundary
from .flow import Flow as Flow
from .jacobians import StateJacobians as StateJacobians
from .jacobians import state_jacobians as state_jacobians
from .ledger import Lag as Lag
from .ledger import Ledger as Ledger
from .measure import magnitude as magnitude
from .measure import percent as percent
from .parts import Part as Part
from .parts import jacobian_parts as jacobian_parts
from .question import GradientTrace as GradientTrace
from .question import trace_gradient as trace_gradient
from .route import Route as Route
from .route import across as across
from .route import along as along
from .route import avoiding as avoiding
from .route import chunks as chunks
from .route import detached as detached
from .route import tbptt as tbptt
from .route import through as through
