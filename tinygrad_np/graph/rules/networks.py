"""Backward rules in words, for what networks are made of: layers, activations and losses.

The tables are as those of `tables`.  Φ is the standard normal distribution function.
"""

from __future__ import annotations

_DENSITY = "exp(-x ** 2 / 2) / sqrt(2 * pi)"
_SHARE = "sigmoid(x) * (1 - sigmoid(x))"

SLOPES: dict[str, dict[str, str]] = {
    "relu": {"x": "x > 0"},
    "leaky_relu": {"x": "where(x > 0, 1, negative_slope)"},
    "prelu": {"x": "where(x > 0, 1, weight)", "weight": "where(x > 0, 0, x)"},
    "elu": {"x": "where(x > 0, 1, alpha * exp(x))"},
    "celu": {"x": "where(x > 0, 1, exp(x / alpha))"},
    "selu": {"x": "1.0507 * where(x > 0, 1, 1.6733 * exp(x))"},
    "hardsigmoid": {"x": "((x > -3) & (x < 3)) / 6"},
    "sigmoid": {"x": "out * (1 - out)"},
    "silu": {"x": "sigmoid(x) * (1 + x * (1 - sigmoid(x)))"},
    "silu_slope": {"x": f"{_SHARE} * (2 + x * (1 - 2 * sigmoid(x)))"},
    "gelu": {"x": f"Φ(x) + x * {_DENSITY}"},
    "gelu_slope": {"x": f"(2 - x ** 2) * {_DENSITY}"},
    "normal_distribution": {"x": _DENSITY},
    "mish": {"x": "tanh(softplus(x)) + x * sigmoid(x) * (1 - tanh(softplus(x)) ** 2)"},
    "softsign": {"x": "1 / (1 + abs(x)) ** 2"},
    "entropies": {"p": "(1 - y) / (1 - p) - y / p", "y": "log((1 - p) / p)"},
    "divergence": {"target": "log(target) + 1 - log_input"},
}
"""Elementwise ops: what g is multiplied with, by the input."""

GRADIENTS: dict[str, dict[str, str]] = {
    "softmax": {"x": "out * (g - sum(g * out, axis=axis, keepdims=True))"},
    "log_softmax": {"x": "g - exp(out) * sum(g, axis=axis, keepdims=True)"},
    "binary_cross_entropy_with_logits": {"z": "g * (sigmoid(z) - y) / size", "y": "-g * z / size"},
    "binary_cross_entropy": {"p": "g * ((1 - y) / (1 - p) - y / p) / size", "y": "g * log((1 - p) / p) / size"},
    "mse": {"p": "2 * g * (p - y) / size", "y": "-2 * g * (p - y) / size"},
}
"""Other ops whose gradient is a formula; `size` and `shape` are those of the input."""

_LARGEST = "g where {x} is the maximum of its window (ties share)"
_BACK_IN_TIME = "backpropagation through time, from the last step to the first"
_BY_STATES = "v[t] = out[t−1] @ {weight}ᵀ"

WORDS: dict[str, dict[str, str]] = {
    "softmax_minus_one_hot": {"x": "p * (g − sum of g * p{along}), p = softmax({x})"},
    "gelu_tanh": {"x": "g * slope of {x} * sigmoid(u), u = sqrt(8 / pi) * ({x} + 0.044715 * {x}³)"},
    "conv": {"x": "transposed convolution of g with {w}", "w": "{x} correlated with g"},
    "conv_input": {"y": "g correlated with {w}", "w": "g correlated with {y}"},
    "conv_weight": {"x": "transposed convolution of {y} with g", "y": "{x} correlated with g"},
    "max_pool": {"x": _LARGEST},
    "max_unpool": {"y": "mean of g where {x} is the maximum of its window"},
    "pool_at_largest": {"t": _LARGEST},
    "avg_pool": {"x": "for each entry, the sum of g / {window} over the windows it is in"},
    "avg_unpool": {"y": "mean of g in each window"},
    "embedding": {"weight": "g, added up for each row over the places it was taken to"},
    "summed_rows": {"rows": "the rows of g that each was added to"},
    "standardized": {"x": "(g − mean(g) − out * mean(g * out)) / std{along}, for result 1"},
    "over_root_mean_square": {"x": "(g − out * mean(g * out)) / rms{along}, for result 1"},
    "linear_recurrence": {"b": "{slope}[t] * (g[t] + d{b}[t±1] @ {weight}ᵀ), from where it ends to where it starts",
                          "slope": "d{b} * out / {slope}²", "weight": "Σ out[t∓1]ᵀ @ d{b}[t] over the steps t"},
    "rnn": {"h": "d{x}[0] @ {weight}", "weight": "Σ d{x}[t]ᵀ @ out[t−1] over the steps t, out[−1] = {h}"},
    "lstm": {"x": _BACK_IN_TIME, "h": "d{x}[0] @ {weight}", "c": "dc of the first step * its forget gate",
             "weight": "Σ d{x}[t]ᵀ @ h[t−1] over the steps t"},
    "gru": {"x": _BACK_IN_TIME, "h": "dh of the first step * its update gate + what goes through its gates",
            "weight": f"Σ dv[t]ᵀ @ out[t−1] over the steps t, {_BY_STATES}",
            "bias": f"Σ dv over the steps and samples, {_BY_STATES} + {{bias}}"},
    "ctc": {"emitted": "g, shared by the probabilities of the states in each frame"},
    "ctc_posteriors": {"emitted": "slope of the probabilities of the states along g"},
}  # fmt: skip
"""Gradients in words; what stands in braces is filled in."""

FORMULAS: dict[str, str] = {
    "linear": "x @ w + b",
    "affine": "x @ weight.T + bias",
    "scaled": "x * weight + bias",
    "normal_distribution": "Φ(x)",
    "entropies": "-(y * log(p) + (1 - y) * log(1 - p))",
    "divergence": "target * (log(target) - log_input)",
}
"""Forward formulas of ops that are not written as a function."""
