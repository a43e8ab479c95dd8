"""`rlx bench validate`: messages a second of a validation, both sides read."""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

from rlx_datapipe.core.config import Settings
from rlx_datapipe.ingestion.parsed import parsed_batches
from rlx_datapipe.ingestion.source import Source
from rlx_datapipe.pipeline.bench.child import only_source
from rlx_datapipe.pipeline.bench.figure import Figure, Measured, cores, cpu_seconds, middle, seconds
from rlx_datapipe.pipeline.bench.workbench import Workbench
from rlx_datapipe.pipeline.validate import validate
from rlx_datapipe.store.chain_rows import chain_groups
from rlx_datapipe.store.dataset import Dataset, open_dataset
from rlx_datapipe.validation.result import ValidationReport

TARGET = 500_000


def measure(bench: Workbench) -> Measured:
    """Measure a validation by all rules: messages a second, the dataset and its golden capture both read.

    A message is one of the capture, which counts once though both sides have it. The figure is by wall time,
    on all cores; that by the processor time of one core stands beside it, and holds on a busy machine. What
    is the same for any length (recognising the files, opening tables) is in both. The ratio is to reading
    alone: the capture inflated and parsed, the events read from their files, and neither looked at.

    Input: the simulated capture of ``reconstruct`` (--messages), or your own files (--source).
    """
    settings = Settings()
    path = bench.options.source or bench.capture
    source = only_source(path, settings)
    run = bench.run(path)
    dataset = open_dataset(Path(run["out"]))
    bench.on_step("validating it against its capture")
    # The first one loads the kernels.
    report = validate(dataset, golden=path)
    messages = _messages(report)
    walls, processors = [], []
    for _ in range(bench.options.repeats):
        begun, at = time.process_time(), time.perf_counter()
        validate(dataset, golden=path)
        walls.append(time.perf_counter() - at)
        processors.append(time.process_time() - begun)
    wall_s, cpu_s = middle(walls), middle(processors)
    alone_s = cpu_seconds(lambda: _read_alone(source, dataset, settings), bench.options.repeats)
    find_s = seconds(lambda: only_source(path, settings), bench.options.repeats)
    bench.clear(run)
    rate = messages / wall_s
    figure = Figure(
        claim="validate, both sides read",
        figure=rate,
        unit="messages/s",
        target=f"{TARGET:,} messages/s",
        is_met=rate >= TARGET,
        ratio=alone_s / cpu_s,
        ratio_to="reading alone",
        detail={
            "messages": messages,
            "events": report.events,
            "cores": cores(),
            "wall_s": wall_s,
            "cpu_s": cpu_s,
            "recognising_s": find_s,
            "reading_alone_cpu_s": alone_s,
            "messages_per_cpu_second": messages / cpu_s,
            "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT,
        },
    )
    told = {"messages_per_second": rate, "messages_per_cpu_second": messages / cpu_s, "events": report.events}
    wrong = [] if report.gaps or report.verdict == "pass" else ["the dataset fails against its own capture"]
    return Measured([figure], told, wrong)


_RSS_UNIT = 1 if sys.platform == "darwin" else 1_024


def _messages(report: ValidationReport) -> int:
    """Messages that the source had, as the rule on wholeness counts them."""
    return sum(
        int(rule.measures["read"])
        for chain in report.chains or [report]
        for rule in chain.rules
        if rule.name == "everything_read"
    )


def _read_alone(source: Source, dataset: Dataset, settings: Settings) -> None:
    for _ in parsed_batches(source, settings):
        pass
    for chain in dataset.manifest.chains:
        for _ in chain_groups(dataset.path, "events", chain):
            pass
