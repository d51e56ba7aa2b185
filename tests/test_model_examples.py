"""The examples that train models: what `--quick` of each prints, and that the files it writes hold what it says."""

import os
import re
import signal
import subprocess

import matplotlib.image
import numpy as np
import pytest
from running import command, environment, run

import tinygrad_np as tg
from tinygrad_np.training import History

FILES = {
    "mnist_mlp": {"checkpoint.npz", "stopped.npz", "history.csv", "history.png", "confusion.png", "mistakes.png"},
    "mnist_cnn": {"npz", "history.csv", "history.png", "filters.png", "maps.png", "mistakes.png"},
    "autoencoder": {"reconstructions.png", "map.png", "grid.png", "denoising.png"},
    "spirals": {"frames.png", "boundary.png", "history.csv", "history.png", "graph.png", "graph.svg"},
}


def on_test(text):
    return float(re.search(r"([\d.]+) % of the [\d,]+ test images right", text)[1])


def cells(text, title):
    """The numbers in a row of a printed table."""
    line = next(line for line in text.splitlines() if line.startswith(f"    {title} "))
    return [float(number) for number in re.findall(r"[\d.]+", line.removeprefix(f"    {title}"))]


# -- every example --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_writes_its_files(name, quick):
    text, out = quick(name)
    assert {re.sub(f"^{name}[_.]", "", path.name) for path in out.iterdir()} == FILES[name]
    for path in out.glob("*.png"):
        pixels = matplotlib.image.imread(path)
        assert min(pixels.shape[:2]) > 200
        # Not one flat colour: there is something to see.
        assert pixels[..., :3].std() > 0.02, path.name
        assert f"wrote {path}" in text


@pytest.mark.parametrize("name", ["mnist_mlp", "mnist_cnn", "spirals"])
def test_history_gets_better(name, quick):
    history = History.from_csv(quick(name)[1] / f"{name}_history.csv")
    assert history["epoch"] == list(range(1, len(history) + 1))
    assert len(history) >= 2
    assert history["loss"][-1] < history["loss"][0] / 2
    assert history["accuracy"][-1] > history["accuracy"][0]


# -- the multilayer perceptron --------------------------------------------------------------------


def test_mlp_is_as_good_as_it_says(quick):
    text, out = quick("mnist_mlp")
    assert on_test(text) > 90
    # The weights in the checkpoint, by plain NumPy.
    weights = tg.load(out / "mnist_mlp_checkpoint.npz")["state"]["modules"]["model"]
    digits = tg.data.mnist()
    x = digits.x_test.reshape(-1, 784).astype(np.float32) / 255
    for layer in (0, 3, 6):
        x = (np.maximum(x, 0) if layer else x) @ weights[f"{layer}.weight"].T + weights[f"{layer}.bias"]
    assert 100 * np.mean(np.argmax(x, axis=1) == digits.y_test) == pytest.approx(on_test(text), abs=0.02)


def test_mlp_goes_on_as_if_it_had_not_been_stopped(quick):
    text, _ = quick("mnist_mlp")
    assert "stopped after epoch 2 of 4" in text
    assert "went on to epoch 4; epochs run twice: 0" in text
    assert "bit for bit that of a run without a stop: yes" in text


@pytest.mark.skipif(os.name != "posix", reason="sends the signal that Ctrl-C sends")
def test_mlp_resumes_after_ctrl_c(quick, tmp_path):
    process = subprocess.Popen(
        command("mnist_mlp", "--quick", "--out", tmp_path),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    for line in process.stdout:
        if line.startswith("epoch 1/3"):
            break
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert str(tmp_path / "mnist_mlp_checkpoint.npz") in errors
    assert "Traceback" not in errors
    resumed = run("mnist_mlp", "--quick", "--out", tmp_path, "--resume").stdout
    assert "Going on from" in resumed
    whole, whole_out = quick("mnist_mlp")
    assert on_test(resumed) == on_test(whole)
    losses = [History.from_csv(out / "mnist_mlp_history.csv")["loss"] for out in (tmp_path, whole_out)]
    assert losses[0] == losses[1]


def test_mlp_counts_its_mistakes(example):
    lesson = example("mnist_mlp")
    labels, predicted = np.array([4, 4, 4, 9, 7, 7, 1]), np.array([9, 9, 4, 9, 2, 7, 1])
    counts = lesson.confusion(predicted, labels)
    assert counts[4].tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0, 2]
    assert counts.sum() == 7
    assert lesson.worst_pairs(counts, 2) == [(4, 9, 2), (7, 2, 1)]


# -- the convolutional network --------------------------------------------------------------------


def test_cnn_is_as_good_as_it_says_and_comes_back_from_its_file(quick, example):
    text, out = quick("mnist_cnn")
    assert on_test(text) > 92
    assert "the same probabilities, bit for bit: yes" in text
    lesson = example("mnist_cnn")
    digits, model = tg.data.mnist(), lesson.load(out / "mnist_cnn.npz")
    p = lesson.probabilities(model, lesson.pixels(digits.x_test[:2_000]))
    assert 100 * np.mean(np.argmax(p, axis=1) == digits.y_test[:2_000]) == pytest.approx(on_test(text), abs=0.06)


def test_cnn_computes_what_its_layers_are_called(example):
    """One block by loops of plain NumPy, from the parameters in the state."""
    lesson = example("mnist_cnn")
    rng = np.random.default_rng(0)
    block = lesson.block(2, 3, rng)
    block[1].running_mean[...], block[1].running_var[...] = rng.normal(size=3), rng.uniform(1, 2, 3)
    x = rng.normal(size=(2, 2, 6, 6)).astype(np.float32)
    with tg.no_grad():
        out = block.eval()(x).data
    state, padded = block.state_dict(), np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)])
    maps = np.empty((2, 3, 6, 6))
    for i, j in np.ndindex(6, 6):
        maps[:, :, i, j] = np.tensordot(padded[:, :, i : i + 3, j : j + 3], state["0.weight"], ([1, 2, 3], [1, 2, 3]))
    mean, variance = (state[f"1.running_{name}"][:, None, None] for name in ("mean", "var"))
    maps = np.maximum((maps - mean) / np.sqrt(variance + 1e-5), 0)
    np.testing.assert_allclose(out, maps.reshape(2, 3, 3, 2, 3, 2).max(axis=(3, 5)), atol=1e-5)


# -- the autoencoder ------------------------------------------------------------------------------


def test_autoencoder_keeps_more_than_principal_components(quick):
    two, noise = quick("autoencoder")[0].split("Noise taken away")
    error, linear = cells(two, "error")
    assert error < linear
    neighbour, linear = cells(two, "neighbour")
    assert neighbour > linear > 20
    # Two epochs take most of the noise away; least squares are beaten by the whole run only.
    noisy, clean, linear = cells(noise, "error")
    assert clean < noisy / 3
    assert linear < noisy / 3


def test_autoencoder_is_measured_by_the_singular_vectors(example):
    lesson = example("autoencoder")
    x = np.random.default_rng(0).normal(size=(30, 1, 3, 4))
    flat = x.reshape(30, 12)
    U, s, Vt = np.linalg.svd(flat - flat.mean(axis=0), full_matrices=False)
    best = (U[:, :5] * s[:5]) @ Vt[:5] + flat.mean(axis=0)
    np.testing.assert_allclose(lesson.PrincipalComponents(5, x).restored(x), best.reshape(x.shape), atol=1e-10)


def test_autoencoder_is_measured_by_least_squares(example):
    lesson = example("autoencoder")
    rng = np.random.default_rng(0)
    x, true = rng.normal(size=(2, 40, 1, 2, 3))
    with_ones = np.column_stack([x.reshape(40, 6), np.ones(40)])
    best = with_ones @ np.linalg.lstsq(with_ones, true.reshape(40, 6))[0]
    np.testing.assert_allclose(lesson.LeastSquares(x, true).restored(x), best.reshape(x.shape), atol=1e-10)


def test_autoencoder_asks_the_nearest_neighbour(example):
    lesson = example("autoencoder")
    known, labels = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]]), np.array([3, 5, 7])
    codes = np.array([[1.0, 1.0], [8.0, 1.0], [2.0, 9.0], [9.0, 2.0]])
    assert lesson.label_of_the_nearest(codes, np.array([3, 5, 7, 7]), known, labels) == 0.75


# -- the spirals ----------------------------------------------------------------------------------


def test_spirals_need_a_bent_boundary(quick):
    text, _ = quick("spirals")
    straight, bent = text.split("Two hidden layers", 1)
    assert 50 < float(re.search(r"([\d.]+)% of the 400 points", straight)[1]) < 75
    assert float(re.search(r"([\d.]+)% of 400 new ones", bent)[1]) > 97
    # As it forms: hardly better than the line at first, all right at the end.
    accuracies = [float(a) for a in re.findall(r"^    \d+ +[\d.]+ +([\d.]+)%$", bent, re.MULTILINE)]
    assert len(accuracies) == 5
    assert accuracies[0] < 75 < 97 < accuracies[-1]


def test_spirals_picture_names_the_parts_of_the_model(quick):
    drawn = (quick("spirals")[1] / "spirals_graph.svg").read_text("utf-8")
    assert all(f"{layer}.{name}" in drawn for layer in (0, 2, 4) for name in ("weight", "bias"))
    assert "Linear(24, 24)" in drawn
    assert "several backward passes" not in drawn


def test_spirals_plane_is_drawn_the_right_way_up(example):
    lesson = example("spirals")
    # Class 1 is more likely the further up, and nothing depends on the first coordinate.
    plane = lesson.plane(lambda x: tg.Tensor(x * np.float32([0, 1])), pixels=5)
    assert plane.shape == (5, 5)
    np.testing.assert_allclose(plane[:, 0], 1 / (1 + np.exp(-np.linspace(-lesson.EDGE, lesson.EDGE, 5))), rtol=1e-5)
    assert np.ptp(plane, axis=1).max() == 0
