"""Reverse-mode autograd on Python floats, written apart from the package: the truth for random graphs."""

import math


class Scalar:
    """A number, the numbers it came from, and its partial derivative by each."""

    def __init__(self, value, parents=()):
        self.value, self.parents = float(value), parents

    def __add__(self, other):
        other = lifted(other)
        return Scalar(self.value + other.value, ((self, 1.0), (other, 1.0)))

    def __sub__(self, other):
        return self + lifted(other) * -1.0

    def __mul__(self, other):
        other = lifted(other)
        return Scalar(self.value * other.value, ((self, other.value), (other, self.value)))

    def __truediv__(self, other):
        other = lifted(other)
        quotient = self.value / other.value
        return Scalar(quotient, ((self, 1 / other.value), (other, -quotient / other.value)))

    def square(self):
        return Scalar(self.value**2, ((self, 2 * self.value),))

    def exp(self):
        return Scalar(math.exp(self.value), ((self, math.exp(self.value)),))

    def log(self):
        return Scalar(math.log(self.value), ((self, 1 / self.value),))

    def sin(self):
        return Scalar(math.sin(self.value), ((self, math.cos(self.value)),))

    def tanh(self):
        return Scalar(math.tanh(self.value), ((self, 1 / math.cosh(self.value) ** 2),))


def lifted(value):
    return value if isinstance(value, Scalar) else Scalar(value)


def backward(root):
    """From everything that `root` came from to the derivative of `root` by it."""
    order, seen = [], set()

    def visit(node):
        if node not in seen:
            seen.add(node)
            for parent, _ in node.parents:
                visit(parent)
            order.append(node)

    visit(root)
    gradients = dict.fromkeys(order, 0.0) | {root: 1.0}
    for node in reversed(order):
        for parent, partial in node.parents:
            gradients[parent] += gradients[node] * partial
    return gradients
