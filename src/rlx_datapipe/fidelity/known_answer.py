"""A known answer: what theory says that a definition must give in some case, and what ours gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class KnownAnswer:
    """One case in which the answer is known.

    Parameters
    ----------
    what
        Which definition.
    case
        On what.
    expected, tolerance
        What theory says, and how far a seeded draw may lie from it; 0 where it is exact.
    find
        Ours.
    reference
        Where definition or answer stands.
    """

    what: str
    case: str
    expected: float
    tolerance: float
    find: Callable[[], float]
    reference: str

    @property
    def found(self) -> float:
        """Ours, computed now, the same each time."""
        return self.find()
