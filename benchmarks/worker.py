"""One library in a process of its own: answers `job dtype repetitions` lines with seconds per step.

Started by `python -m benchmarks`, which asks the workers in turns.
"""

import importlib
import sys
import time

LIBRARIES = {
    "hand": "hand",
    "tinygrad_np": "ours",
    "torch": "pytorch",
    "autograd": "hips",
    "mygrad": "mygrad_",
    "jax.jit": "jax_jit",
}


def main(library):
    # The reply channel is the real stdout; whatever a library prints goes to stderr.
    reply, sys.stdout = sys.stdout, sys.stderr
    jobs = importlib.import_module(f"benchmarks.libraries.{LIBRARIES[library]}").JOBS
    print("ready", *(name.replace(" ", "_") for name in jobs), file=reply, flush=True)
    steps = {}
    for line in sys.stdin:
        name, dtype, repetitions = line.split()
        job = name.replace("_", " ")
        if (job, dtype) not in steps:
            steps.clear()
            steps[job, dtype] = jobs[job](dtype)
        step = steps[job, dtype]
        step()  # awake: caches, and the threads of BLAS
        start = time.perf_counter()
        for _ in range(int(repetitions)):
            step()
        print((time.perf_counter() - start) / int(repetitions), file=reply, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
