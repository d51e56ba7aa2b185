"""The example that derives the backpropagation of the three documents: what it says, and whether that is so."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_np as tg

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "derive_backprop.py"
D2_PRINTED, D2_MEANT = "D2: letters", "D2: the same network with the cross-entropy"


def run(*options, hash_seed=1):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": str(hash_seed)}
    command = [sys.executable, "-W", "error", str(EXAMPLE), *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    out = tmp_path_factory.mktemp("derive")
    result = run("--quick", "--out", out)
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout, out


def part(text, heading):
    """What stands under the heading that starts like this, up to the next one."""
    found = re.search(
        rf"^{re.escape(heading)}[^\n]*\n-+\n(.*?)(?=^[^\n]+\n-{{4,}}$|\Z)", text, re.MULTILINE | re.DOTALL
    )
    assert found, f"no heading {heading!r} in:\n{text}"
    return found[1]


def rows(text, heading):
    """By the name of a line: the derived line, the tutorial's, and what is said of them."""
    pattern = r"^    (d\w+) +(.*?)  +tutorial: (.*)\n(?:          (.*)\n)?"
    return {name: (a, b, said) for name, a, b, said in re.findall(pattern, part(text, heading), re.MULTILINE)}


def verdicts(text, heading):
    return {name: said.split()[0] for name, (_, _, said) in rows(text, heading).items() if said}


# -- what it says -----------------------------------------------------------------------------


def test_the_biases_of_the_first_document_are_wrong_and_nothing_else(quick):
    text, _ = quick
    wrong = {name for name, said in verdicts(text, "D1").items() if said == "WRONG"}
    assert wrong == {"db1", "db2"}
    found = rows(text, "D1")
    assert found["db2"] == (
        "dZ2.sum(axis=1, keepdims=True)", "np.sum(dZ2) / m", "WRONG  shape () instead of (10, 1)",
    )  # fmt: skip
    assert set(found) == {"dZ2", "dW2", "db2", "dZ1", "dW1", "db1"}


def test_the_formulas_of_the_second_document_belong_to_another_loss(quick):
    text, _ = quick
    assert set(verdicts(text, D2_PRINTED).values()) == {"WRONG"}
    assert set(verdicts(text, D2_MEANT).values()) == {"ok"}
    assert set(verdicts(text, D2_MEANT)) == {"dZ2", "dW2", "db2", "dZ1", "dW1", "db1"}
    assert "(1 - A2)" in rows(text, D2_PRINTED)["dZ2"][0]
    assert rows(text, D2_MEANT)["dZ2"][:2] == ("(A2 - Y) / 3", "A2 - Y")
    factor = re.search(r"agrees with the derived one of the squared error to ([\d.]+) digits", text)
    assert float(factor[1]) > 14


def test_the_third_document_agrees_until_it_saturates(quick):
    text, _ = quick
    assert set(verdicts(text, "D3: digits").values()) == {"ok"}
    saturated = part(text, "D3 again")
    assert len(re.findall(r"derived finite in all [\d,]+ +tutorial [\d,]+ of [\d,]+ nan or inf", saturated)) == 3


def test_every_derivation_agrees_with_autograd(quick):
    text, _ = quick
    digits = re.findall(r"against autograd: agrees to ([\d.]+) digits", text)
    assert len(digits) == 4
    assert min(map(float, digits)) > 13


def test_lines_fit_a_terminal(quick):
    text, out = quick
    assert max(len(line) for line in text.replace(str(out), "").splitlines()) <= 100


# -- whether that is so -----------------------------------------------------------------------


def test_the_derived_lines_of_the_first_document_are_the_numeric_gradient(quick):
    """The six lines as they are printed, run on small arrays, against differences of the loss."""
    random = np.random.default_rng(3)
    m = 6
    X, Y = random.random((7, m)), np.eye(4)[random.integers(0, 4, m)].T
    parameters = [random.normal(size=shape) for shape in ((5, 7), (5, 1), (4, 5), (4, 1))]

    def steps(W1, b1, W2, b2):
        Z1 = W1 @ X + b1
        A1 = np.maximum(Z1, 0)
        E = np.exp(W2 @ A1 + b2)
        return Z1, A1, E / E.sum(axis=0)

    def loss(*parameters):
        return -np.sum(Y * np.log(steps(*parameters)[-1])) / m

    W1, b1, W2, b2 = parameters
    Z1, A1, A2 = steps(*parameters)
    found = {"X": X, "Y": Y, "m": m, "W1": W1, "b1": b1, "W2": W2, "b2": b2, "Z1": Z1, "A1": A1, "A2": A2}
    for name, (derived, _, _) in rows(quick[0], "D1").items():
        found[name] = eval(derived, {"np": np}, found)
    for i, name in enumerate(("dW1", "db1", "dW2", "db2")):
        numeric = tg.testing.numeric_grad(loss, *parameters, argnum=i)
        assert found[name].shape == numeric.shape
        np.testing.assert_allclose(found[name], numeric, rtol=1e-6, atol=1e-9)


# -- what it writes ---------------------------------------------------------------------------


def test_it_writes_latex_that_names_every_gradient(quick):
    text = (quick[1] / "derive_backprop.tex").read_text("utf-8")
    assert text.startswith("\\documentclass{article}\n\\usepackage{amsmath}\n\\begin{document}\n")
    assert text.endswith("\\end{document}\n")
    blocks = re.findall(r"\\begin\{align\*\}\n(.*?)\n\\end\{align\*\}", text, re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        for name in ("Z_{2}", "W_{2}", "b_{2}", "Z_{1}", "W_{1}", "b_{1}"):
            assert block.count(rf"\mathrm{{d}}{name} &=") == 1
    assert text.count("{") == text.count("}")


def test_it_writes_a_page_whose_links_lead_to_graphs_beside_it(quick):
    _, out = quick
    page = (out / "derive_backprop.html").read_text("utf-8")
    links = re.findall(r'href="(.*?)#op-(\d+)"', page)
    assert len(links) == 24
    for file, number in links:
        boxes = (out / file).read_text("utf-8")
        assert f'"id":{number},"kind":"op"' in boxes
    assert page.count('src="data:image/svg+xml;base64,') == 24
    assert "http" not in page


def test_it_writes_the_same_files_every_time(quick, tmp_path):
    _, out = quick
    # What stands in sets must not decide the order of factors and terms.
    assert run("--quick", "--out", tmp_path, hash_seed=2).returncode == 0
    names = {path.name for path in out.iterdir()}
    assert names == {path.name for path in tmp_path.iterdir()}
    for name in ("derive_backprop.tex", "derive_backprop.html"):
        assert (out / name).read_bytes() == (tmp_path / name).read_bytes()


def test_a_missing_data_file_is_one_clear_message(tmp_path):
    result = run("--quick", "--out", tmp_path, "--data", tmp_path / "nowhere.npz")
    assert result.returncode == 1
    assert result.stderr.startswith("error: cannot read")
    assert "Traceback" not in result.stderr
