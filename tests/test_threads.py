"""Threads: recording is local to each, so nested gradients and no_grad do not disturb one another."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import numpy as np
import pytest

import tinygrad_np as tg

THREADS = 8


@pytest.fixture(autouse=True)
def switching_often():
    """Let threads take turns a thousand times more often than Python does."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(interval)


def together(work, *arguments, rounds=1):
    """The results of work(argument), each argument in a thread of its own, all started at once."""
    barrier = threading.Barrier(len(arguments))

    def run(argument):
        barrier.wait(timeout=30)
        return [work(argument) for _ in range(rounds)]

    with ThreadPoolExecutor(len(arguments)) as pool:
        return list(pool.map(run, arguments))


def nested(x):
    """Third derivatives, with a block that is not recorded and a gradient inside a gradient."""

    def f(y):
        with tg.no_grad():
            scale = float(np.max(np.abs(y)))
            inside = tg.grad(lambda z: z**3)(scale)
        return np.sum(np.sin(y * x) ** 2) * inside / scale**2

    return tg.grad(tg.grad(f))(x), tg.jvp(tg.grad(lambda y: y**4 * x), (x,), (1.0,))[1]


def test_nested_gradients_in_threads_are_the_sequential_ones():
    arguments = list(np.linspace(0.3, 1.7, THREADS))
    expected = [nested(x) for x in arguments]
    for results, right in zip(together(nested, *arguments, rounds=40), expected, strict=True):
        for result in results:
            np.testing.assert_array_equal(result, right)


FIRST_USE = """
import sys
import threading
import numpy as np
import tinygrad_np as tg

sys.setswitchinterval(1e-6)
barrier, gradients = threading.Barrier(8), []


def work():
    barrier.wait()
    t = tg.Tensor([[0.5, 1.0], [2.0, 1.5]], requires_grad=True)
    out = (-t).max(axis=1) + np.tanh(t @ t.T).sum(axis=0) * t.mean() + np.stack([t[0, 0], t.std()]) ** 2
    (2 * out - out / 3).sum().backward()
    gradients.append(t.grad.data.tolist())


threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert len(gradients) == 8, len(gradients)
assert all(g == gradients[0] for g in gradients)
"""


def test_the_first_use_of_a_rule_by_many_threads_at_once():
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", FIRST_USE], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_training_in_threads():
    def trained(seed):
        rng = np.random.default_rng(seed)
        W = tg.Tensor(rng.normal(size=(3, 4)), requires_grad=True)
        x, y = rng.normal(size=(4, 20)), rng.normal(size=(3, 20))
        for _ in range(30):
            W.zero_grad()
            np.mean((np.tanh(W @ x) - y) ** 2).backward()
            with tg.no_grad():
                W -= 0.1 * W.grad
                assert not (W * 2).requires_grad
            assert (W * 2).requires_grad
        return W.data

    seeds = range(THREADS)
    expected = [trained(seed) for seed in seeds]
    for (result,), right in zip(together(trained, *seeds), expected, strict=True):
        np.testing.assert_array_equal(result, right)


def test_no_grad_in_one_thread_leaves_the_others_recording():
    w = tg.Tensor(2.0, requires_grad=True)
    inside, done = threading.Event(), threading.Event()
    seen = {}

    def silent():
        with tg.no_grad():
            inside.set()
            done.wait(timeout=30)
            seen["silent"] = (w * 2).requires_grad

    thread = threading.Thread(target=silent)
    thread.start()
    assert inside.wait(timeout=30)
    seen["other"] = (w * 2).requires_grad
    done.set()
    thread.join()
    assert seen == {"silent": False, "other": True}


def test_debug_in_one_thread_leaves_the_others_alone():
    w = tg.Tensor(-1.0, requires_grad=True)

    def work(number):
        with np.errstate(all="ignore"):
            if number % 2:
                return bool(np.isnan(np.log(w).data))
            with tg.debug(), pytest.raises(tg.errors.NonFiniteError):
                np.log(w)
            return True

    assert all(all(results) for results in together(work, *range(THREADS), rounds=20))


def test_a_graph_is_walked_in_another_thread():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    loss = (w * w).sum()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(loss.backward).result()
    np.testing.assert_array_equal(w.grad.data, [2, 4])


def test_a_context_carries_no_grad_along():
    w = tg.Tensor(1.0, requires_grad=True)
    with tg.no_grad():
        context = copy_context()
    assert not context.run(lambda: (w * 2).requires_grad)
    assert (w * 2).requires_grad


def test_threads_share_parameters_that_they_only_read():
    w = tg.Tensor(np.linspace(-1, 1, 50), requires_grad=True)
    results = together(lambda k: tg.grad(lambda v: np.sum(np.exp(v * k) * w.data))(w).data, *range(THREADS), rounds=20)
    for k, repeated in enumerate(results):
        for result in repeated:
            np.testing.assert_allclose(result, k * np.exp(w.data * k) * w.data, rtol=1e-14)
