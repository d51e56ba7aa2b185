"""The examples that work with SciPy: their derivatives against closed formulas, their fits against the truth."""

import re

import numpy as np
import pytest
from tensors import equal

import tinygrad_np as tg
from tinygrad_np.testing import numeric_grad

optimize = pytest.importorskip("scipy.optimize")
integrate = pytest.importorskip("scipy.integrate")
PICTURES = {
    "curve_fit": {"curve_fit.png"},
    "rosenbrock": {"rosenbrock_paths.png", "rosenbrock_descent.png"},
    "ode": {"ode_fit.png", "ode_sensitivity.png", "ode_orbits.png"},
}


@pytest.mark.parametrize("name", PICTURES)
def test_writes_its_pictures(name, quick):
    text, out = quick(name)
    assert {path.name for path in out.iterdir()} == PICTURES[name]
    # Agreement is printed in digits; the fewest are those of a solver of order 4 with 4 steps a year.
    digits = [float(found) for found in re.findall(r"agrees? to ([\d.]+) digits", text)]
    assert len(digits) >= 2
    assert min(digits) > 4


# -- Rosenbrock -----------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 5])
def test_rosenbrock_derivatives_are_the_closed_formulas(n, example):
    lesson = example("rosenbrock")
    x, v = np.random.default_rng(n).normal(size=(2, n))
    equal(lesson.gradient(x), optimize.rosen_der(x))
    equal(lesson.hessian(x), optimize.rosen_hess(x))
    equal(lesson.product(x, v), optimize.rosen_hess_prod(x, v))


def test_every_method_finds_the_minimum(example):
    lesson = example("rosenbrock")
    for title in lesson.METHODS:
        found, path = lesson.minimise(title, np.array([-1.2, 1.0]))
        np.testing.assert_allclose(found.x, 1, atol=1e-4, err_msg=title)
        assert len(path) == found.nit + 1


# -- the two peaks ----------------------------------------------------------------------------------


def test_fit_and_standard_errors_are_those_of_scipy_without_derivatives(example):
    lesson = example("curve_fit")
    wavelength, data = lesson.measured()
    model = lambda w, *x: lesson.intensity(lesson.unflat(np.array(x)), w)
    residuals = lambda x: lesson.intensity(lesson.unflat(x), wavelength) - data
    best, covariance = optimize.curve_fit(model, wavelength, data, lesson.flat(lesson.GUESS))
    found = optimize.least_squares(residuals, lesson.flat(lesson.GUESS), jac=tg.jacobian(residuals)).x
    np.testing.assert_allclose(found, best, rtol=1e-4)
    np.testing.assert_allclose(lesson.errors_of(found, residuals)[0], np.sqrt(np.diag(covariance)), rtol=1e-3)


def test_exact_derivatives_spare_calls_of_the_model(quick):
    rows = re.findall(
        r"(minimize|least_squares)\D*,? (?:values only|jac=\S+) +(\d+) +(\d+) +([\d.]+)", quick("curve_fit")[0]
    )
    assert len(rows) == 4
    without_bfgs, with_bfgs, without_squares, with_squares = [int(calls) for _, calls, _, _ in rows]
    assert with_bfgs * 4 < without_bfgs
    assert with_squares * 4 < without_squares
    assert len({loss[:8] for *_, loss in rows}) == 1


# -- hares and lynxes -------------------------------------------------------------------------------


def test_sensitivities_are_the_variational_equations(example):
    lesson = example("ode")
    both = lesson.solve_variational(lesson.RATES, lesson.START).y[2:, -1].reshape(2, 6)
    np.testing.assert_allclose(lesson.sensitivities(8), both, rtol=1e-3)


def test_solver_is_the_one_of_scipy(example):
    lesson = example("ode")
    solved = integrate.solve_ivp(lesson.change, (0, 5), lesson.START, "BDF", args=(lesson.RATES,), rtol=1e-9, atol=1e-9,
                                 jac=tg.jacobian(lesson.change, 1))  # fmt: skip
    np.testing.assert_allclose(lesson.at_the_end(lesson.START, lesson.RATES, 50, 5), solved.y[:, -1], rtol=1e-5)


@pytest.mark.parametrize("block", [1, 3, 6])
def test_checkpoints_give_the_same_gradient_from_a_shorter_tape(block, example):
    lesson = example("ode")
    loss = lambda rates: np.sum(lesson.in_blocks(lesson.START, rates, 0.1, 12, block))
    kept = lambda rates: np.sum(lesson.advance(lesson.START, rates, 0.1, 12))
    np.testing.assert_allclose(tg.grad(loss)(lesson.RATES), numeric_grad(kept, lesson.RATES), rtol=1e-6)
    rates = tg.Tensor(lesson.RATES, requires_grad=True)
    assert len(tg.tape(loss(rates))) * 10 < len(tg.tape(kept(rates)))


def test_rates_are_found_again(example, capsys):
    lesson = example("ode")
    _, found = lesson.fit(lesson.counts(), per_year=4)
    assert "Jacobians" in capsys.readouterr().out
    # The counts are 10 % off: four standard errors of at most 4 %.
    np.testing.assert_allclose(found, [*lesson.RATES, *lesson.START], rtol=0.16)
