"""Files, all or nothing: written under another name first, then renamed, so that no half-written one is ever seen."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def check_place(target: Path) -> None:
    """Raises FileNotFoundError, IsADirectoryError or PermissionError where no file can be written."""
    if not os.path.isdir(target.parent):  # Path.is_dir raises for a name that is too long
        raise FileNotFoundError(f"cannot save {target}: there is no folder {target.parent}; make it first")
    if os.path.isdir(target):
        raise IsADirectoryError(f"cannot save {target}: it is a folder")
    if not os.access(target if os.path.exists(target) else target.parent, os.W_OK):
        raise PermissionError(f"cannot save {target}: no permission to write there")


def write(target: Path, content: bytes) -> Path:
    """Returns the path. A file that was there before stays as it was unless the new one is complete."""
    real = Path(os.path.realpath(target))  # a link stays a link
    unfinished = real.with_name(f".{secrets.token_hex(8)}.unfinished")
    try:
        unfinished.write_bytes(content)
        os.replace(unfinished, real)
    except OSError as error:
        raise OSError(error.errno, f"cannot save {target}: {error.strerror}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return target
