"""What fit() refuses, before or in the first epoch, and with which words."""

import numpy as np
import pytest
from training_run import line, linear_model

import tinygrad_np as tg
from tinygrad_np import nn, optim
from tinygrad_np.training import accuracy, fit, train_epoch

OTHER = optim.SGD([tg.Tensor(1.0, requires_grad=True)])
REFUSED = [
    ({"epochs": 1.5}, TypeError, "epochs=1.5"),
    ({"epochs": -1}, ValueError, "epochs=-1"),
    ({"scheduler_every": "step"}, ValueError, "scheduler_every='step'"),
    ({"optimizer": optim.StepLR(OTHER, 1)}, TypeError, "optimizer is a StepLR.*scheduler="),
    ({"optimizer": optim.SGD}, TypeError, "the class SGD"),
    ({"optimizer": tg.mse, "loss": OTHER}, TypeError, "the function mse.*The order is"),
    ({"optimizer": optim.LBFGS([tg.Tensor(1.0, requires_grad=True)])}, TypeError, r"step\(closure\)"),
    ({"model": nn.Linear(1, 1)}, ValueError, "none of the 2 parameters"),
    ({"loss": nn.MSELoss}, TypeError, r"the class MSELoss.*Give MSELoss\(\.\.\.\)"),
    ({"loss": "mse"}, TypeError, "the loss is 'mse'"),
    ({"scheduler": optim.StepLR}, TypeError, "the class StepLR"),
    ({"scheduler": optim.StepLR(OTHER, 1)}, ValueError, "another optimizer"),
    ({"validation": iter([1])}, ValueError, "the validation is a list_iterator.*after the first of 2 epochs"),
    ({"callback": 3}, TypeError, "the callback is 3"),
    ({"metrics": accuracy}, TypeError, "no names"),
    ({"metrics": {"x": "accuracy"}}, TypeError, "'x' is 'accuracy'"),
    ({"metrics": {"x": lambda o, t: o == t}}, TypeError, r"'x' returned an array of shape \(\d+.*one number"),
    ({"metrics": {"x": lambda o, t: None}}, TypeError, "'x' returned None"),
    ({"metrics": {"lr": accuracy}}, ValueError, "'lr'"),
    ({"metrics": {"val_x": accuracy}}, ValueError, "'val_x'"),
    ({"early_stopping": 3}, ValueError, "'val_loss'.*validation="),
    ({"loader": []}, ValueError, "no batches"),
    ({"loader": [np.ones(3)]}, TypeError, "a batch is a ndarray.*DataLoader"),
    ({"loader": [(np.ones(3),)]}, TypeError, r"1 array\(s\)"),
    ({"loss": lambda output, target: 3.0}, TypeError, r"requires_grad=True.*\.item\(\)"),
    ({"loss": lambda output, target: (output - target) ** 2}, Exception, "one number"),
    ({"clip_norm": -1.0}, ValueError, "max_norm=-1"),
    ({"progress": -2}, ValueError, "progress=-2"),
    ({"progress": "all"}, ValueError, "progress='all'"),
]


@pytest.mark.parametrize(("options", "kind", "message"), REFUSED, ids=[message for _, _, message in REFUSED])
def test_what_is_refused(options, kind, message):
    x, y = line()
    model, w, b = linear_model()
    usual = {"model": model, "loader": [(x, y)], "loss": tg.mse, "optimizer": optim.SGD([w, b]), "epochs": 2}
    with pytest.raises(kind, match=message):
        fit(**{**usual, "progress": False, **options})


def test_an_iterator_that_is_used_up():
    x, y = line()
    model, w, b = linear_model()
    with pytest.raises(ValueError, match=r"no batches.*used up"):
        fit(model, iter([(x, y)]), tg.mse, optim.SGD([w, b]), epochs=2, progress=False)


def test_an_iterator_is_enough_for_one_epoch():
    model, w, b = linear_model()
    history = fit(model, iter([line()]), tg.mse, optim.SGD([w, b]), epochs=np.int64(1), progress=False)
    assert len(history) == 1


def test_the_loop_refuses_a_scheduler_for_an_optimizer_too():
    model, _, _ = linear_model()
    with pytest.raises(TypeError, match="optimizer is a StepLR"):
        train_epoch(model, [line()], tg.mse, optim.StepLR(OTHER, 1))


def test_something_else_is_trained_through_a_frozen_model():
    model, shift = nn.Linear(1, 1, rng=0, dtype=float), tg.Tensor(0.0, requires_grad=True)
    for parameter in model.parameters():
        parameter.requires_grad = False
    x = np.ones((4, 1))
    fit(nn.Sequential(lambda x: x + shift, model), [(x, model(x) + 1)], tg.mse, optim.SGD([shift], lr=0.1), epochs=1,
        progress=False)  # fmt: skip
    assert shift.data != 0.0
