"""Checkpoints: everything that training depends on, in one file, and back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..engine.tensor import Tensor
from ..errors import StateError
from ..nn.module import Module
from ..randomness import generator_state, restore_generator
from ..serialize import SaveFileError, load, save
from .history import History
from .stopping import EarlyStopping

KIND, VERSION = "tinygrad_np.fit", 1


class Run:
    """What training changes: `state()` has copies of all of it, `restore(state)` goes back there.

    Parameters of the optimizer that belong to no module are kept too; loaders and schedulers where they have
    `state_dict` and `load_state_dict`.
    """

    def __init__(
        self, model: Any, loss: Any, optimizer: Any, scheduler: Any, loaders: dict[str, Any], stopping: Any
    ) -> None:
        named = {"model": model, "loss": loss}
        self.modules = {name: part for name, part in named.items() if isinstance(part, Module)}
        self.optimizer, self.scheduler = optimizer, scheduler
        self.loaders = {name: loader for name, loader in loaders.items() if hasattr(loader, "load_state_dict")}
        self.stopping: EarlyStopping | None = stopping
        inside = {id(p) for module in self.modules.values() for p in module.parameters()}
        every = [parameter for group in optimizer.groups for parameter in group.params]
        self.others: list[Tensor] = [parameter for parameter in every if id(parameter) not in inside]

    def zero_grad(self) -> None:
        """Forget all gradients, also those that reached parameters which the optimizer does not train."""
        self.optimizer.zero_grad()
        for module in self.modules.values():
            module.zero_grad()

    def weights(self) -> dict[str, Any]:
        """Copies of all parameters and buffers: what early stopping keeps of the best epoch."""
        modules = {name: module.state_dict() for name, module in self.modules.items()}
        return {"modules": modules, "parameters": [parameter.data.copy() for parameter in self.others]}

    def load_weights(self, state: dict[str, Any]) -> None:
        """Write parameters and buffers back, into the same arrays."""
        for name, module in self.modules.items():
            module.load_state_dict(state["modules"][name])
        for parameter, array in zip(self.others, state["parameters"], strict=True):
            np.copyto(parameter.data, array)

    def generators(self) -> Iterator[tuple[str, np.random.Generator]]:
        """The sources of random numbers in the modules, by path."""
        for name, module in self.modules.items():
            for path, generator in module.named_generators():
                yield f"{name}.{path}", generator

    def state(self) -> dict[str, Any]:
        """Everything."""
        return {
            **self.weights(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": None if self.scheduler is None else self.scheduler.state_dict(),
            "loaders": {name: loader.state_dict() for name, loader in self.loaders.items()},
            "generators": {name: generator_state(generator) for name, generator in self.generators()},
            "early_stopping": None if self.stopping is None else self.stopping.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a state, of which `description` was found to be the same."""
        for name, loader in self.loaders.items():
            loader.load_state_dict(state["loaders"][name])
        self.load_weights(state)
        # The optimizer after the scheduler: its state has the rates.
        if self.scheduler is not None:
            self.scheduler.load_state_dict(state["scheduler"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name, generator in self.generators():
            restore_generator(generator, state["generators"][name])
        if self.stopping is not None and state["early_stopping"] is not None:
            self.stopping.load_state_dict(state["early_stopping"])

    def description(self) -> dict[str, str]:
        """What a state must have been saved from to fit, in words."""
        words = {"the model": "a Module" if "model" in self.modules else "a function"}
        for part, module in self.modules.items():
            for name, array in module.state_dict().items():
                words[f"{part}.{name}"] = f"{array.dtype} of shape {array.shape}"
        words["the optimizer"] = type(self.optimizer).__name__
        for i, group in enumerate(self.optimizer.groups):
            for j, parameter in enumerate(group.params):
                words[f"parameter {j} of group {i}"] = f"{parameter.dtype} of shape {parameter.shape}"
        words["the scheduler"] = "none" if self.scheduler is None else type(self.scheduler).__name__
        for name, generator in self.generators():
            words[name] = type(generator.bit_generator).__name__
        return words | {f"the state of the {name}": "saved" for name in self.loaders}


class Checkpoint:
    """The file of a run."""

    def __init__(self, path: str | os.PathLike, run: Run) -> None:
        self.path, self.run = os.fspath(path), run
        # The current folder may be another one after an epoch.
        self._place = os.path.abspath(path)
        self.epoch: int | None = 0  # the last one that the file has; None while it is written

    def save(self, epoch: int, history: History) -> None:
        """Write everything, as it is after `epoch`."""
        head = {"kind": KIND, "version": VERSION, "epoch": epoch, "description": self.run.description()}
        self.epoch = None
        save(self._place, {**head, "history": history.columns, "state": self.run.state()})
        self.epoch = epoch

    def restore(self, saved: dict[str, Any]) -> None:
        """Put the run where it was."""
        self.run.restore(saved["state"])
        self.epoch = saved["epoch"]

    def read(self) -> dict[str, Any] | None:
        """What the file holds; None if there is none.  Raises StateError if it belongs to something else."""
        if not os.path.lexists(self._place):
            return None
        try:
            saved = load(self._place)
        except SaveFileError as error:
            error.add_note(f"fit() overwrites checkpoints of the same run only.  To start anew, delete {self.path}.")
            raise
        if not isinstance(saved, dict) or saved.get("kind") != KIND:
            raise StateError(
                f"{self.path} is no checkpoint of fit(), so it is neither read nor overwritten.  Give another path."
            )
        if saved["version"] != VERSION:
            raise StateError(f"{self.path} has version {saved['version']} of checkpoints, and this is {VERSION}.")
        if difference := first_difference(saved["description"], self.run.description()):
            raise StateError(
                f"{self.path} is the checkpoint of another run: {difference}.  It was neither loaded nor "
                "overwritten.  Build everything as it was, or give another path."
            )
        return saved


def first_difference(there: dict[str, str], here: dict[str, str]) -> str:
    """The first thing in which two descriptions differ, in words; nothing if they are the same."""
    for name in [*here, *there]:
        if there.get(name) != here.get(name):
            return f"{name} is {there.get(name, 'missing')} there, and {here.get(name, 'missing')} here"
    return ""
