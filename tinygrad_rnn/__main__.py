"""The command line: ``python -m tinygrad_rnn demo``."""

from __future__ import annotations

import argparse
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
DEMOS = next((folder for folder in (HERE / "demos", HERE.parent / "demos") if folder.is_dir()), None)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser("python -m tinygrad_rnn", description="Which paths carry gradient across time?")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("demo", help="train three small networks on text and trace their gradients; writes to out/")
    parser.parse_args(arguments)
    if DEMOS is None:
        print("the demos are not part of this installation; get them with the source of tinygrad_rnn", file=sys.stderr)
        return 1
    try:
        runpy.run_path(str(DEMOS / "01_first_light.py"), run_name="__main__")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("tinygrad_rnn"):
            raise
        print(f"the demo needs {error.name}: pip install 'tinygrad_rnn[demo]'", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
