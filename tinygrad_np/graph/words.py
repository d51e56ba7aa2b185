"""Values, metadata, numbers and names in the few words that fit into a picture."""

from __future__ import annotations

import math
import unicodedata
from typing import Any

import numpy as np

NAME = 40
"""Longer names are cut."""
SHORT = 40
"""The longest text for one piece of metadata."""
FEW = 6
"""Arrays of up to this many entries are written out."""


def number(value: Any) -> str:
    """One number, to five digits.

    >>> number(2.0), number(3), number(1 / 3)
    ('2', '3', '0.33333')
    """
    if isinstance(value, bool | np.bool_ | int | np.integer):
        return str(value)
    return f"{value:.5g}"


def plainly(value: float, digits: int = 3) -> str:
    """A number to a few digits, written out unless it is very large or very small.

    >>> [plainly(x) for x in (0.012345, 100.0, 12345.6, 123456.0, 1e-12)]
    ['0.0123', '100', '12346', '1.23e+05', '1e-12']
    """
    rounded = f"{value:.{digits}g}"
    return f"{value:.0f}" if "e+" in rounded and abs(value) < 1e5 else rounded


def operand(value: Any) -> str:
    """One number as it stands in a formula: complex ones in brackets.

    >>> operand(2.0), operand(1 + 2j), operand(-0.5j)
    ('2', '(1+2j)', '(-0-0.5j)')
    """
    text = number(value)
    return f"({text})" if isinstance(value, complex | np.complexfloating) else text


def summary(array: Any) -> str:
    """An array in a few words: its entries if there are few, else mean ± standard deviation.

    Entries that are nan or infinite are counted, because then neither mean nor deviation says anything.

    >>> summary(np.array([3, 1, 4])), summary(np.zeros((3, 4)))
    ('[3 1 4]', 'all 0')
    """
    array = np.asarray(array)
    if array.ndim == 0:
        return number(array[()])
    if array.size == 0:
        return "no entries"
    if array.ndim == 1 and array.size <= FEW and array.dtype.kind == "f":
        return f"[{' '.join(plainly(x + 0) for x in array.tolist())}]"
    if array.size <= FEW:
        # Three digits of the largest are no digit of a small one: 1e-12 would read as 0.
        written: Any = {"float": lambda x: plainly(x + 0)}
        with np.printoptions(formatter=written):
            return " ".join(str(array).split()).replace("[ ", "[").replace(" ]", "]")
    if array.dtype.kind == "b":
        return f"{array.mean():.0%} True"
    if bad := array.size - np.count_nonzero(np.isfinite(array)):
        return f"{bad} of {array.size} not finite"
    if (array == array.flat[0]).all():
        return f"all {number(array.flat[0])}"
    if array.dtype.kind in "iu":
        return f"{array.min()} to {array.max()}"
    # float16 sums overflow at 65,504.
    wide = array.astype(np.result_type(array.dtype, np.float64), copy=False)
    with np.errstate(all="ignore"):
        return spread(wide.mean(), wide.std())


def spread(mean: Any, deviation: Any) -> str:
    """Mean ± deviation, the mean to the digits that mean something beside its deviation.

    >>> [spread(np.float64(m), d) for m, d in [(1.7e-18, 0.0204), (12.34, 1.5), (2e-9, 3e-9)]]
    ['0.000 ± 0.020', '12.3 ± 1.5', '2e-09 ± 3e-09']
    """
    if not 1e-4 <= deviation < 1e5 or abs(mean) >= 1e5:
        return f"{plainly(mean, 2)} ± {plainly(deviation, 2)}"
    decimals = max(0, 1 - math.floor(math.log10(deviation)))
    # Adding 0 turns -0.0, which is shown with its sign, into 0.0.
    return f"{mean.round(decimals) + 0:.{decimals}f} ± {deviation:.{decimals}f}"


def index(value: Any) -> str:
    """What stands between the brackets of `t[...]`.

    >>> index((slice(None), 0)), index(slice(1, None, 2))
    (':, 0', '1::2')
    """
    if isinstance(value, tuple):
        return cut(", ".join(map(index, value)) + ("," if len(value) == 1 else ""), SHORT)
    if isinstance(value, slice):
        ends = ["" if end is None else str(end) for end in (value.start, value.stop)]
        return ":".join(ends if value.step is None else [*ends, str(value.step)])
    return "..." if value is Ellipsis else argument(value)


def argument(value: Any) -> str:
    """One piece of metadata: arrays by dtype and shape, functions by name, all else as Python writes it."""
    if isinstance(value, np.ndarray) and value.ndim:
        return f"{value.dtype} {value.shape}"
    if isinstance(value, np.ndarray | np.generic | float):
        return operand(value[()] if isinstance(value, np.ndarray) else value)
    if isinstance(value, slice) or value is Ellipsis:
        return index(value)
    if isinstance(value, list | tuple):
        # Past a few entries nothing fits anyway, and a list of indices may be very long.
        inside = ", ".join(map(argument, value[:SHORT])) + ("," if len(value) == 1 else "")
        return cut(f"({inside})" if isinstance(value, tuple) else f"[{inside}]", SHORT)
    if isinstance(value, type | np.dtype) or callable(value):
        return cut(getattr(value, "__name__", None) or str(value), SHORT)
    return cut(repr(value), SHORT)


def cut(text: str, length: int) -> str:
    """`text` of at most `length` characters, with an ellipsis where some were left out."""
    return text if len(text) <= length else text[: length - 1] + "…"


# Not shown as they are: control and format characters (which turn the direction of the text around
# them), halves of surrogate pairs, and code points that XML does not have.
_UNSEEN = {"Cc", "Cf", "Cs", "Cn"}
_JOINERS = "\u200c\u200d"


def cleaned(text: str, length: int = NAME) -> str:
    """`text` on one line, without characters that are no text, of at most `length` characters.

    >>> cleaned("two\\nlines\\x00"), cleaned("abcdef", 4)
    ('two lines�', 'abc…')
    """
    return "".join(map(_visible, cut(text, length)))


def _visible(character: str) -> str:
    if character.isspace():
        return " "
    if unicodedata.category(character) in _UNSEEN and character not in _JOINERS:
        return "\N{REPLACEMENT CHARACTER}"
    return character


def size(rms: float) -> str:
    """The size of a gradient, to two digits.

    >>> size(0.0732), size(0.0), size(12345.0), size(float("nan"))
    ('0.073', '0', '12345', 'nan')
    """
    return plainly(rms, 2)


def counted(n: int, what: str) -> str:
    """How many there are.

    >>> counted(1, "operation"), counted(7960, "parameter")
    ('1 operation', '7,960 parameters')
    """
    return f"{n:,} {what}{'s' if n != 1 else ''}"


def memory(nbytes: float) -> str:
    """Bytes, in the unit that suits.

    >>> memory(80), memory(62_720), memory(999_600), memory(3.2e9)
    ('80 B', '62.7 kB', '1 MB', '3.2 GB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        # 999,600 bytes are 1 MB to three digits, and no 1e+03 kB.
        if (rounded := float(f"{nbytes:.3g}")) < 1000 or unit == "GB":
            break
        nbytes /= 1000
    return f"{rounded:,.0f} {unit}" if rounded >= 1000 else f"{rounded:g} {unit}"


def duration(seconds: float) -> str:
    """A time, in the unit that suits.

    >>> duration(2.5e-6), duration(0.0123), duration(0.9996), duration(3600.0)
    ('2.5 µs', '12.3 ms', '1 s', '3,600 s')
    """
    for unit, factor in (("µs", 1e6), ("ms", 1e3), ("s", 1.0)):
        if (rounded := float(f"{seconds * factor:.3g}")) < 1000:
            return f"{rounded:g} {unit}"
    return f"{rounded:,.0f} s"


def bars(counts: tuple[int, ...]) -> str:
    """A histogram as a line of text.

    >>> bars((0, 1, 4, 8))
    ' ▁▄█'
    """
    top = max(counts, default=0) or 1
    return "".join(" ▁▂▃▄▅▆▇█"[math.ceil(8 * n / top)] for n in counts)
