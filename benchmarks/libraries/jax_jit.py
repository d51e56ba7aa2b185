"""The same steps in JAX, compiled by jit: not eager, shown for scale."""

import jax
import jax.numpy as jnp

from ..problems import RATE, d1, d2, d3

jax.config.update("jax_enable_x64", True)


def bce(z, y):
    return jnp.mean(jnp.maximum(z, 0) - z * y + jnp.log1p(jnp.exp(-jnp.abs(z))))


def stepper(loss, arrays):
    update = jax.jit(lambda ps: [p - RATE * g for p, g in zip(ps, jax.grad(loss)(ps), strict=True)])
    state = [jnp.asarray(a) for a in arrays]

    def step():
        state[:] = update(state)
        jax.block_until_ready(state)

    return step


def d1_step(dtype):
    X, _, labels, arrays = d1(dtype)
    X, labels = jnp.asarray(X), jnp.asarray(labels)

    def loss(p):
        Z2 = p[2] @ jnp.maximum(p[0] @ X + p[1], 0) + p[3]
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(Z2, 0), labels[None], 0))

    return stepper(loss, arrays)


def d2_step(dtype):
    X, Y, arrays = d2(dtype)
    return stepper(lambda p: 3 * bce(jax.nn.sigmoid(X @ p[0] + p[1]) @ p[2] + p[3], Y), arrays)


def d3_step(dtype):
    X, Y, arrays = d3(dtype)
    X = jnp.asarray(X)
    return stepper(lambda p: bce(p[2] @ jax.nn.sigmoid(p[0] @ X.T + p[1]) + p[3], Y), arrays)


JOBS = {"D1": d1_step, "D2": d2_step, "D3": d3_step}
