"""A training step of a recurrent network: by hand, with this package and with PyTorch.

32 sequences of 32 steps with 64 inputs, 64 states, tanh, 10 classes; backpropagation through time, and plain gradient
descent in place.  "RNN" has its loss after the last step, "RNN-all" at every step.  "hoisted" is by hand, with one
product for all steps where no state is waited for; "layer" is PyTorch's own layer, in place of a loop over the steps.
"""
