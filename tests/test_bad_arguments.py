"""What `compare_grads`, `check_grad` and `numeric_grad` say of arguments they cannot take: what, why, what to write."""

import numpy as np
import pytest

import tinygrad_np as tg
from tinygrad_np.errors import AutogradError, DtypeError, RangeError
from tinygrad_np.testing import assert_grads_match, check_grad, compare_grads, numeric_grad

w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
LOSS = np.sum(w**2)
HAND = {"dw": 2 * w.data}
ARRAYS = {"X": np.arange(18.0).reshape(6, 3), "y": np.ones(6), "w": np.ones(3)}


def by_hand(X, y, w):
    return {"dw": 2 * X.T @ (X @ w - y) / len(y)}


def loss(X, y, w):
    return np.mean((X @ w - y) ** 2)


def compared(hand=by_hand, arrays=ARRAYS, of=loss, **options):
    return compare_grads(hand, arrays, of, **options)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: compare_grads(None, loss=LOSS), DtypeError, ["None", '{"dW1": dW1']),
        (lambda: compare_grads([2 * w.data], loss=LOSS), DtypeError, ["list", '{"dW1": dW1']),
        (lambda: compare_grads([("dw", w.data)], loss=LOSS), DtypeError, ["list", '{"dW1": dW1']),
        (lambda: compare_grads(w.data, loss=LOSS), DtypeError, ["shape (2,)", '{"dW1": dW1']),
        (lambda: compare_grads(HAND, [w], LOSS), DtypeError, ["tensors", "list", "locals()"]),
        (lambda: compare_grads(HAND, w, LOSS), DtypeError, ["tensors", "(2,)", "locals()"]),
        (lambda: compare_grads(HAND, LOSS), DtypeError, ["the second argument", "loss=loss"]),
        (lambda: compare_grads(by_hand, loss), DtypeError, ["the second argument", "loss=loss"]),
        (lambda: assert_grads_match(HAND, LOSS), DtypeError, ["the second argument", "loss=loss"]),
        (lambda: compare_grads({"dq": w.data}, loss=LOSS), AutogradError, ["'dq'", "w.", "Name the gradient after"]),
        (lambda: compare_grads(HAND, loss=LOSS, rtol="a"), DtypeError, ["rtol='a'", "1e-06"]),
        (lambda: compare_grads(HAND, loss=LOSS, atol=[1]), DtypeError, ["atol=[1]", "1e-09"]),
        (lambda: compare_grads(HAND, loss=LOSS, rtol=-1), RangeError, ["rtol=-1"]),
        (lambda: compare_grads(HAND, loss=LOSS, seed=-1), RangeError, ["seed=-1", "from 0 on"]),
        (lambda: compare_grads(HAND, loss=LOSS, seed=None), RangeError, ["seed=None", "from 0 on"]),
        (lambda: compare_grads(HAND, loss=LOSS, shapes={"w": "n"}), AutogradError, ["shapes=", "functions"]),
        (lambda: compared(shapes=5), DtypeError, ["shapes=5", '{"X": "nm"']),
        (lambda: compared(shapes={"X": 5}), DtypeError, ["shapes['X']", "int", '{"X": "nm"']),
        (lambda: compared(shapes={"X": "nnn"}), AutogradError, ["'nnn'", "(6, 3)", "one letter for each axis"]),
        (lambda: compared(shapes={"X": "nn"}), AutogradError, ["'n' is 6 long,", "it is 3", "different letters"]),
        (lambda: compared(shapes={"X": "mn", "y": "n"}), AutogradError, ["'n' is 3 long in X", "in y", "it is 6"]),
        (lambda: compared(shapes={"Q": "n"}), AutogradError, ["'Q'", "X, y, w", "leave them away"]),
        (lambda: compared(lambda X, w: {"dw": w}), DtypeError, ["`hand`", "(X, w)", "'y'", "**others"]),
        (lambda: compared(of=lambda X, y: 1.0), DtypeError, ["`loss`", "(X, y)", "'w'", "**others"]),
        (lambda: compared(lambda X, y, w, rate: {"dw": w}), DtypeError, ["`hand`", "'rate'", "X, y, w"]),
        (lambda: check_grad(np.sin, w.data, argnums="x"), DtypeError, ["argnums: 'x'", "sin", "whole number"]),
        (lambda: check_grad(np.sin, w.data, argnums=0.0), DtypeError, ["argnums: 0.0", "whole number"]),
        (lambda: check_grad(np.sin, w.data, argnums=(0, "x")), DtypeError, ["argnums: 'x'", "whole number"]),
        (lambda: check_grad(3, w.data), DtypeError, ["int", "check_grad(f, x)"]),
        (lambda: check_grad(w.data, np.sin), DtypeError, ["ndarray", "function stands first", "check_grad(f, x)"]),
        (lambda: check_grad(np.sin), DtypeError, ["sin", "no arrays", "check_grad(f, x)"]),
        (lambda: numeric_grad(3, w.data), DtypeError, ["int", "numeric_grad(f, x)"]),
        (lambda: numeric_grad(np.sum), DtypeError, ["sum", "no arrays", "numeric_grad(f, x)"]),
        (lambda: numeric_grad(np.sum, w.data, argnum="x"), DtypeError, ["argnum: 'x'", "whole number"]),
        (lambda: numeric_grad(np.sum, w.data, argnum=(0,)), DtypeError, ["argnum: (0,)", "one at a time"]),
    ],
)
def test_arguments_that_cannot_be_taken(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert isinstance(caught.value, AutogradError)
    assert [word for word in words if word not in str(caught.value)] == []


def test_arguments_that_can_be_taken():
    assert compare_grads(HAND, loss=LOSS, seed=np.int64(3), rtol=np.float32(1e-3), atol=0).ok
    assert compare_grads(HAND, {"w": w}, LOSS, shapes=None).ok
    assert compare_grads(HAND, {"w": w}, LOSS, shapes={}).ok
    assert compared(shapes={"X": "mn", "y": "m"}).ok
    assert compared(lambda **arrays: by_hand(**arrays), of=lambda X, **others: loss(X, **others)).ok
    assert check_grad(lambda a, b: a * b, w.data, w.data, argnums=np.int64(-1)).entries == 2
    assert check_grad(lambda a, b: a * b, w.data, w.data, argnums=range(2)).entries == 4
    assert numeric_grad(lambda a, b: np.sum(a * b), w.data, w.data, argnum=np.int64(1)).shape == (2,)


def test_an_error_of_the_users_own_function_is_his():
    with pytest.raises(ZeroDivisionError):
        compared(lambda X, y, w: 1 / 0)
    with pytest.raises(TypeError, match="mine"):
        compared(lambda X, y, w: (_ for _ in ()).throw(TypeError("mine")))
