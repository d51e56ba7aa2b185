"""The engine: tape, walk, Tensor, and how ops are declared.  It knows no particular op."""
