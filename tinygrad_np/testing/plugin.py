"""The pytest plugin: the fixture `gradcheck`, `--grad-seed`, and failures that say how tensors differ.

pytest loads it by its entry point, once tinygrad_np is installed; `-p no:tinygrad_np` leaves it out.
"""

from __future__ import annotations

import ast
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, TypeGuard

import numpy as np
import pytest

from ..engine.tensor import Tensor
from ..errors import AutogradError
from .gradcheck import check_grad

SHOWN = 5
"""How many differing tensors of a list or dict are described."""

COMPARING = ("allclose", "array_equal", "array_equiv", "isclose", "equal")
"""Functions whose first two arguments an assert compares."""

_SEED = pytest.StashKey[int]()
_ENTRY_POINT = "tinygrad_np"
_TESTING = Path(__file__).parent
_PACKAGE = _TESTING.parent


def pytest_plugin_registered(plugin: Any, plugin_name: str, manager: pytest.PytestPluginManager) -> None:
    """Load once, although there are two names: the entry point's, and the module's after `-p`."""
    if getattr(plugin, "__name__", None) == __name__:
        manager.set_blocked(__name__ if plugin_name == _ENTRY_POINT else _ENTRY_POINT)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--grad-seed`."""
    group = parser.getgroup("tinygrad_np", "gradients of tinygrad_np")
    group.addoption(
        "--grad-seed",
        type=int,
        metavar="N",
        help="seed from which `gradcheck` draws entries and directions to look at, for each test its own (default: 0)",
    )


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say the seed, if one was given."""
    given = config.getoption("--grad-seed")
    return None if given is None else f"tinygrad_np: --grad-seed {given}"


# -- the fixture ------------------------------------------------------------------------------


class GradCheck:
    """What the fixture `gradcheck` is: `check_grad` with a seed of its own for each test."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @property
    def seed(self) -> int:
        """The seed of the running test: the same in each run, until `--grad-seed` changes."""
        return self._config.stash[_SEED]

    def __repr__(self) -> str:
        return "gradcheck"

    def __call__(self, f: Any, *arrays: Any, **options: Any) -> Any:
        """Check the derivatives of `f(*arrays)`; arguments are those of `check_grad`."""
        __tracebackhide__ = True
        options.setdefault("seed", self.seed)
        try:
            return check_grad(f, *arrays, **options)
        except (AssertionError, AutogradError) as error:
            error.add_note(self._how_to_repeat(options["seed"]))
            raise

    def _how_to_repeat(self, seed: int) -> str:
        if seed != self.seed:
            return f"checked with seed={seed}, which the test asks for"
        return (
            f"checked with seed={seed}, which pytest repeats with --grad-seed {_grad_seed(self._config)}, "
            f"and check_grad(f, ..., seed={seed}) anywhere"
        )


@pytest.fixture(scope="session")
def gradcheck(request: pytest.FixtureRequest) -> GradCheck:
    """Check derivatives: `gradcheck(f, *arrays)` is `check_grad` with a seed of its own for each test.

    >>> def test_tanh(gradcheck):
    ...     gradcheck(np.tanh, np.array([0.5, -1.0]))
    """
    # Of the whole session, so that Hypothesis lets tests with @given use it.
    return GradCheck(request.config)


def _grad_seed(config: pytest.Config) -> int:
    given = config.getoption("--grad-seed")
    return 0 if given is None else given


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Give the test its seed, which depends on its name and not on what runs before it."""
    item.config.stash[_SEED] = zlib.crc32(f"{_grad_seed(item.config)} {item.nodeid}".encode())


# -- how tensors differ -----------------------------------------------------------------------


def label(value: Any) -> str:
    """What a tensor, an array or something else is, in a few words and without its numbers."""
    if isinstance(value, Tensor | np.ndarray):
        words = [type(value).__name__, getattr(value, "name", None), str(value.shape), str(value.dtype)]
        return " ".join(filter(None, words))
    text = repr(value) if isinstance(value, int | float | complex | str | np.generic | None) else ""
    return text if 0 < len(text) <= 60 else f"a {type(value).__name__}"


def difference(left: Any, right: Any) -> str | None:
    """How two arrays differ, in one sentence; None if in nothing."""
    a, b = (value.data if isinstance(value, Tensor) else np.asarray(value) for value in (left, right))
    if a.dtype.kind not in "biufc" or b.dtype.kind not in "biufc":
        return None if left is right else "they cannot be compared as numbers"
    try:
        a, b = np.broadcast_arrays(a, b)
    except ValueError:
        return f"their shapes {a.shape} and {b.shape} do not broadcast"
    unequal = a != b
    if not np.any(unequal):
        return None
    wide = np.complex128 if "c" in a.dtype.kind + b.dtype.kind else np.float64
    with np.errstate(all="ignore"):
        apart = np.where(unequal, np.abs(a.astype(wide) - b.astype(wide)), 0)
    # A nan is further away than any number.
    where = np.unravel_index(np.argmax(np.where(np.isnan(apart), np.inf, apart)), a.shape)
    size = max(abs(wide(a[where])), abs(wide(b[where])))
    relative = f", relative {apart[where] / size:.2g}" if 0 < size < np.inf else ""
    place = f", most at [{', '.join(map(str, where))}]" if where else ""
    count = f"{np.count_nonzero(unequal)} of {a.size} entries" if a.ndim else "they"
    return f"{count} differ{place}: {a[where]!s} and {b[where]!s} (difference {apart[where]:.2g}{relative})"


def holds_tensor(value: Any) -> bool:
    """Whether a value is a tensor, or a list, tuple or dict with one in it."""
    if isinstance(value, dict):
        return any(map(holds_tensor, value.values()))
    return any(map(holds_tensor, value)) if isinstance(value, list | tuple) else isinstance(value, Tensor)


def differences(left: Any, right: Any, path: str = "") -> Iterator[str]:
    """A line for each place in which two values differ, entry by entry of lists and dicts."""
    if isinstance(left, dict) and isinstance(right, dict):
        for keys, side in ((left.keys() - right.keys(), "left"), (right.keys() - left.keys(), "right")):
            yield from (f"{path}[{key!r}] is on the {side} only" for key in sorted(keys, key=repr))
        for key in left:
            if key in right:
                yield from differences(left[key], right[key], f"{path}[{key!r}]")
    elif isinstance(left, list | tuple) and isinstance(right, list | tuple):
        if len(left) != len(right):
            yield f"{path or 'they'}: {len(left)} entries and {len(right)}"
        for i, (one, other) in enumerate(zip(left, right, strict=False)):
            yield from differences(one, other, f"{path}[{i}]")
    elif isinstance(left, Tensor) or isinstance(right, Tensor):
        found = None if left is right else difference(left, right)
        if found:
            yield f"{path}: {label(left)}, {label(right)}: {found}" if path else found
    elif type(left) is not type(right) or not np.array_equal(left, right):
        yield f"{path}: {label(left)}, {label(right)}"


def pytest_assertrepr_compare(config: pytest.Config, op: str, left: Any, right: Any) -> list[str] | None:
    """Describe how tensors differ, instead of printing them."""
    if not (holds_tensor(left) or holds_tensor(right)):
        return None
    lines = [f"{label(left)} {op} {label(right)}"]
    return [*lines, *_first(differences(left, right))] if op == "==" else lines


def _first(lines: Iterator[str]) -> list[str]:
    found = list(lines)
    return found[:SHOWN] + ([f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else [])


# -- failures ---------------------------------------------------------------------------------


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> None:
    """Make a failure readable: end it at the test's own line, and say how the tensors differ that it compares."""
    if call.excinfo is None:
        return
    error = call.excinfo.value
    if isinstance(error, AssertionError | AutogradError) and not item.config.getoption("fulltrace"):
        _end_outside(error)
    if isinstance(error, AssertionError | ValueError):
        _add_differences(error, call.excinfo.traceback)


def _end_outside(error: BaseException) -> None:
    """End the traceback at the call of a check, unless the error came from the function that is checked."""
    outside, entry = None, error.__traceback__
    while entry is not None:
        if _TESTING not in Path(entry.tb_frame.f_code.co_filename).parents:
            outside = entry
        entry = entry.tb_next
    if outside is not None:
        outside.tb_next = None


def _add_differences(error: AssertionError | ValueError, entries: Any) -> None:
    """Note how the tensors differ that a failed assert compares, by `==` or by a function such as np.allclose."""
    users = [entry for entry in entries if _PACKAGE not in Path(entry.path).parents]
    if not users or users[-1].frame.code.fullsource is None:
        return
    statement, frame = str(users[-1].statement), users[-1].frame.raw
    advised = False
    for left, right in _compared(statement, frame):
        if not (holds_tensor(left) or holds_tensor(right)):
            continue
        lines = _first(differences(left, right))
        if isinstance(error, ValueError):
            # What `assert a == b` runs into, even if all entries are equal.
            lines = lines or ["no entry differs"]
            nan = any(": nan and nan" in line for line in lines)
            lines.append(f"{_ADVICE}{', both with equal_nan=True' if nan else ''}")
            advised = True
        if lines and lines[0] not in str(error):
            error.add_note("\n".join([f"{label(left)}, {label(right)}:", *lines]))
    if "ambiguous" in str(error) and not advised and _is_of_tensors(statement, frame):
        error.add_note(_ADVICE)


def _asserted(statement: str) -> list[ast.AST]:
    """All parts of what an assert tests; nothing for another statement."""
    try:
        tree = ast.parse(statement.strip()).body
    except SyntaxError:
        return []
    return list(ast.walk(tree[0].test)) if tree and isinstance(tree[0], ast.Assert) else []


def _is_equation(node: ast.AST) -> TypeGuard[ast.Compare]:
    return isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.Eq)


def _is_of_tensors(statement: str, frame: FrameType) -> bool:
    """Whether an assert with == names a tensor, or something of this package, anywhere."""
    nodes = _asserted(statement)
    known = {**frame.f_globals, **frame.f_locals}
    named = [known.get(node.id) for node in nodes if isinstance(node, ast.Name)]
    package = __name__.partition(".")[0]
    homes = [getattr(value, "__module__", None) or getattr(value, "__name__", None) for value in named]
    own = any(isinstance(home, str) and home.partition(".")[0] == package for home in homes)
    return any(map(_is_equation, nodes)) and (own or any(map(holds_tensor, named)))


def _compared(statement: str, frame: FrameType) -> Iterator[tuple[Any, Any]]:
    """The pairs of values that an assert compares, where looking them up again changes nothing."""
    for node in _asserted(statement):
        sides: list[ast.expr] = []
        if _is_equation(node):
            sides = [node.left, node.comparators[0]]
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in COMPARING:
            sides = node.args[:2]
        if len(sides) == 2 and all(_may_repeat(part, frame) for side in sides for part in ast.walk(side)):
            try:
                left, right = (_value(side, frame) for side in sides)
            except Exception:  # the message of the test matters more than this one
                continue
            yield left, right


_NAMES = (ast.Name, ast.Attribute, ast.Subscript, ast.Load)
_LITERALS = (ast.Constant, ast.UnaryOp, ast.USub, ast.Slice, ast.List, ast.Tuple, ast.Dict, ast.keyword)
_MAKERS = (Tensor, np.array, np.asarray, np.zeros, np.ones, np.full, np.arange, np.eye)
"""What makes the same tensor or array when it is called again."""
_ADVICE = "== of tensors answers entry by entry: write assert np.array_equal(a, b), or np.allclose"


def _may_repeat(part: ast.AST, frame: FrameType) -> bool:
    if not isinstance(part, ast.Call):
        return isinstance(part, _NAMES + _LITERALS)
    plain = all(isinstance(inner, _NAMES) for inner in ast.walk(part.func))
    try:
        function = _value(part.func, frame) if plain else None
    except Exception:  # the name is gone, or looking at it fails: then it is left alone
        return False
    return any(function is maker for maker in _MAKERS)


def _value(expression: ast.expr, frame: FrameType) -> Any:
    return eval(compile(ast.Expression(expression), "<assert>", "eval"), frame.f_globals, frame.f_locals)
