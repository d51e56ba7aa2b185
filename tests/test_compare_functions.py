"""compare_grads with functions: called twice, and again at sizes that all differ."""

import numpy as np
import pytest
from planted import D1, as_functions, cases

import tinygrad_np as tg
from tinygrad_np.errors import AutogradError, DtypeError
from tinygrad_np.testing import compare_grads
from tinygrad_np.testing.diagnosis.rerun import at_prime_sizes, one_hot_axis
from tinygrad_np.testing.diagnosis.sizes import linked_axes


def loss(X, y, w):
    return np.mean((X @ w - y) ** 2)


def problem(samples=7, inputs=3):
    random = np.random.default_rng(0)
    return {
        "X": random.normal(size=(samples, inputs)),
        "y": random.normal(size=samples),
        "w": random.normal(size=inputs),
    }


def right(X, y, w):
    return {"dw": 2 * X.T @ (X @ w - y) / len(X)}


def mistakes(report, name="dw"):
    return [finding.mistake for finding in report.findings.get(name, [])]


def test_right_functions_are_right():
    report = compare_grads(right, problem(), loss)
    assert report.ok
    assert not report.notes


def test_a_loss_may_give_intermediates_too():
    def with_Z(X, y, w):
        Z = X @ w
        return np.mean((Z - y) ** 2), {"Z": Z}

    hand = lambda X, y, w: {"dZ": 2 * (X @ w - y) / len(X), **right(X, y, w)}
    report = compare_grads(hand, problem(), with_Z)
    assert report.ok
    assert [row.name for row in report.rows] == ["dZ", "dw"]


# -- sizes ------------------------------------------------------------------------------------


def test_causes_that_coincide_come_apart():
    twice = lambda X, y, w: {"dw": 2 * right(X, y, w)["dw"]}
    without_m = lambda X, y, w: {"dw": len(X) * right(X, y, w)["dw"]}
    two = problem(samples=2)
    tensors = {name: tg.Tensor(a, requires_grad=name == "w", name=name) for name, a in two.items()}
    from_arrays = compare_grads(twice(**two), tensors, loss(**tensors))
    assert mistakes(from_arrays) == ["batch_factor", "factor_two"]
    assert mistakes(compare_grads(twice, two, loss)) == ["factor_two"]
    assert mistakes(compare_grads(without_m, two, loss)) == ["batch_factor"]


def test_functions_made_for_one_size_are_compared_at_that():
    def stubborn(X, y, w):
        assert X.shape == (7, 3)
        return {"dw": -right(X, y, w)["dw"]}

    assert mistakes(compare_grads(stubborn, problem(), loss)) == ["sign"]


def test_letters_say_which_sizes_go_together():
    arrays = {"X": np.ones((5, 5)), "W": np.ones((5, 5)), "b": np.zeros((5, 1))}
    random = np.random.default_rng(0)
    drawn = at_prime_sizes(arrays, {"X": "nm", "W": "hn", "b": "h1"}, random)
    (n, m), (h, n2), (h2, one) = drawn["X"].shape, drawn["W"].shape, drawn["b"].shape
    assert (n, h, one) == (n2, h2, 1)
    assert len({n, m, h}) == 3
    with pytest.raises(AutogradError, match="axis 'n' is 5 long, and in W, of shape"):
        at_prime_sizes({"X": np.ones((5, 4)), "W": np.ones((3, 4))}, {"X": "nm", "W": "hn"}, random)
    with pytest.raises(AutogradError, match="with 1 axes, and the array has shape"):
        at_prime_sizes({"X": np.ones((5, 4))}, {"X": "n"}, random)


def test_redrawn_data_is_of_its_kind():
    random = np.random.default_rng(0)
    arrays = {
        "hot": np.eye(3, dtype=np.float32)[[0, 2, 1, 1]],
        "bits": random.integers(0, 2, (6, 8)).astype(float),
        "labels": random.integers(0, 3, 4),
        "positive": random.uniform(1, 2, (4, 9)),
        "large": 1000 * random.normal(size=(9, 9)),
        "none": np.zeros((4, 9)),
        "rate": 0.1,
    }
    drawn = at_prime_sizes(arrays, {}, random)
    assert one_hot_axis(drawn["hot"]) == 1
    assert drawn["hot"].dtype == np.float32
    assert set(np.unique(drawn["bits"])) == {0, 1}
    assert drawn["labels"].dtype.kind == "i"
    assert 0 <= drawn["labels"].min() <= drawn["labels"].max() <= 2
    assert drawn["positive"].min() > 0
    assert 300 < drawn["large"].std() < 3000
    assert not drawn["none"].any()
    assert drawn["rate"] == 0.1


# -- side effects -----------------------------------------------------------------------------


def test_accumulated_gradients_are_seen_in_a_second_call():
    total = np.zeros(3)

    def adding(X, y, w):
        total[:] += right(X, y, w)["dw"]
        return {"dw": total}

    report = compare_grads(adding, problem(), loss)
    assert mistakes(report)[0] == "accumulated"
    assert "a second call with the same arrays gives 2 times the first" in report.why


def test_random_numbers_are_noticed():
    random = np.random.default_rng(0)
    report = compare_grads(lambda **a: {"dw": right(**a)["dw"] * random.normal()}, problem(), loss)
    assert not report.ok
    assert "draws random numbers" in report.why
    noisy = lambda X, y, w: loss(X, y, w) * random.normal()
    assert "it draws random numbers" in str(compare_grads(right, problem(), noisy))


def test_writing_into_an_argument_is_noticed_and_the_users_array_spared():
    def centred(X, y, w):
        X -= X.mean()
        return right(X, y, w)

    arrays = problem()
    before = arrays["X"].copy()
    report = compare_grads(centred, arrays, loss)
    assert "changed_in_place" in mistakes(report)
    assert "writes into X" in str(report)
    np.testing.assert_array_equal(arrays["X"], before)


def test_writing_into_an_argument_after_use_is_only_noted():
    def spoiled(X, y, w):
        found = right(X, y, w)
        X[:] = 0
        return found

    report = compare_grads(spoiled, problem(), loss)
    assert report.ok
    assert "writes into X" in report.notes[0]


# -- planted ----------------------------------------------------------------------------------


@pytest.mark.parametrize("start", range(8))
def test_planted_mistakes_are_named(start):
    found = [case for case in cases() if case.mistake.only != "arrays" and case.mistake.key != "rounding"]
    for case in found[start::24]:
        report = compare_grads(*case.as_functions(), numeric=False)
        named = {finding.mistake for finding in report.findings.get(report.first_wrong, [])}
        assert named & set(case.keys) or not case.first(), f"{case}\n{report}"


# -- bad input --------------------------------------------------------------------------------


def test_what_does_not_go_together():
    with pytest.raises(AutogradError, match="give the arrays that it takes"):
        compare_grads(right, None, loss)
    with pytest.raises(AutogradError, match="gave int, and a dict of gradients by name is needed"):
        compare_grads(lambda X, y, w: 3, problem(), loss)
    with pytest.raises(AutogradError, match="`loss` of type float is none"):
        compare_grads(right, problem(), 3.0)
    with pytest.raises(AutogradError, match="a check that checks nothing must fail"):
        compare_grads(lambda X, y, w: {}, problem(), loss)


def test_errors_of_the_users_functions_are_his():
    hand, arrays, network_loss = as_functions(D1, D1.arrays())
    with pytest.raises(KeyError):
        compare_grads(hand, {"X": arrays["X"]}, network_loss)


def test_three_samples_of_three_classes_need_no_help():
    random = np.random.default_rng(0)
    arrays = {"X": random.normal(size=(3, 4)), "Y": np.eye(3), "W": random.normal(size=(4, 3)), "b": np.zeros(3)}

    def loss(X, Y, W, b):
        return ((X @ W + b - Y) ** 2).sum() / len(X)

    def hand(factor):
        def backward(X, Y, W, b):
            dZ = 2 * (X @ W + b - Y) / factor(X, Y)
            return {"dW": X.T @ dZ, "db": dZ.sum(axis=0)}

        return backward

    without = compare_grads(hand(lambda X, Y: 1), arrays, loss)
    over_all = compare_grads(hand(lambda X, Y: Y.size), arrays, loss)
    assert [f.mistake for f in without.findings["dW"]] == ["batch_factor"]
    assert [f.mistake for f in over_all.findings["dW"]] == ["entry_mean"]
    assert compare_grads(hand(lambda X, Y: len(X)), arrays, loss).ok


def test_which_axes_go_together():
    arrays = {"X": np.zeros((3, 3)), "W": np.zeros((3, 2)), "y": np.zeros((3, 1)), "k": 2.0}

    def runs(some):
        try:
            return (some["X"] @ some["W"] * some["y"]).ndim == 2
        except ValueError:
            return False

    found = linked_axes(arrays, lambda value, shape: np.zeros(shape), runs)
    assert found["X"][0] == found["y"][0] != found["X"][1] == found["W"][0] != found["W"][1]
    assert set(found) == {"X", "W", "y"}


# -- models --------------------------------------------------------------------------------------


def linear_model():
    model = tg.nn.Linear(3, 1, rng=0).astype(float)
    X, y = np.random.default_rng(1).normal(size=(5, 3)), np.arange(5.0)[:, None]
    out = model(X)
    dZ = 2 * (out.data - y) / 5
    return tg.nn.Sequential(model), ((out - y) ** 2).mean(), {"d0.weight": dZ.T @ X, "d0.bias": dZ.sum(axis=0)}


def test_a_model_stands_for_its_parameters():
    model, loss, hand = linear_model()
    assert compare_grads(hand, model, loss).ok
    wrong = compare_grads({**hand, "d0.weight": 5 * hand["d0.weight"]}, model, loss)
    assert wrong.first_wrong == "d0.weight"
    assert str(wrong) == str(
        compare_grads({**hand, "d0.weight": 5 * hand["d0.weight"]}, dict(model.named_parameters()), loss)
    )


def test_a_model_in_the_place_of_gradients():
    model, loss, _ = linear_model()
    with pytest.raises(DtypeError, match=r"the model Sequential.*second argument.*, model, loss\)"):
        compare_grads(model, loss=loss)


def test_names_that_are_no_words_are_explained():
    model, loss, _ = linear_model()
    with pytest.raises(DtypeError, match=r"'0\.weight' can be no name.*def hand\(\*\*arrays\).*arrays\['0\.weight'\]"):
        compare_grads(lambda weight, bias: {}, model, lambda **arrays: loss)
