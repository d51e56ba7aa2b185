"""`python -m tinygrad_np check`: whatever the backward function returns is compared, or the check does not pass."""

import textwrap

import pytest
from tutorials import PLAIN

from tinygrad_np.cli import main

LINE = """
    import numpy as np
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(11, 3)), rng.normal(size=11)
    w, b = rng.normal(size=3), 0.0

    def forward(x, w, b):
        return x @ w + b

    def loss(p, y):
        return np.mean((p - y) ** 2)

    def backward(x, y, p, w, b, rate=0.25):
        dp = 2 * (p - y) / len(y)
        RETURN

    for step in range(3):
        p = forward(x, w, b)
        backward(x, y, p, w, b)
"""


@pytest.fixture
def check(tmp_path, monkeypatch, capsys):
    """Checks a script: the exit code, and what was printed."""

    def run(code, *options, function="backward"):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "tutorial.py").write_text(textwrap.dedent(code), "utf-8")
        result = main(["check", f"tutorial.py:{function}", *options])
        said = capsys.readouterr()
        return result, said.out + said.err

    return run


def line(returned, start="0.0"):
    return LINE.replace("RETURN", returned).replace("0.0", start)


@pytest.mark.parametrize("start", ["0.0", "0", "np.float64(0)"])
@pytest.mark.parametrize("names", [(), ("--names", "dw,db")])
def test_a_parameter_that_is_a_number(check, start, names):
    returned = "dw, db = x.T @ dp, {}; return dw, db"
    assert check(line(returned.format("dp.sum()"), start), *names)[0] == 0
    for wrong in ("99.0", "99", "2 * dp.sum()"):
        result, out = check(line(returned.format(wrong), start), *names)
        assert result == 1
        assert "WRONG  db" in out


def test_numbers_among_parameters_in_a_dict(check):
    code = line("return {'dw': x.T @ dp, 'db': DB}").replace("x, w, b", "x, params").replace("p, w, b", "p, params")
    code = code.replace("x @ w + b", "x @ params['w'] + params['b']").replace("w, b = ", "params = dict(b=0.0, w=")
    code = code.replace("size=3), 0.0", "size=3))")
    assert check(code.replace("DB", "dp.sum()"))[0] == 0
    result, out = check(code.replace("DB", "0.5"))
    assert result == 1
    assert "WRONG  db" in out


def test_keys_that_are_names_of_parameters(check):
    result, out = check(line("return {'w': x.T @ dp, 'b': dp.sum()}"))
    assert result == 0
    assert "2 of 2 agree" in out
    result, out = check(line("return {'w': x.T @ dp * 5, 'b': -3.0}"))
    assert result == 1
    assert "WRONG  dw" in out
    assert "WRONG  db" in out


def test_a_dict_beside_other_results(check):
    assert check(line("return p, {'w': x.T @ dp, 'b': dp.sum()}"))[0] == 0
    result, out = check(line("return p, {'w': x.T @ dp, 'b': -dp.sum()}"))
    assert result == 1
    assert "WRONG  db" in out


@pytest.mark.parametrize(
    "returned",
    [
        "dw = x.T @ dp; return dw, 5 * dp.sum()",
        "dw = x.T @ dp; step = 5 * dp.sum(); return dw, step",
        "dw = x.T @ dp; return {'w': dw, 'bias': 5 * dp.sum()}",
        "dw = x.T @ dp; b = 5 * dp.sum() + 1; return dw, b * 1",
        "dw = x.T @ dp; return {'w': dw, 'dq': np.ones(4)}",
    ],
)
def test_what_is_not_compared_does_not_pass(check, returned):
    result, out = check(line(returned))
    assert result == 2
    assert "Not compared: 1 of the 2" in out
    assert "--names" in out


def test_what_is_not_compared_is_said_with_its_shape(check):
    code = PLAIN.replace("return X.T @ dZ,", "dW = X.T @ dZ; return dW,")
    result, out = check(code)
    assert result == 2
    assert "(1, 1)" in out
    result, out = check(code, "--names", "dW,db")
    assert result == 0
    assert "Not compared" not in out


def test_names_leave_out_what_is_no_gradient(check):
    tuple_of_three = line("return x.T @ dp, np.ones(4), dp.sum()")
    assert check(tuple_of_three, "--names", "dw,-,db")[0] == 0
    assert check(tuple_of_three.replace("dp.sum()", "9 * dp.sum()"), "--names", "dw,-,db")[0] == 1
    keys = line("return {'dw': x.T @ dp, 'db': dp.sum(), 'cache': np.ones(4)}")
    assert check(keys)[0] == 2
    assert check(keys, "--names", "dw,db")[0] == 0
    result, out = check(keys, "--names", "dw,dq")
    assert result == 2
    assert "dw, db, cache" in out


@pytest.mark.parametrize(
    "returned",
    [
        "dw, db = x.T @ dp, dp.sum(); cost = loss(p, y); return cost, dw, db",
        "dw, db = x.T @ dp, dp.sum(); return loss(p, y), dw, db",
        "dw, db = x.T @ dp, dp.sum(); return w - rate * dw, b - rate * db",
        "dw, db = x.T @ dp, dp.sum(); return w - 0.5 * dw, b - rate * db",
        "dw, db = x.T @ dp, dp.sum(); w = w - rate * dw; b = b - rate * db; return w, b",
        "dw, db = x.T @ dp, dp.sum(); w = w - rate * dw; b = b - rate * db; return {'w': w, 'b': b}",
        "dw, db = x.T @ dp, dp.sum(); return dw * 1, db, p, None, 'done', True, dp > 0",
    ],
)
def test_results_that_are_no_gradients(check, returned):
    result, out = check(line(returned))
    assert result == 0
    assert "2 of 2 agree" in out or "3 of 3 agree" in out


def test_lists_of_gradients(check):
    code = line("return [x.T @ dp], [dp.sum() FACTOR]").replace("x, w, b", "x, w, b").replace("b = rng", "b = rng")
    code = code.replace("x @ w + b", "x @ w[0] + b[0]").replace(
        "rng.normal(size=3), 0.0", "[rng.normal(size=3)], [0.0]"
    )
    result, out = check(code.replace("FACTOR", ""), "--names", "dw,db")
    assert result == 0
    assert "2 of 2 agree" in out
    assert check(code.replace("FACTOR", "* 3"), "--names", "dw,db")[0] == 1


@pytest.mark.parametrize("start", ["0.0", "0"])
def test_numbers_that_are_variables_of_the_module(check, start):
    code = line("dw, db = x.T @ dp, DB; return dw, db", start).replace("x, w, b", "x").replace("p, w, b", "p")
    assert check(code.replace("DB", "dp.sum()"))[0] == 0
    assert check(code.replace("DB", "7.0"))[0] == 1


def test_numbers_that_are_attributes(check):
    code = """
        import numpy as np
        class Line:
            def __init__(self):
                self.w, self.b = np.array([1.0, -2.0]), 0.0
            def forward(self, x):
                return x @ self.w + self.b
            def loss(self, p, y):
                return np.sum((p - y) ** 2)
            def backward(self, x, p, y):
                return {"w": 2 * x.T @ (p - y), "b": FACTOR * np.sum(p - y)}
        x, y, model = np.arange(6.0).reshape(3, 2), np.ones(3), Line()
        model.backward(x, model.forward(x), y)
    """
    assert check(code.replace("FACTOR", "2"), function="Line.backward")[0] == 0
    assert check(code.replace("FACTOR", "3"), function="Line.backward")[0] == 1


LAYERS = """
    import numpy as np
    rng = np.random.default_rng(0)

    class Dense:
        def __init__(self, inputs, outputs):
            self.W = rng.normal(size=(inputs, outputs))
        def forward(self, x):
            self.x = x
            return x @ self.W
        def backward(self, g):
            return g @ self.W.T

    class Tanh:
        def forward(self, x):
            self.y = np.tanh(x)
            return self.y
        def backward(self, g):
            return g * (1 - self.y**2)

    class Net:
        def __init__(self):
            self.layers = [Dense(3, 5), Tanh(), Dense(5, 1)]
        def forward(self, x):
            for layer in self.layers:
                x = layer.forward(x)
            return x
        def loss(self, p, y):
            return np.mean((p - y) ** 2)
        def backward(self, p, y):
            g = 2 * (p - y) / len(y)
            for layer in reversed(self.layers):
                g = layer.backward(g)
            return g

    X, y, net = rng.normal(size=(11, 3)), rng.normal(size=(11, 1)), Net()
    net.backward(net.forward(X), y)
"""


def test_the_forward_method_of_the_same_class(check):
    result, out = check(LAYERS, "--names", "dx", function="Net.backward")
    assert result == 0
    assert "ok     dx" in out
    wrong = LAYERS.replace("2 * (p - y)", "(p - y)")
    result, out = check(wrong, "--names", "dx", function="Net.backward")
    assert result == 1
    assert "2" in out


def test_a_loss_that_nobody_knows(check):
    result, out = check(line("return x.T @ dp"), "--loss", "mse")
    assert result == 2
    assert "squared_error" in out
