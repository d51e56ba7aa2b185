"""The first nan or inf: which box is marked, what it spoiled, and what cannot be known."""

import numpy as np
import pytest

import tinygrad_np as tg
from tinygrad_np.graph.view import view

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@pytest.fixture(autouse=True)
def _quiet():
    with np.errstate(all="ignore"):
        yield


def marked(tensor, **options):
    """The ops and results of the forward pass that are marked bad, and those that are tainted, by their text."""
    boxes = [box for box in view(tensor, **options).boxes if not box.backward]
    return tuple([box.text or box.name or box.kind for box in boxes if which(box)] for which in (bad, tainted))


def bad(box):
    return box.bad


def tainted(box):
    return box.tainted


def parameter(values, name="x"):
    return tg.Tensor(np.asarray(values, float), requires_grad=True, name=name)


# -- values -----------------------------------------------------------------------------------


@pytest.mark.parametrize("after_backward", [False, True])
def test_the_first_nan_and_what_it_spoiled(after_backward):
    x = parameter([-1.0, 0.5, 2.0])
    y = np.sum(np.exp(x) + np.log(x) * 2)
    if after_backward:
        y.backward()
    assert marked(y) == (["log"], ["multiply *", "add +", "sum", "result"])
    (box,) = [box for box in view(y).boxes if box.bad]
    assert (box.value.bad, box.value.nans) == (1, 1)


def test_the_first_inf():
    x = parameter([0.0, 1.0])
    y = np.sum(np.sin(1.0 / x)) * np.sum(np.cos(x))
    bads, taints = marked(y)
    assert bads == ["divide /"]
    assert taints == ["sin", "sum", "multiply *", "result"]


def test_nothing_is_marked_in_a_sound_graph():
    x = parameter([1.0, 2.0])
    y = np.sum(np.log(x))
    assert marked(y) == ([], [])
    y.backward()
    assert marked(y) == ([], [])
    assert view(y).notes == ()


def test_a_bad_parameter_is_marked_itself():
    x, w = parameter([1.0, np.nan]), parameter([1.0, 2.0], "w")
    assert marked(np.sum(np.sin(w) * x)) == (["x"], ["multiply *", "sum", "result"])


@pytest.mark.parametrize("after_backward", [False, True])
def test_numbers_that_are_infinite_on_purpose(after_backward):
    x = parameter([[1.0, 2.0], [3.0, 4.0]])
    mask = np.array([[0.0, -np.inf], [0.0, 0.0]])
    y = np.sum(tg.softmax(x + mask, axis=-1) ** 2)
    if after_backward:
        y.backward()
    assert np.isfinite(y.item())
    assert marked(y) == ([], [])


def test_what_is_infinite_on_purpose_does_not_hide_the_first_nan():
    x = parameter([[1.0, 2.0], [3.0, 4.0]])
    mask = np.array([[0.0, -np.inf], [0.0, 0.0]])
    y = np.sum(np.log(tg.softmax(x + mask, axis=-1) - 0.5))
    assert np.isnan(y.item())
    assert marked(y)[0] == ["log"]


def test_a_branch_that_was_not_taken_is_not_greyed():
    x = parameter([-1.0, 2.0])
    y = np.sum(np.where(x.data > 0, np.log(x), 0.0) * 3)
    assert marked(y) == (["log"], [])
    y = np.sum(np.where(x.data > 0, np.sqrt(np.log(x)), 0.0) * 3)
    assert marked(y) == (["log"], ["sqrt"])


def test_only_what_comes_from_the_first_is_spoiled():
    x, w = parameter([-1.0, 2.0]), parameter([-3.0, 2.0], "w")
    a = np.log(x)
    y = np.sum(np.exp(w)) + np.sum(np.sqrt(w) * a)
    assert marked(y)[0] == ["log"]
    assert "exp" not in marked(y)[1]
    assert "sqrt" not in marked(y)[1]


def test_a_nan_in_one_result_of_several():
    x = parameter([[-1.0, 1.0], [2.0, 3.0]])
    first, second = np.unstack(np.log(x))
    assert marked(np.sum(first * second))[0] == ["log"]
    # What only the sound part goes into is sound.
    bads, taints = marked(np.sum(second * second))
    assert bads == ["log"]
    assert "multiply *" not in taints
    assert "result" not in taints


def test_integers_and_truth_values_are_never_bad():
    x = parameter([1.0, 2.0])
    assert marked(np.sum(x[np.array([0, 1])] * np.array([True, False]) * np.array([1, 2]))) == ([], [])


def test_complex_numbers():
    z = tg.Tensor([1 + 1j, complex(0, np.inf)], requires_grad=True, name="z")
    assert marked(np.sum(z * 2))[0] == ["z"]


# -- large arrays -----------------------------------------------------------------------------


def large_graph():
    x = parameter(np.linspace(-1, 1, 3000))
    return np.sum(np.log(x) * 2 + 1)


def test_values_that_are_gone_leave_a_note():
    y = large_graph()
    y.backward()
    seen = view(y)
    assert marked(y)[0] == ["result"]
    (note,) = seen.notes
    assert "tg.inspect()" in note


def test_what_is_not_known_to_be_the_first_is_not_called_so():
    y = large_graph()
    y.backward()
    for picture in (tg.draw(y), tg.draw(y, limit=10)):
        for format in ("text", "table", "mermaid", "dot"):
            assert "nan or inf" in picture.to(format)
            assert "first nan or inf" not in picture.to(format).replace("the first nan or inf arose", "")
        assert '"bad":true,"first":false' in picture.to("html")


def test_nan_in_large_data_is_found_while_its_user_has_it():
    x, data = parameter(np.ones(3000)), np.ones(3000)
    data[5] = np.nan
    y = np.sum(np.exp(x * data) * 2)
    y.backward()
    assert [box.kind for box in view(y).boxes if box.bad] == ["data"]
    assert "first nan or inf: 1 of its entries" in str(tg.draw(y))
    del data
    assert [box.kind for box in view(y).boxes if box.bad] == ["result"]
    assert "first nan or inf: " not in str(tg.draw(y))


def test_inspection_finds_the_first_among_large_arrays():
    with tg.inspect():
        y = large_graph()
        y.backward()
    assert marked(y) == (["log"], ["multiply *", "add +", "sum", "result"])
    assert view(y).notes == ()


def test_the_note_does_not_speak_of_a_backward_pass_that_was_not():
    (note,) = view(large_graph()).notes
    assert "tg.inspect()" in note
    assert "after backward()" not in note


# -- gradients --------------------------------------------------------------------------------


@tg.custom_gradient
def broken(x):
    return x * 2, lambda g: g * np.nan


def details(tensor):
    (box,) = [box for box in view(tensor).boxes if box.bad]
    return box.details


@pytest.mark.parametrize("n", [3, 3000])
def test_a_rule_that_gives_the_first_nan(n):
    x = parameter(np.ones(n))
    y = np.sum(np.sin(broken(np.exp(x))))
    y.backward()
    assert np.isnan(x.grad.data).all()
    bads, taints = marked(y)
    assert bads == ["broken"]
    # Backwards, what lies before it is spoiled.
    assert taints == ["x", "exp"]
    assert "its rule gave the first nan or inf of the backward pass" in details(y)


@pytest.mark.parametrize("n", [2, 2000])
def test_a_gradient_that_overflows(n):
    x = parameter(np.zeros(n))
    y = np.sum(np.sin(x) * 1e200 * 1e200)
    y.backward()
    assert y.item() == 0
    assert np.isinf(x.grad.data).all()
    bads, taints = marked(y)
    # The first product brings 1e200 · 1e200 back.
    assert bads == ["multiply *"]
    assert set(taints) == {"x", "sin"}
    (box,) = [box for box in view(y).boxes if box.bad]
    (arrow,) = [arrow for arrow in view(y).arrows if arrow.target == box.id]
    assert arrow.rms == np.inf


def test_before_backward_no_gradient_is_bad():
    x = parameter([1.0])
    assert marked(np.sum(broken(x))) == ([], [])


def test_a_bad_value_comes_before_bad_gradients():
    x = parameter([-1.0, 1.0])
    y = np.sum(broken(np.log(x)))
    y.backward()
    assert marked(y)[0] == ["log"]
    assert "its rule gave the first nan or inf of the backward pass" not in details(y)


# -- with the backward pass -------------------------------------------------------------------


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.sum(np.log(x)),
        lambda x: np.sum(x + np.inf),
        lambda x: np.sum(np.exp(x + np.array([-np.inf, 0.0]))),
        lambda x: np.sum(broken(np.exp(x + np.array([-np.inf, 0.0])))),
        lambda x: np.sum(np.exp(x)),
    ],
)
def test_the_forward_pass_is_judged_alike_with_and_without_the_backward_pass(function):
    y = function(parameter([-1.0, 1.0]))
    without = marked(y)
    if without[0]:
        assert marked(y, backward=True) == without
    else:
        # The first bad one may be in the backward pass.
        assert marked(y, backward=True)[0] == []


def test_a_nan_that_arises_in_the_drawn_backward_pass():
    x = parameter([1.0, 2.0])
    seen = view(np.sum(broken(np.sin(x))), backward=True)
    (box,) = [box for box in seen.boxes if box.bad]
    assert box.backward
    assert box.text == "multiply *"
    assert [other.tainted for other in seen.boxes if other.kind == "result"] == [False, True]
