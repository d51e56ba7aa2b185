"""The exception tree.  Every message says what happened, why, and what to write instead."""


class AutogradError(Exception):
    """Base of every error that tinygrad_np raises itself."""


class ShapeError(AutogradError, ValueError):
    """Shapes that do not fit each other, or a cotangent that does not fit its tensor."""


class RangeError(AutogradError, ValueError):
    """Numbers outside of what a function is defined for."""


class DtypeError(AutogradError, TypeError):
    """A dtype that cannot carry a gradient (integers, booleans, objects, strings)."""


class NoRuleError(AutogradError, TypeError):
    """A NumPy function, a keyword or a way of calling that has no derivative rule."""


class DetachError(AutogradError, TypeError):
    """Something asked for the bare array of a tensor that requires grad."""


class InPlaceError(AutogradError, TypeError):
    """A write into a tensor, or into `out=`, that the tape could not follow."""


class BackwardError(AutogradError, RuntimeError):
    """A backward pass that cannot run: no gradient required, not one number, tape already used."""


class NonFiniteError(AutogradError, FloatingPointError):
    """nan or inf met in debug mode."""


class RuleError(AutogradError, TypeError):
    """A derivative rule that was declared wrongly; raised at import."""


class BatchError(AutogradError, TypeError):
    """Something that cannot be done to all examples of a batch at once; vmap then takes them one by one."""


class LoopWarning(UserWarning):
    """vmap runs a function once per example, because it cannot run it for all at once."""


class StateError(AutogradError, ValueError):
    """A saved state that does not fit the model or the optimizer it is loaded into."""
