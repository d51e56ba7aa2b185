"""`python -m tinygrad_np graph`: its options, and those that are meant for the script."""

import pytest

from tinygrad_np.cli import main

SCRIPT = """
import numpy as np, tinygrad_np as tg
W = tg.Tensor(np.eye(2) / 2, requires_grad=True, name="W")
for step in range(2):
    h = np.ones(2)
    for t in range(20):
        with tg.scope(f"step{t}"):
            h = np.tanh(h @ W)
    loss = np.sum(h ** 2 * 10 ** step)
    W.grad = None
    loss.backward()
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The picture that a command line writes, as text; "script.py" is there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "script.py").write_text(SCRIPT, "utf-8")

    def run(*words):
        assert main(["graph", *words, "-o", "out.txt"]) == 0
        return (tmp_path / "out.txt").read_text("utf-8")

    return run


@pytest.mark.parametrize(
    "words",
    ["script.py --show time bytes", "--show time bytes script.py", "--show time script.py --show bytes",
     "script.py --show bytes time --step 1"],
)  # fmt: skip
def test_several_things_to_show(run, words):
    text = run(*words.split())
    assert "32 B" in text
    assert "s back" in text


def test_only_what_is_asked_for_is_shown(run):
    text = run("--show", "time", "script.py")
    assert "32 B" not in text
    assert "s back" in text
    assert "s back" not in run("script.py")


@pytest.mark.parametrize("step", ["1", "2"])
def test_the_backward_pass_of_a_script_that_has_walked_it(run, step):
    text = run("script.py", "--backward", "--step", step)
    assert "backward of tanh" in text
    row = next(line for line in text.splitlines() if "→ dW" in line)
    parameter = next(line for line in text.splitlines() if "W parameter" in line)
    # The same numbers come back in the drawn pass as in that of the script.
    assert row.split("  ")[-1] in parameter


def test_blocks_are_folded_or_not(run):
    assert "× 19 more" in run("script.py")
    unfolded = run("script.py", "--no-fold")
    assert "more" not in unfolded
    assert unfolded.count("tanh(x)") == 20


def test_options_of_the_script_have_a_place(run, capsys):
    with pytest.raises(SystemExit) as end:
        run("script.py", "--quick", "--epochs=3")
    assert end.value.code == 2
    assert "unrecognized arguments: --quick --epochs=3" in (said := capsys.readouterr().err)
    assert "-- --quick --epochs=3" in said
