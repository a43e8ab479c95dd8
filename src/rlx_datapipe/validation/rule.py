"""What a rule is: it looks at every stretch of a chain once and then concludes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rlx_datapipe.core.event import NONE
from rlx_datapipe.core.finding import Finding, Severity
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.state import State
from rlx_datapipe.core.units import to_text
from rlx_datapipe.store.manifest import ChainManifest
from rlx_datapipe.validation.golden import Golden
from rlx_datapipe.validation.ours import Ours
from rlx_datapipe.validation.reading import Records, Stretch
from rlx_datapipe.validation.result import RuleResult, mark


@dataclass(frozen=True)
class Subject:
    """The chain under validation, the golden capture if there is one, and the dataset's own distributions."""

    dataset: Path
    chain: ChainManifest
    records: Records
    golden: Golden | None
    ours: Ours = field(default_factory=Ours)

    @property
    def instrument(self) -> Instrument:
        """The chain's instrument."""
        return self.chain.instrument

    def level_text(self, name: str, value: int) -> str | None:
        """A price or quantity (told by the name) as decimal text; None for an empty side."""
        decimals = (
            self.instrument.quantity_decimals if name.endswith("quantity") else self.instrument.price_decimals
        )
        return None if value == NONE else to_text(value, decimals)


@dataclass
class Outcome:
    """What a rule concludes: one sentence with the numbers, the numbers, and its findings."""

    headline: str
    measures: dict[str, Any]
    findings: list[Finding] = field(default_factory=list)
    skipped: bool = False


class Rule(ABC):
    """One check of correctness over one chain.

    A rule is made for a chain, sees each stretch of its events in order, then concludes. ``severity`` is the
    heaviest finding that it can have. ``remembers`` names the attributes that change with what it sees:
    integers, texts, arrays of int64, lists and mappings of them, or parts with a state of their own. From
    these a new one for the same chain goes on as if it had seen the same.
    """

    name: ClassVar[str]
    severity: ClassVar[Severity]
    reference: ClassVar[str]
    purpose: ClassVar[str]
    remembers: ClassVar[tuple[str, ...]] = ()

    def __init__(self, subject: Subject) -> None:
        self.subject = subject

    def observe(self, stretch: Stretch) -> None:  # noqa: B027 (a rule may need no events)
        """Look at the next events."""

    @abstractmethod
    def conclude(self) -> Outcome:
        """What was found, after all events."""

    def state(self) -> State:
        """All that it has learnt so far."""
        state = State()
        for name in self.remembers:
            value = getattr(self, name)
            if isinstance(value, np.ndarray):
                state.arrays[name] = value.copy()
            elif hasattr(value, "restore"):
                state.put(name, value.state())
            else:
                state.values[name] = deepcopy(value)
        return state

    def restore(self, state: State) -> None:
        """Become the rule that gave this state.

        Raises
        ------
        ValueError
            When it is not one of this rule.
        """
        for name in self.remembers:
            value = getattr(self, name)
            if isinstance(value, np.ndarray):
                setattr(self, name, state.array(name, *(None for _ in value.shape)))
            elif hasattr(value, "restore"):
                value.restore(state.part(name))
            elif name in state.values:
                setattr(self, name, deepcopy(state.values[name]))
            else:
                raise ValueError(f"not a state of the rule {self.name}: {name} is not there")

    def found(self, severity: Severity, message: str, **measures: Any) -> Finding:
        """A finding of this rule."""
        return Finding(rule=self.name, severity=severity, message=message, measures=measures)

    def result(self, outcome: Outcome) -> RuleResult:
        """The outcome with what the rule is."""
        return RuleResult(
            name=self.name,
            purpose=self.purpose,
            reference=self.reference,
            severity=self.severity,
            verdict=mark(outcome.findings, skipped=outcome.skipped),
            headline=outcome.headline,
            measures=outcome.measures,
        )


def plural(count: int, noun: str) -> str:
    """A count with its noun: ``1 gap``, ``2,000 gaps``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def share(part: int, whole: int) -> float | None:
    """Part of a whole, rounded to 6 decimals; None of nothing."""
    return round(part / whole, 6) if whole else None
