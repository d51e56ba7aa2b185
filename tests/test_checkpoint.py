"""Checkpoints of fit(): gone on from bit for bit, however the run ended, and never another run's."""

import os
from itertools import count

import numpy as np
import pytest
from saved_states import ENDINGS, same
from training_run import EPOCHS, parts, result, uninterrupted

import tinygrad_np as tg
from tinygrad_np import nn, optim
from tinygrad_np.errors import NonFiniteError, StateError
from tinygrad_np.serialize import SaveFileError, load, save
from tinygrad_np.training import EarlyStopping, fit


class Stop(Exception):
    """What ends a run in these tests."""


def failing(function, at):
    """The function, which raises when it is called for the `at`-th time."""
    calls = count(1)

    def call(*arguments, **options):
        if next(calls) == at:
            raise Stop
        return function(*arguments, **options)

    return call


PLACES = {
    "in the loss": lambda run, at: {"loss": failing(run["loss"], 7 * at)},
    "in a metric": lambda run, at: {"metrics": {"accuracy": failing(run["metrics"]["accuracy"], 8 * at)}},
    "in the callback": lambda run, at: {"callback": failing(lambda history: None, at)},
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("at", [1, 2, 3])
def test_an_interrupted_run_equals_one_that_was_not(tmp_path, ending, place, at):
    path = tmp_path / f"run.{ending}"
    run = parts()
    with pytest.raises(Stop):
        fit(**{**run, **PLACES[place](run, at)}, epochs=EPOCHS, checkpoint=path)
    run = parts()
    # What was drawn by chance here must not count: all comes from the file.
    for _, generator in run["model"].named_generators():
        generator.random(5)
    run["loader"].rng.random(5)
    history = fit(**run, epochs=EPOCHS, checkpoint=path)
    assert same(result(run, history), uninterrupted())
    assert os.listdir(tmp_path) == [path.name]


def test_the_comparison_sees_all_of_it():
    usual = uninterrupted()
    for change in (lambda run: run["model"][3].rng.random(), lambda run: run["loader"].rng.random()):
        run = parts()
        change(run)
        assert not same(result(run, fit(**run, epochs=EPOCHS)), usual)
    assert not same(uninterrupted(lambda: {**parts(), "scheduler": None}), usual)


@pytest.mark.parametrize("at", [1, 2, 8, 14])
def test_going_on_with_the_same_objects(tmp_path, at):
    # As in a notebook: the model is half-way in an epoch, and is put back to where the epoch began.
    run = parts()
    with pytest.raises(Stop):
        fit(**{**run, "loss": failing(run["loss"], at)}, epochs=EPOCHS, checkpoint=tmp_path / "run.npz")
    history = fit(**run, epochs=EPOCHS, checkpoint=tmp_path / "run.npz")
    assert same(result(run, history), uninterrupted())


def test_stopped_many_times(tmp_path):
    for at in (3, 9, 17, 8):
        run = parts()
        with pytest.raises(Stop):
            fit(**{**run, "loss": failing(run["loss"], at)}, epochs=EPOCHS, checkpoint=tmp_path / "run.npz")
    run = parts()
    assert same(result(run, fit(**run, epochs=EPOCHS, checkpoint=tmp_path / "run.npz")), uninterrupted())


def test_more_epochs_later(tmp_path):
    for epochs in (1, 1, 3, EPOCHS):
        run = parts()
        history = fit(**run, epochs=epochs, checkpoint=tmp_path / "run.npz")
        assert len(history) == epochs
    assert same(result(run, history), uninterrupted())
    # All was done already: only loaded.
    run = parts()
    assert same(result(run, fit(**run, epochs=2, checkpoint=tmp_path / "run.npz")), uninterrupted())


def with_scheduler(make):
    run = parts()
    run["scheduler"] = make(run["optimizer"])
    return run


def with_optimizer(make):
    run = parts()
    run["optimizer"] = make(run["model"].parameters())
    run["scheduler"] = optim.StepLR(run["optimizer"], 2, 0.7)
    return run


VARIANTS = {
    "plateau": (lambda: with_scheduler(lambda o: optim.ReduceLROnPlateau(o, patience=0, threshold=0.3)), {}),
    "one cycle": (lambda: with_scheduler(lambda o: optim.OneCycleLR(o, 0.3, 20)), {"scheduler_every": "batch"}),
    "adam": (lambda: with_optimizer(lambda p: optim.AdamW(p, 0.01, amsgrad=True)), {}),
    "rmsprop": (lambda: with_optimizer(lambda p: optim.RMSprop(p, 0.01, momentum=0.5, centered=True)), {}),
    "clipped": (parts, {"clip_norm": 0.1}),
    "without validation": (lambda: {**parts(), "validation": None, "early_stopping": None}, {}),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_other_parts_go_on_too(tmp_path, variant):
    make, options = VARIANTS[variant]
    run = make()
    with pytest.raises(Stop):
        fit(**{**run, "loss": failing(run["loss"], 19)}, **options, epochs=EPOCHS, checkpoint=tmp_path / "run.npz")
    run = make()
    history = fit(**run, **options, epochs=EPOCHS, checkpoint=tmp_path / "run.npz")
    assert same(result(run, history), uninterrupted(make, **options))


def function_run():
    w = tg.Tensor([0.5, -0.5], requires_grad=True)
    r = np.random.default_rng(0)
    loader = tg.data.DataLoader(r.normal(size=(9, 2)), r.normal(size=9), batch_size=4, shuffle=True, rng=1)
    model = lambda x: x @ w
    return w, {"model": model, "loader": loader, "loss": tg.mse, "optimizer": optim.Adam([w]), "progress": False}


def test_a_model_that_is_a_function(tmp_path):
    whole, run = function_run()
    fit(**run, epochs=4)
    for epochs in (2, 4):
        w, run = function_run()
        fit(**run, epochs=epochs, checkpoint=tmp_path / "run.npz")
    assert same(w.data, whole.data)


class WeightedLoss(nn.Module):
    def __init__(self):
        self.scale, self.noise = tg.Tensor(0.5, requires_grad=True), nn.Dropout(0.2, rng=7)

    def forward(self, output, target):
        return tg.cross_entropy(self.noise(output), target) * np.exp(-self.scale) + self.scale


def test_a_loss_that_is_a_module(tmp_path):
    def make():
        run = parts()
        run["loss"] = WeightedLoss()
        run["optimizer"] = optim.SGD([*run["model"].parameters(), *run["loss"].parameters()], lr=0.1)
        run["scheduler"] = None
        return run

    run = make()
    whole = fit(**run, epochs=3)
    for epochs in (1, 3):
        again = make()
        history = fit(**again, epochs=epochs, checkpoint=tmp_path / "run.npz")
    assert history["loss"] == whole["loss"]
    assert again["loss"].scale.data == run["loss"].scale.data != 0.5


# -- early stopping -------------------------------------------------------------------------------


def stopping_run():
    return {**parts(), "early_stopping": EarlyStopping(2, min_delta=0.05)}


def test_what_early_stopping_saw_goes_on(tmp_path):
    run = stopping_run()
    whole = fit(**run, epochs=40)
    weights = run["model"].state_dict()
    assert 3 < len(whole) < 40
    for epochs in (len(whole) - 1, 40, 40):
        run = stopping_run()
        history = fit(**run, epochs=epochs, checkpoint=tmp_path / "run.npz")
    assert history["loss"] == whole["loss"]
    assert same(run["model"].state_dict(), weights)


# -- losses that are not finite -------------------------------------------------------------------


def test_the_last_good_checkpoint_is_kept(tmp_path):
    run = parts()
    calls = count(1)

    def loss(output, target):
        return tg.cross_entropy(output, target) * (np.nan if next(calls) > 2 * 8 + 2 else 1.0)

    with pytest.raises(NonFiniteError, match="epoch 3, batch 3 is nan") as caught:
        fit(**{**run, "loss": loss}, epochs=EPOCHS, checkpoint=tmp_path / "run.npz")
    assert "after epoch 2" in caught.value.__notes__[0]
    saved = load(tmp_path / "run.npz")
    assert saved["epoch"] == 2
    assert same(saved["state"]["modules"]["model"], uninterrupted(epochs=2)["model"])


# -- other files ----------------------------------------------------------------------------------


def other_model():
    return parts(hidden=9)


def other_generator():
    run = parts()
    run["model"][3].rng = np.random.Generator(np.random.MT19937(0))
    return run


def more_layers():
    run = parts()
    run["model"] = nn.Sequential(*run["model"], nn.Linear(2, 2))
    return run


def doubles():
    run = parts()
    run["model"].astype(np.float64)
    run["optimizer"] = optim.SGD(run["model"].parameters(), lr=0.1, momentum=0.9)
    run["scheduler"] = optim.StepLR(run["optimizer"], 2, 0.7)
    return run


def fewer_parameters():
    run = parts()
    run["optimizer"] = optim.SGD([run["model"][0].weight], lr=0.1, momentum=0.9)
    run["scheduler"] = optim.StepLR(run["optimizer"], 2, 0.7)
    return run


OTHERS = {
    "hidden": (other_model, r"model\.0\.weight is float32 of shape \(8, 4\) there, and float32 of shape \(9, 4\) here"),
    "dtype": (doubles, r"model\.0\.weight is float32 .* there, and float64"),
    "layers": (more_layers, r"model\.5\.weight is missing there"),
    "optimizer": (VARIANTS["adam"][0], r"the optimizer is SGD there, and AdamW here"),
    "trained": (fewer_parameters, r"parameter 1 of group 0 is float32 of shape \(8,\) there, and missing here"),
    "scheduler": (VARIANTS["plateau"][0], r"the scheduler is StepLR there, and ReduceLROnPlateau here"),
    "no scheduler": (lambda: {**parts(), "scheduler": None}, r"the scheduler is StepLR there, and none here"),
    "generator": (other_generator, r"model\.3\.rng is PCG64 there, and MT19937 here"),
    "function": (
        lambda: {**parts(), "model": parts()["model"].forward},
        r"the model is a Module there, and a function",
    ),
    "loader": (lambda: {**parts(), "loader": list(parts()["loader"])}, r"the state of the loader is saved there"),
}


@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.parametrize("other", OTHERS)
def test_the_checkpoint_of_another_run_is_refused_and_kept(tmp_path, other, resume):
    path = tmp_path / "run.npz"
    fit(**parts(), epochs=1, checkpoint=path)
    content = path.read_bytes()
    make, message = OTHERS[other]
    run = make()
    before = run["optimizer"].state_dict()
    with pytest.raises(StateError, match=message) as caught:
        fit(**run, epochs=2, checkpoint=path, resume=resume)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == content
    assert same(run["optimizer"].state_dict(), before)


@pytest.mark.parametrize("state", [{"weights": np.ones(3)}, [1], np.ones(2), {"kind": "something"}], ids=repr)
@pytest.mark.parametrize("resume", [True, False])
def test_what_is_no_checkpoint_is_never_overwritten(tmp_path, state, resume):
    path = tmp_path / "data.npz"
    save(path, state)
    with pytest.raises(StateError, match=r"data\.npz is no checkpoint of fit\(\)"):
        fit(**parts(), epochs=1, checkpoint=path, resume=resume)
    assert same(load(path), state)


def test_a_damaged_checkpoint(tmp_path):
    path = tmp_path / "run.npz"
    fit(**parts(), epochs=1, checkpoint=path)
    path.write_bytes(path.read_bytes()[:-100])
    content = path.read_bytes()
    with pytest.raises(SaveFileError, match=r"run\.npz cannot be loaded"):
        fit(**parts(), epochs=2, checkpoint=path)
    assert path.read_bytes() == content


def test_anew(tmp_path):
    path = tmp_path / "run.npz"
    fit(**parts(seed=5), epochs=3, checkpoint=path)
    run = parts()
    history = fit(**run, epochs=EPOCHS, checkpoint=path, resume=False)
    assert same(result(run, history), uninterrupted())
    assert load(path)["epoch"] == EPOCHS


def test_a_path_that_cannot_be_written_is_found_before_training(tmp_path):
    calls = []
    for path in (tmp_path / "run.pt", tmp_path):
        with pytest.raises(SaveFileError):
            fit(**{**parts(), "loss": lambda *arguments: calls.append(1)}, epochs=1, checkpoint=path)
    assert calls == []


def test_it_says_where_it_goes_on_from(tmp_path, capsys):
    run = {**parts(), "progress": True}
    fit(**run, epochs=1, checkpoint=tmp_path / "run.npz")
    capsys.readouterr()
    fit(**run, epochs=2, checkpoint=tmp_path / "run.npz")
    assert f"Going on from {tmp_path / 'run.npz'}, after epoch 1.\nepoch 2/2  loss" in capsys.readouterr().out


def test_a_callback_that_changes_the_folder(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    fit(**parts(), epochs=2, checkpoint="run.npz", callback=lambda history: os.chdir(tmp_path / "elsewhere"))
    assert load(tmp_path / "run.npz")["epoch"] == 2
    assert os.listdir(tmp_path / "elsewhere") == []


@pytest.mark.parametrize("resume", [True, False])
def test_a_damaged_checkpoint_stays_and_the_way_out_is_said(tmp_path, resume):
    path = tmp_path / "run.npz"
    path.write_bytes(b"no archive")
    w = tg.Tensor(0.0, requires_grad=True)
    batches = [(np.ones(2), np.ones(2))]
    with pytest.raises(SaveFileError) as caught:
        fit(lambda x: w * x, batches, tg.mse, optim.SGD([w], lr=0.1), epochs=1, checkpoint=path, resume=resume)
    assert any("To start anew, delete" in note for note in caught.value.__notes__)
    assert path.read_bytes() == b"no archive"
