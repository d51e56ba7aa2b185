"""compare_grads as its user meets it: names, shapes and dtypes that are right and wrong, and what the report says.

The truth: gradients of a linear regression and of D1's network, written out by hand.
"""

import numpy as np
import pytest
from planted import D1, D3, as_arrays

import tinygrad_np as tg
from tinygrad_np.errors import AutogradError, DtypeError, ShapeError
from tinygrad_np.testing import GradientMismatch, assert_grads_match, compare_grads
from tinygrad_np.testing.diagnosis.network import Replay

m = 7


def regression(dtype=float):
    """W (5, 3), b (3,), Z (7, 3) and the loss, with the right gradients by name."""
    random = np.random.default_rng(0)
    X, y = random.normal(size=(m, 5)).astype(dtype), random.normal(size=(m, 3)).astype(dtype)
    W = tg.Tensor(random.normal(size=(5, 3)).astype(dtype), requires_grad=True, name="W")
    b = tg.Tensor(np.zeros(3, dtype), requires_grad=True, name="b")
    Z = X @ W + b
    loss = ((Z - y) ** 2).sum() / m
    dZ = 2 * (Z.data - y) / m
    return {"X": X, "W": W, "b": b, "Z": Z}, loss, {"dZ": dZ, "dW": X.T @ dZ, "db": dZ.sum(axis=0)}


def of(hand, name):
    """The mistakes that a report names for one gradient."""
    tensors, loss, right = regression()
    return [f.mistake for f in compare_grads({**right, **hand}, tensors, loss).findings.get(name, [])]


# -- what is right ----------------------------------------------------------------------------


def test_right_gradients_are_right_in_any_form():
    tensors, loss, right = regression()
    report = compare_grads({"dW": tg.Tensor(right["dW"]), "b": right["db"].tolist()}, None, loss)
    assert report.ok
    assert report.first_wrong is None
    assert report.why == ""
    assert report.findings == {}
    assert [row.name for row in report.rows] == ["b", "dW"]
    assert compare_grads(right, tensors, loss).ok


def test_before_and_after_backward():
    tensors, loss, right = regression()
    loss.backward()
    assert compare_grads(right, tensors, loss).ok
    wrong = compare_grads({**right, "dW": 2 * right["dW"]}, tensors, loss)
    assert wrong.first_wrong == "dW"


def test_names_with_other_prefixes():
    tensors, loss, right = regression()
    for name in ("W", "dW", "d_W", "grad_W", "dL_dW"):
        assert compare_grads({name: right["dW"]}, tensors, loss).rows[0].status == "ok"


def test_a_tensor_that_is_itself_called_d_something():
    d1 = tg.Tensor([1.0, 2.0], requires_grad=True, name="d1")
    assert compare_grads({"d1": 2 * d1.data}, None, np.sum(d1**2)).ok


def test_locals_are_fine():
    tensors, loss, right = regression()
    W, b, Z, X = (tensors[name] for name in "WbZX")
    dW, text, function = right["dW"], "anything", len
    assert compare_grads({"dW": dW}, locals(), loss).ok
    assert text
    assert function
    assert W is not b is not Z is not X


@pytest.mark.parametrize("recorded", [np.float32, np.float64])
@pytest.mark.parametrize("by_hand", [np.float16, np.float32])
def test_less_precision_is_said_and_is_right(recorded, by_hand):
    tensors, loss, right = regression(recorded)
    report = compare_grads({name: g.astype(by_hand) for name, g in right.items()}, tensors, loss)
    assert report.ok
    assert f"as {np.dtype(by_hand)} allows" in str(report)


def test_a_difference_that_float32_excuses_is_wrong_in_float64():
    tensors, loss, right = regression()
    noise = 1e-5 * np.random.default_rng(1).normal(size=(5, 3))
    assert compare_grads({"dW": np.float32(right["dW"] + noise)}, tensors, loss).ok
    assert not compare_grads({"dW": right["dW"] + noise}, tensors, loss).ok
    assert compare_grads({"dW": right["dW"] + noise}, tensors, loss, rtol=1e-3).ok


def test_sums_that_cancel_leave_only_rounding():
    x = tg.Tensor(np.array([[1e8, -1e8, 3.0]]), requires_grad=True, name="x")
    b = tg.Tensor(0.0, requires_grad=True, name="b")
    weights = np.array([[0.1, -0.3, 0.2]])
    loss = np.sum((x + b) * weights)
    assert compare_grads({"db": np.float64(0.1 + 0.2 - 0.3), "dx": weights}, None, loss).ok


def test_an_intermediate_may_be_m_times_autograds():
    tensors, loss, right = regression()
    report = compare_grads({**right, "dZ": m * right["dZ"]}, tensors, loss)
    assert report.ok
    assert f"{m} times autograd's, 1/m comes with the parameters" in str(report)
    # But not the parameters.
    missing = compare_grads({name: m * g for name, g in right.items()}, tensors, loss)
    assert [row.name for row in missing.rows if row.status == "WRONG"] == ["db", "dW"]
    assert missing.findings["dW"][0].mistake == "batch_factor"
    assert missing.findings["dW"][0].correction == "X.T @ dZ / m"


def test_nothing_is_changed():
    tensors, loss, right = regression()
    wrong = {**right, "dW": right["dW"] * (np.arange(15).reshape(5, 3) > 3)}
    before = {name: g.copy() for name, g in wrong.items()}
    shown = str(tg.tape(loss))
    compare_grads(wrong, tensors, loss)
    assert str(tg.tape(loss)) == shown
    assert tensors["W"].grad is None
    for name, g in wrong.items():
        np.testing.assert_array_equal(g, before[name])
    loss.backward()
    np.testing.assert_allclose(tensors["W"].grad.data, right["dW"], rtol=1e-12)


def test_inside_no_grad():
    tensors, loss, right = regression()
    with tg.no_grad():
        assert compare_grads(right, tensors, loss).ok
        assert not compare_grads({"dW": -right["dW"]}, tensors, loss).ok


# -- the report -------------------------------------------------------------------------------


def d1_by_hand(count):
    """D1 with its three mistakes: two sums over everything, and another m than the batch has."""
    network = D1._replace(samples=41)
    edits = {f"db{n}": lambda v, n=n: np.sum(v[f"dZ{n}"]) / count for n in (1, 2)}
    steps = network.steps()
    edits |= {f"dW{n}": lambda v, n=n: steps[f"dW{n}"](v) * 41 / count for n in (1, 2)}
    return as_arrays(network, network.arrays(), edits)


def test_the_report_on_d1():
    hand, tensors, loss = d1_by_hand(41)
    report = compare_grads(hand, tensors, loss)
    assert {name: [f.mistake for f in found] for name, found in report.findings.items()} == {
        "db2": ["summed_over_everything"],
        "db1": ["summed_over_everything"],
    }
    assert report.findings["db2"][0].correction == "dZ2.sum(axis=1, keepdims=True) / m"
    text = str(report)
    assert text.startswith(f"gradients: 5 of 7 agree with autograd  (loss {loss.item():.5g}, same as yours)")
    assert "shape () instead of (5, 1)" in text
    assert "always 0: b2 never moves" in " ".join(text.split())
    assert "the same as db2" in text
    assert "numeric check of autograd: agrees to" in text
    assert max(map(len, text.splitlines())) <= 100


def test_the_report_on_d1_with_the_count_before_the_split():
    hand, tensors, loss = d1_by_hand(42)
    report = compare_grads(hand, {**tensors, "m_all": 42}, loss)
    assert report.findings["dW2"][0].mistake == "full_data_factor"
    assert (
        "41/42 of the right one: divided by m_all = 42, but the batch holds 41 samples"
        in report.findings["dW2"][0].text
    )
    assert report.findings["db2"][0].mistake == "summed_over_everything"


def test_rows_go_from_the_loss_backwards():
    hand, tensors, loss = as_arrays(D3, D3.arrays())
    report = compare_grads(dict(sorted(hand.items())), tensors, loss)
    assert [row.name for row in report.rows] == ["dA2", "dZ2", "db2", "dW2", "dA1", "dZ1", "db1", "dW1"]


def test_what_follows_from_a_mistake_is_told_from_it():
    hand, tensors, loss = as_arrays(D3, D3.arrays(), {"dZ1": lambda v: v["dA1"]})
    report = compare_grads(hand, tensors, loss)
    assert {row.name: row.status for row in report.rows if row.status != "ok"} == {
        "dZ1": "WRONG", "db1": "consequence", "dW1": "consequence",
    }  # fmt: skip
    assert report.first_wrong == "dZ1"
    assert "dZ1" in next(row.text for row in report.rows if row.name == "dW1")


def test_a_second_mistake_behind_a_first_is_found():
    edits = {"dZ1": lambda v: v["dA1"], "db1": lambda v: -v["dZ1"].sum(axis=1, keepdims=True) / v["m"]}
    hand, tensors, loss = as_arrays(D3, D3.arrays(), edits)
    report = compare_grads(hand, tensors, loss)
    assert [row.status for row in report.rows if row.name in ("db1", "dW1")] == ["WRONG", "consequence"]
    assert report.findings["db1"][0].mistake == "sign"


def test_what_follows_from_a_gradient_of_the_wrong_shape():
    square = lambda v: v["A2"] - v["Y"].ravel()[:, None]
    hand, tensors, loss = as_arrays(D3, D3.arrays(), {"dZ2": square, "dA1": lambda v: v["W2"].T @ v["dZ2"][:1]})
    del hand["loss"]
    report = compare_grads(hand, tensors, loss)
    assert report.findings["dZ2"][0].mistake == "broadcast_to_square"
    status = {row.name: row.status for row in report.rows}
    assert status["db2"] == status["dW2"] == "consequence"


def test_html_is_escaped_and_marks_are_not_color_alone():
    w = tg.Tensor([1.0, 2.0], requires_grad=True, name="<b>w</b>")
    page = compare_grads({"d<b>w</b>": -2 * w.data}, None, np.sum(w**2))._repr_html_()
    assert "<b>w</b>" not in page
    assert "d&lt;b&gt;w&lt;/b&gt;" in page
    assert "✗ WRONG" in page
    assert page.count("<tr>") == 2


def test_assert_raises_with_the_report():
    tensors, loss, right = regression()
    assert_grads_match(right, tensors, loss)
    with pytest.raises(GradientMismatch, match="of the wrong sign") as caught:
        assert_grads_match({**right, "dW": -right["dW"]}, tensors, loss)
    assert isinstance(caught.value, AssertionError)
    assert caught.value.report.first_wrong == "dW"


def test_at_most_two_explanations_and_that_they_cannot_be_told_apart():
    X, y = np.arange(6.0).reshape(2, 3), np.array([1.0, -1.0])
    w = tg.Tensor(np.ones(3), requires_grad=True, name="w")
    residual = X @ w.data - y
    report = compare_grads({"dw": X.T @ residual * 2}, None, np.sum((X @ w - y) ** 2) / 2)
    assert [f.mistake for f in report.findings["dw"]] == ["batch_factor", "factor_two"]
    assert "cannot be told apart" in report.rows[0].text


def test_what_has_no_name_is_described():
    noise = np.random.default_rng(3).normal(size=(5, 3))
    tensors, loss, right = regression()
    report = compare_grads({"dW": right["dW"] + noise}, tensors, loss)
    assert report.findings["dW"][0].mistake == "unknown"
    for word in ("no known pattern", "rows 0, 1, 2, 3, 4", "cosine", "norm"):
        assert word in report.why


# -- the loss first ---------------------------------------------------------------------------


def test_another_loss_is_said_and_nothing_else():
    tensors, loss, right = regression()
    report = compare_grads({"loss": loss.item() / 3, **right}, tensors, loss)
    assert not report.ok
    assert [row.name for row in report.rows] == ["loss"]
    assert report.findings["loss"][0].mistake == "entry_mean"
    assert compare_grads({"loss": loss.item(), **right}, tensors, loss).ok


def test_numbers_that_changed_since_are_noticed():
    tensors, loss, right = regression()
    tensors["X"] += 1
    report = compare_grads(right, tensors, loss)
    assert report.findings["loss"][0].mistake == "changed_in_place"
    assert "X or W does not hold the numbers any more" in report.why


def test_parameters_that_got_new_arrays_since_are_not():
    tensors, loss, right = regression()
    W = tensors["W"]
    W.data = W.data - 0.1 * right["dW"]
    report = compare_grads(right, tensors, loss)
    assert report.ok
    assert not report.notes


# -- three votes ------------------------------------------------------------------------------


def wrong_autograd(monkeypatch, factor):
    gradients = Replay.gradients
    monkeypatch.setattr(Replay, "gradients", lambda self: {n: factor * g for n, g in gradients(self).items()})


def test_where_the_hand_and_differences_agree_autograd_is_accused(monkeypatch):
    tensors, loss, right = regression()
    wrong_autograd(monkeypatch, 1.1)
    report = compare_grads(right, tensors, loss)
    assert not report.ok
    assert "a bug in tinygrad_np" in report.why
    assert "report" in report.why


def test_where_differences_stand_alone_they_are_doubted(monkeypatch):
    tensors, loss, right = regression()
    wrong_autograd(monkeypatch, 1.1)
    report = compare_grads({name: 1.1 * g for name, g in right.items()}, tensors, loss)
    assert report.ok
    assert len(report.notes) == 3
    assert "a kink near by, or a bad step" in report.notes[0]


def test_the_numeric_check_can_be_left_out_and_is_repeatable():
    tensors, loss, right = regression()
    assert compare_grads(right, tensors, loss, numeric=False).numeric == ""
    first, second, other = (compare_grads(right, tensors, loss, seed=seed).numeric for seed in (1, 1, 2))
    assert first == second
    assert "seed 2" in other


def test_a_kink_is_no_disagreement():
    x = tg.Tensor([0.0, 1.0, -2.0], requires_grad=True, name="x")
    report = compare_grads({"dx": np.array([0.0, 1.0, 0.0])}, None, np.sum(tg.relu(x)))
    assert report.ok
    assert not report.notes


# -- bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hand", "error", "says"),
    [
        ({}, AutogradError, "a check that checks nothing must fail"),
        ({"loss": 1.0}, AutogradError, "a check that checks nothing must fail"),
        ({"dZ3": 1.0}, AutogradError, "names here: W, b, Z.  Did you mean dZ"),
        ({"dX": 1.0}, AutogradError, "no tensor to compare it with"),
        ({"dW": None}, DtypeError, "'dW' is None"),
        ({"dW": np.array([None, 1])}, DtypeError, "dtype object"),
        ({"dW": ["a", "b"]}, DtypeError, "dtype <U1"),
        ({"dW": [[1.0], [1.0, 2.0]]}, DtypeError, "rows equally long"),
    ],
)
def test_hands_that_cannot_be_compared(hand, error, says):
    tensors, loss, _ = regression()
    with pytest.raises(error, match=says):
        compare_grads(hand, tensors, loss)


def test_losses_that_cannot_be_compared():
    tensors, loss, right = regression()
    for bad in (loss.item(), None, tg.Tensor(1.0)):
        with pytest.raises(AutogradError, match="has no tape behind it"):
            compare_grads(right, tensors, bad)
    with pytest.raises(ShapeError, match=r"one number, and this one has shape \(7, 3\)"):
        compare_grads(right, tensors, tensors["Z"])


def test_tensors_that_are_not_on_the_tape():
    tensors, loss, right = regression()
    other = regression()[0]
    with pytest.raises(AutogradError, match="'Z', is not on the tape of this loss"):
        compare_grads(right, {**tensors, "Z": other["Z"] * 1}, loss)
    with pytest.raises(AutogradError, match="'q', does not require grad"):
        compare_grads({"dq": 1.0}, {**tensors, "q": tg.Tensor(1.0)}, loss)


@pytest.mark.parametrize(
    ("name", "value", "mistake"),
    [
        ("dW", np.zeros((4, 4)), "unknown"),
        ("dW", np.zeros((0, 3)), "unknown"),
        ("dW", np.full((5, 3), np.nan), "not_finite"),
        ("dW", np.full((5, 3), np.inf), "not_finite"),
        ("dW", np.zeros((5, 3), int), "all_zero"),
        ("db", 0, "summed_over_everything"),
        ("db", np.ones((1, 1, 3)), "unknown"),
    ],
)
def test_gradients_of_odd_shapes_and_numbers_get_a_sentence(name, value, mistake):
    assert of({name: value}, name) == [mistake]


def test_a_loss_that_is_not_finite_itself():
    x = tg.Tensor([2.0, 1.0], requires_grad=True, name="x")
    with np.errstate(all="ignore"):
        loss = np.log(x - 2).sum()
        right = 1 / (x.data - 2)
    for hand in (np.ones(2), right):
        report = compare_grads({"dx": hand}, None, loss)
        assert not report.ok
        assert report.findings["loss"][0].mistake == "not_finite"


def test_a_gradient_that_is_not_finite_of_a_loss_that_is():
    x = tg.Tensor([2.0, 3.0], requires_grad=True, name="x")
    with np.errstate(all="ignore"):
        loss = np.where(x.data > 2, np.log(x - 2), 0.0).sum()
    report = compare_grads({"dx": np.ones(2)}, None, loss)
    assert report.findings["dx"][0].mistake == "not_finite"
    assert "autograd's gradient is not finite" in report.why
    assert compare_grads({"dx": [np.nan, 1.0]}, None, loss).ok


def test_complex_gradients():
    z = tg.Tensor([2.0 + 1j, 1.0 - 3j], requires_grad=True, name="z")
    loss = np.sum(np.abs(z) ** 2)
    assert compare_grads({"dz": 2 * z.data}, None, loss).ok
    report = compare_grads({"dz": 2 * z.data.conj()}, None, loss)
    assert "complex conjugate" in report.why
