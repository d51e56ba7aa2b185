"""The examples on sequences: a transformer that writes, and an LSTM that remembers."""

import re
import subprocess
import sys
from importlib import import_module
from math import log2

import matplotlib.image
import numpy as np
import pytest
from running import run

from tinygrad_np.testing import numeric_grad

FILES = {
    "transformer": {"transformer_training.png", "transformer_attention.png", "transformer.npz"},
    "lstm": {"lstm_gradients.png", "lstm_training.png", "lstm_gates.png"},
}


@pytest.mark.parametrize("name", FILES)
def test_writes_its_files(name, quick):
    text, out = quick(name)
    assert {path.name for path in out.iterdir()} == FILES[name]
    for path in out.glob("*.png"):
        pixels = matplotlib.image.imread(path)
        assert min(pixels.shape[:2]) > 200
        assert pixels[..., :3].std() > 0.02
    # The fewest are those of float32.
    agreements = [float(found) for found in re.findall(r"agrees? to ([\d.]+) digits", text)]
    assert len(agreements) >= 4
    assert min(agreements) > 5


# -- transformer: texts -------------------------------------------------------------------------------


def test_zen_is_what_import_this_prints(example):
    printed = subprocess.run([sys.executable, "-c", "import this"], capture_output=True, text=True, check=True).stdout
    assert example("transformer").zen().strip() == printed.strip()


def test_reference_has_the_topics_of_help_and_each_paragraph_once(example):
    text = example("transformer").reference()
    topics = import_module("pydoc_data.topics").topics
    assert len(text) > 200_000
    for name in ("assert", "for", "while"):
        assert topics[name].strip().split("\n\n")[1] in text
    paragraphs = text.split("\n\n")
    assert len(set(paragraphs)) == len(paragraphs)


def test_licence_is_pythons(example):
    lesson = example("transformer")
    try:
        text = lesson.licence()
    except FileNotFoundError:
        pytest.skip("this Python came without its licence")
    assert "PYTHON SOFTWARE FOUNDATION LICENSE" in text


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        (None, (), "cannot be read"),
        ("short", (), "too few to learn from"),
        ("abc " * 200, ("--prompt", "The "), "--prompt 'The '"),
        ("abc " * 200, ("--prompt", ""), "--prompt ''"),
    ],
)
def test_transformer_refuses_what_it_cannot_learn_from(text, options, said, example, tmp_path, monkeypatch, capsys):
    path = tmp_path / "text.txt"
    if text is not None:
        path.write_text(text)
    monkeypatch.setattr(sys, "argv", ["transformer.py", "--quick", "--text", str(path), *options])
    with pytest.raises(SystemExit) as caught:
        example("transformer").main()
    assert said in str(caught.value)
    assert capsys.readouterr().out == ""


# -- transformer: the model -----------------------------------------------------------------------------


def small(lesson, symbols=7):
    return lesson.Transformer(lesson.Sizes(symbols, 12, 8, 2, 2), np.random.default_rng(0))


def test_transformer_learns_and_sees_nothing_that_is_still_to_come(quick):
    text, _ = quick("transformer")
    by_frequency = float(re.search(r"by how often each one stands +([\d.]+)", text)[1])
    reached = float(re.search(r"never saw: ([\d.]+) bits", text)[1])
    assert 1 < reached < by_frequency - 0.5
    assert "depends on 13 of the 13 characters up to it, and on 0 of the later ones" in text


def test_saved_model_writes_the_same_text(quick):
    text, out = quick("transformer")
    again = run("transformer", "--load", out / "transformer.npz", "--length", 150)
    assert again.returncode == 0, again.stderr[-2000:]
    lines = lambda printed: re.findall(r"^    \| (.*)$", printed, re.MULTILINE)
    assert lines(again.stdout) == lines(text)
    assert sum(map(len, lines(text))) > 200


def test_a_text_that_repeats_itself_is_learned(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("the cat sat on the mat.\n" * 600)
    result = run("transformer", "--quick", "--text", path, "--prompt", "the cat ", "--out", tmp_path / "out")
    assert result.returncode == 0, result.stderr[-2000:]
    assert float(re.search(r"never saw: ([\d.]+) bits", result.stdout)[1]) < 0.3
    assert "the cat sat on the mat.\n    | the cat sat" in result.stdout


def test_bits_of_equal_odds_are_the_logarithm_of_their_number(example):
    lesson = example("transformer")
    assert float(lesson.bits(np.zeros((2, 3, 32)), np.zeros((2, 3), int))) == pytest.approx(log2(32))


def test_attention_is_shared_out_among_the_characters_so_far(example):
    lesson = example("transformer")
    weights = small(lesson).attention(np.arange(10).reshape(2, 5) % 7)
    assert [block.shape for block in weights] == [(2, 2, 5, 5)] * 2
    for block in weights:
        np.testing.assert_allclose(block.sum(axis=-1), 1, rtol=1e-5)
        assert (block[..., ~np.tri(5, dtype=bool)] == 0).all()
        assert (block[..., np.tri(5, dtype=bool)] > 0).all()


def test_embedding_that_is_used_twice_gets_both_gradients(example):
    lesson = example("transformer")
    model = small(lesson).astype(np.float64)
    x, y = np.array([[0, 1, 2, 3]]), np.array([[1, 2, 3, 4]])
    table = model.embedding.weight

    def loss(values):
        table.data[...] = values
        return float(lesson.bits(model(x), y).data)

    lesson.bits(model(x), y).backward()
    expected = numeric_grad(loss, table.data.copy())
    np.testing.assert_allclose(table.grad.data, expected, rtol=1e-6, atol=1e-8)
    # Characters 5 and 6 are not read here, but they are among those that could be written.
    assert np.abs(expected[5:]).max() > 1e-4


def test_characters_are_drawn_by_their_odds(example):
    lesson, random = example("transformer"), np.random.default_rng(0)
    scores = np.log(np.array([0.1, 0.4, 0.2, 0.3], np.float32))
    draw = lambda **how: np.bincount([lesson.draw_next(scores, random=random, **how) for _ in range(4000)], minlength=4)
    np.testing.assert_allclose(draw(temperature=1.0, top_k=4) / 4000, [0.1, 0.4, 0.2, 0.3], atol=0.03)
    np.testing.assert_allclose(draw(temperature=1.0, top_k=2) / 4000, [0, 4 / 7, 0, 3 / 7], atol=0.03)
    # At half the temperature odds are squared.
    np.testing.assert_allclose(draw(temperature=0.5, top_k=4) / 4000, np.array([1, 16, 4, 9]) / 30, atol=0.03)
    assert draw(temperature=1.0, top_k=1)[1] == 4000


# -- LSTM -----------------------------------------------------------------------------------------------


def test_lstm_remembers_what_the_rnn_forgets(quick):
    text, _ = quick("lstm")
    errors = dict(re.findall(r"^(RNN|LSTM).*: at best ([\d.]+)% of the error", text, re.MULTILINE))
    assert float(errors["RNN"]) > 85
    assert float(errors["LSTM"]) < 10
    kept = re.findall(r"^    (RNN|LSTM|LSTM, forgets slowly) +\S+e\S+ +\S+e\S+ +\S+e\S+ +(\d+)%$", text, re.MULTILINE)
    assert [name for name, _ in kept] == ["RNN", "LSTM", "LSTM, forgets slowly", "RNN", "LSTM, forgets slowly"]
    before_rnn, before_usual, before_slow, after_rnn, after_slow = (int(percent) for _, percent in kept)
    assert max(before_rnn, before_usual, after_rnn) < 80
    assert min(before_slow, after_slow) > 85


def test_lstm_writes_into_its_cells_where_numbers_are_marked(quick):
    text, _ = quick("lstm")
    marked = float(re.search(r"at a marked number +([\d.]+)", text)[1])
    other = float(re.search(r"at any other +([\d.]+)", text)[1])
    assert marked > 2 * other


def test_sequences_mark_one_number_in_each_half(example):
    lesson = example("lstm")
    x, y = lesson.sequences(10, 5000, np.random.default_rng(0))
    marks = x[..., 1]
    assert set(np.unique(marks)) == {0, 1}
    assert (marks[:5].sum(axis=0) == 1).all()
    assert (marks[5:].sum(axis=0) == 1).all()
    np.testing.assert_allclose(y, np.where(marks == 1, x[..., 0], 0).sum(axis=0), rtol=1e-6)
    assert np.mean((y - 1) ** 2) == pytest.approx(lesson.ALWAYS_ONE, rel=0.05)


def test_backpropagation_through_time_by_hand_is_right(example):
    lesson = example("lstm")
    model = lesson.elman(5).astype(np.float64)
    x = lesson.sequences(6, 2, np.random.default_rng(0))[0].astype(np.float64)
    expected = numeric_grad(lambda x: np.sum(model(x).data), x)
    np.testing.assert_allclose(lesson.elman_by_hand(model, x), expected, rtol=1e-6, atol=1e-10)
    np.testing.assert_allclose(lesson.gradient_of_inputs(model, x), expected, rtol=1e-6, atol=1e-10)


def test_cells_that_forget_slowly_lose_the_part_that_they_were_made_for(example):
    lesson = example("lstm")
    layer = lesson.lstm(64, remember=50).memory
    # With neither input nor state, only the biases are left, and each cell keeps k / (k + 1).
    _, f, _, _ = np.split(layer.bias_ih_l0.data + layer.bias_hh_l0.data, 4)
    kept = 1 / (1 + np.exp(-f.astype(float)))
    steps = kept / (1 - kept)
    assert steps.min() > 0.99
    assert 30 < steps.max() < 49.1
    assert 15 < steps.mean() < 35


@pytest.mark.parametrize("options", [("--length", "1"), ("--steps", "5"), ("--length", "many")])
def test_lstm_refuses_impossible_options(options):
    result = run("lstm", *options)
    assert result.returncode == 2
    assert options[0] in result.stderr
