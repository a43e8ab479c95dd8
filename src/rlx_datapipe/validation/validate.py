"""Validation of a dataset: one pass over each chain under all rules, then a verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from rlx_datapipe.core.finding import Finding, verdict
from rlx_datapipe.core.state import State
from rlx_datapipe.store.dataset import Dataset
from rlx_datapipe.store.manifest import ChainManifest
from rlx_datapipe.validation.book_state import Crossed, TradesAtTouch
from rlx_datapipe.validation.chronology import Chronology
from rlx_datapipe.validation.distributions import Distributions
from rlx_datapipe.validation.golden import Golden
from rlx_datapipe.validation.oracle import UpdateIdOracle
from rlx_datapipe.validation.power_law import PowerLaws
from rlx_datapipe.validation.reading import Place, Stretch, read_records, read_stretches
from rlx_datapipe.validation.result import ValidationReport, combined
from rlx_datapipe.validation.round_trip import DecimalRoundTrip
from rlx_datapipe.validation.rule import Rule, Subject
from rlx_datapipe.validation.samples import BooksMatchEvents
from rlx_datapipe.validation.sequence import Sequence
from rlx_datapipe.validation.snapshots import SnapshotEquality
from rlx_datapipe.validation.timing import Timing
from rlx_datapipe.validation.wholeness import Coverage, EverythingRead

RULES: dict[str, type[Rule]] = {
    rule.name: rule
    for rule in (
        UpdateIdOracle,
        Chronology,
        Timing,
        Sequence,
        Crossed,
        TradesAtTouch,
        SnapshotEquality,
        DecimalRoundTrip,
        BooksMatchEvents,
        EverythingRead,
        Coverage,
        Distributions,
        PowerLaws,
    )
}
"""All rules by name, in the order in which they are told."""

GoldenOf = Callable[[ChainManifest], Golden | None]
Ahead: TypeAlias = Callable[[Iterator[Stretch]], Iterator[Stretch]]
_WALK = "walk"


class ChainValidation:
    """One pass over one chain, which can stop between two stretches and go on in another process.

    Parameters
    ----------
    dataset, chain
        What is checked.
    golden
        The golden capture of the chain, if there is one.
    """

    def __init__(self, dataset: Dataset, chain: ChainManifest, golden: Golden | None = None) -> None:
        self._dataset, self._chain = dataset, chain
        self._subject = Subject(dataset.path, chain, read_records(dataset.path, chain), golden)
        self._rules = {name: rule(self._subject) for name, rule in RULES.items()}
        self.events = 0
        """Events checked so far."""
        self._place: Place = (0, 0)

    def walk(self, ahead: Ahead = iter) -> Iterator[int]:
        """Check stretch by stretch, from where it stands; gives the events of each.

        ``ahead`` may have a thread read them ahead.
        """
        for stretch in ahead(read_stretches(self._dataset.path, self._chain, self._place)):
            if self._subject.golden is not None:
                self._subject.ours.observe(stretch)
            for rule in self._rules.values():
                rule.observe(stretch)
            self.events += len(stretch.event_id)
            self._place = stretch.behind
            yield len(stretch.event_id)

    def state(self) -> dict[str, State]:
        """All that was learnt, by rule; asked for between two stretches."""
        walk = State({"events": self.events, "place": list(self._place)})
        walk.put("ours", self._subject.ours.state())
        return {_WALK: walk, **{name: rule.state() for name, rule in self._rules.items()}}

    def restore(self, states: dict[str, State]) -> None:
        """Go on from where another one of the same chain stood.

        Raises
        ------
        ValueError
            When these are not the states of one.
        """
        walk = states[_WALK]
        self.events = walk.integer("events")
        place = walk.values["place"]
        if not isinstance(place, list) or len(place) != len(self._place):
            raise ValueError(f"a place in a chain that is {place!r}")
        self._place = (int(place[0]), int(place[1]))  # type: ignore[arg-type]
        self._subject.ours.restore(walk.part("ours"))
        for name, rule in self._rules.items():
            rule.restore(states[name])

    def report(self) -> ValidationReport:
        """What all rules conclude."""
        return _report(self._subject, self._rules, self.events)


def validate(
    dataset: Dataset,
    symbol: str | None = None,
    golden_of: GoldenOf = lambda _: None,
    on_events: Callable[[ChainManifest, int], None] = lambda _chain, _events: None,
) -> ValidationReport:
    """Check a dataset by all rules.

    Parameters
    ----------
    dataset
        What `open_dataset` gives.
    symbol
        Only this chain, as ``SYMBOL`` or ``EXCHANGE/SYMBOL``; all chains if None.
    golden_of
        Gives the golden capture of a chain, or None: then the oracle uses the dataset's own quotes. Called
        once for each chain, and only one is held at a time.
    on_events
        Called with the chain and the number of its events checked so far.

    Raises
    ------
    DatasetError
        For an unknown symbol, or a table that can't be read.
    """
    chains = dataset.manifest.chains if symbol is None else (dataset.manifest.chain(symbol),)
    return combined([validate_chain(dataset, chain, golden_of(chain), on_events) for chain in chains])


def validate_chain(
    dataset: Dataset,
    chain: ChainManifest,
    golden: Golden | None = None,
    on_events: Callable[[ChainManifest, int], None] = lambda _chain, _events: None,
) -> ValidationReport:
    """Check one chain by all rules."""
    validation = ChainValidation(dataset, chain, golden)
    for _ in validation.walk():
        on_events(chain, validation.events)
    return validation.report()


def _report(subject: Subject, rules: dict[str, Rule], events: int) -> ValidationReport:
    findings: list[Finding] = []
    results = []
    told: dict[str, dict[str, Any]] = {}
    for name, rule in rules.items():
        outcome = rule.conclude()
        findings += outcome.findings
        results.append(rule.result(outcome))
        told[name] = outcome.measures
    oracle = rules[UpdateIdOracle.name]
    assert isinstance(oracle, UpdateIdOracle)  # noqa: S101 (its name is its key)
    crossed = told[Crossed.name]
    return ValidationReport(
        verdict="fail" if verdict(findings) == "fail" else "pass",
        oracle=oracle.told(),
        gaps=told[Sequence.name]["gaps"],
        crossed=max(crossed["crossed"], crossed["crossed_intervals"]),
        events=events,
        exchange=subject.instrument.exchange,
        symbol=subject.instrument.symbol,
        golden=subject.golden.name if subject.golden else "",
        findings=findings,
        rules=results,
    )
