"""Logistic regression as a scikit-learn estimator, its gradient by autograd and its minimum by L-BFGS.

`LogisticRegression` below stands in pipelines and grid searches like any other estimator, and works without
scikit-learn too.  The lesson fits it to the digits, and shows what it looks for in each of them.

    python examples/logistic_regression.py            20,000 digits: a minute and a half
    python examples/logistic_regression.py --quick    1,000 digits: a few seconds
"""

from __future__ import annotations

import inspect
import warnings

import lesson
import numpy as np
from matplotlib.figure import Figure

import tinygrad_np as tg
from tinygrad_np import optim

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ModuleNotFoundError:
    # What is used of it, for those who do not have it.
    class BaseEstimator:
        """Parameters are the arguments of `__init__`, kept as they were given."""

        def get_params(self, deep=True):
            """All of them by name."""
            return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

        def set_params(self, **params):
            """Change some of them."""
            if unknown := params.keys() - self.get_params().keys():
                raise ValueError(f"{type(self).__name__} has no parameter {', '.join(sorted(unknown))}.")
            vars(self).update(params)
            return self

    class ClassifierMixin:
        """A score for classifiers."""

        def score(self, X, y):
            """The share of samples whose class is predicted."""
            return float(np.mean(self.predict(X) == y))

    class ConvergenceWarning(UserWarning):
        """Iterations ended before the minimum."""

    def check_classification_targets(y):
        if y.ndim != 1:
            raise ValueError(f"y is one class for each sample, and has shape {y.shape}.")

    def check_is_fitted(estimator):
        if not hasattr(estimator, "coef_"):
            raise ValueError(f"this {type(estimator).__name__} is not fitted yet: call fit(X, y) first.")

    def validate_data(estimator, X, y=None, *, dtype, reset=True):
        X = np.asarray(X, dtype)
        if X.ndim != 2 or not np.isfinite(X).all() or (y is not None and len(y) != len(X)):
            raise ValueError(f"X is (samples, features) of finite numbers, y as long, and X has shape {X.shape}.")
        if reset:
            estimator.n_features_in_ = X.shape[1]
        elif X.shape[1] != estimator.n_features_in_:
            raise ValueError(f"X has {X.shape[1]} features, and fit(X, y) had {estimator.n_features_in_}.")
        return X if y is None else (X, np.asarray(y))


# -- the loss, and its gradient in textbooks --------------------------------------------------------


def objective(W, b, X, y, C):
    """The mean cross-entropy, plus |W|² / (2 C m): m times C of it is what scikit-learn minimises.

    W is (classes, features) and b (classes,); of two classes there is one row, the score of the second.
    """
    scores = X @ W.T + b
    if len(W) == 1:
        mean = tg.binary_cross_entropy_with_logits(scores[:, 0], y.astype(X.dtype))
    else:
        mean = tg.cross_entropy(scores, y)
    return mean + np.sum(W**2) / (2 * C * len(X))


def textbook_gradient(W, b, X, y, C):
    """Written by hand: (p - y)ᵀ X / m + W / (C m), and the mean of p - y."""
    scores = X @ W.T + b
    if len(W) == 1:
        error = 1 / (1 + np.exp(-scores)) - y[:, None]
    else:
        p = np.exp(scores - scores.max(axis=1, keepdims=True))
        error = p / p.sum(axis=1, keepdims=True) - (y[:, None] == np.arange(len(W)))
    return error.T @ X / len(X) + W / (C * len(X)), error.mean(axis=0)


# -- the estimator ------------------------------------------------------------------------------------


class LogisticRegression(ClassifierMixin, BaseEstimator):
    """Logistic regression with an L2 penalty, of two classes or (softmax) of more.

    Parameters
    ----------
    C : float
        The smaller, the stronger the penalty |W|² / (2 C m) on the mean loss; there is none on the intercept.
    solver : "lbfgs" or "adam"
        How the loss is minimised: both look at all samples in each iteration.
    max_iter, tol : int, float
        Stop after so many iterations, or when no entry of the gradient of the mean loss exceeds `tol`.
    fit_intercept : bool
    learning_rate : float
        Of Adam; L-BFGS finds the lengths of its steps.

    Attributes
    ----------
    classes_, coef_, intercept_, n_iter_, n_features_in_
        As of sklearn.linear_model.LogisticRegression.
    loss_curve_
        The loss at each evaluation.
    """

    def __init__(self, C=1.0, *, solver="lbfgs", max_iter=1000, tol=1e-6, fit_intercept=True, learning_rate=0.02):
        self.C = C
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.fit_intercept = fit_intercept
        self.learning_rate = learning_rate

    def fit(self, X, y):
        """Minimise the loss on X (samples, features) and their classes y (samples,); returns the estimator."""
        if not self.C > 0 or self.solver not in ("lbfgs", "adam"):
            raise ValueError(f"C={self.C!r}, solver={self.solver!r}: C is above 0, and solver 'lbfgs' or 'adam'.")
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_, y = np.unique(y, return_inverse=True)
        classes = len(self.classes_)
        if classes < 2:
            raise ValueError(f"y has one class only, {self.classes_[0]!r}: there is nothing to tell apart.")
        rows = 1 if classes == 2 else classes
        W = tg.Tensor(np.zeros((rows, X.shape[1])), requires_grad=True)
        b = tg.Tensor(np.zeros(rows), requires_grad=self.fit_intercept)
        parameters = [W, b] if self.fit_intercept else [W]
        self.loss_curve_ = []

        def loss_and_gradient():
            for parameter in parameters:
                parameter.grad = None
            # The sum over the samples: LBFGS forgets steps over which the loss is nearly straight (a curvature of
            # 1e-10), and near the minimum those of the mean are.
            loss = len(X) * objective(W, b, X, y, self.C)
            loss.backward()
            self.loss_curve_.append(loss.item() / len(X))
            return loss

        minimise = self._by_lbfgs if self.solver == "lbfgs" else self._by_adam
        self.n_iter_ = minimise(parameters, loss_and_gradient, self.tol * len(X))
        # The same number more for every class changes no softmax: take the intercepts whose sum is 0.
        self.coef_, self.intercept_ = W.data, b.data - (b.data.mean() if rows > 1 else 0)
        return self

    def _by_lbfgs(self, parameters, loss_and_gradient, tol) -> int:
        optimizer = optim.LBFGS(
            parameters, max_iter=self.max_iter, max_eval=20 * self.max_iter, tolerance_grad=tol,
            tolerance_change=1e-16, history_size=30, line_search_fn="strong_wolfe",
        )  # fmt: skip
        optimizer.step(loss_and_gradient)
        loss_and_gradient()
        self._warn_unless_flat(parameters, tol)
        return max(1, optimizer.iterations)

    def _by_adam(self, parameters, loss_and_gradient, tol) -> int:
        optimizer = optim.Adam(parameters, lr=self.learning_rate)
        # Steps of one length never settle; towards 0 they do.
        scheduler = optim.CosineAnnealingLR(optimizer, T_max=self.max_iter)
        for iteration in range(1, self.max_iter + 1):
            loss_and_gradient()
            if self._steepest(parameters) <= tol:
                return iteration
            optimizer.step()
            scheduler.step()
        loss_and_gradient()
        self._warn_unless_flat(parameters, tol)
        return self.max_iter

    def _steepest(self, parameters) -> float:
        return max(np.abs(parameter.grad.data).max() for parameter in parameters)

    def _warn_unless_flat(self, parameters, tol) -> None:
        if (steepest := self._steepest(parameters)) > tol:
            times = f"{self.solver} ended with a gradient {steepest / tol:.1g} times as large as tol allows."
            advice = "Scale the features (StandardScaler), or give it more iterations (max_iter)."
            warnings.warn(f"{times}  {advice}", ConvergenceWarning, stacklevel=4)

    def decision_function(self, X):
        """The scores: (samples,) for two classes, else (samples, classes)."""
        check_is_fitted(self)
        scores = validate_data(self, X, dtype=np.float64, reset=False) @ self.coef_.T + self.intercept_
        return scores[:, 0] if len(self.classes_) == 2 else scores

    def predict_proba(self, X):
        """The probability of each class, (samples, classes)."""
        scores = self.decision_function(X)
        if scores.ndim == 1:
            scores = np.stack([np.zeros_like(scores), scores], axis=1)
        return tg.softmax(scores, axis=1)

    def predict(self, X):
        """The most probable class of each sample."""
        scores = self.decision_function(X)
        return self.classes_[(scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)]


# -- the lesson -----------------------------------------------------------------------------------------


def check_gradients(X, y) -> None:
    """Autograd's gradient, the textbook's and numeric ones, of two and of ten classes."""
    random = np.random.default_rng(0)
    for classes in (2, 10):
        some = y < classes
        X_some, y_some, rows = X[some][:200], y[some][:200], 1 if classes == 2 else classes
        W, b = random.normal(0, 0.1, (rows, X.shape[1])), random.normal(0, 0.1, rows)
        auto = tg.grad(objective, argnums=(0, 1))(W, b, X_some, y_some, 2.0)
        hand = textbook_gradient(W, b, X_some, y_some, 2.0)
        lesson.compare(*({"W": dW, "b": db} for dW, db in (hand, auto)), {"W": f"W, {classes}", "b": f"b, {classes}"})


def show_sklearn(X, y) -> None:
    """The coefficients against scikit-learn's, and a pipeline whose C is found by a grid search."""
    try:
        from sklearn import linear_model
        from sklearn.model_selection import GridSearchCV
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    except ModuleNotFoundError:
        print("scikit-learn is not installed here: `pip install scikit-learn` shows this part.")
        return
    Z = StandardScaler().fit_transform(X)
    ours = LogisticRegression(C=0.01, tol=1e-8).fit(Z, y)
    theirs = linear_model.LogisticRegression(C=0.01, solver="newton-cg", tol=1e-10).fit(Z, y)
    for name in ("coef_", "intercept_"):
        error = np.abs(getattr(ours, name) - getattr(theirs, name)).max()
        print(f"    {name:<12}{getattr(ours, name).shape!s:<10}differs from scikit-learn's by at most {error:.1e}")
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-4))
    search = GridSearchCV(pipeline, {"logisticregression__C": [1e-3, 1e-2, 1e-1, 1.0]}, cv=3).fit(X, y)
    for C, score in zip(search.param_grid["logisticregression__C"], search.cv_results_["mean_test_score"], strict=True):
        best = "   chosen" if search.best_params_ == {"logisticregression__C": C} else ""
        print(f"    C = {C:<8}{score:>7.1%} in cross-validation{best}")


def main() -> None:
    args = lesson.arguments("Logistic regression as an estimator: gradient by autograd, L-BFGS.").parse_args()
    x_train, y_train, x_test, y_test = lesson.mnist(args.data)
    m, iterations = (1_000, 200) if args.quick else (20_000, 1_000)
    X, X_test = (images.reshape(len(images), -1) / 255 for images in (x_train[:m], x_test))

    lesson.section("The textbook's gradients against autograd (with two and with ten classes)")
    check_gradients(X, y_train[:m])

    lesson.section(f"The ten digits, {m:,} training images")
    print(f"    {'':<10}{'iterations':>11}{'evaluations':>13}{'loss':>12}{'on training':>13}{'on test images':>16}")
    models = {}
    for solver in ("lbfgs", "adam"):
        with warnings.catch_warnings():
            # Adam does not come to the very minimum; the table says how near.
            warnings.simplefilter("ignore", ConvergenceWarning)
            models[solver] = model = LogisticRegression(C=0.1, solver=solver, max_iter=iterations).fit(X, y_train[:m])
        found = f"{model.n_iter_:>11,}{len(model.loss_curve_):>13,}{model.loss_curve_[-1]:>12.8f}"
        print(f"    {solver:<10}{found}{model.score(X, y_train[:m]):>13.2%}{model.score(X_test, y_test):>16.2%}")

    lesson.section("Among scikit-learn's estimators (the first 500 images)")
    show_sklearn(X[:500], y_train[:500])

    lesson.section("Pictures")
    draw_coefficients(models["lbfgs"], args.out / "logistic_regression_coefficients.png")
    losses = {name: np.array(model.loss_curve_) for name, model in models.items()}
    # Without the last evaluations, which are at the minimum itself.
    lines = [(name, range(1, len(loss) - 1), loss[:-2] - losses["lbfgs"].min()) for name, loss in losses.items()]
    path, title = args.out / "logistic_regression_training.png", "To the minimum"
    lesson.curves(path, lines, title=title, ylabel="loss - least loss", xlabel="evaluation", log=True)


def draw_coefficients(model: LogisticRegression, path) -> None:
    """The coefficients of each class as an image: red ink speaks for it, blue against it."""
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    figure.suptitle("Coefficients: ink in red places speaks for the digit, in blue places against it")
    largest = np.abs(model.coef_).max()
    for axes, digit, weights in zip(figure.subplots(2, 5).ravel(), model.classes_, model.coef_, strict=True):
        axes.imshow(weights.reshape(28, 28), cmap="RdBu_r", vmin=-largest, vmax=largest)
        axes.set(title=str(digit), xticks=[], yticks=[])
    lesson.save(figure, path)


if __name__ == "__main__":
    lesson.run(main)
