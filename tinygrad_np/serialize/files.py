"""Files: opened for reading only where that is safe, and what is wrong with those that cannot be read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from ..errors import AutogradError


class SaveFileError(AutogradError, ValueError):
    """A file that cannot be loaded: damaged, cut off, dangerous or of another kind."""


class MissingFileError(SaveFileError, FileNotFoundError):
    """There is no file to load."""


KINDS = {
    b"\x93NUMPY": "it is an .npy file, which holds one array: np.load reads it",
    b"\x89HDF": "it is an HDF5 file: h5py reads it",
    b"\x1f\x8b": "it was compressed by gzip: unpack it first",
}
"""First bytes of files that people have beside those of this package."""


# -- reading ----------------------------------------------------------------------------------


@contextmanager
def content_of(path: Path) -> Iterator[IO[bytes]]:
    """The file, open for reading; whatever goes wrong in the block becomes a SaveFileError that names it."""
    with _opened(path) as file:
        try:
            yield file
        except ImportError:
            raise
        # Parsers of damaged files raise nearly anything: struct.error, OverflowError, RecursionError ...
        except Exception as error:
            reason = _other_kind(file, path) or str(error).rstrip(".") or type(error).__name__
            raise SaveFileError(
                f"{path} cannot be loaded: {reason}.  The file is damaged, cut off, or was written by something else: "
                "load a copy of it, or save it again."
            ) from error


def checked(array: np.ndarray) -> np.ndarray:
    """The array, whose bytes came from a file; SaveFileError if they are no entries of its dtype."""
    # NumPy takes any byte for a boolean, and then finds two that are true unequal.
    if array.dtype.kind == "b" and array.view(np.uint8).max(initial=0) > 1:
        raise SaveFileError("booleans are bytes of 0 or 1, and it has others")
    return array


def _opened(path: Path) -> IO[bytes]:
    try:
        # Opening a pipe would wait for its writer.
        if not stat.S_ISREG(os.stat(path).st_mode):
            what = "a folder" if path.is_dir() else "no ordinary file (a device or a pipe)"
            raise SaveFileError(f"{path} cannot be loaded: it is {what}.  Give the path of a file that save() wrote.")
        return open(path, "rb")
    except FileNotFoundError as error:
        raise MissingFileError(
            f"{path} cannot be loaded: there is no such file.  The current folder is {os.getcwd()}."
        ) from error


def _other_kind(file: IO[bytes], path: Path) -> str:
    """What a file that could not be read probably is; nothing if it is of the kind that its ending says."""
    file.seek(0)
    start, ending = file.read(9), path.suffix.lower()
    if not start:
        return "it is empty"
    if start.startswith(b"PK"):
        return "" if ending == ".npz" else "it is an archive, as .npz files are"
    if start.endswith(b"{"):
        return "" if ending == ".safetensors" else "it starts as .safetensors files do"
    if start[:1] == b"\x80" and start[1:2] <= b"\x05":
        return f"it is a pickle, which can run any code when it is read.  {how_to_convert(path)}"
    return next((sentence for first, sentence in KINDS.items() if start.startswith(first)), "")


def how_to_convert(path: str | os.PathLike) -> str:
    """The line that makes a file for load() out of a pickle of PyTorch."""
    new = str(Path(path).with_suffix(".safetensors"))
    return (
        "Convert it where PyTorch is installed: safetensors.torch.save_file({name: t.contiguous().clone() for name, t "
        f"in torch.load({str(path)!r}, weights_only=True).items()}}, {new!r})"
    )
