"""Layers of networks: what is one op for arrays runs as others, each of which has a rule."""

from __future__ import annotations

import numpy as np

from .. import attention, nn, normalization
from .arguments import rule, whole_of


@rule(normalization.standardized)
def _standardized(function, level, args, options):
    def written(x, axis, eps=1e-5):
        mean = np.mean(x, axis=axis, keepdims=True)
        variance = np.mean((x - mean) ** 2, axis=axis, keepdims=True)
        return (x - mean) / np.sqrt(variance + eps), mean, variance

    return tuple(whole_of(result, level) for result in written(*args, **options))


@rule(normalization.over_root_mean_square)
def _over_root_mean_square(function, level, args, options):
    def written(x, axis, eps=1e-5):
        square = np.mean(x * x, axis=axis, keepdims=True)
        return x / np.sqrt(square + eps), square

    return tuple(whole_of(result, level) for result in written(*args, **options))


@rule(attention._weights)
def _attention_weights(function, level, args, options):
    def written(query, key, scale, added=None, allowed=None):
        scores = np.matmul(query * scale, key.mT)
        if added is not None:
            scores = scores + added
        return nn.softmax(scores if allowed is None else np.where(allowed, scores, -np.inf))

    return whole_of(written(*args, **options), level)
