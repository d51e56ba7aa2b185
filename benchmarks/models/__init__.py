"""Training steps of models: an MLP with Adam, a CNN, a recurrent network."""
