"""The shape of the package: who imports whom, how long files are, and that everything public is explained."""

import ast
import inspect
import sys
from pathlib import Path

import pytest

import tinygrad_np as tg

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "tinygrad_np"
CHAIN = ["errors", "engine.tape", "engine.walk", "engine.tensor", "engine.op", "ops", "transforms"]
"""Each may import those before it, and never one after it, not even by way of others."""
LIMIT = 400


def module_name(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported(module, statement):
    """The modules that one import statement of `module` loads; those of the package without its name."""
    if isinstance(statement, ast.Import):
        return {alias.name for alias in statement.names}
    if not statement.level:
        return {statement.module}
    package = FILES[module].parent.relative_to(PACKAGE).parts
    base = ".".join(package[: len(package) - statement.level + 1])
    source = ".".join(part for part in (base, statement.module) if part)
    inside = {".".join(part for part in (source, alias.name) if part) for alias in statement.names}
    return {name if name in FILES else source for name in inside}


def imports(module, inside_functions=False):
    """What a module imports when it is loaded, or what its functions import later."""
    tree = ast.parse(FILES[module].read_text("utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    later = {id(node) for function in functions for node in ast.walk(function)}
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    chosen = [node for node in statements if (id(node) in later) == inside_functions]
    return set().union(*[imported(module, node) for node in chosen])


GRAPH = {module: {name for name in imports(module) if name in FILES} for module in FILES}


def reachable(module):
    """Everything in the package that loading a module loads by its own statements."""
    found, waiting = set(), [module]
    while waiting:
        for name in GRAPH[waiting.pop()] - found:
            found.add(name)
            waiting.append(name)
    return found


def belongs(module, part):
    return module == part or module.startswith(f"{part}.")


# -- imports ----------------------------------------------------------------------------------


def test_the_parser_sees_what_is_there():
    assert "engine.tensor" in reachable("engine.op")
    assert "ops.reduce" in reachable("ops.nn")
    assert "numpy" in imports("engine.tensor")
    assert len(FILES) > 20


@pytest.mark.parametrize("earlier", range(len(CHAIN)))
def test_imports_go_one_way(earlier):
    for module in FILES:
        if belongs(module, CHAIN[earlier]):
            later = [n for n in reachable(module) for part in CHAIN[earlier + 1 :] if belongs(n, part)]
            assert not later, f"{module} comes before {later}"


def test_layers_load_on_use_only():
    # Who derives formulas by hand starts without them.
    assert not [
        name for name in reachable("") if any(belongs(name, part) for part in ("nn", "optim", "data", "training"))
    ]


@pytest.mark.parametrize("module", FILES)
def test_no_cycles(module):
    assert module not in reachable(module)


@pytest.mark.parametrize(
    ("part", "never"),
    [
        ("errors", ["engine", "ops", "transforms", "graph", "testing"]),
        ("engine", ["ops", "transforms", "graph", "testing"]),
        ("ops", ["transforms", "graph", "testing"]),
        ("transforms", ["ops", "graph", "testing"]),
        ("graph", ["ops", "transforms", "testing", "engine.op"]),
        ("testing", ["graph"]),
        ("ops", ["nn", "optim", "data", "training", "serialize"]),
        ("nn", ["transforms", "graph", "testing", "optim", "data", "training", "serialize"]),
        ("optim", ["ops", "graph", "testing", "nn", "data", "training", "serialize"]),
        ("data", ["engine", "ops", "nn", "optim", "training"]),
        ("serialize", ["ops", "nn", "optim", "data", "training"]),
        ("training", ["ops", "graph", "testing"]),
    ],
)
def test_parts_know_only_what_lies_below(part, never):
    for module in FILES:
        if belongs(module, part):
            direct = GRAPH[module] | {name for name in imports(module, inside_functions=True) if name in FILES}
            assert not [name for name in direct if any(belongs(name, other) for other in never)], module


@pytest.mark.parametrize("module", [name for name in FILES if name])
def test_nothing_imports_the_package_as_a_whole(module):
    assert not {"", "tinygrad_np"} & (imports(module) | imports(module, inside_functions=True))


@pytest.mark.parametrize("module", FILES)
def test_only_numpy_and_pictures_come_from_outside(module):
    outside = {name.split(".")[0] for name in imports(module) if name not in FILES}
    allowed = {"numpy", "graphviz"} if module.startswith("graph.") else {"numpy"}
    if module.startswith("special"):
        allowed |= {"scipy"}
    if module.startswith("testing"):
        allowed |= {"pytest", "hypothesis"}
    assert outside - set(sys.stdlib_module_names) <= allowed


@pytest.mark.parametrize("module", FILES)
def test_imports_inside_functions_only_spare_the_drawing(module):
    # Elsewhere they hide a cycle.
    assert belongs(module, "graph") or not [name for name in imports(module, inside_functions=True) if name in FILES]


# -- files ------------------------------------------------------------------------------------


def test_files_are_short():
    paths = [p for part in ("tinygrad_np", "tests", "examples", "benchmarks") for p in (ROOT / part).rglob("*.py")]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in paths}
    assert len(lengths) > 40
    assert {name: n for name, n in lengths.items() if n >= LIMIT} == {}


def test_the_top_level_holds_nothing_else():
    made_by_tools = {"build", "dist", "__pycache__"}
    names = {p.name for p in ROOT.iterdir() if not p.name.startswith(".") and not p.name.endswith(".egg-info")}
    assert names - made_by_tools == {"pyproject.toml", "README.md", "tinygrad_np", "tests", "examples", "benchmarks"}
    assert (PACKAGE / "py.typed").exists()


# -- what is public ---------------------------------------------------------------------------

PUBLIC = {name: getattr(tg, name) for name in tg.__all__}
CALLABLE = {name: value for name, value in PUBLIC.items() if not inspect.ismodule(value)}


def test_every_public_name_is_there_once():
    assert len(set(tg.__all__)) == len(tg.__all__)
    scope = {}
    exec("from tinygrad_np import *", scope)
    assert set(tg.__all__) <= set(scope)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_documented(name):
    text = inspect.getdoc(PUBLIC[name])
    assert text
    assert text.splitlines()[0].endswith((".", ";", ":"))


@pytest.mark.parametrize("name", CALLABLE)
def test_every_public_function_and_class_has_an_example(name):
    # The examples run as doctests.
    assert ">>>" in CALLABLE[name].__doc__


@pytest.mark.parametrize("kind", [tg.Tensor, tg.Tape, tg.Node], ids=lambda kind: kind.__name__)
def test_every_public_method_is_documented(kind):
    written_here = {name: value for name, value in vars(kind).items() if not name.startswith("_")}
    slots = set(getattr(kind, "__slots__", ()))
    assert [name for name, value in written_here.items() if name not in slots and not inspect.getdoc(value)] == []


def test_errors_point_to_a_heading_that_exists():
    assert "How to add an op" in (ROOT / "README.md").read_text("utf-8")
