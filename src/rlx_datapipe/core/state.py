"""State that survives a crash: what a stage hands to a checkpoint, and gets back from one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import numpy as np

from rlx_datapipe.core.event import Int64Array

Value: TypeAlias = int | float | str | bool | list["Value"] | dict[str, "Value"] | None


@dataclass
class State:
    """All that a stage must know to go on as if it had never stopped.

    ``values`` is small and made of what JSON knows; ``arrays`` are int64 of any shape. Neither is changed
    after it was handed over: arrays that go on living are copied. The state of a part of a stage lies in that
    of the stage, all its names behind ``part.``.
    """

    values: dict[str, Value] = field(default_factory=dict)
    arrays: dict[str, Int64Array] = field(default_factory=dict)

    def put(self, name: str, part: State) -> None:
        """Take in the state of a part."""
        self.values.update({f"{name}.{key}": value for key, value in part.values.items()})
        self.arrays.update({f"{name}.{key}": array for key, array in part.arrays.items()})

    def part(self, name: str) -> State:
        """The state of a part that was put in; empty if there is none."""
        start = f"{name}."
        return State(
            {key.removeprefix(start): value for key, value in self.values.items() if key.startswith(start)},
            {key.removeprefix(start): array for key, array in self.arrays.items() if key.startswith(start)},
        )

    def integer(self, name: str) -> int:
        """A value that must be an integer; a truth value counts as one.

        Raises
        ------
        ValueError
            When there is none of this name, or it is something else.
        """
        value = self.values.get(name)
        if not isinstance(value, int):
            raise ValueError(f"not a state of this stage: {name} is {value!r}, expected an integer")
        return value

    def array(self, name: str, *shape: int | None) -> Int64Array:
        """A copy of an array that must have this shape; None stands for any length.

        Raises
        ------
        ValueError
            When there is none of this name, or it is no int64 array of this shape.
        """
        array = self.arrays.get(name)
        if array is None:
            raise ValueError(f"not a state of this stage: there is no array {name}")
        fits = len(array.shape) == len(shape) and all(
            wanted in (None, size) for size, wanted in zip(array.shape, shape, strict=True)
        )
        if array.dtype != np.int64 or not fits:
            found = f"{array.dtype} of shape {array.shape}"
            raise ValueError(f"not a state of this stage: {name} is {found}, expected int64 of {shape}")
        return np.array(array, dtype=np.int64, order="C")


class Restorable(Protocol):
    """A stage that can be stopped between two batches and go on in another process."""

    def state(self) -> State:
        """Everything that the rest of the input will be treated by."""

    def restore(self, state: State) -> None:
        """Become the stage that gave this state; called on a new one, before any input.

        Raises
        ------
        ValueError
            When the state is not one of this stage.
        """
