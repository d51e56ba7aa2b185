"""`python -m benchmarks.agreement`: whether the libraries train the same models, by the losses of the first steps."""

import importlib.util

import numpy as np

MODELS = ("MLP", "CNN", "RNN", "RNN-all")


def libraries():
    """The jobs of hand-written NumPy, ours, and PyTorch where it is installed."""
    names = ["hand", "ours"] + ["pytorch"] * (importlib.util.find_spec("torch") is not None)
    return {name: importlib.import_module(f"benchmarks.libraries.{name}").JOBS for name in names}


def main():
    found = libraries()
    for dtype, rtol in (("float64", 1e-9), ("float32", 1e-4)):
        for model in MODELS:
            expected = None
            for library, jobs in found.items():
                for job in [name for name in jobs if name.split(" ")[0] == model]:
                    step = jobs[job](np.dtype(dtype))
                    losses = [float(step()) for _ in range(4)]
                    expected = expected or losses
                    np.testing.assert_allclose(losses, expected, rtol, err_msg=f"{library}, {job}, {dtype}")
                    print(f"{library:8} {job:16} {dtype}  " + " ".join(f"{loss:.6f}" for loss in losses))


if __name__ == "__main__":
    main()
