"""The example that is a scikit-learn estimator: its gradient, its minimum, its manners; also without scikit-learn."""

import importlib.util
import os
import re
import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

import tinygrad_np as tg

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "logistic_regression.py"
HAS_SKLEARN = importlib.util.find_spec("sklearn") is not None
needs_sklearn = pytest.mark.skipif(not HAS_SKLEARN, reason="scikit-learn is not installed")
PICTURES = {"logistic_regression_coefficients.png", "logistic_regression_training.png"}


def loaded(name="logistic_regression"):
    """The example as a module of this name; scikit-learn's checks pickle estimators, and look for them there."""
    if name in sys.modules:
        return sys.modules[name]
    sys.path.insert(0, str(ROOT / "examples"))
    try:
        spec = importlib.util.spec_from_file_location(name, EXAMPLE)
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(ROOT / "examples"))


@pytest.fixture(scope="module")
def example():
    return loaded()


@pytest.fixture
def without_sklearn(monkeypatch):
    """The example as it is where scikit-learn is not installed."""
    monkeypatch.setitem(sys.modules, "sklearn", None)
    for name in [name for name in sys.modules if name.startswith("sklearn.")]:
        monkeypatch.delitem(sys.modules, name)
    yield loaded("logistic_regression_alone")
    del sys.modules["logistic_regression_alone"]


def clouds(classes, seed=0, samples=120, features=4):
    """Samples around a centre for each class, near enough to each other that no line parts them."""
    random = np.random.default_rng(seed)
    y = random.integers(classes, size=samples)
    return random.normal(size=(classes, features))[y] + random.normal(size=(samples, features)), y


# -- the gradient -----------------------------------------------------------------------------------


def test_gradient_of_two_classes_is_the_textbooks(example):
    X, y = clouds(2)
    w, b, C, m = np.random.default_rng(1).normal(size=4), 0.3, 0.7, len(X)
    p = 1 / (1 + np.exp(-(X @ w + b)))
    dW, db = tg.grad(example.objective, argnums=(0, 1))(w[None], np.array([b]), X, y, C)
    np.testing.assert_allclose(dW[0], X.T @ (p - y) / m + w / (C * m), rtol=1e-12)
    np.testing.assert_allclose(db, [np.mean(p - y)], rtol=1e-12)


def test_loss_and_gradient_of_more_classes_are_the_textbooks(example):
    X, y = clouds(3)
    random, C, m = np.random.default_rng(1), 0.7, len(X)
    W, b = random.normal(size=(3, 4)), random.normal(size=3)
    p = np.exp(X @ W.T + b)
    p /= p.sum(axis=1, keepdims=True)
    expected = -np.mean(np.log(p[np.arange(m), y])) + np.sum(W**2) / (2 * C * m)
    assert float(example.objective(W, b, X, y, C)) == pytest.approx(expected, rel=1e-12)
    dW, db = tg.grad(example.objective, argnums=(0, 1))(W, b, X, y, C)
    np.testing.assert_allclose(dW, (p - np.eye(3)[y]).T @ X / m + W / (C * m), rtol=1e-11)
    np.testing.assert_allclose(db, (p - np.eye(3)[y]).mean(axis=0), rtol=1e-11)
    for ours, theirs in zip(example.textbook_gradient(W, b, X, y, C), (dW, db), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-11)


# -- the minimum ------------------------------------------------------------------------------------


def by_newton(X, y, C, intercept=True):
    """The coefficients of two classes, by Newton's method (iteratively reweighted least squares)."""
    A = np.column_stack([X, np.ones(len(X))]) if intercept else X
    penalty = np.diag([1 / C] * X.shape[1] + [0] * intercept)
    w = np.zeros(A.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-A @ w))
        w -= np.linalg.solve((A.T * p * (1 - p)) @ A + penalty, A.T @ (p - y) + penalty @ w)
    return w


@pytest.mark.parametrize("C", [0.05, 1.0, 20.0])
@pytest.mark.parametrize("intercept", [True, False])
def test_minimum_of_two_classes_is_that_of_newton(C, intercept, example):
    X, y = clouds(2)
    model = example.LogisticRegression(C=C, tol=1e-8, fit_intercept=intercept).fit(X, y)
    expected = by_newton(X, y, C, intercept)
    np.testing.assert_allclose(model.coef_, expected[None, :4], atol=1e-6)
    np.testing.assert_allclose(model.intercept_, expected[4:] if intercept else [0], atol=1e-6)
    assert model.loss_curve_[-1] <= min(model.loss_curve_) + 1e-12


@pytest.mark.parametrize("classes", [2, 3])
def test_adam_finds_the_minimum_too(classes, example):
    X, y = clouds(classes)
    best = example.LogisticRegression(tol=1e-8).fit(X, y)
    # More iterations than it needs: the rate falls with them.
    found = example.LogisticRegression(solver="adam", max_iter=3000, tol=1e-5).fit(X, y)
    np.testing.assert_allclose(found.coef_, best.coef_, atol=2e-3)
    np.testing.assert_allclose(found.intercept_, best.intercept_, atol=2e-3)
    assert 1 < found.n_iter_ < 3000


def test_too_few_iterations_are_said(example):
    X, y = clouds(3)
    for solver in ("lbfgs", "adam"):
        with pytest.warns(example.ConvergenceWarning, match=f"{solver} ended .*max_iter"):
            model = example.LogisticRegression(solver=solver, max_iter=3).fit(X, y)
        assert model.n_iter_ == 3


def test_probabilities_and_predictions(example):
    for classes, names in ((2, ["no", "yes"]), (3, ["a", "b", "c"])):
        X, y = clouds(classes)
        names = np.array(names)
        model = example.LogisticRegression().fit(X, names[y])
        p = model.predict_proba(X)
        assert model.classes_.tolist() == names.tolist()
        np.testing.assert_allclose(p.sum(axis=1), 1)
        assert (model.predict(X) == names[p.argmax(axis=1)]).all()
        assert model.score(X, names[y]) == np.mean(p.argmax(axis=1) == y)
        # The gradient of the intercepts is zero at the minimum: as often as they are, classes are expected.
        np.testing.assert_allclose(p.mean(axis=0), np.bincount(y) / len(y), atol=1e-5)


@pytest.mark.parametrize(
    ("options", "y", "said"),
    [({"C": 0}, [0, 1], "C is above 0"), ({"solver": "sag"}, [0, 1], "solver='sag'"), ({}, [1, 1], "one class only")],
)
def test_refuses_what_it_cannot_fit(options, y, said, example):
    with pytest.raises(ValueError, match=said):
        example.LogisticRegression(**options).fit(np.eye(2), np.array(y))


# -- without scikit-learn ---------------------------------------------------------------------------


def test_without_sklearn_it_is_an_estimator_too(without_sklearn):
    X, y = clouds(2)
    model = without_sklearn.LogisticRegression(C=0.5, tol=1e-8)
    assert not any(name.startswith("sklearn") for cls in type(model).__mro__ for name in [cls.__module__])
    assert model.get_params()["C"] == 0.5
    assert model.set_params(C=2.0) is model
    with pytest.raises(ValueError, match="no parameter gamma"):
        model.set_params(gamma=1)
    with pytest.raises(ValueError, match="not fitted"):
        model.predict(X)
    np.testing.assert_allclose(model.fit(X, y).coef_, by_newton(X, y, 2.0)[None, :4], atol=1e-6)
    assert model.score(X, y) > 0.7
    for wrong, said in ((X[:, :3], "3 features"), (X[0], "shape"), (X * np.nan, "finite")):
        with pytest.raises(ValueError, match=said):
            model.predict(wrong)
    with pytest.raises(ValueError, match="one class for each sample"):
        model.fit(X, np.eye(2)[y])
    with pytest.raises(ValueError, match="y as long"):
        model.fit(X, y[:-1])


def test_without_sklearn_the_lesson_says_what_is_missing(without_sklearn, capsys):
    without_sklearn.show_sklearn(*clouds(2))
    assert "pip install scikit-learn" in capsys.readouterr().out


# -- among scikit-learn's estimators ------------------------------------------------------------------


def checks():
    if not HAS_SKLEARN:
        return []
    generate = import_module("sklearn.utils.estimator_checks").estimator_checks_generator
    module = loaded()
    estimators = [module.LogisticRegression(), module.LogisticRegression(solver="adam")]
    return [(estimator, check) for each in estimators for estimator, check in generate(each)]


def name_of(value):
    return getattr(getattr(value, "func", value), "__name__", None)


# All of them: nothing is expected to fail.  Those that need pandas or array-API mode skip themselves without.
@needs_sklearn
@pytest.mark.parametrize(("estimator", "check"), checks(), ids=lambda value: name_of(value) or value.solver)
def test_every_check_of_sklearn(estimator, check):
    with warnings.catch_warnings():
        # The checks allow few iterations, and use their own functions on their way out.
        warnings.simplefilter("ignore")
        check(estimator)


@needs_sklearn
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("C", [0.1, 10.0])
def test_coefficients_are_those_of_sklearn(classes, C, example):
    theirs = import_module("sklearn.linear_model").LogisticRegression
    X, y = clouds(classes)
    ours = example.LogisticRegression(C=C, tol=1e-8).fit(X, y)
    expected = theirs(C=C, solver="newton-cg", tol=1e-12).fit(X, y)
    np.testing.assert_allclose(ours.coef_, expected.coef_, atol=1e-6)
    np.testing.assert_allclose(ours.intercept_, expected.intercept_, atol=1e-6)
    np.testing.assert_allclose(ours.predict_proba(X), expected.predict_proba(X), atol=1e-6)
    assert ours.coef_.shape == expected.coef_.shape


@needs_sklearn
def test_stands_in_a_pipeline_and_a_grid_search(example):
    theirs = import_module("sklearn.linear_model").LogisticRegression
    selection = import_module("sklearn.model_selection")
    make_pipeline = import_module("sklearn.pipeline").make_pipeline
    scale = import_module("sklearn.preprocessing").StandardScaler
    X, y = clouds(3)
    X = X * [1, 10, 100, 1000] + 5
    found = []
    for estimator in (example.LogisticRegression(tol=1e-8), theirs(tol=1e-8)):
        grid = {"logisticregression__C": [1e-3, 1e-1, 10.0]}
        found.append(selection.GridSearchCV(make_pipeline(scale(), estimator), grid, cv=4).fit(X, y))
    ours, sklearn = found
    assert ours.best_params_ == sklearn.best_params_
    np.testing.assert_allclose(ours.cv_results_["mean_test_score"], sklearn.cv_results_["mean_test_score"])
    assert (ours.predict(X) == sklearn.predict(X)).all()


# -- the lesson -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """What `--quick` printed, and where it put its pictures."""
    out = tmp_path_factory.mktemp("logistic_regression")
    command = [sys.executable, "-W", "error", str(EXAMPLE), "--quick", "--out", str(out)]
    environment = {**os.environ, "PYTHONPATH": str(Path(tg.__file__).parent.parent)}
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout, out


def test_writes_its_pictures(quick):
    _, out = quick
    assert {path.name for path in out.iterdir()} == PICTURES
    for path in out.iterdir():
        pixels = matplotlib.image.imread(path)
        assert min(pixels.shape[:2]) > 200
        assert pixels[..., :3].std() > 0.02


def test_lesson_agrees_with_the_textbook_and_reads_digits(quick):
    text, _ = quick
    digits = re.findall(r"^    [Wb], (?:2|10) +\([\d, ]+\) +ok +agrees to ([\d.]+) digits", text, re.MULTILINE)
    assert len(digits) == 4
    assert min(map(float, digits)) > 12
    rows = re.findall(r"^    (lbfgs|adam) +(\d+) +(\d+) +([\d.]+) +([\d.]+)% +([\d.]+)%$", text, re.MULTILINE)
    (_, iterations, _, least, _, on_test), (_, _, _, by_adam, _, adam_on_test) = rows
    assert int(iterations) < 200
    assert 0 <= float(by_adam) - float(least) < 0.05
    assert min(float(on_test), float(adam_on_test)) > 80


@needs_sklearn
def test_lesson_agrees_with_sklearn(quick):
    differences = re.findall(r"differs from scikit-learn's by at most (\S+)", quick[0])
    assert len(differences) == 2
    assert max(map(float, differences)) < 2e-6
    assert len(re.findall(r"in cross-validation", quick[0])) == 4
    assert quick[0].count("chosen") == 1
