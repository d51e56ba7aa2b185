"""Writing files: beside the old one, and put in its place at once."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def replaced(path: str | os.PathLike) -> Iterator[IO[bytes]]:
    """A file to write into, which takes the place of `path` when the block ends, and vanishes if the block raises.

    Killed at any moment, the old file or the new one is there, whole.  Links are followed, folders on the way are made,
    and the new file has the rights of the old one.

    >>> import tempfile
    >>> from tinygrad_np.files import replaced
    >>> path = tempfile.mkdtemp() + "/a.txt"
    >>> with replaced(path) as file:
    ...     _ = file.write(b"new")
    >>> from pathlib import Path
    >>> Path(path).read_text()
    'new'
    """
    place = Path(os.path.realpath(path))
    if place.exists() and not place.is_file():
        kind = IsADirectoryError if place.is_dir() else OSError
        raise kind(f"{path} cannot be written: it is {'a folder' if place.is_dir() else 'no ordinary file'}.")
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_name(f".{place.name[:40]}.{secrets.token_hex(6)}.tmp")
    try:
        # Not by tempfile, whose files only their owner may read: the usual rights of new files are wanted.
        with open(beside, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if place.exists():
            os.chmod(beside, stat.S_IMODE(place.stat().st_mode))
        os.replace(beside, place)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(beside)
        if isinstance(error, OSError):
            # A full disk does not say which file it was.
            error.add_note(f"{path} was not written, and is as it was before.")
        raise
    _sync_folder(place.parent)


def _sync_folder(folder: Path) -> None:
    """Make the new name last through a power cut, where the system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
