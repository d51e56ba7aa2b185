"""The example that plants mistakes into the three tutorials' networks and shows the reports, as a reader runs it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run(out):
    command = [
        sys.executable,
        "-W",
        "error",
        str(ROOT / "examples" / "gradient_doctor.py"),
        "--quick",
        "--out",
        str(out),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """What `--quick` printed, and where it put its page."""
    out = tmp_path_factory.mktemp("doctor")
    return run(out), out


def report(text, title):
    """The report on one case."""
    found = re.search(rf"^\* {re.escape(title)}\n(.*?)(?=^\* |^-{{5,}}$|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"no case {title!r}"
    return found[1]


def test_every_mistake_is_named_as_planted(quick):
    verdicts = re.search(r"(\d+) of (\d+) named as planted", quick[0])
    assert verdicts
    assert int(verdicts[1]) == int(verdicts[2]) > 12


def test_right_formulas_are_left_alone(quick):
    text = report(quick[0], "nothing planted")
    assert "7 of 7 agree" in text
    assert "WRONG" not in text


@pytest.mark.parametrize(
    ("title", "wrong", "words"),
    [
        ("a sum without axis", ["db1", "db2"], ["np.sum(dZ2)", "dZ2.sum(axis=1, keepdims=True) / m"]),
        ("m counted before the split", ["dW1", "dW2", "db1", "db2"], ["41/42", "210", "205"]),
        ("1/m forgotten", ["dW2"], ["205"]),
        ("relu's derivative forgotten", ["dZ1"], ["Z1 > 0"]),
        ("weights that have taken their step", ["dA1"], ["0.1"]),
        ("the derivative at the activation", ["dZ1"], ["A1 * (1 - A1)"]),
        ("summed over the units", ["db2"], ["axis=0"]),
        ("the gradient of another loss", ["dZ2"], ["cross-entropy"]),
        ("outputs that round to 0 and 1", None, ["not finite"]),
    ],
)
def test_what_is_wrong_is_told_from_what_follows(quick, title, wrong, words):
    text = report(quick[0], title)
    if wrong is not None:
        assert sorted(re.findall(r"^  WRONG +(d\w+)", text, re.MULTILINE)) == wrong
    assert [word for word in words if word not in text] == []


def test_the_page_has_every_report(quick):
    text, out = quick
    assert [path.name for path in out.iterdir()] == ["gradient_doctor.html"]
    page = (out / "gradient_doctor.html").read_text("utf-8")
    titles = re.findall(r"^\* (.*)$", text, re.MULTILINE)
    assert len(titles) > 12
    assert page.count("<table>") >= len(titles)
    assert page.startswith("<!DOCTYPE html>")


def test_says_the_same_each_time(quick, tmp_path):
    assert run(tmp_path).replace(str(tmp_path), "") == quick[0].replace(str(quick[1]), "")
