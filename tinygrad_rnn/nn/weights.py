"""Weights on disk, as arrays by name: .safetensors, which PyTorch writes and reads as well, or NumPy's .npz.

Neither can hold code, so a file from anywhere is safe to read. Names and layouts are PyTorch's: an `nn.LSTM` that was
trained there and saved by `safetensors.torch.save_model` can be traced here.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..engine.files import check_place, write

Array = np.ndarray[Any, np.dtype[Any]]


class HasState(Protocol):
    """A module, or an optimiser."""

    def state_dict(self) -> dict[str, Array]: ...


def save(state: HasState | Mapping[str, Any], path: str | os.PathLike[str]) -> Path:
    """Writes the weights of a module, what an optimiser remembers, or arrays by name; returns the path.

    path: ends in .safetensors, which needs the extra `weights`, or in .npz.
    A file that was there stays as it was unless the new one is complete. Raises ValueError for another ending, and
    ModuleNotFoundError where safetensors is not installed.
    """
    target = Path(path)
    to_bytes, _ = _format_of(target)
    check_place(target)
    if not isinstance(state, Mapping) and not hasattr(state, "state_dict"):
        raise TypeError(f"saved are a module, an optimiser, or a dict of arrays by name; got {type(state).__name__}")
    given = state if isinstance(state, Mapping) else state.state_dict()
    arrays = {str(name): np.asarray(value, order="C") for name, value in given.items()}
    for name, array in arrays.items():
        if array.dtype.kind not in "fiub":
            raise TypeError(f"{name} does not hold real numbers, but {array.dtype}, so it cannot be saved")
    return write(target, to_bytes(arrays))


def load(path: str | os.PathLike[str]) -> dict[str, Array]:
    """The arrays in a file by name, for `load_state_dict`.

    Raises ValueError for a file that is not what it is called, or is not whole.
    """
    target = Path(path)
    _, from_bytes = _format_of(target)
    try:
        content = target.read_bytes()
    except OSError as error:
        raise type(error)(error.errno, f"cannot load {target}: {error.strerror}") from None
    try:
        return from_bytes(content)
    except ModuleNotFoundError:
        raise
    except KeyError as error:  # of safetensors: a dtype that NumPy does not have
        raise ValueError(f"{target} holds {error.args[0]}, which NumPy does not know: save it as float32") from None
    except Exception as error:  # each library has its own errors for the same thing
        raise ValueError(f"{target} is no complete {target.suffix} file of arrays of numbers: {error}") from error


def _to_npz(arrays: Mapping[str, Array]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:  # as np.savez, which takes no name such as "file" or "a/b"
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    return content.getvalue()


def _from_npz(content: bytes) -> dict[str, Array]:
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive}


def _to_safetensors(arrays: Mapping[str, Array]) -> bytes:
    return bytes(_safetensors().save(dict(arrays)))


def _from_safetensors(content: bytes) -> dict[str, Array]:
    return dict(_safetensors().load(content))


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "files that end in .safetensors need the package: pip install 'tinygrad_rnn[weights]'; .npz needs none",
            name="safetensors",
        ) from None
    return safetensors.numpy


ToBytes = Callable[[Mapping[str, Array]], bytes]
FromBytes = Callable[[bytes], dict[str, Array]]
FORMATS: dict[str, tuple[ToBytes, FromBytes]] = {
    ".safetensors": (_to_safetensors, _from_safetensors),
    ".npz": (_to_npz, _from_npz),
}


def _format_of(path: Path) -> tuple[ToBytes, FromBytes]:
    if path.suffix not in FORMATS:
        raise ValueError(f"weights are in files that end in {' or '.join(FORMATS)}; got {str(path)!r}")
    return FORMATS[path.suffix]
