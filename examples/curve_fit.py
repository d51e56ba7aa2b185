"""Two overlapping peaks in a noisy spectrum, fitted with SciPy and exact derivatives, with standard errors.

The model is a dataclass of parameters.  `grad(loss)` goes to scipy.optimize.minimize and `jacobian(residuals)` to
least_squares as they are; the Jacobian gives the standard errors besides, and simulated spectra confirm them.

    python examples/curve_fit.py            300 simulated spectra: a few seconds
    python examples/curve_fit.py --quick    100 simulated spectra
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import lesson
import numpy as np
from matplotlib.figure import Figure

import tinygrad_np as tg

try:
    from scipy import optimize
except ModuleNotFoundError:
    raise SystemExit("This example needs SciPy, which is not installed here: run `pip install scipy`.") from None

# -- the model ------------------------------------------------------------------------------------


@dataclass
class Spectrum:
    """Two Gaussian peaks on a straight baseline; positions and widths in nm."""

    height: np.ndarray  # (2,)
    center: np.ndarray  # (2,)
    width: np.ndarray  # (2,)
    baseline: np.ndarray  # (2,): at 500 nm, and its slope per nm


NAMES = ("height 1", "height 2", "center 1", "center 2", "width 1", "width 2", "baseline", "slope")
TRUE = Spectrum(np.array([8.0, 5.0]), np.array([492.0, 507.0]), np.array([5.0, 7.0]), np.array([2.0, 0.02]))
GUESS = Spectrum(np.array([5.0, 5.0]), np.array([488.0, 512.0]), np.array([8.0, 8.0]), np.array([1.0, 0.0]))
NOISE = 0.3


def flat(spectrum: Spectrum) -> np.ndarray:
    """All parameters in one vector, as SciPy wants them."""
    return np.concatenate(astuple(spectrum))


def unflat(x) -> Spectrum:
    """The other way round, of an array or of a Tensor."""
    return Spectrum(x[0:2], x[2:4], x[4:6], x[6:8])


def peaks(p: Spectrum, wavelength):
    """The two peaks without the baseline, one in each column."""
    distance = (wavelength[:, None] - p.center) / p.width
    return p.height * np.exp(-(distance**2) / 2)


def intensity(p: Spectrum, wavelength):
    return np.sum(peaks(p, wavelength), axis=1) + p.baseline[0] + p.baseline[1] * (wavelength - 500)


def measured(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Wavelengths, and intensities with noise of the size NOISE."""
    wavelength = np.linspace(465.0, 540.0, 151)
    return wavelength, intensity(TRUE, wavelength) + np.random.default_rng(seed).normal(0, NOISE, wavelength.shape)


def counted(f):
    """`f`, and a list that grows with each call: SciPy does not count those for its numeric Jacobians."""
    calls = []

    def call(x):
        calls.append(x)
        return f(x)

    return call, calls


# -- the gradient -----------------------------------------------------------------------------------


def check_derivatives(loss, residuals, wavelength, data) -> None:
    x = flat(GUESS)
    numeric = tg.testing.numeric_grad(loss, x)
    print(f"    gradient (8,)        agrees {lesson.digits(lesson.relative_error(numeric, tg.grad(loss)(x)))}", end="")
    print(" with central differences")
    J = tg.jacobian(residuals)(x)
    each = [tg.testing.numeric_grad(lambda x, i=i: residuals(x)[i], x) for i in (0, 40, 75, 100)]
    error = lesson.relative_error(np.array(each), J[[0, 40, 75, 100]])
    print(f"    Jacobian {J.shape!s:<12}agrees {lesson.digits(error)} with central differences (4 of its rows)")
    error = lesson.relative_error(J.T @ residuals(x), tg.grad(loss)(x))
    print(f"    its transpose times the residuals agrees {lesson.digits(error)} with the gradient")
    # The same loss of the dataclass itself: its gradient is a Spectrum.
    by_field = tg.grad(lambda p: np.sum((intensity(p, wavelength) - data) ** 2) / 2)(GUESS)
    error = lesson.relative_error(flat(by_field), tg.grad(loss)(x))
    print(f"    the gradient of a {type(by_field).__name__} agrees {lesson.digits(error)} with that of the vector")


# -- fitting ----------------------------------------------------------------------------------------


def fit(loss, residuals) -> np.ndarray:
    """Print what each way of fitting takes; give the parameters that least squares finds."""
    start, J = flat(GUESS), tg.jacobian(residuals)
    ways = {
        "minimize (BFGS), values only": (optimize.minimize, loss, None),
        "minimize (BFGS), jac=grad(loss)": (optimize.minimize, loss, tg.grad(loss)),
        "least_squares, values only": (optimize.least_squares, residuals, None),
        "least_squares, jac=jacobian(residuals)": (optimize.least_squares, residuals, J),
    }
    print(f"    {'':<40}{'model':>8}{'derivatives':>14}{'loss':>14}")
    for name, (solve, f, derivative) in ways.items():
        model, values = counted(f)
        jac, derivatives = counted(derivative)
        found = solve(model, start, **({"jac": jac} if derivative else {}))
        print(f"    {name:<40}{len(values):>8,}{len(derivatives):>14,}{loss(found.x):>14.8f}")
    return found.x


def errors_of(x, residuals) -> tuple[np.ndarray, np.ndarray]:
    """Standard errors and covariance of a fit: the inverse of JᵀJ times the variance of the residuals."""
    J, r = tg.jacobian(residuals)(x), residuals(x)
    covariance = np.linalg.inv(J.T @ J) * (r @ r) / (r.size - x.size)
    return np.sqrt(np.diag(covariance)), covariance


def simulate(x, wavelength, noise: float, count: int) -> np.ndarray:
    """The parameters fitted to `count` other spectra, simulated from the parameters and the noise that were found."""
    random, found = np.random.default_rng(1), []
    for deviations in random.normal(0, noise, (count, wavelength.size)):
        data = intensity(unflat(x), wavelength) + deviations
        residuals = lambda x, data=data: intensity(unflat(x), wavelength) - data
        found.append(optimize.least_squares(residuals, x, jac=tg.jacobian(residuals)).x)
    return np.array(found)


def show_parameters(x, errors, spread) -> None:
    print(f"    {'':<10}{'true':>9}{'guess':>9}{'fitted':>9}{'std. error':>12}{'simulated':>11}{'off by':>10}")
    for row in zip(NAMES, flat(TRUE), flat(GUESS), x, errors, spread, strict=True):
        name, true, guess, found, error, simulated = row
        print(f"    {name:<10}{true:>9.3f}{guess:>9.3f}{found:>9.3f}{error:>12.4f}{simulated:>11.4f}", end="")
        print(f"{(found - true) / error:>+7.1f} s.e.")


# -- the picture --------------------------------------------------------------------------------------


def draw(x, covariance, wavelength, data, path) -> None:
    """Data, fit and both peaks; below them what the fit leaves."""
    p = unflat(x)
    line = intensity(p, wavelength)
    J = tg.jacobian(lambda x: intensity(unflat(x), wavelength))(x)
    # The error of the curve itself, by propagation: the square roots of the diagonal of J C Jᵀ.
    band = 2 * np.sqrt(np.einsum("ij,jk,ik->i", J, covariance, J))
    figure = Figure(figsize=(7.5, 5.6), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    top.plot(wavelength, data, ".", color="#6b7280", markersize=4, label="data")
    base = line - np.sum(peaks(p, wavelength), axis=1)
    top.plot(wavelength, intensity(GUESS, wavelength), ":", color="black", linewidth=1.3, label="start of the fit")
    for i, color in enumerate(("#15803d", "#c2410c")):
        peak = peaks(p, wavelength)[:, i]
        top.plot(wavelength, base + peak, "--", color=color, linewidth=1.2, label=f"peak {i + 1} on the baseline")
    top.fill_between(wavelength, line - band, line + band, color="#1d4ed8", alpha=0.25, linewidth=0)
    top.plot(wavelength, line, color="#1d4ed8", linewidth=1.6, label="fit, with two standard errors")
    top.set(title="Two peaks in a noisy spectrum", ylabel="intensity (counts / s)")
    top.legend(frameon=False, fontsize=9)
    scale = np.std(data - line)
    bottom.axhspan(-2, 2, color="#e5e7eb")
    bottom.plot(wavelength, (data - line) / scale, ".", color="#6b7280", markersize=4)
    bottom.axhline(0, color="#1d4ed8", linewidth=1.2)
    bottom.set(xlabel="wavelength (nm)", ylabel="residual /\nstd. deviation", ylim=(-3.6, 3.6))
    for axes in (top, bottom):
        axes.spines[["top", "right"]].set_visible(False)
    lesson.save(figure, path)


def main() -> None:
    parser = lesson.arguments(
        "Fit two Gaussian peaks with exact derivatives, and tell their standard errors.", mnist=False
    )
    args = parser.parse_args()
    wavelength, data = measured()

    def residuals(x):
        return intensity(unflat(x), wavelength) - data

    def loss(x):
        return np.sum(residuals(x) ** 2) / 2

    lesson.section("The derivatives at the start of the fit")
    check_derivatives(loss, residuals, wavelength, data)
    lesson.section(f"Fitting 8 parameters to {data.size} points: how often each function is called")
    x = fit(loss, residuals)
    errors, covariance = errors_of(x, residuals)
    count = 100 if args.quick else 300
    lesson.section(f"Standard errors, from the Jacobian and from {count} simulated spectra")
    noise = np.sqrt(2 * loss(x) / (data.size - x.size))
    spread = np.std(simulate(x, wavelength, noise, count), axis=0, ddof=1)
    show_parameters(x, errors, spread)
    whole = noise * np.sqrt(np.diag(np.linalg.inv(tg.hessian(loss)(x))))
    change = 100 * np.max(np.abs(whole / errors - 1))
    print(f"With the whole Hessian in the place of JᵀJ the standard errors change by at most {change:.1f} %.")
    print(f"Standard deviation of the noise: {noise:.3f}, put in: {NOISE}.")
    lesson.section("Picture")
    draw(x, covariance, wavelength, data, args.out / "curve_fit.png")


if __name__ == "__main__":
    lesson.run(main)
