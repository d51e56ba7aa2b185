"""Reads a backward rule as a picture shows it back into arrays, as NumPy or by the form of its sentence."""

import re
from collections import Counter

import numpy as np
from rule_layers import (
    read_convolution,
    read_largest,
    read_mean_at_largest,
    read_mean_in_window,
    read_pooled_mean,
    read_rows,
    read_standardized,
    read_through_time,
)
from rule_words import axes_in, evaluated, options_of

import tinygrad_np as tg
from tinygrad_np.engine.tape import PROJECTION, Node, ancestors, recording
from tinygrad_np.engine.walk import fit
from tinygrad_np.engine.watch import Watcher
from tinygrad_np.graph.rules import backward_rules
from tinygrad_np.transforms.trees import tree_leaves


def opened(value, shape, axis):
    """A reduced array with its axes back in."""
    value = np.asarray(value)
    if axis is None or value.ndim == len(shape):
        return value
    return np.expand_dims(value, tuple(a % len(shape) for a in np.atleast_1d(axis)))


def read_repeated(match, values, x):
    return np.broadcast_to(opened(evaluated(match[1], values), x.shape, axes_in(match[2])), x.shape)


def read_along(match, values, x):
    axis = axes_in(match[2])
    lanes = {name: opened(values[name], x.shape, axis) for name in ("g", "out")}
    count = x.size if axis is None else np.prod([x.shape[a] for a in np.atleast_1d(axis)])
    return evaluated(match[1], {**values, **lanes, "mean": np.sum(x, axis, keepdims=True) / max(1, count)})


def read_getitem(match, values, x):
    zeros = np.zeros(x.shape)
    np.add.at(zeros, eval(f"np.index_exp[{match[1]}]", {"np": np}), values["g"])
    return zeros


def read_extreme(match, values, x):
    axis = axes_in(match[2])
    winners = x == opened(values["out"], x.shape, axis)
    return opened(values["g"], x.shape, axis) * winners / np.maximum(winners.sum(axis=axis, keepdims=True), 1)


def read_others(match, values, x):
    axis = axes_in(match[2])
    axes = tuple(range(x.ndim)) if axis is None else tuple(a % x.ndim for a in np.atleast_1d(axis))
    others = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        lane = tuple(slice(None) if a in axes else k for a, k in enumerate(place))
        rest = x.copy()
        rest[place] = 1
        others[place] = rest[lane].prod()
    return opened(values["g"], x.shape, axis) * others * float(match[1] or 1)


def read_running(match, values, x):
    axis = axes_in(match[1])
    g = values["g"] if axis is not None else np.ravel(values["g"])
    return np.flip(np.cumsum(np.flip(g, axis or 0), axis or 0), axis or 0).reshape(x.shape)


def read_pairs(match, values, x):
    """`Σ g[j] * ... over j ≥ i`: entry by entry, in lanes."""
    axis = axes_in(match[2])
    lanes = {
        k: np.moveaxis(v, axis, -1) if axis is not None else np.ravel(v)
        for k, v in values.items()
        if np.ndim(v) or np.ndim(x) == 0
    }
    total = np.zeros(np.shape(lanes["g"]))
    for i in range(total.shape[-1]):
        for j in range(i, total.shape[-1]):
            term = re.sub(r"\[([ij])\]", r"[..., \1]", match[1])
            total[..., i] += evaluated(term, {**lanes, "i": i, "j": j})
    return (np.moveaxis(total, -1, axis) if axis is not None else total).reshape(x.shape)


def read_with_count(match, values, x):
    return evaluated(match[1], {**values, "n": opened(evaluated(match[2], values), x.shape, int(match[3]))})


def numbered(x):
    """The numbers of the entries of x, in its shape."""
    return np.arange(x.size).reshape(x.shape)


def added_up(places, g, x):
    """Each entry of g added to the entry of x that its place has the number of."""
    total = np.zeros(x.size, np.result_type(g, float))
    np.add.at(total, np.ravel(places), np.ravel(g))
    return total.reshape(x.shape)


def read_copies(match, values, x):
    """The op itself tells, on numbers, where it puts copies of each entry."""
    node = values["node"]
    args, options = node.meta or ((), {})
    return added_up(node.rule.op.function(numbered(x), *args, **options), values["g"], x)


def read_windows(match, values, x):
    options = options_of(values["node"])
    windows = np.lib.stride_tricks.sliding_window_view(numbered(x), options["width"], options["axis"])
    return added_up(windows, values["g"], x)


def read_defined(match, values, x):
    return evaluated(match[1], {**values, match[2]: evaluated(match[3], values)})


# -- places -----------------------------------------------------------------------------------


def read_back(match, values, x):
    options = options_of(values["node"])
    came_from = np.take_along_axis(numbered(x), options["order"], options["axis"])
    assert sorted(came_from.ravel()) == list(range(x.size))
    return added_up(came_from, values["g"], x)


def read_margin(match, values, x):
    widths = options_of(values["node"])["widths"]
    inside = [slice(before, before + n) for (before, _), n in zip(widths, x.shape, strict=True)]
    return values["g"][tuple(inside)]


def read_diagonal(match, values, x):
    options = options_of(values["node"])
    return added_up(np.diagonal(numbered(x), options["offset"], options["axis1"], options["axis2"]), values["g"], x)


def read_picked(match, values, x):
    places = numbered(x)[options_of(values["node"])["index"]]
    assert match[1] or np.unique(places).size == places.size, "some entries are picked twice"
    return added_up(places, values["g"], x)


READERS = {
    r"(.*) along (ax[ei]s .*), for result 1$": read_standardized,
    r"(.*), (S) = (.*)$": read_defined,
    r"(.*), n = (sum\(\w+, axis=(-?\d+)\))$": read_with_count,
    r"(.*?), repeated (along .*|for every entry)$": read_repeated,
    r"g (?:added up )?at \[((?!.*(?:mask|indices)).*)\], 0 elsewhere$": read_getitem,
    r"g (added up )?at \[.*\], 0 elsewhere$": read_picked,
    r"for each entry, the sum of g over its copies$": read_copies,
    r"g, added up for each (?:entry|row) over the places it was taken to$": read_copies,
    r"the rows of g that each was added to$": read_rows,
    r"g where (\w+) is the maximum of its window \(ties share\)$": read_largest,
    r"mean of g where (\w+) is the maximum of its window$": read_mean_at_largest,
    r"for each entry, the sum of g / (\d+) over the windows it is in$": read_pooled_mean,
    r"mean of g in each window$": read_mean_in_window,
    r"()(\w+) correlated with (\w+)$": read_convolution,
    r"(transposed) convolution of (\w+) with (\w+)$": read_convolution,
    r"\(g\[t\] \+ d(\w+)\[t\+1\] @ (\w+)\) \* (.*), from the last step t to the first$": read_through_time,
    r"for each entry, the sum of g over the windows it is in$": read_windows,
    r"g, each entry back where it came from$": read_back,
    r"g without the margin$": read_margin,
    r"g on the diagonal, 0 elsewhere$": read_diagonal,
    r"g where \w+ is the (maximum|minimum)(.*) \(ties share\)$": read_extreme,
    r"g \* product of the others(?: \* ([\d.-]+))?(.*)$": read_others,
    r"sum of g from each entry on(.*)$": read_running,
    r"Σ (g\[j\].*?) over j ≥ i(.*)$": read_pairs,
    r"(.*?) along (ax[ei]s .*)$": read_along,
    r"((?:2 \* )?g \* \(\w+ − mean\).*)()$": read_along,
}
"""How a sentence is read, by its form; what has none of these is an expression of NumPy."""

UNREAD = (
    "in the mask", "outside the mask", "for each matrix", "for each system", "tensordot of", "slope of", "shared",
    "w = i", "entry picked", "that tie", "so far", "segment", "residual", "leaves the range", "sym:",
    "tril½", "turns", "one triangle", "gw", "over the columns", "windows of", "expn(-1", "coefficient", "0 at [",
    "copied", "doubled", "padded to", "det(", "for j in", "transpose of g", "differences", "p = softmax",
    "rule of", "out of", "systems", "∂out", "(its cofactors)", "sinc_derivative", "hazard(", "scaled_integral",
    "summed over", "written over", "real part", "cut to length", ", of shape", "through time", "over the steps",
    "[t±1]", "[0] @", "db * out", "first step", "probabilities of the states",
)  # fmt: skip
"""Words of rules that only a person can read."""


def read(text, values, x):
    """What a rule says, as an array; None for one that only a person can read."""
    if any(words in text for words in UNREAD) or re.search(r"g\[.*(mask|indices)", text):
        return None
    for form, reader in READERS.items():
        if match := re.match(form, text):
            return reader(match, values, x)
    return evaluated(text, values)


# -- what ops computed, with the values that a tape does not keep -----------------------------


class Notes(Watcher):
    """Notes the value of each node that is recorded."""

    def __init__(self):
        super().__init__()
        self.values = {}

    def recorded(self, node, out):
        self.values[node] = out


def recorded_nodes(case, twice=False):
    """The nodes of a call, and the values of those known."""
    tensors = [tg.Tensor(a, requires_grad=True) for a in case.arrays]
    notes = Notes()
    notes.values |= {t.node: t.data for t in tensors}
    token = recording.set(notes)
    try:
        outs = [o for o in tree_leaves(case(*tensors)) if isinstance(o, tg.Tensor) and o.requires_grad]
        if twice and outs:
            total = sum(np.sum(np.real(o * o)) for o in outs)
            total.backward(create_graph=True)
            outs += [t.grad for t in tensors if t.grad is not None]
    finally:
        recording.reset(token)
    nodes = [node for node in ancestors([o.node for o in outs]) if node.rule is not None]
    return [node for node in nodes if node.rule is not PROJECTION and node.kept is not None], notes.values


def names_of(node):
    inputs = node.rule.op.inputs or [f"x{i}" for i in range(len(node.inputs))]
    return [name if isinstance(x, Node) else str(x) for name, x in zip(inputs, node.inputs, strict=True)]


def values_of(node, known):
    """By name: the inputs, what is kept, metadata."""
    args, options = node.meta or ((), {})
    values = {**dict(zip(node.rule.op.metadata, args, strict=False)), **options}
    for name, source in zip(names_of(node), node.inputs, strict=True):
        if isinstance(source, Node) and (value := known.get(source, source.value)) is not None:
            values[name] = value
    kept = dict(zip(node.rule.keep, node.kept, strict=True))
    values |= dict(zip(names_of(node), kept.pop("arrays", ()), strict=False))
    return {**values, **kept, "out": known[node]}


def drawn(shape, dtype, rng):
    """A random gradient of a result."""
    g = rng.uniform(0.5, 1.5, shape)
    return g + 1j * rng.uniform(0.5, 1.5, shape) if dtype.kind == "c" else g.astype(dtype)


def compared(node, known, rng):
    """How many rules of a node were read; each is compared with what the engine makes of a random g."""
    names, values = names_of(node), {**values_of(node, known), "node": node}
    lines = backward_rules(node, names)
    if node.rule.op.results:
        g = [drawn(shape, dtype, rng) for shape, dtype in zip(node.shape, node.dtype, strict=True)]
        values["g"] = g
        if any("for result 1" in line for line in lines):
            g[1:] = [np.zeros_like(rest) for rest in g[1:]]
            values |= {"g": g[0], "out": values["out"][0]}
    else:
        values["g"] = g = drawn(node.shape, node.dtype, rng)
    with np.errstate(all="ignore"):
        pulled = node.rule.pull(g, node.kept, node)
    seen = Counter()
    expected = {}
    for i, gradient in zip(node.rule.wanted, pulled, strict=True):
        source = node.inputs[i]
        expected.setdefault(id(source), [names[i], source, 0])[2] += fit(np.asarray(gradient), source)
    for line, (name, source, gradient) in zip(lines, expected.values(), strict=True):
        assert line.startswith(f"d{name} = ") or ": " in line
        text = line.partition(" = ")[2]
        x = values.get(name, np.empty(source.shape))
        found = read(text, values, x) if text and "; plus" not in text else None
        seen["read" if found is not None else "unread"] += 1
        if found is None:
            continue
        assert np.shape(found) == source.shape, line
        tolerance = {"rtol": 1e-3, "atol": 1e-3} if source.dtype.itemsize < 8 else {"rtol": 1e-6, "atol": 1e-9}
        good = np.isfinite(gradient) & np.isfinite(found)
        np.testing.assert_allclose(np.where(good, found, 0), np.where(good, gradient, 0), **tolerance, err_msg=line)
        assert not good.size or good.mean() >= 0.5, line
    return seen
