"""Validation of a dataset: one pass over each chain under all rules, then a verdict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rlx_datapipe.core.finding import Finding, verdict
from rlx_datapipe.store.dataset import Dataset
from rlx_datapipe.store.manifest import ChainManifest
from rlx_datapipe.validation.book_state import Crossed, TradesAtTouch
from rlx_datapipe.validation.chronology import Chronology
from rlx_datapipe.validation.golden import Golden
from rlx_datapipe.validation.oracle import UpdateIdOracle
from rlx_datapipe.validation.reading import read_records, read_stretches
from rlx_datapipe.validation.result import ValidationReport, combined
from rlx_datapipe.validation.round_trip import DecimalRoundTrip
from rlx_datapipe.validation.rule import Rule, Subject
from rlx_datapipe.validation.samples import BooksMatchEvents
from rlx_datapipe.validation.sequence import Sequence
from rlx_datapipe.validation.snapshots import SnapshotEquality
from rlx_datapipe.validation.wholeness import Coverage, EverythingRead

RULES: dict[str, type[Rule]] = {
    rule.name: rule
    for rule in (
        UpdateIdOracle,
        Chronology,
        Sequence,
        Crossed,
        TradesAtTouch,
        SnapshotEquality,
        DecimalRoundTrip,
        BooksMatchEvents,
        EverythingRead,
        Coverage,
    )
}
"""All rules by name, in the order in which they are told."""

GoldenOf = Callable[[ChainManifest], Golden | None]


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
    subject = Subject(dataset.path, chain, read_records(dataset.path, chain), golden)
    rules = {name: rule(subject) for name, rule in RULES.items()}
    events = 0
    for stretch in read_stretches(dataset.path, chain):
        for rule in rules.values():
            rule.observe(stretch)
        events += len(stretch.event_id)
        on_events(chain, events)
    return _report(subject, rules, events)


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
