"""scope(), inspect(), debug() and profile(): together in every order, wherever tensors are, and gone afterwards."""

import asyncio
import itertools
import threading
import tracemalloc
import weakref
from contextlib import ExitStack
from contextvars import copy_context

import numpy as np
import pytest
from tensors import equal, parameter

import tinygrad_np as tg
from tinygrad_np.engine.op import OPS, Variadic
from tinygrad_np.engine.profile import profiling
from tinygrad_np.engine.tape import recording
from tinygrad_np.errors import NonFiniteError

BLOCKS = {"scope": lambda: tg.scope("part"), "debug": tg.debug, "profile": tg.profile, "inspect": tg.inspect}


def functions():
    return [op.run if isinstance(op, Variadic) else op.call.__globals__["function"] for op in OPS]


@pytest.fixture(autouse=True)
def nothing_is_left():
    """After every block everything is as before it."""
    yield
    assert recording.get() is True
    assert profiling.get() is None
    assert functions() == [op.function for op in OPS]


def path(tensor):
    """The scopes that a tensor was recorded in, the outermost first."""
    trace, names = tensor.node.trace, []
    scope = None if trace is None else trace.scope
    while scope is not None:
        names.insert(0, scope.name)
        scope = scope.parent
    return "/".join(names)


def paths(tensor):
    """The scopes of each op that a tensor came from."""
    nodes = [node for node in tg.tape(tensor) if not node.is_leaf]
    return {node.op_name: path(type("T", (), {"node": node})) for node in nodes}


@pytest.fixture
def x():
    return parameter([1.0, 2.0], name="x")


# -- scopes -----------------------------------------------------------------------------------


def test_scopes_nest(x):
    before = x * 1
    with tg.scope("outer", "2 → 2"):
        first = np.sin(x)
        with tg.scope("inner"):
            second = np.sin(first)
        third = np.sin(second)
        with tg.scope("inner"):
            fourth = np.sin(third)
    after = fourth * 1
    assert [path(t) for t in (before, first, second, third, fourth, after)] == [
        "", "outer", "outer/inner", "outer", "outer/inner", "",
    ]  # fmt: skip
    assert first.node.trace.scope.detail == "2 → 2"
    assert second.node.trace.scope.detail == ""
    # Two blocks of one name are two.
    assert second.node.trace.scope is not fourth.node.trace.scope
    assert second.node.trace.scope.parent is first.node.trace.scope


def test_a_decorator_makes_a_scope_at_each_call(x):
    @tg.scope("layer", "shared")
    def layer(x, depth=0):
        """What it says."""
        return np.tanh(x) if depth == 0 else layer(np.sin(x), depth - 1)

    one, two = layer(x), layer(x)
    assert path(one) == path(two) == "layer"
    assert one.node.trace.scope is not two.node.trace.scope
    assert path(layer(x, 2)) == "layer/layer/layer"
    assert (layer.__name__, layer.__doc__) == ("layer", "What it says.")


def test_a_block_that_fails_ends(x):
    with tg.scope("outer"):
        with pytest.raises(KeyError), tg.scope("inner"):
            raise KeyError
        assert path(np.sin(x)) == "outer"
    with pytest.raises(NonFiniteError), tg.debug(), tg.scope("inner"), np.errstate(all="ignore"):
        np.log(x - x)
    assert path(np.sin(x)) == ""
    for block in BLOCKS.values():
        with pytest.raises(GeneratorExit), block():
            raise GeneratorExit
        assert np.sin(x).node.trace is None


def test_a_scope_that_is_left_early(x):
    def early():
        for _ in range(3):
            with tg.scope("left"):
                return np.sin(x)

    assert path(early()) == "left"
    assert path(np.sin(x)) == ""


def test_a_generator_that_is_used_up(x):
    def layers():
        for i in range(2):
            with tg.scope(f"layer {i}"):
                y = np.sin(x)
            yield y

    with tg.scope("outer"):
        assert [path(y) for y in layers()] == ["outer/layer 0", "outer/layer 1"]


def test_scopes_are_local_to_threads(x):
    found = {}

    def work(name):
        with tg.scope(name):
            gate.wait(timeout=20)
            found[name] = path(np.sin(x))

    gate = threading.Barrier(4)
    with tg.scope("outer"):
        threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
        threads.append(threading.Thread(target=copy_context().run, args=(work, "d")))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert path(np.sin(x)) == "outer"
    assert found == {"a": "a", "b": "b", "c": "c", "d": "outer/d"}


def test_scopes_are_local_to_tasks(x):
    async def work(name):
        with tg.scope(name):
            await asyncio.sleep(0)
            first = path(np.sin(x))
            await asyncio.sleep(0)
            return first, path(np.cos(x))

    async def both():
        with tg.scope("outer"):
            return await asyncio.gather(work("a"), work("b"))

    assert asyncio.run(both()) == [("outer/a", "outer/a"), ("outer/b", "outer/b")]


@pytest.mark.parametrize("arguments", [(3,), (None,), (b"x",), ("a", 3), ("a", None), (["a"],)])
def test_a_scope_is_named_by_a_string(arguments):
    with pytest.raises(TypeError, match=r"scope\(\) takes a name.*: two strings, not"), tg.scope(*arguments):
        pytest.fail("the block has begun")


def test_a_decorator_without_a_name():
    with pytest.raises(TypeError, match=r"scope\(\) takes a name"):

        @tg.scope
        def layer(x):
            return x


# -- where tensors are recorded by others ------------------------------------------------------


@pytest.mark.parametrize("block", BLOCKS)
def test_nothing_is_recorded_inside_no_grad(x, block):
    with tg.no_grad(), BLOCKS[block]():
        assert not np.sin(x).requires_grad
        with BLOCKS[block]():
            assert not np.sin(x).requires_grad
    with BLOCKS[block](), tg.scope("kept"):
        with tg.no_grad():
            assert not np.sin(x).requires_grad
        assert path(np.sin(x)).endswith("kept")


def test_scopes_in_functions_that_are_differentiated(x):
    seen = []

    def f(v):
        with tg.scope("inside"):
            y = np.sin(v)
        seen.append(path(y))
        return np.sum(y)

    with tg.scope("outer"):
        equal(tg.grad(f)(np.ones(2)), np.cos(np.ones(2)))
        tg.grad(lambda v: np.sum(tg.grad(f)(v)))(np.ones(2))
        tg.jacobian(f)(np.ones(2))
        tg.vjp(f, np.ones(2))[1](1.0)
        tg.hessian(f)(np.ones(2))
    assert len(seen) >= 5
    assert set(seen) == {"outer/inside"}


def test_scopes_in_a_checkpoint(x):
    seen = []

    @tg.checkpoint
    def f(v):
        with tg.scope("inside"):
            y = np.sin(v)
        seen.append((recording.get() is not False and y.requires_grad, y.node is not None and path(y)))
        return y

    with tg.scope("outer"):
        y = f(x)
    assert set(paths(y).values()) == {"outer"}
    with tg.scope("backward"):
        np.sum(y).backward()
    equal(x.grad, np.cos(x.data))
    # Once forward, which records nothing, and once more for the gradient.
    assert seen[-1] == (True, "backward/inside")


@pytest.mark.filterwarnings("error")
def test_scopes_in_vmap(x):
    def f(v):
        with tg.scope("inside"):
            return np.sum(np.sin(v * x))

    with tg.scope("outer"):
        y = tg.vmap(f)(np.ones((3, 2)))
    assert {"sin": "outer/inside", "sum": "outer/inside"}.items() <= paths(y).items()
    with tg.scope("outer"):
        equal(tg.vmap(tg.grad(lambda v: np.sum(v**3)))(np.ones((3, 2))), 3 * np.ones((3, 2)))


def test_what_a_recorded_backward_pass_computes(x):
    with tg.scope("forward"):
        y = np.sum(np.sin(x))
    with tg.scope("backward"):
        y.backward(create_graph=True)
    assert paths(x.grad)["cos"] == "backward"
    assert paths(y)["sin"] == "forward"


# -- together ---------------------------------------------------------------------------------


@pytest.mark.parametrize("order", list(itertools.permutations(BLOCKS)), ids="-".join)
def test_every_order(x, order):
    with ExitStack() as stack:
        entered = {name: stack.enter_context(BLOCKS[name]()) for name in order}
        y = np.sum(np.sin(x * 2))
        y.backward()
    equal(x.grad, 2 * np.cos(2 * x.data))
    sine = y.node.inputs[0]
    trace = sine.trace
    assert trace.scope.name == "part"
    assert trace.line.rsplit(":", 1)[0] == __file__
    assert len(trace.sums) == 2
    equal(trace.value, np.sin(2 * x.data))
    equal(trace.gradient, np.ones(2))
    equal(trace.gradients[0], np.cos(2 * x.data))
    equal(x.node.trace.gradient, 2 * np.cos(2 * x.data))
    assert 0 < trace.seconds < 1
    assert 0 < trace.back_seconds < 1
    profile = entered["profile"]
    assert {row.name: row.calls for row in profile.ops} == {"np.multiply": 1, "np.sin": 1, "np.sum": 1}
    assert all(row.forward > 0 and row.backward > 0 for row in profile.ops)


@pytest.mark.parametrize("order", list(itertools.permutations(["scope", "profile", "inspect"])), ids="-".join)
def test_debug_inside_still_finds_the_first_nan(x, order):
    with ExitStack() as stack:
        for name in order:
            stack.enter_context(BLOCKS[name]())
        with pytest.raises(NonFiniteError, match="value of `log`"), tg.debug(), np.errstate(all="ignore"):
            np.log(x * 0)
        # The blocks around go on.
        y = np.sin(x)
    assert path(y) == "part"
    equal(y.node.trace.value, np.sin(x.data))


def test_blocks_of_one_kind_inside_one_another(x):
    with tg.profile() as outer, tg.inspect():
        np.sin(x)
        with tg.profile() as inner, tg.inspect(), tg.debug(), tg.debug():
            y = np.sum(np.cos(x))
            y.backward()
    assert {row.name: row.calls for row in outer.ops} == {"np.sin": 1, "np.cos": 1, "np.sum": 1}
    assert {row.name: row.calls for row in inner.ops} == {"np.cos": 1, "np.sum": 1}
    equal(y.node.inputs[0].trace.gradients[0], -np.sin(x.data))
    equal(y.node.inputs[0].trace.value, np.cos(x.data))


def test_each_block_can_be_a_decorator(x):
    for name in ("scope", "debug", "inspect"):
        y = BLOCKS[name]()(lambda: np.sin(x))()
        assert y.node.trace is not None, name
    assert np.sin(x).node.trace is None


# -- nothing outside, nothing left ------------------------------------------------------------


def test_outside_nothing_is_noted(x):
    with tg.inspect(), tg.scope("part"):
        np.sin(x)
    y = np.sum(np.sin(x * 2))
    y.backward()
    assert [node.trace for node in tg.tape(y) if not node.is_leaf] == [None] * 3


@pytest.mark.parametrize("failing", [False, True])
@pytest.mark.parametrize("block", BLOCKS)
def test_nothing_is_left_without_the_collector(no_collector, block, failing):
    def step(kept):
        x, data = parameter(np.ones((40, 40)), name="x"), np.ones((40, 40))
        with tg.scope("around"):
            hidden = np.stack(np.split(np.tanh(x @ data), 2))
            y = np.sum(tg.checkpoint(np.exp)(hidden) ** 2)
        scope = y.node.trace.scope
        kept += map(weakref.ref, [x, x.data, data, y, hidden, hidden.data, *tg.tape(y)])
        kept += [weakref.ref(scope)] if hasattr(type(scope), "__weakref__") else []
        y.backward(create_graph=True)
        kept.append(weakref.ref(x.grad.node))
        if failing:
            raise KeyError

    kept = []
    with BLOCKS[block]():
        try:
            step(kept)
        except KeyError:
            assert failing
        # What ran last may be held until the block ends.
    assert len(kept) > 10
    assert [ref() for ref in kept if ref() is not None] == []


@pytest.mark.parametrize("block", BLOCKS)
def test_steps_do_not_pile_up_in_a_block(no_collector, block):
    def step():
        x = parameter(np.ones((100, 100)))
        with tg.scope("part"):
            np.sum(np.tanh(x @ np.ones((100, 100)))).backward()

    with BLOCKS[block]():
        step()
        tracemalloc.start()
        for _ in range(20):
            step()
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    # One step makes arrays of more than 300 kB.
    assert size < 200_000


def test_memory_that_an_inspected_graph_holds_goes_with_it(no_collector):
    x = parameter(np.ones(5000))
    with tg.inspect():
        first = np.tanh(x) + np.arange(5000.0)
        y = np.sum(first * 2)
        y.backward()
    value, gradient = weakref.ref(first.data), weakref.ref(y.node.trace.gradients[0])
    del first
    assert value() is not None
    del y
    assert value() is None
    assert gradient() is None
