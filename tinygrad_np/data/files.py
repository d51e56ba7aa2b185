"""Data files: read and downloaded within limits, kept in a cache directory, replaced as a whole or not at all."""

from __future__ import annotations

import http.client
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from ..errors import AutogradError

SILENCE = 20.0
"""Seconds without a byte after which a download has failed."""
PATIENCE = 900.0
"""Seconds after which a download has failed, however steadily it drips."""


class DataFileError(AutogradError, OSError):
    """A data file that is missing, or is not what it should be."""


def cache_directory() -> Path | None:
    """Where downloaded data is kept; None where no place can be found (no home directory).

    `$TINYGRAD_NP_CACHE` if set; otherwise `tinygrad_np` in the platform's cache directory: `$XDG_CACHE_HOME` or
    `~/.cache`, on macOS `~/Library/Caches`, on Windows `%LOCALAPPDATA%`.

    Examples
    --------
    >>> os.environ["TINYGRAD_NP_CACHE"] = "data"
    >>> cache_directory().name
    'data'
    >>> del os.environ["TINYGRAD_NP_CACHE"]
    """
    if chosen := os.environ.get("TINYGRAD_NP_CACHE"):
        return Path(chosen)
    platform, otherwise = {
        "darwin": ("", "Library/Caches"),
        "win32": ("LOCALAPPDATA", "AppData/Local"),
    }.get(sys.platform, ("XDG_CACHE_HOME", ".cache"))
    if named := os.environ.get(platform):
        return Path(named) / "tinygrad_np"
    try:
        return Path.home() / otherwise / "tinygrad_np"
    except RuntimeError:
        return None


def read(path: Path, limit: int) -> bytes:
    """The bytes of a file; DataFileError if it cannot be read, or has more than `limit`."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            # No more than that: memory for all that is asked for is taken at once.
            content = file.read(size) if size <= limit else b""
    except OSError as error:
        raise DataFileError(f"cannot read {path}: {error.strerror or error}") from None
    if size > limit:
        raise DataFileError(f"{path} has {size:,} bytes, which is too much for this data")
    return content


def download(url: str, limit: int) -> bytes:
    """What a server sends; DataFileError if it fails, stalls, is cut off, or sends more than `limit` bytes."""
    try:
        with urllib.request.urlopen(url, timeout=SILENCE) as response:
            content, announced = _receive(response, limit), response.headers.get("Content-Length", "")
    except urllib.error.HTTPError as error:
        # It holds the connection.
        error.close()
        raise DataFileError(f"download failed: {error}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DataFileError(f"download failed: {error or type(error).__name__}") from None
    if announced.isdecimal() and len(content) < int(announced):
        raise DataFileError(f"download was cut off after {len(content):,} of {int(announced):,} bytes")
    return content


def _receive(response: http.client.HTTPResponse, limit: int) -> bytes:
    start, content = time.monotonic(), bytearray()
    while part := response.read1(1 << 16):
        content += part
        if len(content) > limit:
            raise OSError(f"more than {limit:,} bytes came, which is too much for this data")
        if time.monotonic() - start > PATIENCE:
            raise TimeoutError(f"only {len(content):,} bytes came in {PATIENCE:.0f} seconds")
    return bytes(content)
