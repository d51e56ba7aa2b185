"""PyTorch's values: computed where PyTorch is installed, and recorded for where it is not.

`RECORD_TORCH=1 python -m pytest tests/test_x.py` writes them anew, into `tests/recorded/`.
"""

import importlib
import importlib.util
import os
from pathlib import Path

import numpy as np

RECORDED = Path(__file__).parent / "recorded"
INSTALLED = importlib.util.find_spec("torch") is not None


def torch_values(file, key, compute):
    """The arrays that `compute(torch)` returns (a list of tensors, arrays or numbers), or what was recorded of them.

    They are recorded in `recorded/<file>.npz` under `key`.

    `compute` must make its input from a seeded generator of NumPy, so that it is the same at every run.
    """
    path = RECORDED / f"{file}.npz"
    if not INSTALLED:
        with np.load(path) as stored:
            return [stored[f"{key}:{i}"] for i in range(int(stored[f"{key}:n"]))]
    values = [_array(value) for value in compute(importlib.import_module("torch"))]
    if os.environ.get("RECORD_TORCH"):
        _record(path, key, values)
    return values


def _array(value):
    return value.detach().numpy().copy() if hasattr(value, "detach") else np.asarray(value)


def _record(path, key, values):
    stored = {}
    if path.exists():
        with np.load(path) as before:
            stored = {name: before[name] for name in before.files if name.rpartition(":")[0] != key}
    stored |= {f"{key}:{i}": value for i, value in enumerate(values)} | {f"{key}:n": np.asarray(len(values))}
    path.parent.mkdir(exist_ok=True)
    np.savez_compressed(path, **stored)
