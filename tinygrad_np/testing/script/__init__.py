"""`python -m tinygrad_np check`: the backward pass that stands in a script, beside autograd's."""
