"""Plain data -> what it looks like: shape, colour and text of each node, strokes of edges, the legend."""
