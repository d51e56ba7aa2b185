"""A nested state as arrays with names, and a text (JSON) that says where each belongs and holds everything else.

In the text, a list is a list; what JSON has no word for is an object with one entry: `{"dict": [[key, value], ...]}`,
`{"tuple": [...]}`, `{"array": name}`, `{"scalar": name}` (a number of NumPy), `{"complex": [re, im]}` and
`{"float": "nan"}`.  Names only have to be different: they are dotted paths for people, the text has the structure.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

import numpy as np

from ..engine.tensor import Tensor
from ..errors import AutogradError
from .files import SaveFileError

VERSION = 1
DEEPEST = 100
LONGEST_NAME = 1000
LARGEST_BITS = 10_000
"""Of an integer.  Python reads no longer ones from a text, as that takes quadratic time."""


class UnsavableError(AutogradError, TypeError):
    """Something in a state that no file can hold: a function, an object, an array of objects."""


# -- apart ------------------------------------------------------------------------------------


class Outline:
    """A state taken apart: `arrays` by name, and `text`.

    `forbidden` matches characters that names may not have in the file, `reserved` are names that are taken.

    >>> import numpy as np
    >>> from tinygrad_np.serialize.outline import Outline
    >>> outline = Outline({"layers": [np.eye(2)], "step": 7})
    >>> list(outline.arrays)
    ['layers.0']
    >>> outline.text
    '{"version": 1, "state": {"dict": [["layers", [{"array": "layers.0"}]], ["step", 7]]}}'
    """

    def __init__(self, state: Any, forbidden: str = r"[\ud800-\udfff]", reserved: tuple[str, ...] = ()) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self._paths: dict[str, tuple] = {}
        self._forbidden, self._reserved = re.compile(forbidden), reserved
        described = self._described(state, ())
        self.text: str = json.dumps({"version": VERSION, "state": described}, allow_nan=False)

    def where(self, name: str) -> str:
        """Where an array stands in the state, as one would write it."""
        return _place(self._paths[name])

    def _described(self, value: Any, path: tuple) -> Any:
        if len(path) > DEEPEST:
            raise _unsavable(path[:3], f"holds more than {DEEPEST} levels, or itself", "Save the flat parts of it.")
        if isinstance(value, dict):
            return {"dict": [[_key(key, path), self._described(v, (*path, key))] for key, v in value.items()]}
        if isinstance(value, list | tuple):
            items = [self._described(v, (*path, i)) for i, v in enumerate(value)]
            return items if isinstance(value, list) else {"tuple": items}
        if isinstance(value, Tensor):
            value = value.data
        if isinstance(value, np.generic) and not isinstance(value, str):
            return {"scalar": self._named(np.asarray(value), path)}
        if isinstance(value, np.ndarray):
            return {"array": self._named(value, path)}
        return _plain(value, path)

    def _named(self, array: np.ndarray, path: tuple) -> str:
        if array.dtype.kind not in "biufcSUmM" or isinstance(array, np.ma.MaskedArray):
            kind = "is a masked array" if isinstance(array, np.ma.MaskedArray) else f"has dtype {array.dtype}"
            raise _unsavable(path, f"{kind}, which files do not hold", "Save plain arrays of numbers.")
        name = wanted = self._forbidden.sub(_escaped, ".".join(map(str, path)) if path else "array")[:LONGEST_NAME]
        count = 1
        while name in self.arrays or name in self._reserved:
            count += 1
            name = f"{wanted}~{count}"
        self.arrays[name], self._paths[name] = array, path
        return name


def _escaped(match: re.Match) -> str:
    return f"%{ord(match[0]):02X}"


def _key(key: Any, path: tuple) -> Any:
    if isinstance(key, str):
        return str.__str__(key)
    if isinstance(key, bool) or type(key) is int:
        return key
    raise _unsavable(
        path, f"has the key {key!r} of type {type(key).__name__}", "Keys are texts or integers; write str(key)."
    )


def _plain(value: Any, path: tuple) -> Any:
    """What JSON can say of a value.  Subclasses, such as members of an enum, become the plain kind."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        if value.bit_length() > LARGEST_BITS:
            raise _unsavable(path, f"is an integer of {value.bit_length()} bits", f"Save it as hex: {_place(path)}:x.")
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"float": str(float(value))}
    if isinstance(value, complex):
        return {"complex": [_plain(value.real, path), _plain(value.imag, path)]}
    raise _unsavable(path, f"is {_what(value)}", _advice(value))


def _what(value: Any) -> str:
    name = getattr(value, "__qualname__", None)
    return f"{type(value).__name__} {name}" if name else f"an object of type {type(value).__name__}"


def _advice(value: Any) -> str:
    if hasattr(value, "state_dict"):
        return "Save its .state_dict()."
    if isinstance(value, np.random.Generator):
        return "Save its .bit_generator.state."
    if hasattr(value, "__array__"):
        return "Save np.asarray of it."
    if hasattr(value, "__iter__"):
        return "Save list(...) of it."
    return "Save arrays, numbers, texts, booleans, None, and dicts, lists and tuples of them."


def _place(path: tuple) -> str:
    return "state" + "".join(f"[{key!r}]" for key in path)


def _unsavable(path: tuple, what: str, advice: str) -> UnsavableError:
    return UnsavableError(f"{_place(path)} {what}, so nothing was written.  {advice}")


# -- together ---------------------------------------------------------------------------------


def together(text: str, arrays: dict[str, np.ndarray]) -> Any:
    """The state that an outline and its arrays describe.  Raises ValueError where they do not fit."""
    content = json.loads(text)
    if content["version"] != VERSION:
        raise SaveFileError(f"it was written in version {content['version']!r} of the format, and {VERSION} is known")
    remaining = dict(arrays)
    state = _restored(content["state"], remaining)
    if remaining:
        raise SaveFileError(f"it holds the array {next(iter(remaining))!r}, which has no place in its outline")
    return state


def _restored(node: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(node, list):
        return [_restored(item, arrays) for item in node]
    if not isinstance(node, dict):
        return node
    [(kind, value)] = node.items()
    if kind == "dict":
        return {key: _restored(item, arrays) for key, item in value}
    if kind == "tuple":
        return tuple(_restored(value, arrays))
    if kind == "float":
        return float(value)
    if kind == "complex":
        return complex(*_restored(value, arrays))
    if kind not in ("array", "scalar"):
        raise SaveFileError(f"its outline has the unknown word {kind!r}")
    if value not in arrays:
        raise SaveFileError(f"the array {value!r} is missing, or wanted twice")
    array = arrays.pop(value)
    return array if kind == "array" else array[()]
