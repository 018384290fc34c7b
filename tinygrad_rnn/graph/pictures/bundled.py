"""The Graphviz inside the pygraphviz wheel as a program: DOT comes in, a picture goes out.

Run as a script of its own, never imported: in a process of its own a layout that hangs can be stopped, one that crashes
takes nobody along, and many can run at once, which the library itself does not support.
"""

import os
import sys

import pygraphviz


def main(format: str, attributes: list[str]) -> None:
    """Draw the DOT text on standard input to standard output. attributes: of the graph, as name=value."""
    out = os.dup(1)
    os.dup2(2, 1)  # whatever the library prints is not part of the picture
    graph = pygraphviz.AGraph(string=sys.stdin.buffer.read().decode())
    for attribute in attributes:
        name, _, value = attribute.partition("=")
        graph.graph_attr[name] = value
    picture = graph.draw(None, format=format, prog="dot")
    with os.fdopen(out, "wb") as stream:
        stream.write(picture)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
