"""Texts of backward rules as NumPy: what their words mean, and their typography undone."""

import importlib.util
import math
import re

import numpy as np

import tinygrad_np as tg

if importlib.util.find_spec("scipy"):
    import scipy.special as scipy_special
else:
    scipy_special = None


def _names():
    scope = {} if scipy_special is None else dict(vars(scipy_special))
    scope |= {name: getattr(np, name) for name in dir(np) if not name.startswith("_")}
    scope |= {name: getattr(np.linalg, name) for name in ("inv", "solve", "pinv")}
    scope |= {name: getattr(np.fft, name) for name in np.fft.__all__}
    scope |= {name: getattr(tg, name) for name in ("sigmoid", "softmax", "log_softmax", "softplus")}
    scope["Φ"] = np.vectorize(lambda x: math.erfc(-x / math.sqrt(2)) / 2, otypes=[float])

    def polygamma(n, x):
        # SciPy's is for real numbers; what of this package's is complex has tests of its own.
        return (tg.special.polygamma if np.iscomplexobj(x) else scope["polygamma"])(n, x)

    return scope | {"polygamma": polygamma, "trigamma": lambda x: polygamma(1, x)}


NAMESPACE = _names()


# Of selu, to the digits that the paper gives.
ROUNDED = {"1.0507": "1.0507009873554805", "1.6733": "1.6732632423543772"}


def undone(text):
    """The text without its typography, and with all digits."""
    text = re.sub(r"\b(1\.0507|1\.6733)\b", lambda m: ROUNDED[m[1]], text)
    for sign, written in {"−": "-", "²": "**2", "³": "**3", "ᵀ": ".mT"}.items():
        text = text.replace(sign, written)
    return text


def evaluated(text, values):
    scope = {**NAMESPACE, **values}
    if "onehot" in text:
        # Only the scores tell how many classes there are, and which axis they are on.
        axis = int((re.search(r"axis=(-?\d+)", text) or [0, "-1"])[1])
        classes = next(v.shape[axis] for k, v in values.items() if k == "logits")
        scope["onehot"] = lambda labels: np.moveaxis(np.eye(classes)[labels], -1, axis)
    with np.errstate(all="ignore"):
        return eval(undone(text), {"__builtins__": {"abs": abs}}, scope)


def axes_in(words):
    found = re.search(r"ax[ei]s (\(.*?\)|-?\d+)", words)
    return None if found is None else eval(found[1])


def options_of(node):
    """All metadata of a node's call, by name."""
    args, options = node.meta or ((), {})
    return {**node.rule.op.metadata, **dict(zip(node.rule.op.metadata, args, strict=False)), **options}
