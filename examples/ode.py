"""Through an ODE solver: how hares and lynxes depend on their birth rates, and the rates found from counts of both.

The solver is classical Runge-Kutta in plain NumPy, and knows nothing of derivatives.  `jacobian` and `grad` go through
its steps; SciPy solves the variational equations to check them, with `jacobian` of the right-hand side as its jac=.

    python examples/ode.py            10 steps a year: half a minute
    python examples/ode.py --quick    4 steps a year: a few seconds
"""

from __future__ import annotations

import timeit
import tracemalloc

import lesson
import numpy as np
from matplotlib.figure import Figure

import tinygrad_np as tg

try:
    from scipy import integrate, optimize
except ModuleNotFoundError:
    raise SystemExit("This example needs SciPy, which is not installed here: run `pip install scipy`.") from None

YEARS = 20
START = np.array([30.0, 4.0])  # thousands of hares and of lynxes
RATES = np.array([0.55, 0.028, 0.84, 0.026])  # per year; the second and last also per thousand
NAMES = ("birth", "hunted", "death", "fed", "hares at 0", "lynxes at 0")

# -- the equations and the solver: plain NumPy ----------------------------------------------------


def change(t, y, rates):
    """Lotka 1925, Volterra 1926: hares are born and hunted, lynxes die and are fed.  `y` is (2,) or (2, any)."""
    hares, lynxes = y
    birth, hunted, death, fed = rates
    return np.stack([birth * hares - hunted * hares * lynxes, fed * hares * lynxes - death * lynxes])


def step(y, rates, h):
    """One step of the classical Runge-Kutta method (Kutta 1901), of order 4."""
    k1 = change(0, y, rates)
    k2 = change(0, y + h / 2 * k1, rates)
    k3 = change(0, y + h / 2 * k2, rates)
    k4 = change(0, y + h * k3, rates)
    return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def advance(y, rates, h, steps):
    for _ in range(steps):
        y = step(y, rates, h)
    return y


def at_the_end(start, rates, per_year, years=YEARS):
    return advance(start, rates, 1 / per_year, per_year * years)


def every_year(start, rates, per_year):
    """The state at the years 0, 1, ..., one in each row."""
    states = [start]
    for _ in range(YEARS):
        states.append(advance(states[-1], rates, 1 / per_year, per_year))
    return np.stack(states)


# -- sensitivities ----------------------------------------------------------------------------------


def variational(t, state, rates):
    """The equations with those of S = d(y)/d(rates, start) beside them, their derivatives written by hand."""
    y, S = state[:2], state[2:].reshape(2, 6)
    hares, lynxes = y
    birth, hunted, death, fed = rates
    by_state = np.stack([
        np.stack([birth - hunted * lynxes, -hunted * hares]), np.stack([fed * lynxes, fed * hares - death])
    ])  # fmt: skip
    zero = 0 * hares
    by_rates = np.stack([
        np.stack([hares, -hares * lynxes, zero, zero]), np.stack([zero, zero, -lynxes, hares * lynxes])
    ])  # fmt: skip
    # The start does not enter into the equations: no derivative by it.
    by_all = np.concatenate([by_rates, np.zeros((2, 2))], axis=1)
    return np.concatenate([change(t, y, rates), (by_state @ S + by_all).ravel()])


def solve_variational(rates, start):
    """S at the end, by an implicit method of SciPy that asks for the Jacobian of the equations."""
    first = np.concatenate([start, np.concatenate([np.zeros((2, 4)), np.eye(2)], axis=1).ravel()])
    return integrate.solve_ivp(
        variational, (0, YEARS), first, "Radau", args=(rates,), jac=tg.jacobian(variational, 1), rtol=1e-8, atol=1e-8
    )


def sensitivities(per_year, mode="forward"):
    """d(state at the end) / d(rates, start): (2, 6)."""
    by_rates, by_start = tg.jacobian(lambda r, s: at_the_end(s, r, per_year), (0, 1), mode=mode)(RATES, START)
    return np.concatenate([by_rates, by_start], axis=1)


def check_sensitivities(per_year) -> np.ndarray:
    J = sensitivities(per_year)
    print(f"    {'':<12}" + "".join(f"{name:>13}" for name in NAMES))
    for name, row in zip(("d(hares)", "d(lynxes)"), J, strict=True):
        print(f"    {name:<12}" + "".join(f"{value:>13.4f}" for value in row))

    def agree(what, found, truth):
        print(f"    {what:<66}agrees {lesson.digits(lesson.relative_error(found, truth))}")

    agree("reverse mode", sensitivities(per_year, "reverse"), J)
    gradient = tg.grad(lambda r: at_the_end(START, r, per_year)[0])(RATES)
    agree("grad of the hares alone", gradient, J[0, :4])
    everything = np.concatenate([RATES, START])
    numeric = [
        tg.testing.numeric_grad(lambda p, i=i: at_the_end(p[4:], p[:4], per_year)[i], everything) for i in (0, 1)
    ]
    agree("central differences", np.array(numeric), J)
    solved = solve_variational(RATES, START)
    exact = solved.y[2:, -1].reshape(2, 6)
    title = f"variational equations, Radau, {solved.nfev:,} evaluations"
    agree(f"{title}, {solved.njev} Jacobians", exact, J)
    ratio = lesson.relative_error(sensitivities(per_year // 2), exact) / lesson.relative_error(J, exact)
    print(
        f"The method is of order 4: half the steps make its derivatives {ratio:.1f} times as wrong (in the limit 16)."
    )
    return J


# -- the rates from counts ----------------------------------------------------------------------------


def counts(seed: int = 0) -> np.ndarray:
    """Simulated counts of both, each year, with errors of 10 %."""
    truth = every_year(START, RATES, 20)
    return truth * np.exp(np.random.default_rng(seed).normal(0, 0.1, truth.shape))


def fit(observed, per_year):
    """What least squares finds for the logarithms of rates and start (which keeps all positive)."""

    def residuals(logs):
        p = np.exp(logs)
        return np.log(every_year(p[4:], p[:4], per_year) / observed).ravel()

    guess = np.log(np.concatenate([RATES * [1.1, 0.9, 0.85, 0.9], observed[0]]))
    found = optimize.least_squares(residuals, guess, jac=tg.jacobian(residuals, mode="forward"))
    variance = np.linalg.inv(found.jac.T @ found.jac) * (2 * found.cost) / (observed.size - guess.size)
    print(f"    from {found.nfev} solutions and {found.njev} Jacobians through the solver:")
    print(f"    {'':<13}{'true':>10}{'start':>10}{'found':>10}{'std. error':>12}")
    rows = zip(NAMES, [*RATES, *START], np.exp(guess), np.exp(found.x), np.sqrt(np.diag(variance)), strict=True)
    for name, true, first, value, error in rows:
        print(f"    {name:<13}{true:>10.4f}{first:>10.4f}{value:>10.4f}{100 * error:>10.1f} %")
    return np.exp(guess), np.exp(found.x)


# -- memory -------------------------------------------------------------------------------------------


def in_blocks(start, rates, h, steps, block):
    """`advance`, of which the tape keeps only the state after each block of steps."""
    part = tg.checkpoint(advance)
    for _ in range(steps // block):
        start = part(start, rates, h, block)
    return start


def measure_checkpoints(steps: int, animals: int) -> None:
    """The tape, the memory and the time of a gradient by the rates, for many pairs of populations at once."""
    starts = START[:, None] * np.random.default_rng(2).uniform(0.5, 1.5, (2, animals))
    print(f"{steps} steps of {animals:,} populations at once, {starts.nbytes / 1e6:.2f} MB each:")
    print(f"    {'':<24}{'tape entries':>14}{'peak in MB':>13}{'ms':>8}   gradient")
    gradients = []
    for block in (None, 5, 20, 100):

        def loss(rates, block=block):
            end = in_blocks(starts, rates, 0.05, steps, block) if block else advance(starts, rates, 0.05, steps)
            return np.mean(end)

        entries = len(tg.tape(loss(tg.Tensor(RATES, requires_grad=True))))
        tracemalloc.start()
        gradients.append(tg.grad(loss)(RATES))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        took = min(timeit.repeat(lambda: tg.grad(loss)(RATES), number=1, repeat=2))
        title = f"checkpoint, blocks of {block}" if block else "everything kept"
        same = f"agrees {lesson.digits(lesson.relative_error(gradients[-1], gradients[0]))}" if block else ""
        print(f"    {title:<24}{entries:>14,}{peak / 1e6:>13.1f}{took * 1e3:>8.0f}   {same}")


# -- pictures -----------------------------------------------------------------------------------------

HARES, LYNXES = "#1d4ed8", "#c2410c"


def draw_fit(observed, guess, found, per_year, path) -> None:
    years = np.arange(YEARS * per_year + 1) / per_year
    figure = Figure(figsize=(7.5, 4.4), layout="constrained")
    axes = figure.subplots()
    for p, style, label in ((guess, ":", "start of the fit"), (found, "-", "fit")):
        states = [p[4:]]
        for _ in years[1:]:
            states.append(step(states[-1], p[:4], 1 / per_year))
        for values, color, name in zip(np.transpose(states), (HARES, LYNXES), ("hares", "lynxes"), strict=True):
            axes.plot(years, values, style, color=color, linewidth=1.5, label=f"{name}, {label}")
    for values, color, marker, name in zip(observed.T, (HARES, LYNXES), "os", ("hares", "lynxes"), strict=True):
        axes.plot(values, marker, color=color, markersize=4.5, label=f"{name}, counted")
    axes.set(title="Rates of Lotka and Volterra from counts with 10 % errors", xlabel="year", ylabel="thousands")
    axes.set(xticks=range(0, YEARS + 1, 2), ylim=(0, None))
    figure.legend(frameon=False, ncols=3, fontsize=9, loc="outside lower center")
    axes.spines[["top", "right"]].set_visible(False)
    lesson.save(figure, path)


def draw_sensitivities(per_year, path) -> None:
    """How much of the hares each percent in a rate changes, year by year."""
    by_rates = tg.jacobian(lambda r: every_year(START, r, per_year)[:, 0], mode="forward")(RATES)
    figure = Figure(figsize=(7.5, 4.0), layout="constrained")
    axes = figure.subplots()
    styles = (("#1d4ed8", "o"), ("#c2410c", "s"), ("#15803d", "^"), ("#7c3aed", "D"))
    for values, rate, name, (color, marker) in zip(by_rates.T, RATES, NAMES, styles, strict=False):
        axes.plot(values * rate / 100, marker=marker, markersize=4, color=color, linewidth=1.4, label=f"rate '{name}'")
    axes.axhline(0, color="#9ca3af", linewidth=0.8)
    axes.set(title="What one percent more of a rate does to the hares", xlabel="year", ylabel="change in thousands")
    axes.set_xticks(range(0, YEARS + 1, 2))
    figure.legend(frameon=False, ncols=4, fontsize=9, loc="outside lower center")
    axes.spines[["top", "right"]].set_visible(False)
    lesson.save(figure, path)


def draw_orbits(starts, orbits, path) -> None:
    """Orbits in the plane of hares and lynxes, around the point where nothing changes."""
    figure = Figure(figsize=(6.0, 4.8), layout="constrained")
    axes = figure.subplots()
    for orbit, shade in zip(orbits, np.linspace(0.35, 1, len(orbits)), strict=True):
        axes.plot(*orbit.T, color=HARES, alpha=shade, linewidth=1.3)
    axes.plot(*starts.T, "o", color=LYNXES, markersize=5, label="starts")
    axes.plot(RATES[2] / RATES[3], RATES[0] / RATES[1], "*", color="black", markersize=11, label="at rest")
    axes.set(title="Hares and lynxes from six starts, by one vmap", xlabel="hares (thousands)")
    axes.set(ylabel="lynxes (thousands)", xlim=(0, None), ylim=(0, None))
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    lesson.save(figure, path)


def all_starts(per_year) -> tuple[np.ndarray, np.ndarray]:
    """Six starts, and for each all states of the first 15 years."""
    starts = np.stack([np.linspace(8, 28, 6), np.full(6, RATES[0] / RATES[1])], axis=1)

    def orbit(start):
        states = [start]
        for _ in range(15 * per_year):
            states.append(step(states[-1], RATES, 1 / per_year))
        return np.stack(states)

    orbits = tg.vmap(orbit)(starts)
    error = lesson.relative_error(orbits, np.stack([orbit(start) for start in starts]))
    print(f"    six starts by vmap{'':<28}agree {lesson.digits(error)} with one after the other")

    hares, lynxes = np.moveaxis(orbits, -1, 0)
    birth, hunted, death, fed = RATES
    conserved = fed * hares - death * np.log(hares) + hunted * lynxes - birth * np.log(lynxes)
    drift = np.max(np.abs(conserved - conserved[:, :1]))
    print(f"    what each orbit conserves{'':<21}moves by at most {drift:.0e}")

    in_logs = tg.jacobian(lambda logs: np.log(at_the_end(np.exp(logs), RATES, per_year)))
    areas = np.linalg.det(tg.vmap(in_logs)(np.log(starts)))
    print(f"    areas in logarithms, by vmap of jacobian{'':<6}change by at most {np.max(np.abs(areas - 1)):.0e}")
    print("(Lotka and Volterra's equations have a Hamiltonian in the logarithms: the true flow keeps both.)")
    return starts, orbits


def main() -> None:
    parser = lesson.arguments("Differentiate a Runge-Kutta solver, and find the rates in its equations.", mnist=False)
    args = parser.parse_args()
    per_year = 4 if args.quick else 10

    lesson.section(f"Sensitivity of the state after {YEARS} years, {per_year} steps a year")
    check_sensitivities(per_year)
    lesson.section("Many starts at once")
    starts, orbits = all_starts(per_year)
    lesson.section("The rates from simulated counts with 10 % errors")
    observed = counts()
    guess, found = fit(observed, per_year)
    lesson.section("Checkpoints: less memory for the same gradient")
    measure_checkpoints(100 if args.quick else 400, 1_000 if args.quick else 5_000)
    lesson.section("Pictures")
    draw_fit(observed, guess, found, per_year, args.out / "ode_fit.png")
    draw_sensitivities(per_year, args.out / "ode_sensitivity.png")
    draw_orbits(starts, orbits, args.out / "ode_orbits.png")


if __name__ == "__main__":
    lesson.run(main)
