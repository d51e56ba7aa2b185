"""Comparing gradients."""

from .gradcheck import numeric_grad

__all__ = ["numeric_grad"]
