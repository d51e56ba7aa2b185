"""L-BFGS: PyTorch's trajectory, and the minima it is made for."""

import numpy as np
import pytest
from torch_values import torch_values

import tinygrad_np as tg
from tinygrad_np import optim


def bowl(size=6):
    """A symmetric matrix of condition about 30, and a slope."""
    rng = np.random.default_rng(3)
    turn, _ = np.linalg.qr(rng.normal(size=(size, size)))
    return (turn * np.linspace(1, 30, size)) @ turn.T, rng.normal(size=size)


def quadratic(w, dtype):
    A, b = (array.astype(dtype) for array in bowl())
    return lambda make: (w @ (make(A) @ w)) / 2 - w @ make(b)


def rosenbrock(w, dtype):
    return lambda make: ((1 - w[:-1]) ** 2 + 100 * (w[1:] - w[:-1] ** 2) ** 2).sum()


def quartic(w, dtype):
    return lambda make: ((w - 3) ** 4).sum() + (w[0] * w[1]) ** 2 + w.sum() ** 2


def wavy(w, dtype):
    return lambda make: (0.05 * w**2).sum() + ((w - 2 * (w / 2) ** 3 / 3) ** 2 * (w - 3) ** 2).sum() / 50


def slope(w, dtype):
    return lambda make: 0.2 * w.sum() + 0.01 * (w**2).sum()


PROBLEMS = {
    "quadratic": (quadratic, np.arange(6.0) / 3),
    "rosenbrock": (rosenbrock, np.array([-1.2, 1.0, 0.5, 1.5])),
    "quartic": (quartic, np.array([1.0, -2.0, 0.3])),
    "wavy": (wavy, np.array([2.2, -1.7, 0.4, 3.3])),
    "slope": (slope, np.array([1.0, -2.0, 0.3])),
}
CASES = {
    "quadratic fixed": ("quadratic", {"lr": 0.5, "max_iter": 4}, 8),
    "quadratic short history": ("quadratic", {"lr": 0.3, "max_iter": 5, "history_size": 2}, 8),
    "quadratic search": ("quadratic", {"max_iter": 3, "line_search_fn": "strong_wolfe"}, 5),
    "rosenbrock search": ("rosenbrock", {"max_iter": 5, "line_search_fn": "strong_wolfe"}, 10),
    "rosenbrock small rate": ("rosenbrock", {"lr": 0.01, "max_iter": 6, "line_search_fn": "strong_wolfe"}, 6),
    "rosenbrock few evaluations": (
        "rosenbrock",
        {"lr": 4.0, "max_iter": 8, "max_eval": 9, "history_size": 3, "line_search_fn": "strong_wolfe"},
        8,
    ),
    "rosenbrock fixed": ("rosenbrock", {"lr": 0.02, "max_iter": 10}, 10),
    "quartic search": ("quartic", {"lr": 3.0, "max_iter": 4, "line_search_fn": "strong_wolfe"}, 8),
    "wavy search": ("wavy", {"lr": 1.0, "max_iter": 3, "line_search_fn": "strong_wolfe"}, 8),
    "wavy far": ("wavy", {"lr": 30.0, "max_iter": 5, "line_search_fn": "strong_wolfe"}, 8),
    "wavy near": ("wavy", {"lr": 0.001, "max_iter": 5, "line_search_fn": "strong_wolfe"}, 8),
    "slope stops early": ("slope", {"lr": 0.06, "max_iter": 10, "tolerance_change": 1e-2}, 3),
    "quartic stops early": ("quartic", {"max_iter": 50, "tolerance_grad": 0.5, "tolerance_change": 1e-2, "lr": 0.1}, 3),
}


def run(w, optimizer, loss, make, read, steps, made):
    """After every step the parameters, the loss that it returned, the number of evaluations, and what `made` gives."""
    calls, counts = [], []

    def closure():
        optimizer.zero_grad()
        value = loss(make)
        value.backward()
        calls.append(1)
        return value

    shown, losses = [], []
    for _ in range(steps):
        losses.append(float(read(optimizer.step(closure))))
        shown.append(read(w).copy())
        counts.append(made(optimizer))
    return [np.array(shown), np.array(losses), np.array(len(calls)), np.array(counts)]


@pytest.mark.parametrize(
    ("case", "dtype", "tolerance"),
    [(case, np.float64, 1e-9) for case in CASES]
    + [(case, np.float32, 2e-6) for case in ("quadratic search", "rosenbrock fixed", "quartic stops early")],
)
def test_steps_are_those_of_pytorch(case, dtype, tolerance):
    problem, options, steps = CASES[case]
    function, start = PROBLEMS[problem]

    def with_torch(torch):
        w = torch.tensor(start.astype(dtype), requires_grad=True)
        optimizer = torch.optim.LBFGS([w], **options)
        made = lambda optimizer: [optimizer.state[w]["n_iter"], optimizer.state[w]["func_evals"]]
        return run(w, optimizer, function(w, dtype), torch.tensor, lambda t: t.detach().numpy(), steps, made)

    wanted, wanted_losses, wanted_calls, wanted_counts = torch_values("lbfgs", f"{case} {dtype.__name__}", with_torch)
    w = tg.Tensor(start.astype(dtype), requires_grad=True)
    array, optimizer = w.data, optim.LBFGS([w], **options)
    loss = function(w, dtype)
    made = lambda optimizer: [optimizer.iterations, optimizer.evaluations]
    ours, losses, calls, counts = run(w, optimizer, loss, lambda a: a, lambda t: t.detach().data, steps, made)
    assert w.data is array
    np.testing.assert_allclose(ours, wanted, rtol=0, atol=tolerance * np.abs(wanted).max())
    np.testing.assert_allclose(losses, wanted_losses, rtol=tolerance * 10, atol=tolerance * np.abs(losses).max())
    if dtype is np.float64:
        assert calls == wanted_calls
        # PyTorch counts from the first step on.
        np.testing.assert_array_equal(np.cumsum(counts, axis=0), wanted_counts)


@pytest.mark.parametrize("layout", ["C", "F"])
def test_several_parameters_are_one_vector(layout):
    A, b = bowl()
    W = tg.Tensor(np.zeros((2, 2)), requires_grad=True)
    W.data = np.array(W.data, order=layout)
    v, unused = tg.Tensor(np.zeros(2), requires_grad=True), tg.Tensor([7.0], requires_grad=True)
    optimizer = optim.LBFGS(
        [W, v, unused], max_iter=60, line_search_fn="strong_wolfe", tolerance_grad=1e-10, tolerance_change=0.0
    )

    def closure():
        optimizer.zero_grad()
        w = tg.r_[W.ravel(), v]
        loss = w @ (A @ w) / 2 - w @ b
        loss.backward()
        return loss

    optimizer.step(closure)
    solution = np.linalg.solve(A, b)
    np.testing.assert_allclose(W.data.ravel(), solution[:4], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(v.data, solution[4:], rtol=1e-6, atol=1e-7)
    assert unused.data == [7.0]


def test_complex_parameters_are_pairs_of_numbers():
    z = tg.Tensor(np.array([1 + 1j, 2 - 3j]), requires_grad=True)
    optimizer = optim.LBFGS([z], line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = np.sum(np.abs(z - (3 - 1j)) ** 2 * np.array([1.0, 10.0]))
        loss.backward()
        return loss

    optimizer.step(closure)
    np.testing.assert_allclose(z.data, [3 - 1j, 3 - 1j], atol=1e-6)


def test_an_exception_in_the_closure_puts_the_parameters_back():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    optimizer = optim.LBFGS([w], line_search_fn="strong_wolfe")
    calls = []

    def closure():
        calls.append(w.data.copy())
        if len(calls) == 2:
            raise KeyboardInterrupt
        optimizer.zero_grad()
        loss = np.sum(w**2)
        loss.backward()
        return loss

    with pytest.raises(KeyboardInterrupt):
        optimizer.step(closure)
    assert not np.array_equal(calls[1], calls[0])
    np.testing.assert_array_equal(w.data, calls[0])


def test_at_a_minimum_nothing_moves():
    w = tg.Tensor([0.0], requires_grad=True)
    optimizer = optim.LBFGS([w])

    def closure():
        w.grad = tg.Tensor([0.0])
        return 1.5

    assert optimizer.step(closure) == 1.5
    assert w.data == [0.0]
    assert optimizer.state[w]["step"] == 0


# -- how it ended ---------------------------------------------------------------------------------


def minimised(loss, start, **options):
    w = tg.Tensor(start, requires_grad=True)
    optimizer = optim.LBFGS([w], **options)

    def closure():
        optimizer.zero_grad()
        value = loss(w)
        value.backward()
        return value

    assert optimizer.ended_by is None
    optimizer.step(closure)
    return w.data, optimizer


@pytest.mark.parametrize(
    ("options", "ended_by"),
    [
        ({"max_iter": 100, "tolerance_change": 0.0, "line_search_fn": "strong_wolfe"}, "tolerance_grad"),
        ({"max_iter": 100, "tolerance_grad": 0.0, "line_search_fn": "strong_wolfe"}, "tolerance_change"),
        ({"max_iter": 3, "max_eval": 99, "line_search_fn": "strong_wolfe"}, "max_iter"),
        ({"max_iter": 3, "max_eval": 99, "lr": 0.1}, "max_iter"),
        ({"max_iter": 50, "max_eval": 4, "lr": 0.1}, "max_eval"),
        ({"max_iter": 100, "tolerance_grad": 1e3}, "tolerance_grad"),  # at the start
        ({"max_iter": 100, "tolerance_change": 1e3}, "tolerance_change"),  # nothing falls that steeply
    ],
)
def test_it_says_what_ended_it(options, ended_by):
    A, b = bowl()
    w, optimizer = minimised(lambda w: w @ (A @ w) / 2 - w @ b, np.arange(6.0), **options)
    assert optimizer.ended_by == ended_by
    assert optimizer.iterations <= options["max_iter"]
    if ended_by == "max_iter":
        assert optimizer.iterations == options["max_iter"]
    if ended_by == "max_eval":
        assert optimizer.evaluations == options["max_eval"]
    if ended_by == "tolerance_grad":
        assert np.abs(A @ w - b).max() <= options.get("tolerance_grad", 1e-7)


def test_what_ended_the_last_step_is_forgotten_where_the_closure_raises():
    w = tg.Tensor([1.0], requires_grad=True)
    optimizer = optim.LBFGS([w])

    def closure():
        w.grad = tg.Tensor([0.0])
        return 1.5

    def fail():
        raise RuntimeError("in the loss")

    optimizer.step(closure)
    assert (optimizer.ended_by, optimizer.iterations, optimizer.evaluations) == ("tolerance_grad", 0, 1)
    with pytest.raises(RuntimeError, match="in the loss"):
        optimizer.step(fail)
    assert optimizer.ended_by is None


def test_curvatures_of_a_small_loss_count_where_they_are_asked_for():
    A, b = bowl()
    small = lambda w: (w @ (A @ w) / 2 - w @ b) * 1e-12
    options = {
        "max_iter": 60,
        "max_eval": 999,
        "tolerance_grad": 1e-18,
        "tolerance_change": 0.0,
        "line_search_fn": "strong_wolfe",
    }
    solution = np.linalg.solve(A, b)
    found, optimizer = minimised(small, np.zeros(6), tolerance_curvature=0.0, **options)
    np.testing.assert_allclose(found, solution, atol=1e-5)
    assert optimizer.ended_by == "tolerance_grad"
    found, optimizer = minimised(small, np.zeros(6), **options)
    assert np.abs(found - solution).max() > 1e-3
    assert optimizer.ended_by != "tolerance_grad"
