"""Files `.npz`: a zip archive of `.npy` members, and one member of JSON.  Nothing is ever unpickled."""

from __future__ import annotations

import math
import re
import zipfile
from collections import Counter
from pathlib import Path
from typing import IO, Any

import numpy as np

from .files import SaveFileError, checked, how_to_convert
from .outline import Outline, together

OUTLINE = "state.json"
FORBIDDEN = r"[%/\\:\x00-\x1f\x7f\ud800-\udfff]"
"""Characters of keys that mean something else in an archive, where they could lead out of a folder when unpacked."""
DEFLATE = 1032
"""How many bytes one compressed byte can at most become."""
EMPTY = 22
"""The bytes of an archive without members."""
LONGEST_COMMENT = 0xFFFF
"""How many bytes may follow the end of an archive."""
BLOCK = 1 << 20


# -- writing ----------------------------------------------------------------------------------


def prepared(state: Any) -> Outline:
    """What write() needs.  Raises UnsavableError where `state` cannot be saved."""
    return Outline(state, FORBIDDEN, reserved=(OUTLINE,))


def write(file: IO[bytes], outline: Outline) -> None:
    """Write the archive."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        # ZipInfo has a fixed date: the same state gives the same bytes.
        archive.writestr(zipfile.ZipInfo(OUTLINE), outline.text)
        for name, array in outline.arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)


# -- reading ----------------------------------------------------------------------------------


def read(file: IO[bytes]) -> Any:
    """The state in an archive; without an outline, its arrays by name, as np.load gives them."""
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        _check_list(members, file)
        _check_archive(members, Path(file.name), file.seek(0, 2))
        arrays = {info.filename[:-4]: _array(archive, info) for info in members if info.filename != OUTLINE}
        if OUTLINE not in archive.namelist():
            return arrays
        with archive.open(OUTLINE) as member:
            return together(member.read().decode(), arrays)


def _check_list(members: list[zipfile.ZipInfo], file: IO[bytes]) -> None:
    """Compare the number of members, of which zipfile reads as many as it finds, with the one that was written."""
    size = file.seek(0, 2)
    file.seek(max(0, size - EMPTY - LONGEST_COMMENT))
    end = file.read()
    number = int.from_bytes(end[end.rfind(b"PK\5\6") + 10 :][:2], "little")
    # From this number on it stands elsewhere.
    if number != len(members) and len(members) < 0xFFFF:
        raise SaveFileError(f"its list of contents has {len(members)} members, where {number} were written")


def _check_archive(members: list[zipfile.ZipInfo], path: Path, size: int) -> None:
    names = [info.filename for info in members]
    if any(name.endswith("/data.pkl") for name in names):
        raise SaveFileError(
            f"it is a pickle of PyTorch, which can run any code when it is read.  {how_to_convert(path)}"
        )
    if len(set(names)) < len(names):
        [(double, _)] = Counter(names).most_common(1)
        raise SaveFileError(f"it holds {double!r} twice")
    if not members and size > EMPTY:
        raise SaveFileError("its list of contents is empty")
    # Bombs let many members share the same few bytes.
    if sum(info.compress_size for info in members) > size:
        raise SaveFileError(f"its members declare more bytes than its {size}")
    for info in members:
        _check_member(info)


def _check_member(info: zipfile.ZipInfo) -> None:
    name, stored = info.filename, info.compress_type == zipfile.ZIP_STORED
    if re.search(r"^[/\\]|^\w:|(^|[/\\])\.\.([/\\]|$)", name):
        raise SaveFileError(f"the name {name!r} leads out of a folder")
    if name != OUTLINE and not name.endswith(".npy"):
        raise SaveFileError(f"its member {name!r} is no array")
    if not stored and (info.compress_type != zipfile.ZIP_DEFLATED or name == OUTLINE):
        raise SaveFileError(f"{name!r} is compressed in a way that NumPy does not write")
    if info.file_size > info.compress_size * (1 if stored else DEFLATE):
        raise SaveFileError(f"{name!r} declares {info.file_size} bytes, and has {info.compress_size} compressed ones")


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    try:
        with archive.open(info) as member:
            shape, fortran, dtype = _header(member)
            start = member.tell()
            if start + math.prod(shape) * dtype.itemsize != info.file_size:
                raise SaveFileError(
                    f"its header says shape {shape} and {dtype}, which are {math.prod(shape) * dtype.itemsize} bytes, "
                    f"where {info.file_size - start} follow"
                )
            # Only now, as the number of bytes comes from the file.
            content = np.empty(info.file_size - start, np.uint8)
            _fill(content, member)
        return checked(np.ndarray(shape, dtype, content.data, order="F" if fortran else "C"))
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise SaveFileError(f"the array {info.filename[:-4]!r} is damaged: {reason}") from error


def _header(member: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    if np.lib.format.read_magic(member) != (1, 0):
        raise SaveFileError("its header is of another version than those of plain arrays")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(member)
    if dtype.kind not in "biufcSUmM":
        raise SaveFileError(f"it has dtype {dtype}, which is none of numbers, texts or dates (objects are pickles)")
    if not dtype.itemsize and 0 not in shape:
        raise SaveFileError(f"it has shape {shape} of entries without a byte")
    return shape, fortran, dtype


def _fill(content: np.ndarray, member: IO[bytes]) -> None:
    """Read in blocks: at once, all bytes would be there twice.  The checksum is compared at the end."""
    view, done = content.data, 0
    while block := member.read(BLOCK):
        view[done : done + len(block)] = block
        done += len(block)
    if done != len(content):
        raise SaveFileError(f"{done} of {len(content)} bytes are there")
