from .engine.tape import no_grad, recording
from .engine.tensor import Tensor, tape
from . import ops
