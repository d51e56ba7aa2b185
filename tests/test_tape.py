"""The tape: what it records, in which order, what it keeps, and what it prints."""

import numpy as np
import pytest

import tinygrad_np as tg
from tinygrad_np import Tensor
from tinygrad_np.errors import AutogradError


def parameters(*names):
    return [Tensor(np.full((2, 2), 0.5), requires_grad=True, name=name) for name in names]


def kept(tensor):
    """The arrays kept by the op that made `tensor`."""
    return tensor.node.kept


def test_births_are_in_the_order_of_computation():
    a, b = parameters("a", "b")
    c = a * b
    d = np.exp(a)
    loss = np.sum(c + d)
    born = [t.node.born for t in (a, b, c, d, loss)]
    assert born == sorted(born)
    entries = list(tg.tape(loss))
    assert [node.op_name for node in entries] == ["parameter", "parameter", "multiply", "exp", "add", "sum"]
    assert [node.born for node in entries] == sorted(node.born for node in entries)
    for node in entries:
        assert all(parent.born < node.born for parent in node.inputs)


def test_only_what_the_output_came_from_is_on_its_tape():
    a, b = parameters("a", "b")
    unused = np.exp(b)
    y = a * 2
    z = unused + y
    assert [node.op_name for node in tg.tape(y)] == ["parameter", "multiply"]
    assert len(tg.tape(z)) == 5


def test_a_node_used_twice_is_one_entry():
    (a,) = parameters("a")
    b = a * a
    assert len(tg.tape(b + b)) == 3


def test_plain_numbers_stand_in_the_inputs_and_arrays_are_leaves():
    (a,) = parameters("a")
    entries = list(tg.tape((a * 2.5) + np.ones(2)))
    product, array, total = entries[1:]
    assert product.inputs == (a.node, 2.5)
    assert (array.is_leaf, array.requires_grad, array.shape) == (True, False, (2,))
    assert array in total.inputs


def test_an_entry_knows_shape_dtype_and_name():
    a = Tensor(np.ones((2, 3), np.float32), requires_grad=True, name="a")
    y = np.sum(a, axis=1)
    y.name = "rows"
    node = tg.tape(y)[-1]
    assert (node.op_name, node.shape, node.dtype, node.name) == ("sum", (2,), np.float32, "rows")


def test_it_can_be_indexed_and_measured():
    (a,) = parameters("a")
    tape = tg.tape(a + 1)
    assert len(tape) == 2
    assert tape[0] is a.node
    assert tape[-1].op_name == "add"


def test_a_leaf_or_a_constant_alone_is_a_tape_of_one_entry():
    (a,) = parameters("a")
    assert [node.op_name for node in tg.tape(a)] == ["parameter"]
    assert [node.op_name for node in tg.tape(Tensor(1.0))] == ["constant"]
    assert [node.op_name for node in tg.tape(a.detach())] == ["constant"]


@pytest.mark.parametrize("wrong", [3.0, np.ones(2), None, "loss"])
def test_a_tape_of_something_else_is_refused(wrong):
    with pytest.raises(AutogradError, match=type(wrong).__name__):
        tg.tape(wrong)


def test_nothing_is_recorded_for_data_alone_or_under_no_grad():
    x = Tensor([1.0, 2.0])
    (a,) = parameters("a")
    with tg.no_grad():
        hidden = np.exp(a * 2)
    for out in (np.exp(x * 2), hidden):
        assert not out.requires_grad
        assert len(tg.tape(out)) == 1


def test_no_grad_ends_with_its_block_even_after_an_error():
    (a,) = parameters("a")
    with pytest.raises(ZeroDivisionError), tg.no_grad():
        raise ZeroDivisionError
    assert (a * 2).requires_grad
    with tg.no_grad():
        with tg.no_grad():
            pass
        assert not (a * 2).requires_grad

    @tg.no_grad()
    def silent(t):
        return t * 2

    assert not silent(a).requires_grad
    assert (a * 2).requires_grad


# -- what is kept -----------------------------------------------------------------------------


def test_only_what_a_rule_names_is_kept():
    a, b = parameters("a", "b")
    assert kept(a + b) == ()
    assert kept(a - b) == ()
    assert kept(np.sum(a)) == ()
    assert kept(a.reshape(4)) == ()
    out = np.exp(a)
    assert [x is out.data for x in kept(out)] == [True]
    assert [x is a.data for x in kept(np.sin(a))] == [True]
    assert {id(x) for x in kept(a * b)} == {id(a.data), id(b.data)}


def test_what_only_an_unwanted_gradient_needs_is_not_kept():
    (a,) = parameters("a")
    data = np.ones((2, 2))
    assert [x is data for x in kept(a * data)] == [True]
    assert [x is data for x in kept(data @ a)] == [True]


def test_kept_is_freed_by_backward_and_stays_with_retain_graph():
    (a,) = parameters("a")
    loss = np.sum(np.exp(a) * a)
    loss.backward(retain_graph=True)
    assert all(node.kept is not None for node in tg.tape(loss))
    loss.backward()
    assert [node.kept for node in tg.tape(loss) if not node.is_leaf] == [None, None, None]


# -- what it prints ---------------------------------------------------------------------------


def test_it_prints_one_line_per_entry():
    W = Tensor(np.ones((3, 2), np.float32), requires_grad=True, name="W")
    x = Tensor(np.ones((2, 4), np.float32), name="x")
    hidden = np.exp(W @ x)
    hidden.name = "hidden"
    head, *lines = str(tg.tape(np.sum(hidden) * 0.5)).splitlines()
    assert head.split() == ["#", "op", "inputs", "shape", "dtype", "kept", "name"]
    expected = [
        ["0", "parameter", "(3,", "2)", "float32", "W"],
        ["1", "constant", "(2,", "4)", "float32", "x"],
        ["2", "matmul", "W", "x", "(3,", "4)", "float32"],
        ["3", "exp", "%2", "(3,", "4)", "float32", "out", "hidden"],
        ["4", "sum", "hidden", "()", "float32"],
        ["5", "multiply", "%4", "0.5", "()", "float32"],
    ]
    assert len(lines) == len(expected)
    for line, words in zip(lines, expected, strict=True):
        # What an op keeps comes after these; that is another test's matter.
        assert line.split()[: len(words)] == words


def test_columns_line_up():
    a, b = parameters("a", "a_much_longer_name")
    head, *lines = str(tg.tape(np.sum(a * b + 1))).splitlines()
    for title in ("shape", "dtype"):
        column = head.index(title)
        assert all(line[column] != " " and line[column - 1] == " " for line in lines)


def test_what_was_freed_says_so():
    (a,) = parameters("a")
    loss = np.sum(a * a)
    loss.backward()
    assert str(tg.tape(loss)).count("(freed)") == 2


def test_results_of_one_op_are_entries_of_their_own():
    (a,) = parameters("a")
    first, second = np.unstack(a)
    names = [node.op_name for node in tg.tape(first * second)]
    assert names == ["parameter", "unstack", "result", "result", "multiply"]
    assert "((2,), (2,))" in str(tg.tape(first))


def test_a_second_derivative_has_a_tape_too():
    x = Tensor(2.0, requires_grad=True, name="x")
    (x**3).backward(create_graph=True)
    names = [node.op_name for node in tg.tape(x.grad)]
    assert "power" in names
    assert names[0] == "parameter"


# -- filter -----------------------------------------------------------------------------------


def filtered_tape():
    W, b = parameters("layer1.W", "layer1.b")
    hidden = np.log1p(np.exp(W @ Tensor(np.ones((2, 2)), name="x") + b))
    hidden.name = "layer1.out"
    return tg.tape(np.sum(np.log(hidden)))


def ops(tape):
    return [node.op_name for node in tape]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, ["parameter", "parameter", "constant", "matmul", "add", "exp", "log1p", "log", "sum"]),
        ({"op": "exp"}, ["exp"]),
        ({"op": "log*"}, ["log1p", "log"]),
        ({"op": "LOG*"}, []),
        ({"op": ""}, []),
        ({"name": "layer1.*"}, ["parameter", "parameter", "log1p"]),
        ({"name": "?"}, ["constant"]),
        ({"name": ""}, ["matmul", "add", "exp", "log", "sum"]),
        ({"leaves": True}, ["parameter", "parameter", "constant"]),
        ({"leaves": False}, ["matmul", "add", "exp", "log1p", "log", "sum"]),
        ({"requires_grad": False}, ["constant"]),
        ({"leaves": True, "requires_grad": True}, ["parameter", "parameter"]),
        ({"op": "log*", "name": "layer1.*"}, ["log1p"]),
        ({"where": lambda node: node.shape == ()}, ["sum"]),
        ({"where": lambda node: len(node.inputs) == 2, "op": "a*"}, ["add"]),
    ],
)
def test_filter(conditions, expected):
    assert ops(filtered_tape().filter(**conditions)) == expected


def test_a_filtered_tape_is_a_tape_that_keeps_its_numbers():
    tape = filtered_tape()
    logs = tape.filter(op="log*")
    assert isinstance(logs, tg.Tape)
    assert len(logs) == 2
    assert logs[0] is next(node for node in tape if node.op_name == "log1p")
    whole, part = str(tape).splitlines(), str(logs).splitlines()
    words = [line.split() for line in whole if " log" in line]
    assert [line.split() for line in part[1:]] == words
    # Inputs that were filtered out are called what the whole tape calls them.
    assert tape.label(logs[0].inputs[0]) == logs.label(logs[0].inputs[0]) == "%5"
    assert ops(tape.filter(leaves=False).filter(op="log*").filter(name="")) == ["log"]
    assert len(tape) == 9
    assert str(tape.filter(op="nothing")).split() == whole[0].split()
