"""Saving and loading: nested dicts, lists and tuples of arrays, numbers and texts, in one file.

`.npz` is the default: NumPy reads it too (`np.load`), and nothing in it is ever executed.  `.safetensors` goes to and
from PyTorch.  A file is replaced at once: whoever is interrupted while saving, even by a power cut, has the old file or
the new one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..files import replaced
from . import npz, safetensors
from .files import MissingFileError, SaveFileError, content_of, how_to_convert
from .outline import UnsavableError

__all__ = ["MissingFileError", "SaveFileError", "UnsavableError", "load", "save"]

FORMATS = {".npz": npz, ".safetensors": safetensors}
OF_PICKLE = {".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle"}


def save(path: str | os.PathLike, state: Any) -> None:
    """Write `state` into a file, which is replaced at once, or not at all.

    `path` ends in `.npz` (any dtype but object and structured ones) or `.safetensors` (needs the extra `safetensors`;
    the dtypes that PyTorch has; `safetensors.torch.load_file` gives the arrays under dotted names).  Folders on the way
    are made, links are followed.

    `state` is made of dicts (with texts or integers as keys), lists, tuples, arrays, tensors (their data is saved),
    numbers of any size, texts, booleans and None.  Raises UnsavableError for anything else, naming where it stands,
    before anything is written; OSError where the file cannot be written.

    >>> import numpy as np, tempfile, tinygrad_np as tg
    >>> from tinygrad_np.serialize import load, save
    >>> folder = tempfile.mkdtemp()
    >>> save(f"{folder}/run.npz", {"model": {"weight": np.eye(2)}, "epoch": 3, "rates": [0.1, 0.01]})
    >>> load(f"{folder}/run.npz")
    {'model': {'weight': array([[1., 0.],
           [0., 1.]])}, 'epoch': 3, 'rates': [0.1, 0.01]}
    >>> np.load(f"{folder}/run.npz")["model.weight"].shape
    (2, 2)
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(
            f"save() was given {type(path).__name__} as its path: where to write comes first, what to write second.  "
            'Write save("file.npz", state).'
        )
    target = Path(os.fspath(path))
    format = _format(target, "save")
    content = format.prepared(state)
    with replaced(target) as file:
        format.write(file, content)


def load(path: str | os.PathLike) -> Any:
    """What save() wrote into a file, or the arrays by name that `np.savez` or PyTorch's safetensors wrote.

    Lists, tuples, dicts (with their order and keys), numbers and dtypes come back as they were saved; tensors as
    arrays, and bfloat16, which NumPy lacks, as float32.  Nothing in the file is executed, and no more memory is used
    than its content takes.

    Raises SaveFileError, which names the file and the key, if the file is damaged, cut off, of another kind, or asks
    for something dangerous, and its subclass MissingFileError, also a FileNotFoundError, if there is none.

    >>> import numpy as np, tempfile
    >>> from tinygrad_np.serialize import load
    >>> path = tempfile.mkdtemp() + "/arrays.npz"
    >>> np.savez(path, x=np.arange(3))
    >>> load(path)
    {'x': array([0, 1, 2])}
    >>> with open(path, "r+b") as file:
    ...     file.truncate(100)
    100
    >>> load(path)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    tinygrad_np.serialize.files.SaveFileError: .../arrays.npz cannot be loaded: File is not a zip file...
    """
    target = Path(os.fspath(path))
    format = _format(target, "load")
    with content_of(target) as file:
        return format.read(file)


def _format(path: Path, function: str) -> Any:
    ending = path.suffix.lower()
    if ending in FORMATS:
        return FORMATS[ending]
    if function == "load" and ending in OF_PICKLE:
        raise SaveFileError(
            f"load({str(path)!r}): {ending} files hold pickles, which can run any code when they are read.  "
            f"{how_to_convert(path)}."
        )
    raise SaveFileError(
        f"{function}({str(path)!r}): the ending {ending!r} is none of the two formats.  Write a path that ends in "
        ".npz, or in .safetensors for PyTorch."
    )
