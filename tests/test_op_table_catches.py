"""The op table is tested too: rules broken on purpose must not pass it."""

import numpy as np
import pytest
import test_ops
from sampler import Call, Sampler

from tinygrad_np.engine.door import RULES, bare
from tinygrad_np.engine.late import unsettle
from tinygrad_np.engine.op import SAMPLES, elementwise, linear, multilinear, op

CHECKS = [
    test_ops.test_value_is_numpys,
    test_ops.test_first_derivative,
    test_ops.test_forward_mode_agrees_with_reverse_mode,
    test_ops.test_second_derivative,
    test_ops.test_only_named_arrays_are_kept,
]


def written_into(x):
    x += 0.0001
    return np.exp(x)


BROKEN = {
    "sign": lambda: elementwise(np.sin, x=lambda x: -np.cos(x)),
    "factor": lambda: elementwise(np.square, x=lambda x: x),
    "slope taken at the value": lambda: elementwise(np.log, x=lambda out: 1 / out, sample=(1.5, 2)),
    "inputs swapped": lambda: elementwise(np.subtract, x=-1, y=1),
    "one input forgotten": lambda: elementwise(np.multiply, x=lambda y: y, y=None),
    "right at first order only": lambda: op(np.tanh, x=lambda g, out: g * (1 - bare(out) ** 2)),
    "transpose without its axis": lambda: linear(np.cumsum, transpose=lambda g: g[::-1]),
    "transposed product": lambda: multilinear(np.matmul, a=lambda g, b: g @ b, b=lambda g, a: a @ g),
    "forward rule differs": lambda: op(np.exp, x=lambda g, out: g * out, jvps={"x": lambda t, out: t * out * out}),
    "input written into": lambda: elementwise(np.exp, run=written_into, x=lambda out: out),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_rule_fails_the_table(kind, monkeypatch):
    monkeypatch.setattr("tinygrad_np.engine.op.SAMPLES", dict(SAMPLES))
    before = dict(RULES)
    try:
        BROKEN[kind]()
        changed = next(f for f in RULES if RULES[f] is not before.get(f))
        calls = {
            np.cumsum: [Call(Sampler().real(3, 4), axis=1)],
            np.matmul: [Call(Sampler().real(2, 2), Sampler(1).real(2, 2))],
        }
        calls = calls.get(changed) or [
            Call(Sampler().positive(2, 3)),
            Call(Sampler().positive(2, 3), Sampler().positive(3)),
        ]
        arity = len(RULES[changed].op.inputs)
        failures = [
            check for check in CHECKS for call in calls if len(call.args) == arity and fails(check, changed, call)
        ]
        assert failures
    finally:
        RULES.clear()
        RULES.update(before)
        unsettle(changed)


def fails(check, function, call):
    try:
        check(function, call)
    except pytest.skip.Exception:
        return False
    except Exception:
        return True
    return False


def test_the_unbroken_rules_pass():
    for f, call in [(np.sin, Call(Sampler().real(2, 3))), (np.matmul, Call(np.eye(2) + 1, np.ones((2, 2))))]:
        assert not any(fails(check, f, call) for check in CHECKS)
