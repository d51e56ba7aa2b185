"""Optimizers, schedules of their rates, clipping of gradients and averages of weights; PyTorch's names and numbers."""

from . import schedulers
from .adam import Adam, AdamW
from .adaptive import Adadelta, Adagrad, RMSprop
from .clip import clip_grad_norm, clip_grad_value
from .ema import EMA
from .group import Group
from .lbfgs import LBFGS
from .lion import Lion
from .optimizer import Optimizer
from .schedulers import (
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)
from .sgd import SGD

__all__ = [
    # optimizers
    "Optimizer", "Group", "SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Lion", "LBFGS",
    # gradients before a step, weights after it
    "clip_grad_norm", "clip_grad_value", "EMA",
    # rates
    "schedulers", "StepLR", "MultiStepLR", "ExponentialLR", "ConstantLR", "LinearLR", "PolynomialLR", "LambdaLR",
    "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "OneCycleLR", "ReduceLROnPlateau", "SequentialLR",
    "ChainedScheduler",
]  # fmt: skip
