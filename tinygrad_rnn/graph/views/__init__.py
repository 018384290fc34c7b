"""A tape -> nodes and edges as plain data: every operation, folded into cells or rolled up, windowed, with flow."""
