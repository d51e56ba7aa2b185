"""The Module: a part of a model, with its parameters found by looking at its attributes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ..engine.scopes import enclose
from ..engine.tape import births, recording
from ..engine.tensor import Hook, Tensor
from ..randomness import Randomness
from . import states, table
from .tree import Part, array_of, children, is_buffer, is_parameter, nodes_of, once, own_parameters, walk


class Module(Part):
    """A part of a model: subclasses make their parameters in `__init__` and compute in `forward`.

    What an instance is made of is found by looking at its attributes, also in lists, tuples, dicts and dataclasses:
    - a Tensor of real or complex numbers is a parameter: trained if it requires grad, else frozen;
    - an ndarray (or a Tensor of integers) is a buffer: saved with the model, not trained (unless `forward` was the
      first to set it, as what is kept to be looked at is);
    - a Module is a part of this one, and a `np.random.Generator` its source of random numbers.
    Names are paths of attributes, indices and keys: "blocks.0.weight".  In pictures, each call is a frame.

    >>> import numpy as np, tinygrad_np as tg
    >>> class Scale(tg.nn.Module):
    ...     def __init__(self):
    ...         self.factor = tg.Tensor(np.ones(3), requires_grad=True)
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> model = Scale()
    >>> model(np.arange(3.0)).sum().backward()
    >>> [(name, p.grad) for name, p in model.named_parameters()]
    [('factor', Tensor([0., 1., 2.]))]
    """

    training = True
    _scope: tuple[str, str, str] | None = None  # name, detail and path in pictures, once it is known
    _hooks: dict[int, Callable[..., Any]] | None = None

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """What the module computes; each subclass says."""
        raise NotImplementedError(
            f"{type(self).__name__} has no forward(): write `def forward(self, x): ...`, which calling it runs."
        )

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """`forward`, as a frame of its own in pictures."""
        where, born = self._scope or self._name_parts(), next(births)
        attributes = len(vars(self))
        try:
            out = self.forward(*inputs, **options)
        except Exception as error:
            self._note_place(error, inputs)
            raise
        if len(vars(self)) > attributes:
            self._kept = (*self._kept, *list(vars(self))[attributes:])
        if isinstance(out, Tensor):
            enclose(out.node, born, where)
        elif recording.get():
            for node in nodes_of(out):
                enclose(node, born, where)
        if self._hooks:
            for hook in list(self._hooks.values()):
                changed = hook(self, inputs, out)
                out = out if changed is None else changed
        return out

    def _note_place(self, error: Exception, inputs: tuple[Any, ...]) -> None:
        """Say on an error which part it comes from, once: the innermost."""
        if not any(note.startswith("In ") for note in getattr(error, "__notes__", ())):
            path = self._scope[2] if self._scope else ""
            given = ", ".join(str(getattr(x, "shape", type(x).__name__)) for x in inputs) or "nothing"
            error.add_note(f"In {self.summary_line()}{f' at {path!r}' if path else ''}, called with {given}.")

    def __setattr__(self, name: str, value: Any) -> None:
        before: Any = vars(self).get(name)
        if is_parameter(before) and not (value is None or is_parameter(value)):
            what = "a Tensor that was computed" if isinstance(value, Tensor) else f"{type(value).__name__}"
            raise TypeError(
                f"{type(self).__name__}.{name} is a parameter of shape {before.shape}, and would be one no more as "
                f"{what}: neither trained nor saved.  Write module.{name}.data[...] = array for new numbers, or give "
                "another parameter: Tensor(array, requires_grad=True)."
            )
        object.__setattr__(self, name, value)

    def _name_parts(self) -> tuple[str, str, str]:
        """Let every part know its path from here; parameters that have no name of their own are named by theirs."""
        for path, module in self.named_modules():
            detail = module.summary_line() if path else module.extra_repr()
            module._scope = (path or type(module).__name__, detail, path)
        for path, parameter in self.named_parameters():
            if parameter.name is None or path.endswith(f".{parameter.name}"):
                parameter.name = path
        assert self._scope is not None
        return self._scope

    def register_forward_hook(self, hook: Callable[[Module, tuple, Any], Any]) -> Hook:
        """Call `hook(module, inputs, output)` after each call; what it returns, unless None, is the result instead.

        `.remove()` of what this returns ends that.

        >>> import numpy as np, tinygrad_np as tg
        >>> layer = tg.nn.Linear(3, 2, rng=0)
        >>> hook = layer.register_forward_hook(lambda module, inputs, output: print(module, output.shape))
        >>> _ = layer(np.ones((5, 3), np.float32))
        Linear(3, 2) (5, 2)
        >>> hook.remove()
        """
        if self._hooks is None:
            self._hooks = {}
        key = next(births)
        self._hooks[key] = hook
        return Hook(self._hooks, key)

    # -- what it is made of -------------------------------------------------------------------

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Each part once, in all depths, with its path; this module first, as ""."""
        return ((path, module) for path, module in once(walk(self, prefix)) if isinstance(module, Module))

    def modules(self) -> Iterator[Module]:
        """Each part once, in all depths, this module first."""
        return (module for _, module in self.named_modules())

    def children(self) -> Iterator[Module]:
        """The parts that are not parts of parts."""
        return (module for _, module in once(children(self)) if isinstance(module, Module))

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Each parameter once, with its path."""
        return ((path, value) for path, value in once(walk(self)) if is_parameter(value))

    def parameters(self) -> Iterator[Tensor]:
        """Each parameter once: what an optimizer takes."""
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, np.ndarray]]:
        """Each buffer once, with its path."""
        return ((path, array_of(value)) for path, value in once(walk(self)) if is_buffer(value))

    def named_generators(self) -> Iterator[tuple[str, np.random.Generator]]:
        """Each source of random numbers once, with its path."""
        return ((path, value) for path, value in once(walk(self)) if isinstance(value, np.random.Generator))

    # -- changing it --------------------------------------------------------------------------

    def train(self, training: bool = True) -> Self:
        """Switch what trains and runs in different ways (dropout, batch norm) to training, in all parts."""
        for module in self.modules():
            module.training = training
        return self

    def eval(self) -> Self:
        """Switch all parts to running: no dropout, stored statistics."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Train all parameters, or freeze them."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.grad = None

    def astype(self, dtype: npt.DTypeLike) -> Self:
        """Turn all floating parameters and buffers to another floating dtype; gradients are forgotten."""
        states.cast(self, dtype)
        return self

    def seed(self, rng: Randomness) -> Self:
        """Draw all parameters anew, and let all random numbers of the model follow from this generator or seed.

        >>> import tinygrad_np as tg
        >>> a, b = (tg.nn.Linear(3, 2).seed(0) for _ in range(2))
        >>> bool((a.weight.data == b.weight.data).all())
        True
        """
        rng = np.random.default_rng(rng)
        modules = [*self.modules()]
        for module in modules:
            module._check_resets()
        # Parts first: what they are parts of has the last word on their parameters.
        for module in reversed(modules):
            module.reset_parameters(rng)
        for _, generator in self.named_generators():
            generator.bit_generator.state = type(generator.bit_generator)(rng.integers(2**63)).state
        return self

    def _check_resets(self) -> None:
        own = [path for path, parameter in own_parameters(self) if parameter.requires_grad]
        if own and type(self).reset_parameters is Module.reset_parameters:
            raise NotImplementedError(
                f"{type(self).__name__} does not say how its own parameters start ({', '.join(own)}): seed() would "
                "leave them as chance made them.  Write `def reset_parameters(self, rng): ...`, which fills them."
            )

    def reset_parameters(self, rng: np.random.Generator) -> None:
        """Draw this module's own parameters anew, for `seed()`; a module without any has nothing to do."""

    # -- saving -------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of all parameters and buffers, by path."""
        return states.state_dict(self)

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> None:
        """Write arrays into the parameters and buffers of these paths.

        Raises StateError, before anything is written, for missing or unknown names (unless not `strict`), and
        for shapes or dtypes that do not fit.
        """
        states.load_state_dict(self, state, strict)

    # -- shown --------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What stands in the brackets of `repr`; subclasses say."""
        return ""

    def summary_line(self) -> str:
        """The module on one line: its class and its settings."""
        settings = self.extra_repr()
        return f"{type(self).__name__}({settings})" if settings else type(self).__name__

    def summary(self, *inputs: Any) -> table.Summary:
        """A table of all parts with their parameters and bytes; given an example input, with the shapes they return."""
        return table.summary(self, inputs)

    def __repr__(self) -> str:
        return table.tree(self)
