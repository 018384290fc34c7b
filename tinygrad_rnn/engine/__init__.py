"""Automatic differentiation. Knows nothing of networks, pictures or reports."""
