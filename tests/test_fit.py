"""fit(): what it computes, what it calls when, what it refuses."""

import numpy as np
import pytest
from training_run import line, linear_model, parts

import tinygrad_np as tg
from tinygrad_np import nn, optim
from tinygrad_np.errors import NonFiniteError, ShapeError
from tinygrad_np.training import EarlyStopping, accuracy, evaluate, fit, train_epoch

# -- the loop -------------------------------------------------------------------------------------


def test_it_does_what_gradient_descent_by_hand_does():
    x, y = line()
    model, w, b = linear_model()
    batches = [(x[:5], y[:5]), (x[5:], y[5:])]
    history = fit(model, batches, tg.mse, optim.SGD([w, b], lr=0.1), epochs=3, progress=False)
    slope, offset, losses = 0.0, 0.0, []
    for _ in range(3):
        total = 0.0
        for inputs, target in batches:
            error = slope * inputs + offset - target
            total += np.sum(error**2)
            slope, offset = slope - 0.2 * np.mean(error * inputs), offset - 0.2 * np.mean(error)
        losses.append(total / len(x))
    np.testing.assert_allclose([w.data, b.data], [slope, offset], rtol=1e-12)
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-12)  # means over samples, not over batches
    assert history["epoch"] == [1, 2, 3]
    assert history["lr"] == [0.1] * 3


def test_clip_norm_is_the_norm_of_all_gradients():
    x, y = line()
    model, w, b = linear_model()
    fit(model, [(x, 1000 * y)], tg.mse, optim.SGD([w, b], lr=1.0), epochs=1, clip_norm=0.5, progress=False)
    np.testing.assert_allclose(np.hypot(w.data, b.data), 0.5, rtol=1e-5)


def test_gradients_of_before_do_not_count():
    x, y = line()
    results = []
    for before in (None, tg.Tensor(1e6)):
        model, w, b = linear_model()
        w.grad = before
        fit(model, [(x, y)], tg.mse, optim.SGD([w, b], lr=0.1), epochs=1, progress=False)
        results.append(w.data.item())
    assert results[0] == results[1]


def test_no_gradients_are_left():
    model = nn.Sequential(nn.Linear(1, 4, rng=0), np.tanh, nn.Linear(4, 1, rng=1))
    batch = np.ones((3, 1), np.float32), np.zeros((3, 1), np.float32)
    # The first layer gets gradients, too, but is not trained.
    fit(model, [batch], tg.mse, optim.SGD(model[2].parameters()), epochs=1, progress=False)
    assert [parameter.grad for parameter in model.parameters()] == [None] * 4


def test_several_inputs_and_dicts():
    x, y = line()
    w = tg.Tensor(0.0, requires_grad=True)
    seen = []

    def model(a, b):
        seen.append((a, b))
        return w * a + b

    for batch in [(x, 2 * x, y), [x, 2 * x, y], {"a": x, "b": 2 * x, "y": y}]:
        train_epoch(model, [batch], tg.mse, optim.SGD([w], lr=0.1))
    assert all(np.array_equal(a, x) and np.array_equal(b, 2 * x) for a, b in seen)


def test_metrics_are_means_over_samples():
    model, w, b = linear_model()
    batches = [(np.zeros(3), np.ones(3)), (np.zeros(1), np.full(1, 5.0))]
    largest = lambda output, target: target.max()
    optimizer = optim.SGD([w, b], lr=0.0)
    history = fit(
        model,
        batches,
        tg.mse,
        optimizer,
        epochs=1,
        metrics={"largest": largest},
        validation=batches[:1],
        progress=False,
    )
    assert history.last["largest"] == (3 * 1 + 1 * 5) / 4
    assert history.last["val_largest"] == 1
    assert history.last["loss"] == (3 * 1 + 25) / 4
    assert list(history.columns) == ["epoch", "loss", "largest", "val_loss", "val_largest", "lr", "seconds"]


def test_metrics_get_plain_arrays():
    kinds = []
    run = parts()
    run["metrics"] = {"kind": lambda output, target: kinds.append((type(output), type(target))) or 0.0}
    fit(**run, epochs=1)
    assert set(kinds) == {(np.ndarray, np.ndarray)}


class Watched(nn.Module):
    """Notes in which mode, and whether recording, it was called."""

    def __init__(self):
        self.weight, self.calls, self.part = tg.Tensor(1.0, requires_grad=True), [], nn.Identity()

    def forward(self, x):
        out = self.weight * self.part(x)
        self.calls.append((self.training, self.part.training, out.requires_grad))
        return out


def test_modes_while_training_and_evaluating_and_after():
    model = Watched()
    model.part.eval()
    x, y = line()
    fit(model, [(x, y)], tg.mse, optim.SGD([model.weight]), epochs=2, validation=[(x, y)], progress=False)
    assert model.calls == [(True, True, True), (False, False, False)] * 2
    assert (model.training, model.part.training) == (True, False)
    evaluate(model, [(x, y)], tg.mse)
    assert (model.training, model.part.training) == (True, False)


def test_evaluate():
    x, y = line()
    count = {"n": lambda output, target: len(target)}
    results = evaluate(lambda a: 2 * a, [(x[:2], y[:2]), (x[2:], y[2:])], tg.mse, count)
    np.testing.assert_allclose(results["loss"], 1.0)
    np.testing.assert_allclose(results["n"], (2 * 2 + 10 * 10) / 12)


def test_a_loader_learns():
    run = parts()
    run["early_stopping"] = None
    history = fit(**run, epochs=60)
    assert history["loss"][-1] < 0.6 * history["loss"][0]


# -- schedules ------------------------------------------------------------------------------------


def scheduled(every, make, epochs=4, batches=3, **options):
    """The rate after each epoch, and the history."""
    x, y = line()
    model, w, b = linear_model()
    optimizer = optim.SGD([w, b], lr=1.0)
    seen = []
    history = fit(
        model, [(x, 0 * y)] * batches, tg.mse, optimizer, epochs=epochs, scheduler=make(optimizer),
        scheduler_every=every, progress=False, callback=lambda history: seen.append(optimizer.groups[0].lr), **options,
    )  # fmt: skip
    return seen, history


def rates(*arguments, **options):
    return scheduled(*arguments, **options)[0]


@pytest.mark.parametrize(("every", "wanted"), [("epoch", [0.5, 0.25]), ("batch", [0.5**3, 0.5**6])])
def test_a_scheduler_steps_per_epoch_or_per_batch(every, wanted):
    assert rates(every, lambda optimizer: optim.ExponentialLR(optimizer, 0.5), epochs=2) == pytest.approx(wanted)


@pytest.mark.parametrize(("every", "wanted"), [("epoch", [1, 0.5]), ("batch", [0.5**2, 0.5**5])])
def test_the_rate_in_the_history_is_that_of_the_last_step(every, wanted):
    _, history = scheduled(every, lambda optimizer: optim.ExponentialLR(optimizer, 0.5), epochs=2)
    assert history["lr"] == wanted


def test_plateau_looks_at_the_validation_loss():
    # The training loss is 0 from the start, the validation loss is always 1.
    make = lambda optimizer: optim.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    assert rates("epoch", make, epochs=3, validation=[(np.zeros(2), np.ones(2))]) == [1, 1, 0.5]
    values = []

    class Plateau:
        def __init__(self, optimizer):
            pass

        def step(self, metrics):
            values.append(metrics)

    rates("epoch", Plateau, epochs=2, validation=[(np.zeros(2), np.ones(2))])
    assert values == [1.0, 1.0]
    values.clear()
    rates("epoch", Plateau, epochs=2)
    assert values == [0.0, 0.0]


def test_plateau_cannot_step_per_batch():
    with pytest.raises(ValueError, match="ReduceLROnPlateau looks at the loss of an epoch"):
        rates("batch", lambda optimizer: optim.ReduceLROnPlateau(optimizer))


# -- early stopping -------------------------------------------------------------------------------


def stopped(losses, epochs=20, **options):
    """A run whose weight is the number of the epoch, with these validation losses."""
    w = tg.Tensor(0.0, requires_grad=True)
    values = iter(losses)
    history = fit(
        lambda x: w * x, [(np.ones(1), np.ones(1))], lambda output, target: -output.sum(), optim.SGD([w], lr=1.0),
        epochs=epochs, validation=[(np.ones(1), np.ones(1))], early_stopping=EarlyStopping(**options), progress=False,
        metrics={"score": lambda output, target: next(values) if not tg.engine.tape.recording.get() else 0.0},
    )  # fmt: skip
    return len(history), w.data.item()


@pytest.mark.parametrize(
    ("losses", "options", "epochs", "best"),
    [
        ([3, 2, 1, 2, 2, 2, 2], {"patience": 2, "mode": "min"}, 5, 3),
        ([3, 2, 1, 2, 2, 2, 2], {"patience": 3, "mode": "min"}, 6, 3),
        ([3, 2, 2, 1, 2, 2, 9], {"patience": 2, "mode": "min"}, 6, 4),  # better starts anew
        ([3, 2, 2, 2, 1], {"patience": 2, "mode": "min"}, 4, 2),  # equal is not better
        ([3, 2.5, 2.45, 2], {"patience": 2, "mode": "min", "min_delta": 0.6}, 3, 1),
        ([1, 2, 3, 2, 2, 9], {"patience": 2, "mode": "max"}, 5, 3),
        ([np.nan, 2, np.nan, np.nan, 9], {"patience": 2, "mode": "min"}, 4, 2),
    ],
)
@pytest.mark.parametrize("restore", [True, False])
def test_early_stopping(losses, options, epochs, best, restore):
    ran, weight = stopped(losses, monitor="val_score", restore_best=restore, **options)
    assert ran == epochs
    assert weight == (best if restore else epochs)


def test_the_best_is_restored_also_when_all_epochs_were_run():
    assert stopped([3, 1, 2], epochs=3, monitor="val_score", mode="min", patience=9) == (3, 2)


def test_early_stopping_by_its_patience_alone():
    run = parts()
    run["early_stopping"] = 1
    run["optimizer"].groups[0].lr = 0.0
    assert len(fit(**run, epochs=30)) < 30


def test_the_same_early_stopping_twice():
    stopping = EarlyStopping(1, "loss")
    for _ in range(2):
        x, y = line()
        model, w, b = linear_model()
        history = fit(
            model, [(x, y)], tg.mse, optim.SGD([w, b], lr=0.1), epochs=4, early_stopping=stopping, progress=False
        )
        assert len(history) == 4


def test_what_early_stopping_refuses():
    with pytest.raises(ValueError, match='mode="min" or mode="max"'):
        EarlyStopping(3, "val_accuracy")
    with pytest.raises(ValueError, match="patience=0"):
        EarlyStopping(0)
    with pytest.raises(ValueError, match="min_delta=-1"):
        EarlyStopping(1, min_delta=-1)


# -- callbacks ------------------------------------------------------------------------------------


def test_a_callback_sees_the_history_and_may_end_training():
    lengths = []
    history = fit(**parts(), epochs=9, callback=lambda h: lengths.append(len(h)) or len(h) == 3)
    assert lengths == [1, 2, 3]
    assert len(history) == 3


def test_what_a_callback_returns_does_not_end_training_by_accident():
    assert len(fit(**parts(), epochs=3, callback=len)) == 3


# -- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_loss_that_is_not_finite(value):
    x, y = line()
    model, w, b = linear_model()
    bad = y.copy()
    bad[3] = value
    epochs = iter([[(x, y), (x, y)], [(x, y), (x, bad)]])

    class Loader:
        def __iter__(self):
            return iter(next(epochs))

    with (
        np.errstate(invalid="ignore"),
        pytest.raises(NonFiniteError, match=r"epoch 2, batch 2 is (nan|inf).*tg\.debug\(\)") as caught,
    ):
        fit(model, Loader(), tg.mse, optim.SGD([w, b], lr=0.1), epochs=5, progress=False)
    assert np.isfinite([w.data, b.data]).all()
    assert len(caught.value.history) == 1
    assert "Training stopped in epoch 2 of 5." in caught.value.__notes__[0]


def test_a_metric_of_any_name_that_returns_a_tensor():
    model, w, b = linear_model()
    metrics = {"self": lambda output, target: tg.Tensor([2.0])}
    history = fit(model, [line()], tg.mse, optim.SGD([w, b]), epochs=1, metrics=metrics, progress=False)
    assert history["self"] == [2.0]


def test_no_epochs():
    assert len(fit(**parts(), epochs=0)) == 0


# -- accuracy -------------------------------------------------------------------------------------


def test_accuracy():
    r = np.random.default_rng(0)
    scores, labels = r.normal(size=(50, 3)), r.integers(3, size=50)
    right = sum(max(range(3), key=lambda c: row[c]) == label for row, label in zip(scores, labels, strict=True))
    assert accuracy(scores, labels) == right / 50
    assert accuracy(tg.Tensor(scores, requires_grad=True), labels) == right / 50
    assert accuracy(scores, np.eye(3)[labels]) == right / 50
    assert accuracy(scores.T, labels, axis=0) == right / 50
    pixels = r.normal(size=(2, 3, 4, 5))
    assert accuracy(pixels, pixels.argmax(1), axis=1) == 1.0
    assert accuracy(np.array([[1.0], [-1.0]]), np.array([[1], [1]])) == 0.5
    with pytest.raises(ShapeError, match=r"\(50, 3\).*\(49,\)"):
        accuracy(scores, labels[1:])


# -- global random numbers ------------------------------------------------------------------------


def test_no_global_random_state_is_touched():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    fit(**parts(), epochs=1)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_a_seed_fixes_everything():
    a, b = (fit(**parts(seed=3), epochs=2) for _ in range(2))
    assert a["loss"] == b["loss"]
    assert a["loss"] != fit(**parts(seed=4), epochs=2)["loss"]
