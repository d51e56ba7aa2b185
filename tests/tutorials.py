"""Small tutorials in bare NumPy, as people publish them: scripts with backpropagation written out by hand."""

DIGITS = """
    import numpy as np
    rng = np.random.default_rng(0)
    X_train, Y_train = rng.random((17, 41)), rng.integers(0, 10, 41)
    m = 41

    def init_params():
        return rng.random((10, 17)) - 0.5, rng.random((10, 1)), rng.random((10, 10)) - 0.5, rng.random((10, 1))

    def softmax(Z):
        A = np.exp(Z) / sum(np.exp(Z))
        return A

    def forward_prop(W1, b1, W2, b2, X):
        Z1 = W1.dot(X) + b1
        A1 = np.maximum(Z1, 0)
        Z2 = W2.dot(A1) + b2
        A2 = softmax(Z2)
        return Z1, A1, Z2, A2

    def one_hot(Y):
        one_hot_Y = np.zeros((Y.size, Y.max() + 1))
        one_hot_Y[np.arange(Y.size), Y] = 1
        return one_hot_Y.T

    def backward_prop(Z1, A1, Z2, A2, W1, W2, X, Y):
        one_hot_Y = one_hot(Y)
        dZ2 = A2 - one_hot_Y
        dW2 = 1 / m * dZ2.dot(A1.T)
        db2 = 1 / m * np.sum(dZ2)
        dZ1 = W2.T.dot(dZ2) * (Z1 > 0)
        dW1 = 1 / m * dZ1.dot(X.T)
        db1 = 1 / m * np.sum(dZ1)
        return dW1, db1, dW2, db2

    def gradient_descent(X, Y, alpha, iterations):
        W1, b1, W2, b2 = init_params()
        for i in range(iterations):
            Z1, A1, Z2, A2 = forward_prop(W1, b1, W2, b2, X)
            dW1, db1, dW2, db2 = backward_prop(Z1, A1, Z2, A2, W1, W2, X, Y)
            W1, b1, W2, b2 = W1 - alpha * dW1, b1 - alpha * db1, W2 - alpha * dW2, b2 - alpha * db2
            print("iteration", i)
        return W1, b1, W2, b2

    print("training")
    gradient_descent(X_train, Y_train, 0.1, 500)
"""
MENDED = DIGITS.replace("np.sum(dZ2)", "np.sum(dZ2, axis=1, keepdims=True)").replace(
    "np.sum(dZ1)", "np.sum(dZ1, axis=1, keepdims=True)"
)

LETTERS = """
    import numpy as np
    rng = np.random.default_rng(42)
    X, Y = (rng.random((3, 30)) > 0.5) * 1.0, np.eye(3)
    W1, b1, W2, b2 = rng.normal(size=(30, 5)), np.zeros((1, 5)), rng.normal(size=(5, 3)), np.zeros((1, 3))

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    def forward(x):
        global a1
        a1 = sigmoid(np.dot(x, W1) + b1)
        return sigmoid(np.dot(a1, W2) + b2)

    def loss(prediction, target):
        return np.mean(np.square(prediction - target))

    def train(x, y, steps=3, rate=0.1):
        global W1, b1, W2, b2
        for step in range(steps):
            output = forward(x)
            W1, b1, W2, b2 = backward(x, y, output, rate)
            print(loss(output, y))

    def backward(x, y, output, rate):
        m = len(x)
        d_output = (output - y)
        dW2 = np.dot(a1.T, d_output) / m
        db2 = np.sum(d_output, axis=0, keepdims=True) / m
        d_hidden = np.dot(d_output, W2.T) * a1 * (1 - a1)
        dW1 = np.dot(x.T, d_hidden) / m
        db1 = np.sum(d_hidden, axis=0, keepdims=True) / m
        return W1 - rate * dW1, b1 - rate * db1, W2 - rate * dW2, b2 - rate * db2
"""
TRAIN = "\n    train(X, Y)\n"

BINARY = """
    import numpy as np

    def initialize(sizes):
        rng = np.random.default_rng(1)
        parameters = {}
        for layer in range(1, len(sizes)):
            parameters["W" + str(layer)] = rng.normal(size=(sizes[layer], sizes[layer - 1]))
            parameters["b" + str(layer)] = np.zeros((sizes[layer], 1))
        return parameters

    def sigmoid(Z):
        return 1 / (1 + np.exp(-Z))

    def forward_propagation(X, parameters):
        Z1 = np.dot(parameters["W1"], X.T) + parameters["b1"]
        A1 = sigmoid(Z1)
        Z2 = np.dot(parameters["W2"], A1) + parameters["b2"]
        A2 = sigmoid(Z2)
        return A2, {"Z1": Z1, "A1": A1, "Z2": Z2, "A2": A2}

    def compute_cost(AL, Y):
        m = Y.shape[1]
        return np.squeeze(-(1 / m) * np.sum(Y * np.log(AL) + (1 - Y) * np.log(1 - AL)))

    def backward_propagation(parameters, cache, X, Y):
        m = X.shape[0]
        A1, A2 = cache["A1"], cache["A2"]
        dA2 = -np.divide(Y, A2) + np.divide(1 - Y, 1 - A2)
        dZ2 = dA2 * A2 * (1 - A2)
        dW2 = np.dot(dZ2, A1.T) / m
        db2 = np.sum(dZ2, axis=1, keepdims=True) / m
        dA1 = np.dot(parameters["W2"].T, dZ2)
        dZ1 = dA1 * A1 * (1 - A1)
        dW1 = np.dot(dZ1, X) / m
        db1 = np.sum(dZ1, axis=1, keepdims=True) / m
        return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}

    def model(X, Y, steps=5):
        parameters = initialize([13, 7, 1])
        for step in range(steps):
            A2, cache = forward_propagation(X, parameters)
            grads = backward_propagation(parameters, cache, X, Y)
            for name in parameters:
                parameters[name] -= 0.1 * grads["d" + name]

    if __name__ == "__main__":
        rng = np.random.default_rng(0)
        model(rng.random((11, 13)), rng.integers(0, 2, (1, 11)))
"""

NETWORK = """
    import numpy as np

    class NeuralNetwork:
        def __init__(self, inputs, hidden, outputs):
            rng = np.random.default_rng(0)
            self.weights1 = rng.normal(size=(inputs, hidden))
            self.weights2 = rng.normal(size=(hidden, outputs))
            self.y = rng.random((7, outputs))

        def feedforward(self, X):
            self.layer1 = np.tanh(X @ self.weights1)
            self.output = self.layer1 @ self.weights2
            return self.output

        def loss(self, output):
            return np.sum((output - self.y) ** 2)

        def backprop(self, X):
            d_output = 2 * (self.output - self.y)
            self.d_weights2 = self.layer1.T @ d_output
            self.d_weights1 = X.T @ (d_output @ self.weights2.T * (1 - self.layer1 ** 2))

    network = NeuralNetwork(5, 11, 3)
    X = np.random.default_rng(1).normal(size=(7, 5))
    for step in range(10):
        network.feedforward(X)
        network.backprop(X)
"""

# Only functions and variables: nothing is trained.
PLAIN = """
    import numpy as np
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(7, 3)), rng.normal(size=(7, 1))
    W, b = rng.normal(size=(3, 1)), rng.normal(size=(1, 1))

    def forward(X, W, b):
        Z = X @ W + b
        return Z

    def loss(Z, y):
        return np.mean((Z - y) ** 2)

    def backward(Z, X, y):
        dZ = 2 * (Z - y) / len(X)
        return X.T @ dZ, dZ.sum(axis=0, keepdims=True)
"""
