"""Functions of single entries: each row is a function and its partial derivative per input."""

import numpy as np

from ..engine.op import constant, elementwise

LN2, LN10 = np.log(2.0), np.log(10.0)

elementwise(np.negative, x=-1)
elementwise(np.add, x=1, y=1)
elementwise(np.subtract, x=1, y=-1)
elementwise(np.multiply, x=lambda y: y, y=lambda x: x)
elementwise(np.divide, x=lambda y: 1 / y, y=lambda y, out: -out / y)
elementwise(np.exp, x=lambda out: out)
elementwise(np.tanh, x=lambda out: 1 - out * out)
elementwise(np.log, x=lambda x: 1 / x, sample=(0.5, 2))
elementwise(np.sin, x=lambda x: np.cos(x))
elementwise(np.cos, x=lambda x: -np.sin(x))
