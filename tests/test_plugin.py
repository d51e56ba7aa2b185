"""The pytest plugin: run by pytest in a process of its own, with warnings as errors, and what it says of failures."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import tinygrad_np as tg
from tinygrad_np.testing import check_grad, plugin

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
MODULE = "tinygrad_np.testing.plugin"

HEAD = """
import numpy as np, pytest, tinygrad_np as tg
sine = tg.custom_gradient(lambda x: (np.sin(x), lambda g: 1.5 * g * np.cos(x)))  # a wrong derivative
def pair():
    a = np.arange(6.0).reshape(2, 3)
    b = a.copy()
    b[1, 1] += 0.001
    b[0, 0] -= 0.0001
    return tg.Tensor(a, requires_grad=True, name="W"), tg.Tensor(b)
"""


@pytest.fixture
def run(pytester, monkeypatch):
    """Run pytest on some tests; `entry_point=True` installs the plugin, as far as pytest can tell."""

    def in_process(tests, *options, entry_point=False):
        path = [str(ROOT)]
        if entry_point:
            installed = pytester.mkdir("site") / "tinygrad_np-0.dist-info"
            installed.mkdir()
            (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: tinygrad_np\nVersion: 0\n")
            names = [f"{name} = {module}\n" for name, module in PROJECT["entry-points"]["pytest11"].items()]
            (installed / "entry_points.txt").write_text("[pytest11]\n" + "".join(names))
            path.append(str(installed.parent))
        elif not any("tinygrad_np" in option for option in options):
            options = ("-p", MODULE, *options)
        monkeypatch.setenv("PYTHONPATH", ":".join(path))
        monkeypatch.setenv("PYTHONWARNINGS", "error")
        pytester.makepyfile(test_it=HEAD + tests)
        return pytester.runpytest_subprocess("-W", "error", "-p", "no:cacheprovider", *options)

    return in_process


def text_of(result):
    # Where CI is set, the summary says all of it again.
    return "\n".join(result.outlines).partition("short test summary info")[0]


# -- loading ----------------------------------------------------------------------------------

USES = "def test_right(gradcheck):\n    gradcheck(np.tanh, np.array([0.5, -1.0]))\n"


@pytest.mark.parametrize(
    ("options", "entry_point"),
    [
        (["-p", MODULE], False),
        ([], True),
        (["-p", "tinygrad_np"], True),
        (["-p", MODULE], True),
        (["--import-mode=importlib"], True),
        (["-p", "no:hypothesispytest", "-p", "no:xdist"], True),
    ],
)
def test_the_plugin_loads(run, options, entry_point):
    run(USES, *options, entry_point=entry_point).assert_outcomes(passed=1)


def test_a_conftest_may_name_what_is_installed_already(run, pytester):
    pytester.makeconftest(f"pytest_plugins = [{MODULE!r}]")
    run(USES, entry_point=True).assert_outcomes(passed=1)


def test_the_plugin_can_be_left_out(run):
    result = run(USES + "def test_other():\n    pass\n", "-p", "no:tinygrad_np", entry_point=True)
    result.assert_outcomes(passed=1, errors=1)
    assert "fixture 'gradcheck' not found" in text_of(result)


def test_loading_needs_no_hypothesis():
    code = f"import sys; sys.modules['hypothesis'] = None; import {MODULE}"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_extra_holds_what_the_two_parts_need():
    assert PROJECT["entry-points"]["pytest11"] == {"tinygrad_np": plugin.__name__}
    assert {re.split("[>=]", wanted)[0] for wanted in PROJECT["optional-dependencies"]["testing"]} == {
        "pytest", "hypothesis"
    }  # fmt: skip


# -- the fixture ------------------------------------------------------------------------------

WRONG = """
def test_wrong(gradcheck):
    gradcheck(sine, np.linspace(-1, 1, 200), entries=5)
def test_wrong_too(gradcheck):
    gradcheck(sine, np.linspace(-1, 1, 200), entries=5)
"""


def seeds(result):
    return [int(seed) for seed in re.findall(r"^E +checked with seed=(\d+)", text_of(result), re.M)]


def test_each_test_has_a_seed_of_its_own_that_repeats(run):
    result = run(WRONG)
    result.assert_outcomes(failed=2)
    first, second = seeds(result)
    assert first != second
    assert f"pytest repeats with --grad-seed 0, and check_grad(f, ..., seed={first}) anywhere" in text_of(result)
    assert seeds(run(WRONG, "--grad-seed", "0")) == [first, second]
    assert seeds(run(WRONG, "-k", "too")) == [second]
    assert not {first, second} & set(seeds(run(WRONG, "--grad-seed=7")))


def test_the_seed_said_leads_to_the_same_failure(run):
    result = run(WRONG, "-k", "too", "--grad-seed=3")
    sine = tg.custom_gradient(lambda x: (np.sin(x), lambda g: 1.5 * g * np.cos(x)))
    with pytest.raises(AssertionError) as raised:
        check_grad(sine, np.linspace(-1, 1, 200), entries=5, seed=seeds(result)[0])
    assert str(raised.value) in text_of(result)
    assert "--grad-seed 3" in text_of(result)


def test_a_seed_that_the_test_gives_is_used(run):
    result = run("def test_wrong(gradcheck):\n    gradcheck(sine, np.array([0.5]), seed=3)\n")
    assert "checked with seed=3, which the test asks for" in text_of(result)


def test_the_header_says_the_seed_only_if_given(run):
    assert "tinygrad_np: --grad-seed 12" in run(USES, "--grad-seed=12").outlines
    assert "grad-seed" not in text_of(run(USES))
    assert run(USES, "--grad-seed=x").ret == pytest.ExitCode.USAGE_ERROR


def test_the_fixture_goes_with_hypothesis(run):
    result = run(
        """
from hypothesis import given, settings
from tinygrad_np.testing import strategies
@settings(database=None, derandomize=True)
@given(strategies.tensors())
def test_right(gradcheck, x):
    gradcheck(np.tanh, x)
@settings(database=None, derandomize=True)
@given(strategies.tensors())
def test_wrong(gradcheck, x):
    gradcheck(sine, x)
"""
    )
    result.assert_outcomes(passed=1, failed=1)
    assert len(seeds(result)) == 1


# -- failures ---------------------------------------------------------------------------------

CHECKS = """
from tinygrad_np.testing import assert_grads_match
def test_fixture(gradcheck):
    gradcheck(sine, np.array([0.5]))
def test_hand():
    W = tg.Tensor(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), requires_grad=True, name="W")
    assert_grads_match({"dW": -2 * W.data}, {"W": W}, np.sum(W**2))
"""


def test_checks_fail_at_the_line_of_the_test(run):
    result = run(CHECKS)
    result.assert_outcomes(failed=2)
    # The last line of each says where it was raised.
    assert re.findall(r"^(\S+):\d+: Gradient", text_of(result), re.M) == ["test_it.py", "test_it.py"]
    assert "gradcheck.py" not in text_of(result)
    assert "compare.py" not in text_of(result)
    assert "WRONG  dW" in text_of(result)
    assert re.search(r"gradcheck.py:\d+: Gradient", text_of(run(CHECKS, "--full-trace")))


def test_errors_of_the_function_checked_keep_their_traceback(run):
    result = run(
        """
def broken(x):
    raise AssertionError("mine")
def test_broken(gradcheck):
    gradcheck(broken, np.array([0.5]))
def test_plain():
    assert 1 == 2
"""
    )
    assert 'raise AssertionError("mine")' in text_of(result)
    assert "assert 1 == 2" in text_of(result)


FOUND = "2 of 6 entries differ, most at [1, 1]: 4.0 and 4.001 (difference 0.001, relative 0.00025)"
ADVICE = "== of tensors answers entry by entry: write assert np.array_equal(a, b), or np.allclose"
BOTH = "Tensor W (2, 3) float64, Tensor (2, 3) float64:"


ASSERTED = {
    "a == b": [BOTH, FOUND, ADVICE],
    "a == a.data": ["no entry differs", "== of tensors answers entry by entry*"],
    "a == b.data[:, :2]": ["their shapes (2, 3) and (2, 2) do not broadcast"],
    "tg.Tensor([1.0, 2.0]) == tg.Tensor([1.0, 3.0])": [
        "1 of 2 entries differ, most at [1]: 2.0 and 3.0*",
        "== of tensors*",
    ],
    "tg.Tensor([1.0, 2.0]) == np.array([1.0, 4.0])": [
        "1 of 2 entries differ, most at [1]: 2.0 and 4.0*",
        "== of tensors*",
    ],
    "tg.Tensor([1.0, 2.0]) == [1.0, 4.0]": ["1 of 2 entries differ, most at [1]: 2.0 and 4.0*", ADVICE],
    "tg.Tensor([1.0, 2.0]) == tg.Tensor(np.array([1.0, 2.0]))": ["no entry differs", ADVICE],
    "tg.Tensor([1.0, np.nan]) == tg.Tensor([1.0, np.nan])": [
        "*nan and nan*",
        "== of tensors*, both with equal_nan=True",
    ],
    "pair()[0] == tg.Tensor(a.data)": [ADVICE],
    "np.allclose(a, b)": [BOTH, FOUND],
    "np.array_equal(a, b.data)": ["Tensor W (2, 3) float64, ndarray (2, 3) float64:", FOUND],
    "(a == b).all()": ["*Tensor W (2, 3) float64 == Tensor (2, 3) float64", FOUND + "*"],
    "np.all(a == b)": ["*Tensor W (2, 3) float64 == Tensor (2, 3) float64", FOUND + "*"],
    "a[0, 1] == 1.5": ["*Tensor () float64 == 1.5", "they differ: 1.0 and 1.5 (difference 0.5, relative 0.33)"],
    "a[0, 1] != b[0, 1]": ["assert Tensor () float64 != Tensor () float64"],
    "a is None": ["assert Tensor W (2, 3) float64 is None"],
    "{'u': a[0, 1], 'v': [b[0, 0]]} == {'u': a[0, 1], 'v': [b[0, 1]]}": [
        "*assert a dict == a dict",
        "?'v'??0?: Tensor () float64, Tensor () float64: they differ: -0.0001 and 1.0 (difference 1, relative 1)",
    ],
}


def test_asserts_say_how_tensors_differ(run):
    functions = [f"def test_{i}():\n    a, b = pair()\n    assert {s}\n" for i, s in enumerate(ASSERTED)]
    result = run("".join(functions))
    result.assert_outcomes(failed=len(ASSERTED))
    sections = re.split(r"^_+ test_\d+ _+$", text_of(result), flags=re.M)[1:]
    for section, (statement, lines) in zip(sections, ASSERTED.items(), strict=True):
        assert statement in section
        explained = [line[1:].strip() for line in section.splitlines() if line.startswith("E")]
        for line in lines:
            expected = re.escape(line).replace(r"\*", ".*").replace(r"\?", ".")
            assert any(re.fullmatch(expected, given) for given in explained), section
        assert section.count("most at") <= 1


def test_each_difference_is_said_once_and_no_arrays_are_printed(run):
    result = run(
        """
def test_large():
    a = tg.Tensor(np.arange(1e6).reshape(1000, 1000))
    b = a + np.eye(1000)
    assert a == b
def test_many():
    assert [tg.Tensor(1.0 * i) for i in range(50)] == [tg.Tensor(-1.0) for i in range(50)]
"""
    )
    text = text_of(result)
    assert text.count("1000 of 1000000 entries differ, most at [0, 0]: 0.0 and 1.0") == 1
    assert text.count("they differ") == 5
    assert "and 45 more" in text
    assert "[[" not in text
    assert "Tensor([" not in text


def test_other_asserts_are_as_without_the_plugin(run):
    tests = """
def test_arrays():
    a = np.arange(3.0)
    assert np.array_equal(a, a + 1)
def test_lists():
    assert [1, 2] == [1, 3]
def test_ambiguous():
    assert np.arange(3) == np.arange(3)
def test_value_error():
    raise ValueError("mine")
"""

    def explanations(result):
        return [re.sub("0x[0-9a-f]+", "0x", line) for line in result.outlines if line.startswith("E")]

    assert explanations(run(tests)) == explanations(run(tests, "-p", "no:tinygrad_np", "-p", f"no:{MODULE}"))


def test_values_are_not_computed_again(run):
    result = run(
        """
calls = []
def once():
    calls.append(1)
    return pair()[0]
def test_calls():
    assert np.allclose(once(), pair()[1])
def test_after():
    assert len(calls) == 1
"""
    )
    result.assert_outcomes(passed=1, failed=1)


@pytest.mark.parametrize(
    ("left", "right", "sentence"),
    [
        ([1.0, 2.0], [1.0, 2.0], None),
        ([1.0, 2.0], [1.0, 2.5], "1 of 2 entries differ, most at [1]: 2.0 and 2.5 (difference 0.5, relative 0.2)"),
        ([1, 2], [1.0, 0.0], "1 of 2 entries differ, most at [1]: 2 and 0.0 (difference 2, relative 1)"),
        ([0.0, np.nan], [9.0, 1.0], "2 of 2 entries differ, most at [1]: nan and 1.0 (difference nan)"),
        ([np.inf, 1.0], [-np.inf, 1.0], "1 of 2 entries differ, most at [0]: inf and -inf (difference inf)"),
        ([np.inf], [np.inf], None),
        ([1 + 1j], [1 - 1j], "1 of 1 entries differ, most at [0]: (1+1j) and (1-1j) (difference 2, relative 1.4)"),
        ([True, False], [True, True], "1 of 2 entries differ, most at [1]: False and True (difference 1, relative 1)"),
        ([[1.0], [2.0]], 1.0, "1 of 2 entries differ, most at [1, 0]: 2.0 and 1.0 (difference 1, relative 0.5)"),
        (np.zeros((0, 3)), np.zeros((0, 3)), None),
        ([1.0, 2.0], [1.0, 2.0, 3.0], "their shapes (2,) and (3,) do not broadcast"),
        ([1.0], "one", "they cannot be compared as numbers"),
        (np.uint8([3]), np.uint8([5]), "1 of 1 entries differ, most at [0]: 3 and 5 (difference 2, relative 0.4)"),
    ],
)  # fmt: skip
def test_the_largest_difference_is_found(left, right, sentence):
    assert plugin.difference(np.asarray(left), right) == sentence


def test_lists_and_dicts_are_compared_entry_by_entry():
    one, two = tg.Tensor(1.0), tg.Tensor(2.0)
    assert list(plugin.differences({"a": one, "b": one, "c": 1}, {"b": two, "c": 2, "d": one})) == [
        "['a'] is on the left only",
        "['d'] is on the right only",
        "['b']: Tensor () float64, Tensor () float64: they differ: 1.0 and 2.0 (difference 1, relative 0.5)",
        "['c']: 1, 2",
    ]
    assert list(plugin.differences([one, (two,)], [one, (two, one), 3])) == [
        "they: 2 entries and 3",
        "[1]: 1 entries and 2",
    ]
    assert list(plugin.differences([one, "x" * 100], [one, "y" * 100])) == ["[1]: a str, a str"]
