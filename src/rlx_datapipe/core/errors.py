"""The error tree: every mistake that a user can mend is one sentence with its facts."""

from __future__ import annotations

from typing import Any

EXIT_DONE = 0
EXIT_VERDICT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_STOPPED = 3
EXIT_INCONCLUSIVE = 4
"""Neither proven nor refuted: no success, so that nothing is built on it, and no failure of the data."""


class DatapipeError(Exception):
    """Base of all errors raised on purpose.

    Parameters
    ----------
    what
        What is wrong, in a few words.
    remedy
        What to do about it.
    **facts
        Named facts (``file=``, ``row=``, ``field=``, ``found=``, ``expected=``) kept as attributes in
        ``facts`` and told in the sentence in the order given.
    """

    exit_code = EXIT_BAD_INPUT

    def __init__(self, what: str, *, remedy: str = "", **facts: Any) -> None:
        self.what = what
        self.remedy = remedy
        self.facts = facts
        super().__init__(self.sentence())

    def sentence(self) -> str:
        """One sentence: where, what, found, expected, what to do."""
        place = ", ".join(f"{name} {self.facts[name]}" for name in ("row", "field") if name in self.facts)
        where = str(self.facts.get("file", ""))
        head = f"{where}{' (' + place + ')' if place else ''}: " if where else (f"{place}: " if place else "")
        told = [
            f"{name.replace('_', ' ')} {value}"
            for name, value in self.facts.items()
            if name not in ("file", "row", "field")
        ]
        tail = f" ({'; '.join(told)})" if told else ""
        return f"{head}{self.what}{tail}" + (f". {self.remedy}" if self.remedy else "")

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.what, self.remedy, self.facts)


def _rebuild(kind: type[DatapipeError], what: str, remedy: str, facts: dict[str, Any]) -> DatapipeError:
    return kind(what, remedy=remedy, **facts)


class SourceError(DatapipeError):
    """Raised when an input file can't be read, recognised or trusted."""


class DatasetError(DatapipeError):
    """Raised when a dataset is absent, incomplete, or would be overwritten."""


class UnfinishedError(DatasetError):
    """Raised when a dataset is not finished, or not what is asked of it; it can be gone on with."""

    exit_code = EXIT_STOPPED


class OptionError(DatapipeError):
    """Raised when an option or setting has no meaning here."""


class OutputError(DatapipeError):
    """Raised when the output can't be written."""


class UnwritableError(OutputError):
    """Raised when the system refuses to write: no room, no right, no file handle, a broken disk."""


class DiskFullError(UnwritableError):
    """Raised when there is no room on the disk, or none left to this user; it may come back."""


class StoppedError(DatapipeError):
    """Raised when a run was stopped from outside before its end."""

    exit_code = EXIT_STOPPED
