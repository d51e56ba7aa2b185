"""Forward and backward written by hand in NumPy: the MLP and Adam by the formulas, the CNN by im2col."""

import numpy as np

from .problems import RATE, cnn, mlp


def cross_entropy(scores, labels):
    """The loss, and the gradient of the scores."""
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    rows = np.arange(len(labels))
    loss = -np.mean(np.log(p[rows, labels]))
    p[rows, labels] -= 1
    return loss, p / len(labels)


def mlp_step(dtype, rate=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    batches, (W1, b1, W2, b2, W3, b3) = mlp(dtype)
    parameters = [W1, b1, W2, b2, W3, b3]
    m, v = [np.zeros_like(p) for p in parameters], [np.zeros_like(p) for p in parameters]
    t = 0

    def step():
        nonlocal t
        X, labels = next(batches)
        W1, b1, W2, b2, W3, b3 = parameters
        A1 = np.maximum(X @ W1.T + b1, 0)
        A2 = np.maximum(A1 @ W2.T + b2, 0)
        loss, g = cross_entropy(A2 @ W3.T + b3, labels)
        dW3, db3 = g.T @ A2, g.sum(axis=0)
        g = g @ W3 * (A2 > 0)
        dW2, db2 = g.T @ A1, g.sum(axis=0)
        g = g @ W2 * (A1 > 0)
        dW1, db1 = g.T @ X, g.sum(axis=0)
        t += 1
        for i, d in enumerate((dW1, db1, dW2, db2, dW3, db3)):
            m[i] = beta1 * m[i] + (1 - beta1) * d
            v[i] = beta2 * v[i] + (1 - beta2) * d**2
            m_hat, v_hat = m[i] / (1 - beta1**t), v[i] / (1 - beta2**t)
            parameters[i] = parameters[i] - rate * m_hat / (np.sqrt(v_hat) + eps)
        return loss

    return step


def im2col(x, k):
    """Rows of what each place of the output sees."""
    n, c, h, w = x.shape
    oh, ow = h - k + 1, w - k + 1
    columns = np.empty((n, c, k, k, oh, ow), x.dtype)
    for i in range(k):
        for j in range(k):
            columns[:, :, i, j] = x[:, :, i : i + oh, j : j + ow]
    return columns.transpose(0, 4, 5, 1, 2, 3).reshape(n * oh * ow, -1)


def col2im(columns, shape, k):
    """The sum of what each entry of the input was seen as."""
    n, c, h, w = shape
    oh, ow = h - k + 1, w - k + 1
    columns = columns.reshape(n, oh, ow, c, k, k).transpose(0, 3, 4, 5, 1, 2)
    x = np.zeros(shape, columns.dtype)
    for i in range(k):
        for j in range(k):
            x[:, :, i : i + oh, j : j + ow] += columns[:, :, i, j]
    return x


def convolve(x, W, b):
    n, _, h, w = x.shape
    o, _, k, _ = W.shape
    columns = im2col(x, k)
    out = columns @ W.reshape(o, -1).T + b
    return out.reshape(n, h - k + 1, w - k + 1, o).transpose(0, 3, 1, 2), columns


def convolve_back(g, columns, W):
    """The gradient of the output as rows, and of the weights and the bias."""
    rows = g.transpose(0, 2, 3, 1).reshape(-1, W.shape[0])
    return rows, (rows.T @ columns).reshape(W.shape), rows.sum(axis=0)


def pool(x):
    """The largest of each 2 x 2, and which one it is."""
    n, c, h, w = x.shape
    windows = x[:, :, : h // 2 * 2, : w // 2 * 2].reshape(n, c, h // 2, 2, w // 2, 2)
    windows = windows.transpose(0, 1, 2, 4, 3, 5).reshape(n, c, h // 2, w // 2, 4)
    which = windows.argmax(axis=-1)
    return np.take_along_axis(windows, which[..., None], -1)[..., 0], which


def pool_back(g, which, shape):
    n, c, h, w = shape
    windows = np.zeros((*g.shape, 4), g.dtype)
    np.put_along_axis(windows, which[..., None], g[..., None], -1)
    x = np.zeros(shape, g.dtype)
    windows = windows.reshape(n, c, h // 2, w // 2, 2, 2).transpose(0, 1, 2, 4, 3, 5)
    x[:, :, : h // 2 * 2, : w // 2 * 2] = windows.reshape(n, c, h // 2 * 2, w // 2 * 2)
    return x


def cnn_step(dtype):
    batches, parameters = cnn(dtype)

    def step():
        X, labels = next(batches)
        W1, b1, W2, b2, W3, b3 = parameters
        Z1, columns1 = convolve(X, W1, b1)
        A1 = np.maximum(Z1, 0)
        P1, which1 = pool(A1)
        Z2, columns2 = convolve(P1, W2, b2)
        A2 = np.maximum(Z2, 0)
        P2, which2 = pool(A2)
        flat = P2.reshape(len(X), -1)
        loss, g = cross_entropy(flat @ W3.T + b3, labels)
        dW3, db3 = g.T @ flat, g.sum(axis=0)
        g = pool_back((g @ W3).reshape(P2.shape), which2, A2.shape) * (Z2 > 0)
        rows, dW2, db2 = convolve_back(g, columns2, W2)
        g = pool_back(col2im(rows @ W2.reshape(len(W2), -1), P1.shape, 3), which1, A1.shape) * (Z1 > 0)
        _, dW1, db1 = convolve_back(g, columns1, W1)
        for i, d in enumerate((dW1, db1, dW2, db2, dW3, db3)):
            parameters[i] = parameters[i] - RATE * d
        return loss

    return step


JOBS = {"MLP": mlp_step, "CNN": cnn_step}
