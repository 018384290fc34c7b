"""Folded nodes with sizes -> coordinates: the same figure in every cell, cells side by side, layers stacked."""
