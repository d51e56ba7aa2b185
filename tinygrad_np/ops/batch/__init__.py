"""How functions run on all examples of a batch at once: with one more axis, in front.

A rule gets the function, the level of the batch, and the arguments as they were given for one example.
Most functions only need another axis number, or arrays that align at their ends again.  What has no rule
here and is not written with functions that have one cannot be batched: vmap then takes one example
after the other.
"""

from . import axes, layers, products, shapes

__all__ = ["axes", "layers", "products", "shapes"]
