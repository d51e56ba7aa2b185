"""The MNIST digits: found on this machine or downloaded, and the true ones to the last bit."""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..files import replaced
from .files import DataFileError, cache_directory, download, read

SHAPES = {"x_train": (60_000, 28, 28), "y_train": (60_000,), "x_test": (10_000, 28, 28), "y_test": (10_000,)}
# SHA-256 of the bytes of each array, uint8 in C order.  Not of the files: the same digits are packed in many ways.
DIGESTS = {
    "x_train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "y_train": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
}
REPOSITORY_FILE = Path(__file__).parents[2] / "examples" / "data" / "mnist.npz"
FILE_LIMIT = 64 << 20
HEADER_LIMIT = 4096
SLACK = 64 << 10
"""How many bytes more than today a mirror's file may have."""

NPZ_MIRROR = ("https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz", 11_490_434)
_IDX = "https://ossci-datasets.s3.amazonaws.com/mnist/"
IDX_MIRROR = {
    "x_train": (f"{_IDX}train-images-idx3-ubyte.gz", 9_912_422),
    "y_train": (f"{_IDX}train-labels-idx1-ubyte.gz", 28_881),
    "x_test": (f"{_IDX}t10k-images-idx3-ubyte.gz", 1_648_877),
    "y_test": (f"{_IDX}t10k-labels-idx1-ubyte.gz", 4_542),
}


class MNIST(NamedTuple):
    """The digits: images of 28x28 pixels from 0 (paper) to 255 (ink), and labels 0 to 9, all uint8.

    Examples
    --------
    >>> x_train, y_train, x_test, y_test = mnist()
    >>> x_train.shape, x_test.shape
    ((60000, 28, 28), (10000, 28, 28))
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def mnist(
    path: str | os.PathLike[str] | None = None,
    *,
    download: bool = True,
    cache: str | os.PathLike[str] | None = None,
) -> MNIST:
    """The MNIST digits: 60,000 images to train with, 10,000 to test with.

    Looked for in turn: the file `path`, if given; the file that a clone of this project has; the cache directory; and
    two public mirrors (11 MB).  Whatever is missing or damaged is passed over, and what is returned was compared with
    the SHA-256 of the true digits, wherever it comes from.  What was downloaded replaces the file in the cache; no
    other file is ever written.

    Parameters
    ----------
    path : path-like, optional
        An `.npz` file with the arrays, looked at first.
    download : bool
        Whether to ask the mirrors if no file is found.
    cache : path-like, optional
        The cache directory.  Default: `$TINYGRAD_NP_CACHE`, or `tinygrad_np` in the platform's cache directory.

    Returns
    -------
    MNIST
        `x_train` (60000, 28, 28), `y_train` (60000,), `x_test` (10000, 28, 28), `y_test` (10000,), uint8.

    Raises
    ------
    DataFileError
        The digits were found nowhere; it says what was wrong with each place.

    Examples
    --------
    >>> digits = mnist()
    >>> x = digits.x_train.reshape(-1, 784).astype(np.float32) / 255
    >>> x.shape, digits.y_train[:5]
    ((60000, 784), array([5, 0, 4, 1, 9], dtype=uint8))
    """
    directory = cache_directory() if cache is None else Path(cache)
    kept = directory / "mnist.npz" if directory else None
    named = Path(path) if path is not None else None
    wrong = {}
    for file in (named, REPOSITORY_FILE, kept):
        if file is not None and file not in wrong:
            try:
                return read_mnist(file)
            except DataFileError as error:
                wrong[file] = str(error)
    tried = list(wrong.values())
    for mirror in (_from_npz_mirror, _from_idx_mirror) if download else ():
        try:
            digits = mirror()
        except DataFileError as error:
            tried.append(str(error))
            continue
        _keep(digits, kept)
        return digits
    raise DataFileError(_nowhere(tried, kept, download))


def read_mnist(path: str | os.PathLike[str]) -> MNIST:
    """The MNIST digits from this very `.npz` file.

    Raises
    ------
    DataFileError
        The file cannot be read, or does not hold the digits as they were published, to the last bit.

    Examples
    --------
    >>> read_mnist("missing.npz")
    Traceback (most recent call last):
        ...
    tinygrad_np.data.files.DataFileError: cannot read missing.npz: No such file or directory
    """
    content = read(Path(path), FILE_LIMIT)
    try:
        return _unpack(content)
    except DataFileError as error:
        raise DataFileError(f"{path} is damaged: it has {len(content):,} bytes, and {error}") from None


# -- the mirrors ----------------------------------------------------------------------------------


def _fetch(url: str, size: int) -> bytes:
    try:
        return download(url, size + SLACK)
    except DataFileError as error:
        raise DataFileError(f"{url}: {error}") from None


def _from_npz_mirror() -> MNIST:
    url, size = NPZ_MIRROR
    content = _fetch(url, size)
    try:
        return _unpack(content)
    except DataFileError as error:
        raise DataFileError(f"{url}: what came is not MNIST: it has {len(content):,} bytes, and {error}") from None


def _from_idx_mirror() -> MNIST:
    arrays = {}
    for name, (url, size) in IDX_MIRROR.items():
        content = _fetch(url, size)
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
                arrays[name] = _checked(name, file.read)
        # Broken bytes raise errors of four modules here.
        except Exception as error:
            raise DataFileError(f"{url}: what came is not MNIST: it has {len(content):,} bytes, and {error}") from None
    return MNIST(**arrays)


def _keep(digits: MNIST, path: Path | None) -> None:
    if path is None:
        return
    packed = io.BytesIO()
    np.savez_compressed(packed, **digits._asdict())
    # Where nothing can be written, the digits in memory are as good; the next call downloads again.
    with suppress(OSError), replaced(path) as file:
        file.write(packed.getvalue())


# -- what is in a file ------------------------------------------------------------------------------


def _unpack(content: bytes) -> MNIST:
    """The digits from the bytes of an npz file."""
    try:
        return MNIST(**dict(_members(content)))
    except DataFileError:
        raise
    # Bytes that are no archive, or a broken one, make zipfile and zlib raise nearly anything.
    except Exception as error:
        raise DataFileError(f"it cannot be unpacked ({error})") from None


def _members(content: bytes) -> Iterator[tuple[str, np.ndarray]]:
    # zipfile makes an object for each entry of the archive's table, and a table of 60 MB has a million.
    if content.count(b"PK\x01\x02") > 64:
        raise DataFileError("it is an archive of far more than four arrays")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        for name in SHAPES:
            entry = entries.get(f"{name}.npy")
            if entry is None:
                raise DataFileError(f"there is no array {name} in it")
            # Others can ask for gigabytes before the first byte is unpacked.
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise DataFileError(f"its array {name} is packed in a way that NumPy never uses")
            with archive.open(entry) as member:
                yield name, _checked(name, member.read)


def _checked(name: str, reader: Callable[[int], bytes]) -> np.ndarray:
    """The array at the end of a stream, behind a header of whatever format.

    The header is not read at all: shape and dtype are known, and the digest tells whether the bytes are right.  So
    nothing that a header says (pickled objects, an enormous shape) can do harm.
    """
    size = math.prod(SHAPES[name])
    content = reader(size + HEADER_LIMIT)
    if len(content) < size:
        raise DataFileError(f"its array {name} has {len(content):,} bytes instead of {size:,}")
    found = hashlib.sha256(memoryview(content)[-size:]).hexdigest()
    if found != DIGESTS[name]:
        raise DataFileError(f"the SHA-256 of its array {name} is {found[:12]}... instead of {DIGESTS[name][:12]}...")
    # A copy, because arrays on bytes cannot be written.
    return np.frombuffer(content, np.uint8)[-size:].reshape(SHAPES[name]).copy()


def _nowhere(tried: list[str], kept: Path | None, download: bool) -> str:
    lines = "".join(f"\n  - {reason}" for reason in tried)
    switched_off = "" if download else "\n  - the mirrors were not asked: download=False"
    to_do = [f"take the file {NPZ_MIRROR[0]} from a machine that is online, and name it with mnist(path=...)"]
    if kept is not None:
        to_do[0] += f" or put it at {kept}"
    if REPOSITORY_FILE.parent.is_dir():
        to_do.insert(0, f"bring the clone's own file back with `git checkout -- examples/data/{REPOSITORY_FILE.name}`")
    where = f"the MNIST digits are in none of the places looked at:{lines}{switched_off}"
    return f"{where}\nTo mend it, {'; or '.join(to_do)}."
