"""The rows of activations and losses in the table of kinks."""

import numpy as np
from kink_rows import check, row

from tinygrad_np.ops import activations, losses

INF, PI = np.inf, np.pi
SELU = 1.0507009873554805 * 1.6732632423543772

# fmt: off
NETWORKS = [
    row("`relu6`, `hardtanh`, `hardsigmoid`", "both ends", "0", "as `relu`; `clip` has 1 there",
        check(activations.relu6, [-1, 0, 3, 6, 7], gives=([0, 0, 1, 0, 0],), second=([0] * 5,)),
        check(activations.hardtanh, [-2, -1, 0, 1, 2], gives=([0, 0, 1, 0, 0],), second=([0] * 5,)),
        check(activations.hardsigmoid, [-4, -3, 0, 3, 4], gives=([0, 0, 1 / 6, 0, 0],), second=([0] * 5,))),
    row("`hardshrink`, `softshrink`, `threshold`", "where the flat part ends", "0", "as `relu`",
        check(activations.hardshrink, [-1, -0.5, 0, 0.5, 1], gives=([1, 0, 0, 0, 1],), second=([0] * 5,)),
        check(activations.softshrink, [-1, -0.5, 0, 0.5, 1], gives=([1, 0, 0, 0, 1],), second=([0] * 5,)),
        check(lambda x: activations.threshold(x, 1, 9), [0, 1, 2], gives=([0, 0, 1],), second=([0] * 3,))),
    row("`leaky_relu`, `prelu`, `elu`, `selu`", "0", "the slope to the left", "as `relu`, whose slope there is 0",
        check(lambda x: activations.leaky_relu(x, 0.25), [-1, 0, 1], gives=([0.25, 0.25, 1],), second=([0] * 3,)),
        check(activations.prelu, [-1, 0, 1], 0.25, gives=([0.25, 0.25, 1], -1), second=([1, 1, 0], 2)),
        check(lambda x: activations.elu(x, 2.0), [-1000, 0, 1], gives=([0, 2, 1],), second=([0, 2, 0],)),
        check(activations.selu, [-1000, 0, 1], gives=([0, SELU, 1.0507009873554805],), second=([0, SELU, 0],))),
    row("`hardswish`", "-3; 3", "0; 1", "as where it is flat, and where it is x",
        check(activations.hardswish, [-4, -3, 0, 3, 4], gives=([0, 0, 0.5, 1, 1],), second=([0, 0, 1 / 3, 0, 0],))),
    row("`hinge`, `triplet_margin`, other margins", "on the margin", "0", "as `relu`: what is far enough stays",
        check(lambda s: losses.hinge(s, np.array([1, 1, -1]), reduction="sum"), [0, 1, -1], gives=([-1, 0, 0],)),
        check(lambda a, b: losses.margin_ranking(a, b, np.array([1, 1])), [1, 1], [1, 2], gives=([0, -0.5], [0, 0.5])),
        check(lambda s: losses.multi_margin(s, np.array(0)), [1, 0, 3], gives=([-1 / 3, 0, 1 / 3],))),
    row("`l1`, `huber`, `smooth_l1`", "equal; delta apart", "0; both pieces have it", "as `abs`",
        check(lambda p: losses.l1(p, np.zeros(3), reduction="sum"), [-2, 0, 3], gives=([-1, 0, 1],)),
        check(lambda p: losses.huber(p, np.zeros(3), reduction="sum"), [-1, 0, 3], gives=([-1, 0, 1],))),
    row("`gelu`, `silu`, `mish`, `softsign`, `logsigmoid`", "±1e4", "0 or 1; `softsign` 0", "finite for every finite x",
        check(activations.gelu, [-1e4, 0, 1e4], gives=([0, 0.5, 1],), second=([0, (2 / PI) ** 0.5, 0],)),
        check(lambda x: activations.gelu(x, "tanh"), [-1e4, 0, 1e4], gives=([0, 0.5, 1],),
            second=([0, (2 / PI) ** 0.5, 0],)),
        check(activations.silu, [-1e4, 0, 1e4], gives=([0, 0.5, 1],), second=([0, 0.5, 0],)),
        check(activations.mish, [-1e4, 0, 1e4], gives=([0, 0.6, 1],), second=([0, 0.64, 0],)),
        check(activations.softsign, [-1e15, 0, 1], gives=([0, 1, 0.25],), second=([0, 0, -0.25],), dtypes="f"),
        check(activations.logsigmoid, [-1e4, 0, 1e4], gives=([1, 0.5, 0],), second=([0, -0.25, 0],))),
    row("`kl_div`", "target 0", "0", "0 log 0 = 0; the slope in the target is infinite",
        check(lambda x, y: losses.kl_div(x, y, reduction="sum"), [-INF, -1], [0, 1], gives=([0, -1], [0, 2]))),
    row("`ctc`", "too few frames", "0", "no path to the labels: no finite step changes it",
        check(lambda x: losses.ctc(x, [1, 1], 2, 2), [[-1, -1], [-1, -1]], gives=([[0, 0], [0, 0]],))),
    row("`cosine_similarity`", "a zero vector", "the other by its length over `eps`", "lengths are at least `eps`",
        check(lambda a: losses.cosine_similarity(a, np.array([[3.0, 4.0]]), eps=0.5), [[0, 0]], gives=([[1.2, 1.6]],))),
]
# fmt: on
