"""Reports on chains that are still being written: what is committed since the last one, against golden."""

from __future__ import annotations

from rlx_datapipe.fidelity.catalogue import require_statistics, standard_registry
from rlx_datapipe.fidelity.reporter import FidelityReporter
from rlx_datapipe.fidelity.result import FidelityReport
from rlx_datapipe.pipeline.fidelity import reported
from rlx_datapipe.pipeline.fidelity_exposition import write_exposition
from rlx_datapipe.pipeline.fidelity_golden import golden_dataset, stranger
from rlx_datapipe.pipeline.fidelity_report import write_reports
from rlx_datapipe.pipeline.fidelity_sides import Chain, is_same_market
from rlx_datapipe.pipeline.fidelity_told import Answer, Order, Outcome
from rlx_datapipe.store.layout import readable, slug
from rlx_datapipe.store.manifest import read_manifest

EXPOSITION = "fidelity.prom"
"""File of the last verdicts, for Prometheus, in the folder of the reports."""


def fulfil(order: Order) -> Answer:
    """Compare, report, write.

    Raises
    ------
    OptionError
        When golden is of another market, or an extra is missing.
    SourceError, DatasetError
        When a side can't be read.
    """
    require_statistics()
    reporter = FidelityReporter(standard_registry())
    settings = read_manifest(order.dataset).settings
    needed = [part.instrument for part in order.parts]
    with golden_dataset([order.golden], settings, needed, key_file=order.key_file, keep=order.keep) as golden:
        pairs = [
            (part.since_ns, Chain(order.dataset, part.instrument), Chain(golden.path, chain.instrument))
            for part in order.parts
            for chain in golden.manifest.chains
            if is_same_market(part.instrument, chain.instrument)
        ]
        if not pairs:
            held = [chain.instrument for chain in golden.manifest.chains]
            raise stranger(held, [order.golden], needed[0])
        name = readable(str(order.golden))
        reports = [reported(reporter, ours, theirs, name, since_ns=since) for since, ours, theirs in pairs]
    write_exposition(reports, order.folder / EXPOSITION)
    return Answer(outcomes=tuple(_told(order, report) for report in reports))


def _told(order: Order, report: FidelityReport) -> Outcome:
    side = report.header.dataset
    place = order.folder / f"{slug(side.exchange)}+{slug(side.symbol)}" / order.name
    return Outcome(
        exchange=side.exchange,
        symbol=side.symbol,
        verdict=report.verdict.value,
        reason=report.reason,
        score=report.score.overall,
        until_ns=side.ends_ns or 0,
        report=readable(str(write_reports([report], place, order.formats))),
    )
