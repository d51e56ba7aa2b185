"""`python -m tinygrad_np check tutorial.py:backward`: what it says of a script's gradients, and how it ends."""

import io
import os
import sys
import textwrap
from itertools import takewhile

import pytest
from tutorials import BINARY, DIGITS, LETTERS, MENDED, NETWORK, PLAIN, TRAIN

from tinygrad_np.cli import main


@pytest.fixture(autouse=True)
def nothing_is_left():
    """Whatever a script does, its run leaves the program as it was."""
    argv, path, folder, profile = sys.argv[:], sys.path[:], os.getcwd(), sys.getprofile()
    yield
    left = sys.argv, sys.path, sys.getprofile()
    os.chdir(folder)
    assert left == (argv, path, profile)


@pytest.fixture
def check(tmp_path, monkeypatch, capsys):
    """Checks a script: the exit code, and what was printed on both channels."""

    def run(code, function, *options, arguments=()):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("MPLBACKEND", "agg")
        (tmp_path / "tutorial.py").write_text(textwrap.dedent(code), "utf-8")
        result = main(["check", f"tutorial.py:{function}", *options, *(("--", *arguments) if arguments else ())])
        said = capsys.readouterr()
        return result, said.out, said.err

    return run


def rows(text):
    """The gradients of a report by what is said of them: right, wrong, and wrong because of others."""
    found = {"ok": [], "WRONG": [], "then": []}
    for line in text.splitlines():
        words = line.split()
        if line.startswith("  ") and words and words[0] in found:
            names = takewhile(lambda word: word != "to", words[1:])
            found[words[0]] += names if words[0] == "ok" else words[1:2]
    return found


# -- tutorials as they are --------------------------------------------------------------------


def test_digits_with_their_mistake(check):
    result, out, err = check(DIGITS, "backward_prop", "--loss", "cross_entropy")
    assert (result, err) == (1, "")
    assert out.startswith("training\n")
    assert "iteration" not in out  # the run ends at the first backward pass
    assert sorted(rows(out)["WRONG"]) == ["db1", "db2"]
    assert {"dW1", "dW2", "dZ1", "dZ2"} <= set(rows(out)["ok"])
    assert "axis=1, keepdims=True" in out


def test_digits_mended(check):
    result, out, _ = check(MENDED, "backward_prop", "--loss", "cross_entropy")
    assert result == 0
    assert "WRONG" not in out
    assert {"dW1", "db1", "dW2", "db2"} <= set(rows(out)["ok"])


def test_digits_with_m_of_the_whole_data(check):
    result, out, _ = check(MENDED.replace("m = 41", "m = 42"), "backward_prop", "--loss", "cross_entropy")
    assert result == 1
    assert sorted(rows(out)["WRONG"]) == ["dW1", "dW2", "db1", "db2"]
    assert "42" in out


def test_digits_with_a_loss_of_their_own(check):
    loss = (
        "def cross_entropy_of(A2, Y):\n        return -np.sum(one_hot(Y) * np.log(A2)) / Y.size\n\n    def init_params"
    )
    code = MENDED.replace("def init_params", loss)
    for name in ("cross_entropy_of", "tutorial.py:cross_entropy_of"):
        assert check(code, "backward_prop", "--loss", name)[0] == 0


def test_letters_print_another_loss(check):
    result, out, err = check(LETTERS + TRAIN, "backward")
    assert (result, err) == (1, "")
    assert set(rows(out)["WRONG"]) == {"dW1", "dW2", "db1", "db2"}
    assert "another loss" in out


def test_letters_that_are_never_trained(check):
    result, _, err = check(LETTERS, "backward")
    assert result == 2
    assert "--let x=" in err
    assert "never calls backward()" in err
    code = LETTERS.replace("def backward(x, y, output, rate)", "def backward(x, y, output, rate=0.1)")
    assert check(code, "backward", "--let", "x=X", "--loss", "binary_cross_entropy")[0] == 0


def test_letters_against_the_loss_of_their_formulas(check):
    result, out, _ = check(LETTERS + TRAIN, "backward", "--loss", "binary_cross_entropy")
    assert result == 0
    assert set(rows(out)["ok"]) >= {"dW1", "db1", "dW2", "db2"}


def test_dicts_of_parameters_and_caches(check):
    result, out, err = check(BINARY, "backward_propagation")
    assert (result, err) == (0, "")
    assert set(rows(out)["ok"]) >= {"dW1", "db1", "dW2", "db2", "dZ1", "dZ2", "dA1", "dA2"}
    wrong = BINARY.replace("dZ1 = dA1 * A1 * (1 - A1)", "dZ1 = dA1 * sigmoid(A1) * (1 - sigmoid(A1))")
    result, out, _ = check(wrong, "backward_propagation")
    assert result == 1
    assert rows(out)["WRONG"] == ["dZ1"]
    assert set(rows(out)["then"]) == {"dW1", "db1"}


def test_a_class(check):
    result, out, err = check(NETWORK, "NeuralNetwork.backprop")
    assert (result, err) == (0, "")
    assert set(rows(out)["ok"]) >= {"dweights1", "dweights2"}
    result, out, _ = check(
        NETWORK.replace("2 * (self.output - self.y)", "self.output - self.y"), "NeuralNetwork.backprop"
    )
    assert result == 1
    assert "2" in out


# -- a script that only has the functions -----------------------------------------------------


def test_module_variables_are_the_arguments(check):
    result, out, err = check(PLAIN, "backward", "--names", "dW,db")
    assert (result, err) == (0, "")
    assert set(rows(out)["ok"]) == {"dZ", "dW", "db"}


def test_results_without_names(check):
    result, _, err = check(PLAIN, "backward")
    assert result == 2
    assert "--names" in err


def test_as_many_names_as_results(check):
    result, _, err = check(PLAIN, "backward", "--names", "dW")
    assert result == 2
    assert "2" in err
    assert "dW" in err


def test_other_names_for_arguments(check):
    code = PLAIN.replace("X, y = rng", "X_train, y = rng")
    result, _, err = check(code, "backward", "--names", "dW,db")
    assert result == 2
    assert "X_train" in err
    assert "--let X=" in err
    assert check(code, "backward", "--names", "dW,db", "--let", "X=X_train")[0] == 0


def test_a_backward_function_that_recomputes_everything(check):
    code = """
        import numpy as np
        x, w = np.arange(6.0).reshape(3, 2), np.array([1.0, -2.0])
        def loss(x, w):
            return np.sum(np.sin(x @ w))
        def backward(x, w):
            return {"grad_w": np.cos(x @ w) @ x}
    """
    assert check(code, "backward")[0] == 0
    assert check(code.replace("np.cos(x @ w)", "np.cos(x @ w)[::-1]"), "backward")[0] == 1


def test_a_prediction_without_a_name(check):
    code = PLAIN.replace("Z = X @ W + b\n        return Z", "return X @ W + b")
    assert "Z = X" not in code
    call = "\n    backward(forward(X, W, b), X, y)\n"
    assert check(code + call, "backward", "--names", "dW,db")[0] == 0


def test_a_loss_that_is_given_by_the_forward_function(check):
    code = """
        import numpy as np
        w = np.array([1.0, -2.0])
        def forward(w):
            return np.sum(w ** 3)
        def backward(w):
            dw = 3 * w ** 2
            return dw
    """
    assert check(code, "backward")[0] == 0


# -- what is said besides ---------------------------------------------------------------------


def test_a_function_that_changes_its_arguments(check):
    code = PLAIN.replace("dZ = 2 * (Z - y) / len(X)", "Z -= y; dZ = 2 * Z / len(X)")
    result, out, _ = check(code, "backward", "--names", "dW,db")
    assert result == 0
    assert "changes Z in place" in out


def test_a_function_that_adds_up(check):
    code = PLAIN.replace("return X.T @ dZ,", "total[:] += X.T @ dZ; return total.copy(),").replace(
        "W, b =", "total = np.zeros((3, 1)); W, b ="
    )
    result, out, _ = check(code, "backward", "--names", "dW,db")
    assert result == 0
    assert "dW" in out.splitlines()[-1]
    assert "called again" in out


def test_the_report_as_a_page(check, tmp_path):
    os.mkdir(tmp_path / "elsewhere")
    code = DIGITS.replace('print("training")', "import os; os.chdir('elsewhere')")
    result, out, _ = check(code, "backward_prop", "--loss", "cross_entropy", "--html", "report.html")
    assert result == 1
    assert "report.html" in out
    page = (tmp_path / "report.html").read_text("utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "db2" in page


# -- scripts ----------------------------------------------------------------------------------


def test_the_lessons(capsys, monkeypatch):
    pytest.importorskip("matplotlib")
    pytest.importorskip("tqdm")
    examples = os.path.join(os.path.dirname(os.path.dirname(__file__)), "examples")
    script = os.path.join(examples, "letters.py")
    result = main(["check", f"{script}:backward_by_hand", "--loss", "cross_entropy", "--", "--quick"])
    assert result == 0
    assert main(["check", f"{script}:backward_by_hand", "--loss", "squared_error", "--", "--quick"]) == 1
    assert "cross-entropy" in capsys.readouterr().out


def test_arguments_of_the_script(check):
    code = "import sys\nprint(sys.argv)\n" + textwrap.dedent(PLAIN)
    result, out, _ = check(code, "backward", "--names", "dW,db", arguments=["--quick"])
    assert result == 0
    assert out.startswith("['tutorial.py', '--quick']\n")


@pytest.mark.filterwarnings("ignore:.*non-interactive")
def test_a_script_that_plots(check):
    pytest.importorskip("matplotlib")
    code = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\n" + textwrap.dedent(PLAIN)
    assert check(code, "backward", "--names", "dW,db")[0] == 0


@pytest.mark.parametrize(
    "code", ["1 / 0", "raise ValueError('boom')", "input()", "open('missing.csv')", "def backward(:\n    pass"]
)
def test_a_script_that_fails(check, capsys, monkeypatch, code):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(SystemExit) as caught:
        check(code, "backward")
    assert caught.value.code == 2
    assert "tutorial.py" in capsys.readouterr().err


def test_a_script_that_ends_itself_well(check):
    assert check(PLAIN + "\n    import sys; sys.exit()\n", "backward", "--names", "dW,db")[0] == 0


# -- what cannot be checked -------------------------------------------------------------------


def test_a_missing_file(capsys):
    assert main(["check", "missing.py:backward"]) == 2
    assert "missing.py" in capsys.readouterr().err


def test_a_file_without_a_function(capsys):
    assert main(["check", "tutorial.py"]) == 2
    assert "tutorial.py:backward" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("code", "options", "words"),
    [
        (PLAIN, ["backwards"], ["backwards", "forward, loss, backward"]),
        (PLAIN, ["backward", "--loss", "nonsense"], ["nonsense", "forward, loss, backward"]),
        (PLAIN, ["backward", "--forward", "nonsense"], ["nonsense"]),
        (PLAIN, ["backward", "--names", "one,two"], ["nothing to compare", "dZ", "one", "two"]),
        (PLAIN, ["backward", "--let", "X"], ["--let X"]),
        (PLAIN, ["backward", "--loss", "other.py:loss"], ["other.py"]),
        (PLAIN.replace("def loss", "def score"), ["backward"], ["--loss", "cross_entropy"]),
        (PLAIN.replace("np.mean(", "np.negative("), ["backward", "--names", "dW,db"], ["one number", "(7, 1)"]),
        (PLAIN.replace("np.mean((Z - y) ** 2)", "1.0"), ["backward", "--names", "dW,db"], ["one number", "1.0"]),
        (PLAIN.replace("Z = X @ W + b", "Z = X @ W.T + b"), ["backward", "--names", "dW,db"], ["tutorial.py:8"]),
        (PLAIN, ["backward", "--names", "dW,db", "--loss", "cross_entropy"], ["cross_entropy", "(7, 1)"]),
    ],
)
def test_three_part_errors(check, code, options, words):
    result, out, err = check(code, *options)
    assert (result, out) == (2, "")
    assert [word for word in words if word not in err] == []
    assert "Traceback" not in err


def test_help(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["check", "--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert "SCRIPT:BACKWARD" in out
    assert "cross_entropy" in out
