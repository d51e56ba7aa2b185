"""profile(): calls and bytes are exact, times add up, and nothing is left behind."""

import threading
import time

import numpy as np
import pytest
from tensors import equal, parameter

import tinygrad_np as tg
from tinygrad_np.engine.op import OPS, Variadic

X = np.ones((100, 100))
SIZE = X.nbytes


def counts(p):
    return {row.name: row.calls for row in p.ops if row.calls}


def functions():
    return [op.run if isinstance(op, Variadic) else op.call.__globals__["function"] for op in OPS]


# -- what is counted ----------------------------------------------------------------------------


def test_calls_and_bytes_of_a_known_graph():
    x = parameter(X)
    with tg.profile() as p:
        for _ in range(3):
            np.sum(np.tanh(x @ x) * 0.5).backward()
    assert counts(p) == dict.fromkeys(["np.matmul", "np.tanh", "np.multiply", "np.sum"], 3)
    made = {name: row.bytes for name, row in p.rows.items()}
    assert made == {"np.matmul": 3 * SIZE, "np.tanh": 3 * SIZE, "np.multiply": 3 * SIZE, "np.sum": 3 * 8}
    gradients = {name: row.gradient_bytes for name, row in p.rows.items()}
    assert gradients == {"np.matmul": 6 * SIZE, "np.tanh": 3 * SIZE, "np.multiply": 3 * SIZE, "np.sum": 3 * SIZE}


def test_bytes_kept_where_nothing_is_freed():
    x = parameter(X)
    with tg.profile() as p:
        # sin keeps x, exp keeps its result, the product keeps both of these.
        a, b = np.sin(x), np.exp(x)
        y = a * b
    kept = {name: row.kept_bytes for name, row in p.rows.items()}
    assert kept == {"np.sin": SIZE, "np.exp": SIZE, "np.multiply": SIZE}
    assert y.requires_grad


def test_bytes_kept_by_one_step_after_another():
    x = parameter(X)
    with tg.profile() as p:
        for _ in range(5):
            # The result of one step is freed before the next makes its own, perhaps in the same place.
            np.tanh(x).sum().backward()
    assert p.rows["np.tanh"].kept_bytes == 5 * SIZE


def test_bytes_kept_of_a_part_and_of_the_whole():
    x = parameter(X)
    with tg.profile() as p:
        part = np.sin(x[:1])
        whole = np.cos(x)
    assert p.rows["np.cos"].kept_bytes + p.rows["np.sin"].kept_bytes == pytest.approx(SIZE, abs=X[:1].nbytes)
    assert part.requires_grad
    assert whole.requires_grad


def test_times_are_positive_and_add_up():
    x = parameter(X)
    started = time.perf_counter()
    with tg.profile() as p:
        for _ in range(5):
            np.sum(tg.softmax(np.var(x @ x, axis=0))).backward()
    wall = time.perf_counter() - started
    assert p.rows
    for row in p.ops:
        assert row.forward > 0
        assert row.backward > 0
        assert row.seconds == row.forward + row.backward
    assert 0 < sum(row.seconds for row in p.ops) <= p.seconds <= wall
    assert [row.seconds for row in p.ops] == sorted((row.seconds for row in p.ops), reverse=True)


def slow(seconds):
    """A function whose forward and backward pass take a known time."""

    def f(x):
        time.sleep(seconds)

        def pull(g):
            time.sleep(2 * seconds)
            return g

        return x, pull

    return tg.custom_gradient(f)


def test_the_time_of_a_rule_is_that_of_its_op():
    x = parameter(X)
    with tg.profile() as p:
        np.sum(slow(0.01)(np.sin(x))).backward()
    (row,) = [row for row in p.ops if row.name == "f"]
    assert row.backward >= 0.02
    assert p.rows["np.sin"].seconds < row.seconds


def test_ops_inside_a_checkpoint_count_for_themselves():
    x = parameter(X)

    def inside(x):
        return np.tanh(slow(0.005)(np.sin(x)))

    with tg.profile() as p:
        np.sum(tg.checkpoint(inside)(x)).backward()
    # Run once forward and once more for the gradient.
    assert (counts(p)["np.sin"], counts(p)["np.tanh"], counts(p)["np.sum"]) == (2, 2, 1)
    # The pull of the slow function takes 10 ms; the forward calls, which are no ops, may count for the part.
    (row,) = [row for row in p.ops if row.name == "f"]
    assert row.backward >= 0.01
    assert sum(row.seconds for row in p.ops) <= p.seconds


def test_a_second_derivative_counts_the_ops_of_the_first_backward_pass():
    x = parameter(X)
    with tg.profile() as p:
        np.sum(np.sin(x)).backward(create_graph=True)
    # The rule of sin is g * cos(x).
    assert counts(p)["np.cos"] == counts(p)["np.multiply"] == 1
    assert sum(row.seconds for row in p.ops) <= p.seconds


def test_transforms_are_seen():
    with tg.profile() as p:
        equal(tg.grad(lambda x: np.sum(np.sin(x)))(X), np.cos(X))
    assert counts(p)["np.sin"] == 1
    assert p.rows["np.sin"].backward > 0


def test_an_op_that_fails_is_no_call():
    x = parameter(X)
    with tg.profile() as p:
        with pytest.raises(tg.errors.ShapeError):
            x @ np.ones(3)
        np.sin(x)
    assert counts(p) == {"np.sin": 1}
    assert sum(row.seconds for row in p.ops) <= p.seconds


def test_the_table():
    x = parameter(X)
    with tg.profile() as p:
        np.sum(np.tanh(x)).backward()
    head, *lines, last = str(p).splitlines()
    assert len(lines) == 2
    for word in ("op", "calls", "forward", "backward", "made MB", "kept MB"):
        assert word in head
    (line,) = [line for line in lines if line.startswith("np.tanh")]
    # Of 100 x 100 doubles are made and kept 0.08 MB, and the gradient has as many.
    assert line.split()[1] == "1"
    assert line.split()[-3:] == ["0.08", "0.08", "0.08"]
    assert f"{1e3 * p.seconds:.3f} ms in all" in last


def test_an_empty_profile():
    with tg.profile() as p:
        pass
    assert p.ops == []
    assert len(str(p).splitlines()) == 2


# -- blocks in one another ----------------------------------------------------------------------


def test_a_profile_in_a_profile():
    x = parameter(X)
    with tg.profile() as outer:
        np.cos(x)
        with tg.profile() as inner:
            np.sum(np.sin(x)).backward()
        np.tan(x)
    assert counts(inner) == {"np.sin": 1, "np.sum": 1}
    assert counts(outer) == {"np.sin": 1, "np.sum": 1, "np.cos": 1, "np.tan": 1}
    assert outer.rows["np.sin"].bytes == inner.rows["np.sin"].bytes == SIZE
    assert outer.rows["np.sin"].backward > 0
    assert outer.rows["np.sin"].forward > 0


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_debug_around_it_goes_on():
    x = parameter(np.zeros(3))
    with tg.debug(), tg.profile() as p, pytest.raises(tg.errors.NonFiniteError):
        np.log(np.cos(x) - 1)
    assert counts(p)["np.cos"] == 1


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_debug_inside_it():
    x = parameter(X)
    with tg.profile() as p, tg.debug():
        np.sum(np.sin(x)).backward()
        with pytest.raises(tg.errors.NonFiniteError):
            np.log(x - 1)
    assert counts(p)["np.sin"] == 1
    assert p.rows["np.sin"].backward > 0


def test_no_grad_inside_and_outside():
    x = parameter(X)
    with tg.no_grad(), tg.profile() as outside:
        assert not np.sin(x).requires_grad
    with tg.profile() as inside, tg.no_grad():
        assert not np.sin(x).requires_grad
    for p in (outside, inside):
        assert counts(p) == {"np.sin": 1}
        assert p.rows["np.sin"].kept_bytes == 0


# -- what is left -------------------------------------------------------------------------------


def test_nothing_is_left_behind():
    np.sum(np.concatenate([parameter(X), X]))
    with tg.profile():
        assert functions() != [op.function for op in OPS]
    assert functions() == [op.function for op in OPS]
    with pytest.raises(ZeroDivisionError), tg.profile(), tg.profile():
        raise ZeroDivisionError
    assert functions() == [op.function for op in OPS]
    assert tg.engine.tape.recording.get() is True


def test_what_runs_afterwards_is_not_counted():
    x = parameter(X)
    with tg.profile() as p:
        y = np.sum(np.sin(x))
    before = str(p)
    np.cos(x)
    y.backward()
    assert str(p) == before


def test_as_a_decorator():
    @tg.profile()
    def f(x):
        return np.sin(x)

    equal(f(parameter(X)), np.sin(X))
    assert functions() == [op.function for op in OPS]


def test_a_profile_sees_its_own_thread_only():
    x = parameter(X)
    both, done = threading.Barrier(2), threading.Barrier(2)
    found = {}

    def work(name, function):
        with tg.profile() as p:
            both.wait()
            for _ in range(20):
                np.sum(function(x)).backward()
            done.wait()
        found[name] = counts(p)

    threads = [threading.Thread(target=work, args=a) for a in (("sin", np.sin), ("cos", np.cos))]
    with tg.profile() as p:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert counts(p) == {}
    assert found == {name: {f"np.{name}": 20, "np.sum": 20} for name in ("sin", "cos")}
    assert functions() == [op.function for op in OPS]
