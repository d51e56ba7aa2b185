"""The Module: how its parts are found and named, switched, saved, shown, copied, and used by threads."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tensors import equal, parameter

import tinygrad_np as tg
from tinygrad_np import nn
from tinygrad_np.errors import DtypeError, ShapeError


class Scale(nn.Module):
    """Multiplies by its one parameter."""

    def __init__(self, size=3, rng=None):
        self.factor = parameter(np.random.default_rng(rng).uniform(1, 2, size))

    def reset_parameters(self, rng):
        self.factor.data[...] = rng.uniform(1, 2, self.factor.shape)

    def forward(self, x):
        return x * self.factor


class Nested(nn.Module):
    """Parts in every kind of container."""

    def __init__(self):
        self.first = Scale()
        self.blocks = [Scale(), (Scale(), np.tanh)]
        self.heads = {"left": Scale(), "right": [parameter(np.ones(3))]}
        self.counts = np.zeros(2, int)
        self.frozen = tg.Tensor(np.ones(3))
        self.rng = np.random.default_rng(0)
        self.title, self.width = "nested", 3

    def forward(self, x):
        for layer in [self.first, self.blocks[0], *self.blocks[1], self.heads["left"]]:
            x = layer(x)
        return x * self.heads["right"][0] + self.frozen


def names(found):
    return [name for name, _ in found]


# -- what it is made of -----------------------------------------------------------------------


def test_names_are_paths_of_attributes_indices_and_keys():
    model = Nested()
    assert names(model.named_parameters()) == [
        "first.factor", "blocks.0.factor", "blocks.1.0.factor", "heads.left.factor", "heads.right.0", "frozen",
    ]  # fmt: skip
    assert names(model.named_modules()) == ["", "first", "blocks.0", "blocks.1.0", "heads.left"]
    assert names(model.named_buffers()) == ["counts"]
    assert names(model.named_generators()) == ["rng"]
    assert list(model.children()) == list(model.modules())[1:]
    assert next(model.parameters()) is model.first.factor


def test_a_part_at_two_places_is_one_part_and_saved_under_both_names():
    model = nn.Sequential(Scale(rng=0), np.tanh)
    model.again = model[0]
    assert names(model.named_parameters()) == ["0.factor"]
    assert sorted(model.state_dict()) == ["0.factor", "again.factor"]
    other = nn.Sequential(Scale(rng=1), np.tanh)
    other.again = other[0]
    other.load_state_dict(model.state_dict())
    assert other.again is other[0]
    equal(other[0].factor, model[0].factor.data)


def test_a_shared_parameter_has_one_gradient():
    table = nn.Embedding(4, 3, rng=0)

    class Tied(nn.Module):
        def __init__(self):
            self.table = table
            self.out = nn.Linear(3, 4, bias=False, rng=0)
            self.out.weight = table.weight

        def forward(self, indices):
            return self.out(self.table(indices))

    model = Tied()
    assert names(model.named_parameters()) == ["table.weight"]
    model(np.array([1])).sum().backward()
    # The sum over outputs is row 1 times the sum of all rows, so row 1 also gets the sum of all rows.
    rows = table.weight.data
    expected = np.tile(rows[1], (4, 1))
    expected[1] += rows.sum(axis=0)
    np.testing.assert_allclose(table.weight.grad.data, expected, rtol=1e-6)


def test_a_part_may_know_what_it_is_a_part_of():
    inner, outer = Scale(), nn.Sequential(np.tanh)
    outer.inner, inner.outer = inner, outer
    assert names(outer.named_parameters()) == ["inner.factor"]
    assert names(inner.named_parameters()) == ["factor"]
    assert outer.eval().inner.training is False
    assert "factor" in str(outer.summary())


def test_what_is_computed_is_no_parameter():
    model = Scale()
    model.last = model(np.ones(3))
    model.few = model.last.detach()
    assert names(model.named_parameters()) == ["factor"]
    assert list(model.state_dict()) == ["factor"]


# -- switching --------------------------------------------------------------------------------


def test_train_and_eval_reach_all_parts():
    model = Nested()
    assert all(m.training for m in model.modules())
    assert model.eval() is model
    assert not any(m.training for m in model.modules())
    model.train()
    assert all(m.training for m in model.modules())


def test_a_frozen_model_has_no_gradients():
    model = nn.Sequential(nn.Linear(3, 4, rng=0), np.tanh, nn.Linear(4, 1, rng=0))
    model[0].requires_grad_(False)
    model(np.ones((2, 3), np.float32)).sum().backward()
    assert model[0].weight.grad is None
    assert model[2].weight.grad is not None
    assert names(model.named_parameters()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())
    model.requires_grad_()
    model(np.ones((2, 3), np.float32)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_astype_turns_parameters_and_buffers_and_keeps_counts():
    model = nn.Sequential(nn.Linear(3, 2, rng=0), nn.BatchNorm1d(2))
    weight = model[0].weight
    assert model.astype(np.float64) is model
    assert model[0].weight is weight
    assert {p.dtype for p in model.parameters()} == {np.dtype(float)}
    assert model[1].running_mean.dtype == float
    assert model[1].num_batches_tracked.dtype == np.int64
    out = model(np.ones((4, 3)) * np.arange(4)[:, None])
    assert out.dtype == float
    out.sum().backward()
    assert weight.grad.dtype == float
    with pytest.raises(DtypeError, match="floating dtype, not int64"):
        model.astype(int)


def test_seed_decides_parameters_and_random_numbers():
    def outputs(seed):
        model = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 2)).seed(seed)
        return [model(np.ones((4, 3), np.float32)).data for _ in range(2)]

    a, b, other = outputs(0), outputs(0), outputs(1)
    equal(a[0], b[0])
    equal(a[1], b[1])
    assert np.any(a[0] != a[1])
    assert np.any(a[0] != other[0])


def test_seed_refuses_parameters_that_it_cannot_draw():
    class Own(nn.Module):
        def __init__(self):
            self.inner, self.weights = nn.Linear(2, 2, rng=0), [parameter(np.ones(3))]

    model = nn.Sequential(Own())
    before = model.state_dict()
    with pytest.raises(NotImplementedError, match=r"Own .* start \(weights\.0\).*def reset_parameters\(self, rng\)"):
        model.seed(0)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_seed_leaves_the_last_word_to_what_parts_are_in():
    layer = nn.MultiheadAttention(4, 2, rng=0)
    layer.out_proj.bias.data[...] = 1
    before = layer.out_proj.weight.data.copy()
    layer.seed(1)
    equal(layer.out_proj.bias, np.zeros(4))
    assert np.any(layer.out_proj.weight.data != before)


# -- shown ------------------------------------------------------------------------------------


def test_the_text_of_a_model_is_its_tree():
    model = nn.Sequential(nn.Linear(3, 2), nn.Residual(nn.Sequential(nn.ReLU(), nn.Linear(2, 2, bias=False))))
    assert repr(model) == (
        "Sequential(\n"
        "  (0): Linear(3, 2)\n"
        "  (1): Residual(\n"
        "    (block): Sequential(\n"
        "      (0): ReLU\n"
        "      (1): Linear(2, 2, bias=False)\n"
        "    )\n"
        "  )\n"
        ")"
    )


def test_the_summary_counts_and_gives_shapes():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)).train()
    model[0].requires_grad_(False)
    before = model.state_dict()
    summary = model.summary(np.ones((5, 3), np.float32))
    rows = {row.path: row for row in summary.rows}
    assert (rows[""].output, rows["0"].output, rows["2"].output) == ("(5, 2)", "(5, 4)", "(5, 4)")
    assert (rows["0"].shapes, rows["0"].parameters, rows["0"].frozen) == ("weight (4, 3), bias (4,)", 16, 16)
    assert rows["3"].nbytes == 40
    assert (summary.parameters, summary.frozen, summary.nbytes) == (34, 16, 136)
    assert summary.buffer_bytes == 4 * 4 + 4 * 4 + 8
    text = str(summary)
    assert "34 parameters, 16 of them frozen, 136 bytes; buffers: 40 bytes" in text
    assert "BatchNorm1d(4)" in text
    # Looking changes nothing.
    assert all(m.training for m in model.modules())
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_the_summary_restores_training_after_an_error():
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(3, 2)).train()
    model[1].eval()
    with pytest.raises(ShapeError, match=r"shapes \(5, 2\), \(2, 3\) and \(2,\) do not go together"):
        model.summary(np.ones((5, 3), np.float32))
    assert model[0].training
    assert not model[1].training


def test_calls_are_frames_in_pictures():
    pytest.importorskip("graphviz")
    model = nn.Sequential(nn.Linear(3, 2, rng=0), nn.Residual(nn.Linear(2, 2, rng=0)))
    groups = tg.draw(model(np.ones((4, 3), np.float32)).sum()).view.groups
    scopes = {group.id: group for group in groups if group.kind == "scope"}
    assert [(g.label, g.detail) for g in scopes.values()] == [
        ("Sequential", ""), ("0", "Linear(3, 2)"), ("1", "Residual"), ("1.block", "Linear(2, 2)"),
    ]  # fmt: skip
    parents = {g.label: scopes[g.parent].label for g in scopes.values() if g.parent in scopes}
    assert parents == {"0": "Sequential", "1": "Sequential", "1.block": "1"}


def test_parameters_are_named_by_their_paths():
    model = nn.Sequential(nn.Linear(3, 2), np.tanh)
    mine = parameter(np.ones(2), name="mine")
    model.shift = mine
    model(np.ones((4, 3), np.float32))
    assert [p.name for p in model.parameters()] == ["0.weight", "0.bias", "mine"]


# -- hooks ------------------------------------------------------------------------------------


def test_hooks_see_calls_until_they_are_removed():
    seen, others = [], []
    model = nn.Sequential(Scale(), np.tanh)
    hook = model[0].register_forward_hook(lambda module, inputs, out: seen.append((module, inputs[0], out)))
    model[0].register_forward_hook(lambda *call: others.append(call))
    x = np.ones(3)
    model(x)
    ((module, given, out),) = seen
    assert module is model[0]
    assert given is x
    equal(out, model[0].factor.data)
    hook.remove()
    model(x)
    assert len(seen) == 1
    assert len(others) == 2


def test_what_a_hook_returns_is_the_result():
    model = nn.Sequential(Scale(), np.tanh)
    model[0].register_forward_hook(lambda module, inputs, out: out * 2)
    model[0].register_forward_hook(lambda module, inputs, out: out + 1)
    equal(model(np.ones(3)), np.tanh(2 * model[0].factor.data + 1))


# -- copies -----------------------------------------------------------------------------------


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_computes_the_same_and_learns_alone(copied):
    model = nn.Sequential(nn.Linear(3, 4, rng=0), nn.Dropout(0.5, rng=0), nn.TransformerBlock(4, 2, rng=0))
    model[0].requires_grad_(False)
    x = np.ones((2, 5, 3), np.float32)
    model(x).sum().backward()  # a model that was used is copied, too
    other = copied(model)
    equal(other(x), model(x).data)
    assert [p.requires_grad for p in other.parameters()] == [p.requires_grad for p in model.parameters()]
    other.zero_grad()
    other(x).sum().backward()
    before = model.state_dict()
    for p in other.parameters():
        p.data[...] = 0
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


# -- threads ----------------------------------------------------------------------------------


def test_threads_share_a_model():
    model = nn.Sequential(nn.Linear(3, 8, rng=0), np.tanh, nn.TransformerBlock(8, 2, rng=0), nn.Linear(8, 1, rng=0))
    inputs = [np.random.default_rng(k).normal(size=(2, 4, 3)).astype(np.float32) for k in range(16)]

    def gradient(x):
        return tg.grad(lambda y: model(y).sum())(x).data  # on the tape, as the parameters require grad

    expected = [gradient(x) for x in inputs]
    with ThreadPoolExecutor(8) as pool:
        for found, right in zip(pool.map(gradient, inputs), expected, strict=True):
            np.testing.assert_array_equal(found, right)


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match=r"Empty has no forward\(\): write `def forward\(self, x\)"):
        type("Empty", (nn.Module,), {})()(1)
