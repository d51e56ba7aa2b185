"""Reads what pictures say about the backward rules of layers, from the definitions of these layers."""

import itertools

import numpy as np
from rule_words import axes_in, evaluated, options_of


def windows_of(x, node):
    """The numbers of the entries in each window of a pooling, and the shape of its result."""
    options = options_of(node)
    kernel, stride = options["kernel"], options["stride"]
    dilation = options.get("dilation") or (1,) * len(kernel)
    lead, space = x.shape[: -len(kernel)], x.shape[-len(kernel) :]
    extents = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    shape = tuple((n - e) // s + 1 for n, e, s in zip(space, extents, stride, strict=True))
    found = []
    for *first, out in itertools.product(*map(range, lead), list(np.ndindex(shape))):
        places = itertools.product(
            *[[o * s + k * d for k in range(n)] for o, s, d, n in zip(out, stride, dilation, kernel, strict=True)]
        )
        found.append([np.ravel_multi_index((*first, *place), x.shape) for place in places])
    return found, (*lead, *shape)


def read_largest(match, values, x):
    source = values[match[1]]
    found, _ = windows_of(source, values["node"])
    total = np.zeros(source.size)
    for window, g in zip(found, np.ravel(values["g"]), strict=True):
        top = [i for i in window if source.flat[i] == source.flat[window].max()]
        total[top] += g / len(top)
    return total.reshape(source.shape)


def read_mean_at_largest(match, values, x):
    source = values[match[1]]
    found, shape = windows_of(source, values["node"])
    means = [np.mean([values["g"].flat[i] for i in w if source.flat[i] == source.flat[w].max()]) for w in found]
    return np.reshape(means, shape)


def read_pooled_mean(match, values, x):
    found, _ = windows_of(x, values["node"])
    assert {str(len(window)) for window in found} == {match[1]}
    total = np.zeros(x.size)
    for window, g in zip(found, np.ravel(values["g"]), strict=True):
        total[window] += g / len(window)
    return total.reshape(x.shape)


def read_mean_in_window(match, values, x):
    found, shape = windows_of(values["g"], values["node"])
    return np.reshape([values["g"].flat[window].mean() for window in found], shape)


ROLES = {"conv": {"x": "S", "w": "W", "g": "O"}, "conv_input": {"y": "O", "w": "W", "g": "S"},
         "conv_weight": {"x": "S", "y": "O", "g": "W"}}  # fmt: skip


def met(shapes, options):
    """The indices of samples, weights and outputs that are multiplied, for each product of the definition."""
    samples, weights, outputs = (shapes[role] for role in "SWO")
    groups, per_group = options["groups"], outputs[1] // options["groups"]
    for n, o, c in itertools.product(range(samples[0]), range(outputs[1]), range(weights[1])):
        channel = o // per_group * (samples[1] // groups) + c
        for out, k in itertools.product(np.ndindex(outputs[2:]), np.ndindex(weights[2:])):
            axes = zip(out, k, options["stride"], options["dilation"], options["padding"], strict=True)
            place = tuple(i * s + j * d - before for i, j, s, d, (before, _) in axes)
            if all(0 <= p < length for p, length in zip(place, samples[2:], strict=True)):
                yield {"S": (n, channel, *place), "W": (o, c, *k), "O": (n, o, *out)}


def read_convolution(match, values, x):
    """The sum that defines a convolution, solved for the one array of three that is not named."""
    node = values["node"]
    roles = ROLES[node.rule.op.name]
    transposed, first, second = (bool(match[1]), roles[match[2]], roles[match[3]])
    (target,) = {"S", "W", "O"} - {first, second}
    assert (target == "S") == transposed
    assert first == ("O" if transposed else "S")
    arrays = {first: values[match[2]], second: values[match[3]]}
    shapes = {target: x.shape, **{role: a.shape for role, a in arrays.items()}}
    total = np.zeros(x.shape)
    for index in met(shapes, options_of(node)):
        total[index[target]] += arrays[first][index[first]] * arrays[second][index[second]]
    return total


def read_through_time(match, values, x):
    """`(g[t] + dx[t+1] @ W) * slope`: from the last step to the first."""
    d, found = 0, []
    for g, out in zip(values["g"][::-1], values["out"][::-1], strict=True):
        slope = evaluated(match[3].replace("out[t]", "out"), {"out": out})
        d = (g + (d @ values[match[2]] if found else 0)) * slope
        found.insert(0, d)
    return np.stack(found)


def read_standardized(match, values, x):
    """Means are along the axes, which stay."""
    axis = axes_in(match[2])
    eps = options_of(values["node"])["eps"]

    def mean(a):
        return np.mean(a, axis, keepdims=True)

    roots = {"std": np.sqrt(mean(x**2) - mean(x) ** 2 + eps), "rms": np.sqrt(mean(x**2) + eps)}
    return evaluated(match[1], {**values, "mean": mean, **roots})


def read_rows(match, values, x):
    return values["g"][options_of(values["node"])["numbers"]]
