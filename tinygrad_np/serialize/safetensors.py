"""Files `.safetensors`, which PyTorch and others read: arrays by name, and texts beside them (metadata).

The format has no checksums, so those of the arrays go into the metadata; a file of another program has none.
"""

from __future__ import annotations

import json
import math
import zlib
from typing import IO, Any

import numpy as np

from ..extras import extra
from .files import SaveFileError, checked
from .outline import Outline, UnsavableError, together

STATE, CHECKS = "tinygrad_np.state", "tinygrad_np.crc32"
NAMES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1", "C64": "<c8",
}  # fmt: skip
DTYPES = {np.dtype(code): name for name, code in NAMES.items()}


# -- writing ----------------------------------------------------------------------------------


def prepared(state: Any) -> bytes:
    """The content of the file.  Raises UnsavableError where `state` cannot be saved."""
    numpy_files = extra("safetensors.numpy", "safetensors", "saving a .safetensors file")
    outline = Outline(state, reserved=("__metadata__",))
    arrays = {name: _plain(array, outline.where(name)) for name, array in outline.arrays.items()}
    checks = {
        "outline": zlib.crc32(outline.text.encode()),
        "arrays": {name: _checksum(name, array) for name, array in arrays.items()},
    }
    # transformers only takes files that name a framework, and the layouts of our layers are those of PyTorch.
    metadata = {"format": "pt", STATE: outline.text, CHECKS: json.dumps(checks)}
    return numpy_files.save(arrays, metadata=metadata)


def write(file: IO[bytes], content: bytes) -> None:
    """Write the file."""
    file.write(content)


def _plain(array: np.ndarray, where: str) -> np.ndarray:
    """The array in C order and little-endian.

    The library takes the memory as it is: it would write another array for a transposed or strided one.
    """
    dtype = array.dtype.newbyteorder("<")
    if dtype not in DTYPES:
        raise UnsavableError(
            f"{where} has dtype {array.dtype}, which the format .safetensors lacks, so nothing was written.  Save it "
            "as .npz, or array.astype(...) first."
        )
    # reshape, as this makes a number an array of one entry.
    return np.ascontiguousarray(array, dtype).reshape(array.shape)


def _checksum(name: str, array: np.ndarray) -> int:
    description = f"{name} {DTYPES[array.dtype.newbyteorder('<')]} {list(array.shape)}"
    return zlib.crc32(array.reshape(-1).view(np.uint8).data, zlib.crc32(description.encode("utf-8", "surrogatepass")))


# -- reading ----------------------------------------------------------------------------------


def read(file: IO[bytes]) -> Any:
    """The state in a file; one of another program gives its arrays by name."""
    library = extra("safetensors", "safetensors", "loading a .safetensors file")
    content = file.read()
    # The library checks that the header is no longer than the file, and that the arrays lie side by side in the rest.
    arrays = {name: _array(name, **described) for name, described in library.deserialize(content)}
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    metadata = header.get("__metadata__") or {}
    if STATE not in metadata and CHECKS not in metadata:
        return arrays
    if STATE not in metadata or CHECKS not in metadata:
        raise SaveFileError("one of its two texts beside the arrays is missing")
    checks = json.loads(metadata[CHECKS])
    if checks["outline"] != zlib.crc32(metadata[STATE].encode()):
        raise SaveFileError("its outline does not have its checksum")
    _check(arrays, checks["arrays"])
    return together(metadata[STATE], arrays)


def _array(name: str, dtype: str, shape: list[int], data: bytes | bytearray) -> np.ndarray:
    if dtype == "BF16":
        # The upper half of a float32.
        bits = np.frombuffer(data, "<u2").astype(np.uint32) << np.uint32(16)
        return bits.view(np.float32).reshape(shape)
    if dtype not in NAMES:
        raise SaveFileError(f"the array {name!r} has dtype {dtype}, which NumPy lacks: convert it in PyTorch, .float()")
    code = np.dtype(NAMES[dtype])
    if math.prod(shape) * code.itemsize != len(data):
        raise SaveFileError(f"the array {name!r} of shape {shape} and {code} has {len(data)} bytes")
    return checked(np.frombuffer(bytearray(data) if isinstance(data, bytes) else data, code).reshape(shape))


def _check(arrays: dict[str, np.ndarray], checks: dict[str, int]) -> None:
    for name in arrays.keys() | checks.keys():
        if name not in arrays or name not in checks:
            raise SaveFileError(f"the array {name!r} is missing or was added")
        if _checksum(name, arrays[name]) != checks[name]:
            raise SaveFileError(f"the array {name!r} does not have its checksum: some of its bytes changed")
