"""Attention: against one query after the other, with masks, with queries that have no keys, and mistakes."""

import warnings

import numpy as np
import pytest
from tensors import equal, parameter

import tinygrad_np as tg
from tinygrad_np import nn
from tinygrad_np.errors import DtypeError, LoopWarning, RangeError, ShapeError
from tinygrad_np.nn import functional as F
from tinygrad_np.testing import check_grad


def attended(q, k, v, allowed):
    """One query after the other."""
    out = np.zeros((len(q), v.shape[1]))
    for i, query in enumerate(q):
        scores = np.array([query @ key / np.sqrt(len(query)) for key in k])[allowed[i]]
        weights = np.exp(scores - scores.max(initial=-np.inf))
        out[i] = weights / max(weights.sum(), 1) @ v[allowed[i]]
    return out


def drawn(*shapes):
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape) for shape in shapes]


@pytest.mark.parametrize(("queries", "keys"), [(4, 4), (3, 5), (5, 3)])
def test_attention_is_a_weighted_mean(queries, keys):
    q, k, v = drawn((queries, 2), (keys, 2), (keys, 3))
    mask = np.random.default_rng(1).random((queries, keys)) < 0.6
    mask[1] = False
    all_of_them, earlier = np.ones((queries, keys), bool), np.tri(queries, keys, dtype=bool)
    np.testing.assert_allclose(F.scaled_dot_product_attention(q, k, v), attended(q, k, v, all_of_them), rtol=1e-12)
    for options, allowed in [
        ({"attn_mask": mask}, mask),
        ({"attn_mask": np.where(mask, 0, -np.inf)}, mask),
        ({"is_causal": True}, earlier),
        ({"attn_mask": mask, "is_causal": True}, mask & earlier),
    ]:
        found = F.scaled_dot_product_attention(q, k, v, **options)
        np.testing.assert_allclose(found, attended(q, k, v, allowed), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_query_without_keys_gets_zeros_and_no_gradient(dtype):
    q, k, v = (parameter(x.astype(dtype)) for x in drawn((3, 2), (4, 2), (4, 3)))
    mask = np.ones((3, 4), bool)
    mask[1] = False
    out = F.scaled_dot_product_attention(q, k, v, mask)
    np.testing.assert_array_equal(out.data[1], 0)
    assert out.dtype == dtype
    out.sum().backward()
    np.testing.assert_array_equal(q.grad.data[1], 0)
    assert all(np.isfinite(t.grad.data).all() for t in (q, k, v))
    layer = nn.MultiheadAttention(4, 2, rng=0)
    out, weights = layer(np.ones((2, 3, 4), np.float32), key_padding_mask=np.array([[True] * 3, [False] * 3]))
    np.testing.assert_array_equal(out.data[0], np.tile(layer.out_proj.bias.data, (3, 1)))
    np.testing.assert_array_equal(weights.data.sum(axis=-1), [[0] * 3, [1] * 3])


def test_large_scores_do_not_overflow():
    q, k, v = (parameter(x * 1e4) for x in drawn((3, 2), (4, 2), (4, 3)))
    out = F.scaled_dot_product_attention(q, k, v)
    out.sum().backward()
    best = np.argmax(q.data @ k.data.T, axis=1)
    np.testing.assert_allclose(out.data, v.data[best], rtol=1e-12)
    assert np.isfinite(q.grad.data).all()


def test_scale_and_dropout_of_attention():
    q, k, v = drawn((3, 2), (4, 2), (4, 3))
    np.testing.assert_allclose(
        F.scaled_dot_product_attention(q, k, v, scale=0.5), attended(q * 0.5 * np.sqrt(2), k, v, np.ones((3, 4), bool))
    )
    np.testing.assert_array_equal(F.scaled_dot_product_attention(q, k, v, dropout_p=1.0), np.zeros((3, 3)))
    a, b, c = (F.scaled_dot_product_attention(q, k, v, dropout_p=0.5, rng=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(a, b)
    assert np.any(a != c)


def test_numbers_that_are_added_may_be_learned():
    q, k, v = drawn((3, 2), (4, 2), (4, 3))
    added = np.random.default_rng(1).normal(size=(3, 4))
    for causal in (False, True):

        def f(q, k, added, causal=causal):
            return F.scaled_dot_product_attention(q, k, v, added, is_causal=causal)

        check_grad(f, q, k, added, order=2)
        np.testing.assert_allclose(f(tg.Tensor(q), k, tg.Tensor(added, requires_grad=True)).data, f(q, k, added))


def test_examples_of_a_batch_run_at_once():
    block = nn.Sequential(nn.TransformerBlock(4, 2, causal=True, rng=0, dtype=np.float64), nn.RMSNorm(4)).eval()
    block.requires_grad_(False)
    x = drawn((5, 3, 4))[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error", LoopWarning)
        np.testing.assert_allclose(tg.vmap(block)(x), block(x), rtol=1e-12)
        slopes = tg.vmap(tg.grad(lambda one: np.sum(block(one) ** 3)))(x)
    np.testing.assert_allclose(slopes, tg.grad(lambda x: np.sum(block(x) ** 3))(x), rtol=1e-9)


def test_attention_refuses_what_does_not_fit():
    q, k, v = drawn((3, 2), (4, 2), (4, 3))
    with pytest.raises(ShapeError, match=r"queries of 2 features with keys of 3"):
        F.scaled_dot_product_attention(q, v, v)
    with pytest.raises(ShapeError, match=r"weighs 3 values by 4 keys"):
        F.scaled_dot_product_attention(q, k, v[:3])
    with pytest.raises(DtypeError, match="dtype int64"):
        F.scaled_dot_product_attention(q, k, v, np.ones((3, 4), int))
    with pytest.raises(ShapeError, match=r"4 features of queries.*\(2, 3, 5\)"):
        nn.MultiheadAttention(4, 2)(np.ones((2, 3, 5)))
    with pytest.raises(DtypeError, match="attn_mask is True where a key takes no part"):
        nn.MultiheadAttention(4, 2)(np.ones((2, 3, 4), np.float32), attn_mask=np.ones((3, 3), int))
    with pytest.raises(RangeError, match="embed_dim=5 does not go into 2 heads"):
        nn.MultiheadAttention(5, 2)
    with pytest.raises(ValueError, match="'swish' is not known by name"):
        nn.TransformerEncoderLayer(4, 2, activation="swish")


def test_a_causal_block_does_not_look_ahead():
    block = nn.Sequential(*[nn.TransformerBlock(4, 2, causal=True, rng=k, dtype=np.float64) for k in range(2)])
    x = drawn((5, 4))[0]
    for place in range(5):
        slope = tg.grad(lambda y, t=place: (block(y)[t] * np.arange(4)).sum())(x).data
        assert np.all(slope[place + 1 :] == 0)
        assert np.all(np.any(slope[: place + 1], axis=1))
    free = nn.TransformerBlock(4, 2, rng=0, dtype=np.float64)
    assert np.all(np.any(tg.grad(lambda y: (free(y)[0] * np.arange(4)).sum())(x).data, axis=1))


def test_dropout_in_a_block_is_off_in_eval():
    block = nn.TransformerBlock(4, 2, dropout=0.5, rng=0)
    x = np.ones((3, 4), np.float32)
    assert np.any(block(x).data != block(x).data)
    block.eval()
    equal(block(x), block(x).data)


# -- the weights from outside -----------------------------------------------------------------

PADDING = np.array([[False, False, False], [False, False, True]])


def test_weights_of_a_layer_are_those_that_it_returns():
    for settings, inputs in (
        ({}, drawn((2, 3, 4))),
        ({"batch_first": False}, drawn((3, 2, 4), (5, 2, 4))),
        ({"kdim": 3, "vdim": 2}, drawn((2, 3, 4), (2, 5, 3))),
    ):
        layer = nn.MultiheadAttention(4, 2, rng=0, dtype=np.float64, **settings)
        value = (np.ones((2, 5, 2)),) if settings.get("vdim") else ()
        _, weights = layer(*inputs, *value, average_attn_weights=False)
        equal(layer.attention_weights(*inputs), weights.data)
    x = drawn((2, 3, 4))[0]
    layer = nn.MultiheadAttention(4, 2, rng=0, dtype=np.float64)
    masks = {"key_padding_mask": PADDING, "attn_mask": ~np.tri(3, dtype=bool)}
    equal(layer.attention_weights(x, **masks), layer(x, average_attn_weights=False, **masks)[1].data)


@pytest.mark.parametrize(
    ("block", "part", "padding"),
    [
        (nn.TransformerBlock(4, 2, dropout=0.5, rng=0), "attention", "key_padding_mask"),
        (nn.TransformerBlock(4, 2, dropout=0.5, causal=True, rng=0), "attention", "key_padding_mask"),
        (nn.TransformerEncoderLayer(4, 2, 5, 0.5, rng=0), "self_attn", "src_key_padding_mask"),
        (nn.TransformerEncoderLayer(4, 2, 5, 0.5, norm_first=True, rng=0), "self_attn", "src_key_padding_mask"),
    ],
)
def test_weights_of_a_block_are_those_that_it_uses(block, part, padding, monkeypatch):
    block, x, used = block.astype(np.float64), drawn((2, 3, 4))[0], []
    attention = getattr(block, part)
    forward = attention.forward

    def seen(*inputs, **options):
        used.append(forward(*inputs, **{**options, "need_weights": True, "average_attn_weights": False})[1].data)
        return forward(*inputs, **options)

    monkeypatch.setitem(vars(attention), "forward", seen)
    block.eval()(x, **{padding: PADDING})
    # While training, too: without dropout, and nothing is drawn.
    random = [generator.bit_generator.state for _, generator in block.train().named_generators()]
    found = block.attention_weights(x, **{padding: PADDING})
    equal(found, used[0])
    assert np.all(found.data[1, :, :, 2] == 0)
    assert [generator.bit_generator.state for _, generator in block.named_generators()] == random


def test_hooks_see_the_weights_of_a_whole_model():
    model = nn.Sequential(*[nn.TransformerBlock(4, 2, causal=True, rng=k, dtype=np.float64) for k in range(2)])
    x, found = drawn((2, 3, 4))[0], []
    for block in model:
        block.register_forward_hook(lambda block, inputs, out: found.append(block.attention_weights(*inputs)))
    model(x)
    assert len(found) == 2
    equal(found[0], model[0].attention_weights(x).data)
    equal(found[1], model[1].attention_weights(model[0](x)).data)
