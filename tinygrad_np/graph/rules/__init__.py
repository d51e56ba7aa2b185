"""What an op computed, and how its gradient goes back, in the reader's words.

The notation is NumPy's, with ᵀ for the last two axes swapped; `g` is the gradient that comes in, of the shape of the
result, and `out` the result.  Most texts are those of the rules themselves, read from their source; `tables` has
those that could not be read so, `shapes` those that depend on shapes.  Of complex numbers, `g` is the
unconjugated one that rules compute with.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from ...engine.tape import PROJECTION, Node
from ..words import argument, cut, number
from .calls import Call, along, fitted, value_text, words
from .shapes import BY_SHAPE
from .tables import FORMULAS, GRADIENTS, SLOPES, WORDS
from .typeset import PACKAGE, fill, folded, template, template_of

WIDE = 70
"""Lines are not longer, as long as the names are short."""
TOO_WIDE = 80
"""Longer slopes say less than their name."""
SHORT_NAME = 10
# Their rules give what has the shape of the result, to be summed where an input was broadcast.
_BROADCASTING = {"where", "unwrap", "cross", "tril", "triu"}
# Metadata that say enough by themselves.
_BARE = {
    "axis1", "axis2", "destination", "dtype", "indices", "indices_or_sections", "into", "repeats", "reps", "shape",
    "shift", "source", "to", "width",
}  # fmt: skip
_ORDERS_LAST = {"lambertw", "multigammaln"}


# -- forward ----------------------------------------------------------------------------------


def formula(node: Node, names: Sequence[str]) -> str:
    """What the op of `node` computed, with `names` for its inputs; "" for a leaf.

    >>> import numpy as np, tinygrad_np as tg
    >>> x = tg.Tensor(np.ones((3, 4)), requires_grad=True)
    >>> formula((x @ np.ones((4, 2))).node, ["x", "W"]), formula(x.sum(axis=0).node, ["x"])
    ('x @ W', 'sum(x, axis=0)')
    """
    if node.rule is None:
        return ""
    try:
        return _shortened(lambda given: _formula(node, given), names)
    except Exception:
        # Metadata may be anything, and a picture without a formula is better than none.
        return f"{node.rule.op.name}({', '.join(names)})"


def _formula(node: Node, names: tuple[str, ...]) -> str:
    if node.rule is PROJECTION:
        return f"result {node.meta + 1} of {node.inputs[0].rule.op.name}"
    call = Call(node, names)
    if call.op.kind == "function":
        return f"{call.op.name}({', '.join(names)})"
    written = _sign(call) if _is_ours(call.op) else None
    return written or _function(call)


def _sign(call: Call) -> str | None:
    """The formula of an op that is not written as a function."""
    name, names = call.op.name, call.names
    if name in FORMULAS:
        text = fill(template(FORMULAS[name], call.op.inputs, False), dict(zip(call.op.inputs, names, strict=True)))
        if call.node.inputs[-1] is None:
            text = text.removesuffix(f" + {names[-1]}")
        return re.sub(r" \*\* ([23])$", lambda m: "²³"[int(m[1]) - 2], text)
    if name in ("getitem", "take_once"):
        return f"{names[0]}[{value_text('index', call.values['index'])}]"
    if name in ("scatter", "put_once"):
        return f"zeros with {names[0]} at [{value_text('index', call.values['index'])}]"
    if name == "embedding":
        return f"{names[0]}[{value_text('index', call.values['numbers'])}]"
    if name == "attention_weights":
        added = "" if call.values["added"] is None else " + added"
        masked = "" if call.values["allowed"] is None else ", where allowed"
        return f"softmax({names[0]} @ {names[1]}ᵀ * {argument(call.values['scale'])}{added}){masked}"
    if name == "index_update":
        return f"{names[0]} with {names[1]} at [{value_text('index', call.values['index'])}]"
    if name == "transpose" and call.values["axes"] is None and len(call.shape(0)) == 2:
        return f"{names[0]}ᵀ"
    if name == "clip":
        bounds = zip(names[1:], call.node.inputs[1:], strict=True)
        given = ["None" if isinstance(value, float) and np.isinf(value) else text for text, value in bounds]
        return f"clip({', '.join([names[0], *given])})"
    if name == "permuted":
        return f"{names[0]} in another order{along(call)}"
    if name == "einsum":
        return f"einsum('{call.values['subscripts']}', {', '.join(names)})"
    if name in ("concatenate", "stack"):
        axis = call.values["axis"]
        return f"{name}([{', '.join(names)}]" + (f", axis={axis})" if axis != 0 else ")")
    return None


def _function(call: Call) -> str:
    present = zip(call.names, call.node.inputs, strict=False)
    arrays = [name for name, given in present if given is not None]
    options = [
        value_text(name, value) if name in _BARE else f"{name}={value_text(name, value)}"
        for name, value in call.given.items()
        if name not in call.at_default
    ]
    if call.op.title.startswith("tg.special.") and call.op.name not in _ORDERS_LAST:
        # Orders come first in scipy.
        orders = [value_text(name, value) for name, value in call.given.items()]
        return f"{call.op.name}({', '.join([*orders, *arrays])})"
    return f"{call.op.name.strip('<>')}({', '.join([*arrays, *options])})"


# -- backward ---------------------------------------------------------------------------------


def backward_rules(node: Node, names: Sequence[str]) -> list[str]:
    """A line for each input of `node` that gets a gradient: what its rule computes, with `names` for the inputs.

    >>> import numpy as np, tinygrad_np as tg
    >>> x, b = (tg.Tensor(np.ones(shape), requires_grad=True) for shape in [(3, 4), (4,)])
    >>> backward_rules((x + b).node, ["x", "b"])
    ['dx = g', 'db = sum(g, axis=0)']
    """
    if node.rule is None:
        return []
    wanted = list(dict.fromkeys(id(node.inputs[i]) for i in node.rule.wanted))
    groups = [[i for i in node.rule.wanted if id(node.inputs[i]) == source] for source in wanted]
    lines = []
    for places in groups:
        try:
            lines.append(_shortened(lambda given, places=places: _line(node, given, places), names))
        except Exception:
            lines.append(f"{_derivative(names[places[0]])}: see the rule of {node.rule.op.name}")
    return lines


def _line(node: Node, names: tuple[str, ...], places: list[int]) -> str:
    """The gradient of one input, the sum of what it gets in each of its places."""
    left = _derivative(names[places[0]])
    if node.rule is PROJECTION:
        return f"{left} = g for result {node.meta + 1}, 0 for the others"
    call = Call(node, names)
    if call.op.kind == "function":
        given = "pull" in node.rule.keep
        return f"{left}: " + (
            "rule given by custom_gradient" if given else "computed again from its inputs (checkpoint)"
        )
    texts = [gradient(call, i) for i in places]
    known = [text for text in texts if text is not None]
    if len(known) < len(texts):
        return f"{left}: see the rule of {call.op.title}"
    return f"{left} = {_sum(known)}"


def _derivative(name: str) -> str:
    return f"d{name}" if name.isidentifier() else f"d({name})"


def _sum(texts: list[str]) -> str:
    # Outside of brackets, an expression has no comma and no two words in a row.
    bare = [re.sub(r"\([^()]*\)", "()", re.sub(r"\([^()]*\)|\[[^]]*\]", "()", text)) for text in texts]
    if any(re.search(r",|\w \w", text) for text in bare):
        return "; plus ".join(texts)
    return texts[0] + "".join([f" − {text[1:]}" if text.startswith("−") else f" + {text}" for text in texts[1:]])


def gradient(call: Call, i: int) -> str | None:
    """The gradient of input `i`, or None if there are no words for it."""
    name = call.op.inputs[i] if call.op.inputs else "arrays"
    if _is_ours(call.op, name):
        by_shape = BY_SHAPE.get(call.op.name)
        text = by_shape(call, i) if by_shape else None
        text = text or _in_words(call, i, name)
        if text is not None:
            return text + (", real part" if _is_cut(call, i) and "real(" not in text else "")
    found = _template(call.op, name)
    slope = fitted(f"g * ∂out/∂{call.names[i]}", call.node.shape, call.shape(i)) if _is_elementwise(call) else None
    if found is None:
        return slope
    # Not the metadata called shape: in a rule that is the shape of the input.
    given = {name: value for name, value in call.values.items() if name not in ("shape", "size")}
    numbers = {name: number(value) for name, value in given.items() if np.ndim(value) == 0 and _is_number(value)}
    text = fill(folded(fill(found, numbers, call.left_out)), call.fields(i))
    if _is_elementwise(call) or call.op.name in _BROADCASTING:
        text = fitted(text, call.node.shape, call.shape(i))
    if slope and len(text) - sum(text.count(name) * (len(name) - 1) for name in call.names if name) > TOO_WIDE:
        text = slope
    return f"real({text})" if _is_cut(call, i) else text


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) or (isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "iuf")


def _is_cut(call: Call, i: int) -> bool:
    """Whether a complex gradient goes to a real input, which gets its real part."""
    results = call.node.dtype if isinstance(call.node.dtype, tuple) else (call.node.dtype,)
    return call.node.inputs[i].dtype.kind != "c" and any(dtype.kind == "c" for dtype in results)


def _in_words(call: Call, i: int, name: str) -> str | None:
    first = next(iter(call.op.metadata or call.op.inputs[1:]), "")
    row = WORDS.get(f"{call.op.name}({first})") or WORDS.get(call.op.name, {})
    if name not in row:
        return None
    fields = words(call, i)
    text = re.sub(r"\{(\w+)\}", lambda m: fields.get(m[1], m[1]), row[name])
    if call.op.name in ("linspace", "geomspace") and call.shape(i) != np.broadcast_shapes(call.shape(0), call.shape(1)):
        text += f", summed to {call.shape(i)}"
    return text


@cache
def _template(op: Any, name: str) -> str | None:
    slope = op.kind == "elementwise"
    text = (SLOPES if slope else GRADIENTS).get(op.name, {}).get(name)
    if text is None or not _is_ours(op, name):
        return template_of(op.rules.get(name), slope)
    # `out` is the result, also where NumPy has a keyword of that name.
    variables = {*op.inputs, *op.metadata, "shape", "size"} - {"out"}
    return template(text, tuple(variables), slope)


def _is_elementwise(call: Call) -> bool:
    return call.op.kind == "elementwise"


def _is_ours(op: Any, name: str | None = None) -> bool:
    """Whether the op, or its rule for one input, is this package's: an op of the user's may have the name of one."""
    if name in op.rules:
        return _home(op.rules[name]) == PACKAGE
    made = [op.function, *op.rules.values(), getattr(op, "rule", None)]
    return {_home(part) for part in made if callable(part)} <= {PACKAGE, "numpy", "scipy", ""}


def _home(part: Any) -> str:
    """The package that a function is from; "" for numbers, and for some functions of scipy."""
    return (getattr(part, "__module__", None) or "").partition(".")[0]


def _shortened(text_of: Any, names: Sequence[str]) -> str:
    """The text, with shorter names if it would be too long with the whole ones."""
    text = text_of(tuple(names))
    if len(text) <= WIDE:
        return text
    brief = _brief(tuple(dict.fromkeys(names)))
    return text_of(tuple([brief[name] for name in names]))


def _brief(names: tuple[str, ...]) -> dict[str, str]:
    """Different names, shorter and still different: cut at their ends, else in the middle, else as they are.

    >>> _brief(("decoder.W_1x", "decoder.W_2x", "h"))
    {'decoder.W_1x': 'decod….W_1x', 'decoder.W_2x': 'decod….W_2x', 'h': 'h'}
    """
    shorter = [lambda name: cut(name, SHORT_NAME), lambda name: _cut_inside(name, SHORT_NAME + 1)]
    for shorten in shorter:
        brief = {name: shorten(name) for name in names}
        if len(set(brief.values())) == len(names):
            return brief
    return {name: name for name in names}


def _cut_inside(text: str, length: int) -> str:
    head = (length - 1) // 2
    return text if len(text) <= length else f"{text[:head]}…{text[head + 1 - length :]}"
