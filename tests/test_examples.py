"""The examples, run as a reader runs them: what they print, the pictures they write, and what they refuse."""

import importlib.util
import os
import re
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET

import matplotlib.image
import numpy as np
import pytest
from running import EXAMPLES, command, environment, run

LESSONS = ("mnist_softmax", "letters", "mnist_binary")
PICTURES = {
    "mnist_softmax": {"graph.png", "graph.svg", "accuracy.png", "predictions.png"},
    "letters": {"graph.png", "graph.svg", "error.png", "predictions.png"},
    "mnist_binary": {"graph.png", "graph.svg", "cost.png", "accuracy.png", "sigmoid.png", "predictions.png"},
}


@pytest.fixture(scope="module")
def lesson():
    spec = importlib.util.spec_from_file_location("lesson", EXAMPLES / "lesson.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def part(text, heading):
    """What stands under the heading that starts like this, up to the next one."""
    found = re.search(rf"^{heading}[^\n]*\n-+\n(.*?)(?=^[^\n]+\n-{{4,}}$|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"no heading {heading!r} in:\n{text}"
    return found[1]


def tables(text):
    """Each printed table of gradients as a dict from the gradient to what is said about it."""
    parts = part(text, "The hand-written gradients").split("hand-written against autograd\n")[1:]
    rows = [re.findall(r"^    (d[WbZ]\d)(?: / m)? +\([\d, ]+\) +(.*)$", p, re.MULTILINE) for p in parts]
    return [dict(found) for found in rows]


def figures(line):
    return [float(x.replace(",", "")) for x in re.findall(r"-?\d[\d,]*\.?\d*(?:e[-+]\d+)?", line)]


# -- every lesson ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LESSONS)
def test_writes_its_pictures(name, quick):
    _, out = quick(name)
    assert {path.name for path in out.iterdir()} == {f"{name}_{ending}" for ending in PICTURES[name]}
    for path in out.glob("*.png"):
        pixels = matplotlib.image.imread(path)
        assert min(pixels.shape[:2]) > 200
        # Not one flat colour: there is something to see.
        assert pixels[..., :3].std() > 0.02
    graph = ET.parse(out / f"{name}_graph.svg").getroot()
    assert graph.tag.endswith("svg")
    drawn = "".join(graph.itertext())
    assert all(parameter in drawn for parameter in ("W1", "b1", "W2", "b2"))


@pytest.mark.parametrize("name", LESSONS)
def test_autograd_agrees_with_numeric_differences(name, quick):
    text = part(quick(name)[0], "Autograd against")
    checked = re.findall(r"^    d\w+ +\([\d, ]+\) +agrees to (\S+) digits", text, re.MULTILINE)
    assert len(checked) >= 4
    assert min(map(float, checked)) > 6


@pytest.mark.parametrize("name", LESSONS)
def test_help_names_the_options(name):
    result = run(name, "--help")
    assert result.returncode == 0
    assert all(option in result.stdout for option in ("--quick", "--out"))


@pytest.mark.skipif(os.name != "posix", reason="sends the signal that Ctrl-C sends")
def test_ctrl_c_ends_it_politely(tmp_path):
    process = subprocess.Popen(
        command("letters", "--steps", 100_000_000, "--out", tmp_path),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    for line in process.stdout:
        if line.startswith("Training"):
            break
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopped" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("missing", ["matplotlib", "tqdm", "tinygrad_np"])
def test_missing_package_is_one_sentence(missing):
    code = f"import sys; sys.modules[{missing!r}] = None; sys.path.insert(0, {str(EXAMPLES)!r}); import lesson"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment(), timeout=60, check=False
    )
    assert result.returncode == 1
    assert missing in result.stderr
    assert "pip install -e .[examples]" in result.stderr
    assert "Traceback" not in result.stderr


# -- digits, ReLU and softmax ---------------------------------------------------------------------


def test_softmax_names_both_mistakes(quick):
    document, mended_m, mended_biases = tables(quick("mnist_softmax")[0])
    for name in ("dZ2", "dW2", "dZ1", "dW1"):
        assert "WRONG" in document[name]
        assert "41/42" in document[name]
        assert mended_m[name].startswith("ok")
    for name in ("db1", "db2"):
        assert mended_m[name] == document[name] == "WRONG  shape () instead of (10, 1)"
        assert mended_biases[name].startswith("ok")


def test_softmax_compares_accuracies_over_five_seeds(quick):
    text = part(quick("mnist_softmax")[0], "Does the bug matter")
    rows = [figures(line) for line in text.splitlines() if re.match(r"    \d ", line)]
    mean = next(figures(line) for line in text.splitlines() if line.startswith("    mean"))
    assert [row[0] for row in rows] == [0, 1, 2, 3, 4]
    # Printed figures are rounded: the rows by up to half of their last digit, and their mean once more.
    difference = np.abs(mean - np.mean(rows, axis=0)[1:]).reshape(2, 3)
    assert (difference <= np.array([0.1, 0.1, 0.001]) + 1e-9).all()
    gain = float(re.search(r"Verdict: autograd's gradients give ([-+][\d.]+) points", text)[1])
    assert gain == pytest.approx(mean[3] - mean[0], abs=0.15 + 1e-9)
    # The bias that the wrong formula cannot move, and the other that it moves as a whole.
    assert re.search(r"b2 moved by (0|\de-\d\d),", text)


def test_softmax_future_work_trains_what_is_asked_for(tmp_path):
    options = ("--hidden", "32,16", "--batch", 64, "--schedule", "cosine", "--start", "he", "--iterations", 250)
    result = run("mnist_softmax", "--quick", *options, "--out", tmp_path)
    assert result.returncode == 0, result.stderr[-2000:]
    assert "The network 784-32-16-10" in result.stdout
    on_test = float(re.search(r"([\d.]+) % of the 10,000 test images", result.stdout)[1])
    # Far above chance, from 4,100 images and 250 mini-batches.
    assert on_test > 75
    names = {f"mnist_deeper_{ending}" for ending in ("graph.png", "graph.svg", "accuracy.png", "mistakes.png")}
    assert {path.name for path in tmp_path.iterdir()} == names


@pytest.mark.parametrize(
    "options", [("--hidden", "256,0"), ("--hidden", "many"), ("--seeds", "1"), ("--rate", "-1"), ("--out", __file__)]
)
def test_softmax_refuses_impossible_options(options):
    result = run("mnist_softmax", *options)
    assert result.returncode == 2
    assert options[0] in result.stderr


# -- letters ----------------------------------------------------------------------------------------


def test_letters_formulas_belong_to_another_loss(quick):
    of_squared_error, of_cross_entropy = tables(quick("letters")[0])
    assert len(of_squared_error) == len(of_cross_entropy) == 6
    assert all(said.startswith("WRONG") for said in of_squared_error.values())
    assert all(said.startswith("ok") for said in of_cross_entropy.values())


def test_letters_reach_the_errors_of_the_whole_run(tmp_path):
    result = run("letters", "--out", tmp_path)
    training = part(result.stdout, "Training, 10,000 steps")
    last = next(figures(line) for line in training.splitlines() if line.startswith("    10,000"))
    # By hand, by autograd on the same loss, by autograd on the printed error: measured with plain NumPy.
    np.testing.assert_allclose(last[1:], [5.946e-6, 5.946e-6, 3.084e-3], rtol=2e-3)
    assert "A B C  (3 of 3 right" in part(result.stdout, "Predictions")


# -- digits 1 and 2 -----------------------------------------------------------------------------------


def test_binary_formulas_are_right_until_an_output_saturates(quick):
    text, _ = quick("mnist_binary")
    (table,) = tables(text)
    assert len(table) == 6
    assert all(said.startswith("ok") for said in table.values())
    saturated = part(text, "An output that saturates")
    assert "by hand 4 of 4 are nan; autograd on the logits is finite everywhere" in saturated
    # For z = -1000, 1000, -1000, 1000 and labels 0, 1, 1, 0: sigmoid(z) - y, and a mean loss of 2000 / 4.
    assert re.search(r"autograd +0 +0 +-1 +1$", saturated, re.MULTILINE)
    assert "on the logits 500" in saturated


def test_binary_learns(quick):
    cost, on_train, on_test = figures(re.search(r"100 steps(.*)", part(quick("mnist_binary")[0], "Training"))[1])
    assert cost < 0.2
    assert min(on_train, on_test) > 95


# -- the data file ------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [True, False])
def test_bad_data_file_says_which_and_what_to_do(missing, tmp_path, lesson):
    path = tmp_path / "copy.npz"
    if not missing:
        path.write_bytes(b"")
    with pytest.raises(lesson.DataFileError) as caught:
        lesson.mnist(path)
    assert str(path) in str(caught.value)
    assert "leave --data out" in str(caught.value)
    assert ("damaged" in str(caught.value)) == (not missing)


@pytest.mark.parametrize("name", ["mnist_softmax", "mnist_binary"])
def test_bad_data_file_ends_a_lesson_with_one_message(name, tmp_path):
    path = tmp_path / "short.npz"
    path.write_bytes((EXAMPLES / "data" / "mnist.npz").read_bytes()[:5_000])
    result = run(name, "--quick", "--data", path, "--out", tmp_path / "out")
    assert result.returncode == 1
    assert result.stderr.startswith(f"error: {path} is damaged: it has 5,000 bytes")
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


# -- what the lessons share ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda g: g * (1 + 1e-12), "ok     agrees to 12"),
        (lambda g: g, "ok     agrees to every digit"),
        (lambda g: g * 1.5, "WRONG  1.500000 = 3/2 times"),
        (lambda g: -g, "WRONG  -1.000000 = -1 times"),
        (lambda g: g.sum(), "WRONG  shape () instead of (3, 4)"),
        (lambda g: g.T, "WRONG  shape (4, 3) instead of (3, 4)"),
        (lambda g: np.where(g > 1, np.nan, g), "entries are nan or inf"),
        (lambda g: g + 0.1, "WRONG  other numbers: up to 0.1 off"),
        (lambda g: g[::-1], "WRONG  other numbers"),
        (lambda g: 0 * g, "WRONG  other numbers"),
    ],
)
def test_verdict_on_a_gradient(change, said, lesson):
    gradient = np.random.default_rng(0).standard_normal((3, 4))
    gradient[0, 0] = 2
    assert said in lesson.verdict(change(gradient), gradient)


def test_verdict_where_the_right_gradient_is_zero(lesson):
    zero = np.zeros((2, 2))
    assert lesson.verdict(zero, zero).startswith("ok")
    assert lesson.verdict(zero + 1, zero).startswith("WRONG")


def test_batches_use_every_sample_once_before_they_start_again(lesson):
    batches = lesson.batches(12, 4, np.random.default_rng(0))
    rounds = [np.concatenate([next(batches) for _ in range(3)]) for _ in range(2)]
    assert all(sorted(samples) == list(range(12)) for samples in rounds)
    assert rounds[0].tolist() != rounds[1].tolist()


def test_schedules_start_at_the_full_rate(lesson):
    assert all(schedule(0.0) == 1 for schedule in lesson.SCHEDULES.values())
    assert lesson.SCHEDULES["cosine"](1.0) == pytest.approx(0)
    assert [lesson.SCHEDULES["step"](done) for done in (0.4, 0.6, 0.9)] == pytest.approx([1, 0.1, 0.01])


@pytest.mark.parametrize("labels", [1, 2, 3, 12])
def test_curves_look_different_however_many_there_are(labels, lesson, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(lesson, "save", lambda figure, path: drawn.extend(figure.axes[0].get_lines()))
    lines = [(f"line {i}", [0, 1], [i, i]) for i in range(labels)]
    lesson.curves(tmp_path / "curves.png", [*lines, lines[0]], title="curves", ylabel="y")
    looks = [(line.get_color(), line.get_linestyle()) for line in drawn]
    assert looks[-1] == looks[0]
    assert len(set(looks[:-1])) == labels
