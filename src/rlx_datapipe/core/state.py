"""State that survives a crash: what a stage hands to a checkpoint, and gets back from one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from rlx_datapipe.core.event import Int64Array

Value: TypeAlias = int | float | str | bool | list["Value"] | dict[str, "Value"] | None


@dataclass
class State:
    """All that a stage must know to go on as if it had never stopped.

    ``values`` is small and made of what JSON knows; ``arrays`` are int64 of any shape. Neither is changed
    after it was handed over: arrays that go on living are copied.
    """

    values: dict[str, Value] = field(default_factory=dict)
    arrays: dict[str, Int64Array] = field(default_factory=dict)


class PipelineStateProvider(Protocol):
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
