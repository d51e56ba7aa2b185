"""Which gradient a picture shows: that of the last backward pass along its tape, and what `.grad` holds besides."""

import sys

import numpy as np
import pytest
from drawing import into, named, op

import tinygrad_np as tg
from tinygrad_np.cli import main
from tinygrad_np.graph.view import view


def weight(n=3):
    return tg.Tensor(np.ones(n), requires_grad=True, name="W")


def arrow_into(tensor, text):
    seen = view(tensor)
    return into(seen, op(seen, text))[0]


@pytest.mark.parametrize("n", [3, 2000])
def test_an_inspected_pass_is_told_from_the_sum_in_grad(n):
    w = weight(n)
    np.sum(w * 10).backward()
    with tg.inspect():
        loss = np.sum(w * 1)
        loss.backward()
    assert w.grad.data.tolist() == [11] * n
    box = named(view(loss), "W")
    few = {3: ("[1 1 1]", "[11 11 11]"), 2000: ("all 1", "all 11")}[n]
    assert box.grad.text == f"{few[0]} in this pass; .grad: {few[1]}"
    assert box.grad.rms == 1
    assert (arrow_into(loss, "multiply").rms, arrow_into(loss, "multiply").total) == (1, False)


def test_a_sum_over_uses_in_one_pass_is_no_sum_over_passes():
    w = weight()
    with tg.inspect():
        loss = np.sum(np.sin(w) + w * 2)
        loss.backward()
    assert "pass" not in named(view(loss), "W").grad.text
    np.testing.assert_allclose(named(view(loss), "W").grad.rms, np.cos(1) + 2)


def test_two_losses_of_one_parameter_have_gradients_of_their_own():
    w = weight()
    with tg.inspect():
        first, second = np.sum(w * 10), np.sum(w * 3)
        first.backward()
        second.backward()
    assert named(view(first), "W").grad.rms == 10
    assert named(view(second), "W").grad.rms == 3


def test_a_hook_on_a_parameter_is_no_sum_over_passes():
    w = weight()
    w.register_hook(lambda g: g * 5)
    with tg.inspect():
        loss = np.sum(w * 2)
        loss.backward()
    assert named(view(loss), "W").grad.text == "[10 10 10]"


@pytest.mark.parametrize("n", [3, 2000])
def test_a_retained_gradient_is_told_from_the_sum_in_grad(n):
    h = (weight(n) * 2).retain_grad()
    loss = np.sum(h * 3)
    loss.backward(retain_graph=True)
    before = op(view(loss), "multiply").grad
    assert (before.rms, "pass" in before.text) == (3, False)
    loss.backward()
    box = op(view(loss), "multiply")
    assert box.grad.rms == 3
    assert box.grad.text.endswith(" in this pass; .grad: " + {3: "[6 6 6]", 2000: "all 6"}[n])


def test_a_gradient_of_which_only_the_sum_is_known_says_so():
    w = weight()
    np.sum(w * 10).backward()
    loss = np.sum(w * 1)
    loss.backward()
    assert named(view(loss), "W").grad.text == "[11 11 11], summed over several backward passes"
    assert arrow_into(loss, "multiply").rms is None
    w.grad = None
    loss = np.sum(w * 1)
    loss.backward()
    assert named(view(loss), "W").grad.text == "[1 1 1]"
    assert arrow_into(loss, "multiply").rms == 1


def test_no_gradient_came_back_along_a_tape_that_no_pass_has_gone_through():
    w = weight()
    np.sum(w * 10).backward()
    assert arrow_into(np.sum(w * 1), "multiply").rms is None


def test_a_pass_from_another_loss_is_not_shown():
    x = tg.Tensor([1.0, 2.0], requires_grad=True, name="x")
    h = x * 3
    first, second = np.sum(h * h), np.sum(np.sin(h))
    first.backward(retain_graph=True)
    seen = view(second)
    assert [arrow.rms for arrow in seen.arrows] == [None] * len(seen.arrows)
    assert op(seen, "multiply").grad is None
    # This is what .grad holds, whatever has brought it.
    assert named(seen, "x").grad.text == "[18 36]"
    second.backward()
    np.testing.assert_allclose(op(view(second), "multiply").grad.rms, np.sqrt(np.mean(np.cos([3, 6]) ** 2)))


def test_what_a_transform_differentiates_is_no_constant():
    seen = []

    def loss(x):
        y = np.sum(np.sin(x) ** 2 * np.arange(3.0))
        seen.append(y)
        return y

    with tg.inspect():
        tg.grad(loss)(np.ones(3))
    (box,) = [box for box in view(seen[0]).boxes if box.kind == "parameter"]
    assert box.grad.text == "[0 0.909 1.82]"
    assert [arrow.needs_grad for arrow in view(seen[0]).arrows if arrow.source == box.id] == [True]
    assert tg.draw(seen[0]).source.count("no gradient (constant)") == 1
    (result,) = [box for box in view(seen[0], backward=True).boxes if box.kind == "result" and box.backward]
    assert result.value.text == box.grad.text


def test_a_parameter_that_was_updated_is_told_from_what_was_recorded():
    W = tg.Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True, name="W")
    with tg.inspect():
        y = np.sum((np.ones((2, 2)) @ W) ** 2)
        y.backward()
    assert "changed" not in named(view(y), "W").value.text
    with tg.no_grad():
        W -= 0.1 * W.grad
    assert named(view(y), "W").value.text == "[[-0.6 -0.4] [1.4 1.6]], changed since it was recorded"
    with tg.inspect():
        y = np.sum(W)
    assert "changed" not in named(view(y), "W").value.text


@pytest.mark.parametrize("n", [3, 2000])
def test_a_pass_that_is_not_inspected_leaves_no_notes_of_one_that_was(n):
    w = weight(n)
    with tg.inspect():
        loss = np.sum((w * 2) ** 2)
        loss.backward(retain_graph=True)
    loss.backward(10.0)
    # d(w·2)² = 2·(2w), ten times.
    assert op(view(loss), "multiply").grad.rms == pytest.approx(40)
    assert arrow_into(loss, "power").rms == pytest.approx(40)
    assert arrow_into(loss, "sum").rms == pytest.approx(10)
    # Of a parameter only .grad is known by now, to which the first pass gave 8.
    assert named(view(loss), "W").grad.rms == pytest.approx(88)


def test_the_command_line_draws_the_gradient_of_the_step_it_is_asked_for(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "model_of_two_steps", raising=False)
    (tmp_path / "model_of_two_steps.py").write_text(
        "import tinygrad_np as tg\nW = tg.Tensor([1.0, 1.0], requires_grad=True, name='W')\n"
    )
    (tmp_path / "script.py").write_text(
        "from model_of_two_steps import W\nfor step in range(3):\n    (W * 10**step).sum().backward()\n"
    )
    assert main(["graph", "script.py", "-o", "out.txt", "--step", "2"]) == 0
    row = next(line for line in (tmp_path / "out.txt").read_text("utf-8").splitlines() if "W parameter" in line)
    # The second step brings 10; .grad still holds the 1 of the first, which the script has not cleared.
    assert "[10 10] in this pass; .grad: [1 1]" in row
