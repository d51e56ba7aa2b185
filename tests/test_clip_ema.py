"""Clipping of gradients, and averages of weights."""

import numpy as np
import pytest
from torch_values import torch_values

import tinygrad_np as tg
from tinygrad_np import optim
from tinygrad_np.errors import NonFiniteError, RangeError, ShapeError


def drawn(dtype=np.float64):
    rng = np.random.default_rng(4)
    return [rng.normal(size=shape).astype(dtype) for shape in [(3, 4), (5,), ()]]


def with_gradients(gradients):
    parameters = [tg.Tensor(np.zeros_like(array), requires_grad=True) for array in gradients]
    for parameter, array in zip(parameters, gradients, strict=True):
        parameter.grad = tg.Tensor(np.array(array))
    return parameters


# -- clipping -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("norm_type", [1, 2, 3.5, 0.5, np.inf])
@pytest.mark.parametrize("max_norm", [0.0, 0.7, 1e3])
def test_norms_are_clipped_as_in_pytorch(max_norm, norm_type, dtype):
    def with_torch(torch):
        parameters = [torch.tensor(np.zeros_like(array), requires_grad=True) for array in drawn(dtype)]
        for parameter, array in zip(parameters, drawn(dtype), strict=True):
            parameter.grad = torch.tensor(array)
        norm = torch.nn.utils.clip_grad_norm_(parameters, max_norm, norm_type)
        return [norm, *[parameter.grad for parameter in parameters]]

    norm, *gradients = torch_values("clip", f"clip {max_norm} {norm_type} {dtype.__name__}", with_torch)
    parameters = with_gradients(drawn(dtype))
    arrays = [parameter.grad.data for parameter in parameters]
    rtol = 1e-5 if dtype is np.float32 else 1e-12
    np.testing.assert_allclose(optim.clip_grad_norm(parameters, max_norm, norm_type), norm, rtol=rtol)
    for parameter, array, wanted in zip(parameters, arrays, gradients, strict=True):
        assert parameter.grad.data is array
        assert array.dtype == dtype
        np.testing.assert_allclose(array, wanted, rtol=rtol)


def test_tiny_norms_are_clipped_as_in_pytorch():
    def with_torch(torch):
        w = torch.zeros(2, dtype=torch.float64, requires_grad=True)
        w.grad = torch.tensor([3e-5, 4e-5], dtype=torch.float64)
        torch.nn.utils.clip_grad_norm_([w], 2e-5)
        return [w.grad]

    (wanted,) = torch_values("clip", "tiny", with_torch)
    (w,) = with_gradients([np.array([3e-5, 4e-5])])
    optim.clip_grad_norm([w], 2e-5)
    np.testing.assert_allclose(w.grad.data, wanted, rtol=1e-12)


def test_values_are_clipped_in_place():
    gradients = [np.array([-3.0, 0.2, np.nan, np.inf]), np.array(2.0)]
    parameters = with_gradients(gradients)
    without = tg.Tensor([1.0], requires_grad=True)
    arrays = [parameter.grad.data for parameter in parameters]
    optim.clip_grad_value([*parameters, without], 0.5)
    np.testing.assert_array_equal(arrays[0], [-0.5, 0.2, np.nan, 0.5])
    np.testing.assert_array_equal(arrays[1], 0.5)
    assert without.grad is None


@pytest.mark.parametrize("size", [1e200, 1e-200])
def test_norms_of_huge_and_tiny_gradients(size):
    parameters = with_gradients([np.array([3.0, 4.0]) * size, np.array([12.0]) * size])
    assert optim.clip_grad_norm(parameters, np.inf) == pytest.approx(13 * size, rel=1e-14)
    parameters = with_gradients([np.array([3.0, 4.0], np.float32) * np.float32(1e25)])
    assert optim.clip_grad_norm(parameters, 5.0) == pytest.approx(5e25, rel=1e-6)
    np.testing.assert_allclose(parameters[0].grad.data, [3.0, 4.0], rtol=1e-6)


def test_gradients_that_share_memory_are_clipped_once():
    shared = np.array([[3.0, 4.0], [0.0, 0.0]])
    parameters = [tg.Tensor(np.zeros((2, 2)), requires_grad=True) for _ in range(4)]
    # One array twice, a view of it, and one that cannot be written.
    for parameter, array in zip(parameters, [shared, shared, shared.T, np.broadcast_to(2.0, (2, 2))], strict=True):
        parameter.grad = tg.Tensor(array)
    norm = optim.clip_grad_norm(parameters, 1.0)
    assert norm == pytest.approx(np.sqrt(25 * 3 + 16))
    for parameter, wanted in zip(
        parameters, [[[3, 4], [0, 0]]] * 2 + [[[3, 0], [4, 0]], [[2, 2], [2, 2]]], strict=True
    ):
        np.testing.assert_allclose(parameter.grad.data, np.array(wanted) / norm, rtol=1e-6)


def test_complex_gradients_count_by_their_size():
    parameters = with_gradients([np.array([3 + 4j, 0j]), np.array([12.0])])
    assert optim.clip_grad_norm(parameters, 1.0) == pytest.approx(13)
    np.testing.assert_allclose(parameters[0].grad.data, [(3 + 4j) / 13, 0], rtol=1e-6)
    with pytest.raises(TypeError, match="no order"):
        optim.clip_grad_value(parameters, 1.0)


def test_norms_that_are_not_finite():
    parameters = with_gradients([np.array([1.0, np.inf])])
    with pytest.raises(NonFiniteError, match="norm inf"):
        optim.clip_grad_norm(parameters, 1.0, error_if_nonfinite=True)
    np.testing.assert_array_equal(parameters[0].grad.data, [1.0, np.inf])
    assert optim.clip_grad_norm(parameters, 1.0) == np.inf
    np.testing.assert_array_equal(parameters[0].grad.data, [0.0, np.nan])
    parameters = with_gradients([np.array([1.0, np.nan])])
    assert np.isnan(optim.clip_grad_norm(parameters, 1.0, np.inf))


def test_clipping_nothing_and_refusals():
    w = tg.Tensor([1.0], requires_grad=True)
    assert optim.clip_grad_norm([w], 1.0) == 0.0
    assert optim.clip_grad_norm(w, 1.0) == 0.0
    optim.clip_grad_value([], 1.0)
    for call in (
        lambda: optim.clip_grad_norm([w], -1.0),
        lambda: optim.clip_grad_norm([w], np.nan),
        lambda: optim.clip_grad_norm([w], 1.0, 0),
        lambda: optim.clip_grad_value([w], -0.5),
    ):
        with pytest.raises(RangeError):
            call()
    with pytest.raises(TypeError, match="ndarray"):
        optim.clip_grad_norm([np.ones(2)], 1.0)


# -- averages -----------------------------------------------------------------------------------


def test_the_average_is_that_of_pytorch():
    rng = np.random.default_rng(5)
    steps = rng.normal(size=(30, 4))

    def with_torch(torch):
        model = torch.nn.Linear(4, 1, bias=False, dtype=torch.float64)
        with torch.no_grad():
            model.weight[...] = torch.tensor(steps[0])
        averaged = torch.optim.swa_utils.AveragedModel(
            model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9)
        )
        # The first update of PyTorch's average copies.
        for step in steps:
            with torch.no_grad():
                model.weight[...] = torch.tensor(step)
            averaged.update_parameters(model)
        return [averaged.module.weight[0]]

    (wanted,) = torch_values("clip", "ema", with_torch)
    w = tg.Tensor(steps[0], requires_grad=True)
    ema = optim.EMA([w], 0.9)
    for step in steps[1:]:
        w.data[...] = step
        ema.update()
    np.testing.assert_allclose(ema.averages[0], wanted, rtol=1e-13)


def test_a_warm_up_forgets_the_start_sooner():
    w = tg.Tensor([0.0], requires_grad=True)
    ema = optim.EMA([w], 0.5, warmup=True)
    w.data[...] = 1.0
    average = 0.0
    for decay in [2 / 11, 3 / 12, 4 / 13]:
        ema.update()
        average = decay * average + (1 - decay)
        np.testing.assert_allclose(ema.averages[0], [average])
    for _ in range(10):
        ema.update()
    before = ema.averages[0].copy()
    ema.update()
    np.testing.assert_allclose(1 - ema.averages[0], 0.5 * (1 - before))


def test_averages_are_applied_and_taken_back():
    w, b = tg.Tensor([[1.0, 2.0]], requires_grad=True), tg.Tensor(3.0, requires_grad=True, dtype=np.float32)
    ema = optim.EMA([("w", w), ("b", b)], 0.5)
    arrays = w.data, b.data
    w.data += 1.0
    b.data += 1.0
    ema.update()

    def evaluate():
        with ema.applied():
            assert w.data is arrays[0]
            np.testing.assert_array_equal(w.data, [[1.5, 2.5]])
            np.testing.assert_array_equal(b.data, 3.5)
            with pytest.raises(RuntimeError, match="inside"):
                ema.update()
            with pytest.raises(RuntimeError, match="inside"), ema.applied():
                pass
            w.data = np.zeros((1, 2))
            raise KeyError

    with pytest.raises(KeyError):
        evaluate()
    assert w.data is arrays[0]
    np.testing.assert_array_equal(w.data, [[2.0, 3.0]])
    np.testing.assert_array_equal(b.data, np.float32(4.0))
    np.testing.assert_array_equal(ema.averages[0], [[1.5, 2.5]])
    ema.update()
    np.testing.assert_array_equal(ema.averages[0], [[1.75, 2.75]])


def test_an_average_goes_on_from_its_state():
    w = tg.Tensor(np.arange(3.0), requires_grad=True)
    ema = optim.EMA([w], 0.9, warmup=True)
    for _ in range(3):
        w.data += 1.0
        ema.update()
    saved = ema.state_dict()
    other = optim.EMA([w], 0.5)
    other.load_state_dict(saved)
    for average in (ema, other):
        w.data[...] = 7.0
        average.update()
    np.testing.assert_array_equal(other.averages[0], ema.averages[0])
    assert saved["updates"] == 3
    with pytest.raises(ShapeError, match=r"\(2,\)"):
        other.load_state_dict({**saved, "averages": [np.ones(2)], "decay": 0.1})
    with pytest.raises(ValueError, match="2 averages"):
        other.load_state_dict({**saved, "averages": [np.ones(3)] * 2})
    with pytest.raises(ValueError, match="'updates'"):
        other.load_state_dict({key: value for key, value in saved.items() if key != "updates"})
    assert other.decay == 0.9
    for decay in (1.0, -0.1):
        with pytest.raises(RangeError):
            optim.EMA([w], decay)
