"""The Rosenbrock valley with SciPy's minimisers: what exact gradients, Hessians and Hessian products are worth.

`grad(f)`, `hessian(f)` and `hvp(f)` take arrays and give arrays, in the order of arguments that SciPy uses: they
are passed as jac=, hess= and hessp= as they are.

    python examples/rosenbrock.py            30 variables: a few seconds
    python examples/rosenbrock.py --n 100    more variables
    python examples/rosenbrock.py --quick    4 variables
"""

from __future__ import annotations

import timeit

import lesson
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

import tinygrad_np as tg

try:
    from scipy import optimize
except ModuleNotFoundError:
    raise SystemExit("This example needs SciPy, which is not installed here: run `pip install scipy`.") from None

LEVELS = np.geomspace(0.1, 3000, 12)


def rosenbrock(x):
    """Rosenbrock 1960, An automatic method for finding the greatest or least value of a function."""
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


gradient, hessian, product = tg.grad(rosenbrock), tg.hessian(rosenbrock), tg.hvp(rosenbrock)

VALUES_ONLY = "BFGS, values only"
METHODS = {
    VALUES_ONLY: ("BFGS", {}),
    "BFGS, grad": ("BFGS", {"jac": gradient}),
    "Newton-CG, hessian": ("Newton-CG", {"jac": gradient, "hess": hessian}),
    "Newton-CG, hvp": ("Newton-CG", {"jac": gradient, "hessp": product}),
    "trust-ncg, hessian": ("trust-ncg", {"jac": gradient, "hess": hessian}),
    "trust-ncg, hvp": ("trust-ncg", {"jac": gradient, "hessp": product}),
    "trust-exact, hessian": ("trust-exact", {"jac": gradient, "hess": hessian}),
}


# -- the derivatives against the closed formulas ----------------------------------------------------


def check_derivatives(n: int) -> None:
    random = np.random.default_rng(0)
    x, v = random.normal(size=(2, n))
    pairs = {
        "grad": (gradient(x), optimize.rosen_der(x)),
        "hessian": (hessian(x), optimize.rosen_hess(x)),
        "hvp": (product(x, v), optimize.rosen_hess_prod(x, v)),
    }
    for name, (found, formula) in pairs.items():
        error = lesson.relative_error(found, formula)
        print(f"    {name:<9}{found.shape!s:<11}agrees {lesson.digits(error)} with the closed formula")
    numeric = tg.testing.numeric_grad(rosenbrock, x)
    error = lesson.relative_error(numeric, gradient(x))
    print(f"    {'grad':<9}{numeric.shape!s:<11}agrees {lesson.digits(error)} with central differences")


def show_costs(n: int) -> None:
    x = np.linspace(-1, 1, n)
    calls = {
        "value": lambda: rosenbrock(x),
        "gradient": lambda: gradient(x),
        "Hessian-vector product": lambda: product(x, x),
        f"Hessian ({n} by {n})": lambda: hessian(x),
    }
    one_gradient = seconds(calls["gradient"])
    for name, call in calls.items():
        took = seconds(call)
        print(f"    {name:<24}{took * 1e6:8,.0f} us = {took / one_gradient:4.1f} gradients")


def seconds(call) -> float:
    """The shortest of several runs: what else the machine does only adds to it."""
    return min(timeit.repeat(call, number=5, repeat=10)) / 5


# -- minimising -------------------------------------------------------------------------------------


def minimise(title: str, start: np.ndarray) -> tuple[optimize.OptimizeResult, np.ndarray]:
    """What SciPy found, and the points it went through, one in each row."""
    method, derivatives = METHODS[title]
    path = [start]
    # A copy: some methods go on writing into the array that they show.
    found = optimize.minimize(
        rosenbrock, start, method=method, tol=1e-8, callback=lambda x: path.append(np.array(x)), **derivatives
    )
    return found, np.array(path)


def compare_methods(n: int) -> dict[str, np.ndarray]:
    """Print a row per method; give the values of `rosenbrock` along the way of each."""
    heads = ("steps", "values", "gradients", "hess or hvp", "f at the end", "|x - 1|", "reached tol")
    print(f"    {'':<22}" + "".join(f"{head:>{len(head) + 2}}" for head in heads))
    values = {}
    for title in METHODS:
        found, path = minimise(title, np.zeros(n))
        # Without jac= SciPy counts its differences as gradients too.
        gradients = 0 if title == VALUES_ONLY else found.njev
        cells = [found.nit, found.nfev, gradients, found.get("nhev", 0), f"{found.fun:.0e}"]
        cells += [f"{np.max(np.abs(found.x - 1)):.0e}", "yes" if found.success else "no"]
        print(f"    {title:<22}" + "".join(f"{cell:>{len(head) + 2}}" for cell, head in zip(cells, heads, strict=True)))
        values[title] = np.array([rosenbrock(x) for x in path])
    return values


# -- pictures ---------------------------------------------------------------------------------------

COLORS = {
    "BFGS, grad": "#1d4ed8",
    "Newton-CG, hessian": "#c2410c",
    "trust-ncg, hvp": "#15803d",
    "trust-exact, hessian": "#7c3aed",
}


def draw_paths(path) -> None:
    """The ways to the minimum of the function of two variables, on its contours."""
    x, y = np.meshgrid(np.linspace(-1.6, 1.4, 300), np.linspace(-0.5, 1.6, 300))
    height = tg.vmap(rosenbrock)(np.stack([x.ravel(), y.ravel()], axis=1)).reshape(x.shape)
    figure = Figure(figsize=(8.0, 6.4), layout="constrained")
    figure.suptitle("Down the Rosenbrock valley, from (-1.2, 1) to the minimum at (1, 1)")
    panels = figure.subplots(2, 2, sharex=True, sharey=True)
    for axes, (title, color) in zip(panels.flat, COLORS.items(), strict=True):
        found, points = minimise(title, np.array([-1.2, 1.0]))
        axes.contourf(x, y, height, levels=LEVELS, norm=LogNorm(), cmap="Greys", alpha=0.45)
        axes.contour(x, y, height, levels=LEVELS, colors="#9ca3af", linewidths=0.5)
        axes.plot(*points.T, "o-", color=color, markersize=3.5, linewidth=1.3)
        axes.plot(1, 1, "*", color="black", markersize=11)
        axes.set_title(f"{title}: {found.nit} steps", fontsize=11)
        axes.set(xlim=(x.min(), x.max()), ylim=(y.min(), y.max()))
    for axes in panels[-1]:
        axes.set_xlabel("$x_1$")
    for axes in panels[:, 0]:
        axes.set_ylabel("$x_2$")
    lesson.save(figure, path)


def draw_descents(values: dict[str, np.ndarray], n: int, path) -> None:
    """The function along the way of each method."""
    figure = Figure(figsize=(7.0, 4.2), layout="constrained")
    axes = figure.subplots()
    for title, color in COLORS.items():
        axes.plot(values[title], color=color, linewidth=1.5, label=title)
    axes.plot(values[VALUES_ONLY], "--", color="black", linewidth=1.5, label=VALUES_ONLY)
    # Far below the rounding errors of its terms the function is as good as 0.
    axes.set(title=f"Rosenbrock function of {n} variables, from 0", xlabel="step", ylabel="f(x)", yscale="log")
    axes.set_ylim(1e-18, 2 * n)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower left" if n > 10 else "best")
    lesson.save(figure, path)


def main() -> None:
    parser = lesson.arguments("Minimise the Rosenbrock function with exact first and second derivatives.", mnist=False)
    parser.add_argument("--n", type=lesson.number(int, above=1), default=30, metavar="N", help="variables (default 30)")
    args = parser.parse_args()
    n = min(args.n, 4) if args.quick else args.n

    lesson.section(f"The derivatives at a random point, {n} variables")
    check_derivatives(n)
    lesson.section("What they cost")
    show_costs(n)
    lesson.section(f"Minimising from 0, {n} variables, tol=1e-8: how often each function is called")
    values = compare_methods(n)
    print("Differences of values cannot see the gradient near the minimum: BFGS without grad stops early.")
    lesson.section("Pictures")
    draw_paths(args.out / "rosenbrock_paths.png")
    draw_descents(values, n, args.out / "rosenbrock_descent.png")


if __name__ == "__main__":
    lesson.run(main)
