"""The heaviest single paths: segments, their Jacobians, bounds on what can follow, and the search they make short."""

from .listing import By as By
from .listing import TopPath as TopPath
from .listing import TopPaths as TopPaths
from .listing import top_paths as top_paths
from .segments import Unit as Unit
