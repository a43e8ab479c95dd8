"""The page of trust: false alarms, and a matrix of faults by metrics, in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec.structs import replace

from rlx_datapipe.core.finding import Severity
from rlx_datapipe.core.version import WRITER
from rlx_datapipe.fidelity.catalogue import standard_registry
from rlx_datapipe.fidelity.faults import FAULTS

if TYPE_CHECKING:
    from rlx_datapipe.pipeline.bench.figure import Options
    from rlx_datapipe.pipeline.bench.verdict_trials import Table, Trials

_HEAD = """# Trust

How far can the verdict of `rlx fidelity` be trusted? Measured by a command, on markets whose truth is known:
one and the same market on both sides must not fail, and a fault that was planted should.

- **Unpaired**: both sides are different stretches of one law, the fault is in one of them.
- **Paired**: both are the same stretch.

A fault is seen when the verdict on the whole is FAIL. Seen no more often than false alarms it is not seen at
all: such a fault passes unnoticed in as much data.

In brackets stand the bounds at 95 % (Clopper and Pearson), exact for independent trials. Those of false
alarms are wider where one odd market raises many of them (jackknife over markets). Trials of a fault share
markets, and all splits of a recording are of that recording: these bounds are somewhat too narrow, and those
of a recording speak of chance in the splits, not of other recordings.

This page is written by a command: `{command}`
"""
_WEAK = 0.5
_ALARMS_MAX = 0.05


def page(tables: Mapping[str, Table], options: Options) -> str:
    """The page, with the day it was measured on."""
    parts = ["rlx bench verdict", f"--seed {options.seed}"]
    parts += ["--quick"] if options.quick else []
    parts += [f"--source {options.source.name}"] if options.source is not None else []
    lines = [_HEAD.format(command=" ".join([*parts, "--report docs/trust.md"]))]
    lines += [f"Measured {datetime.now(UTC):%Y-%m-%d} by {WRITER}.", ""]
    for name, table in tables.items():
        lines += _section(name, table)
    return "\n".join(lines)


def _section(name: str, table: Table) -> list[str]:
    same = table.same
    lines = [
        f"## {name.capitalize()}",
        "",
        f"{table.told[0].upper()}{table.told[1:]}.",
        "",
        f"**False alarms: {100 * same.fails:.1f} %** ({100 * same.low:.1f} to {100 * same.high:.1f}) of "
        f"{same.trials} comparisons of one market with itself; at most 5 % are promised. "
        f"{100 * same.passes:.0f} % are PASS, the others INCONCLUSIVE{_held_up(same)}.",
        "",
        "| fault | seen, unpaired | seen, paired | by (unpaired) |",
        "|---|---|---|---|",
    ]
    for fault in FAULTS:
        for strength, told in table.faults[fault.name].items():
            beside = table.paired.get(fault.name, {}).get(strength)
            lines.append(
                f"| {fault.sentence(strength)} | {_share(told)} | "
                f"{'' if beside is None else _share(beside)} | {_metrics(told)} |"
            )
    unseen = _sentences(table, _is_unseen)
    alone = [one for one in _sentences(replace(table, paired={}), _is_unseen) if one not in unseen]
    weak = _sentences(replace(table, paired={}), lambda told: told.fails < _WEAK and not _is_unseen(told))
    lines += [
        "",
        f"**No power was shown**, paired or not, against: {_listed(unseen)}.",
        "",
        f"**Only the same interval shows**, and other hours do not: {_listed(alone)}.",
        "",
        f"Little power, below {100 * _WEAK:.0f} % unpaired, against: {_listed(weak)}.",
        "",
    ]
    return [*lines, *_matrix(table)]


def _held_up(same: Trials) -> str:
    """Gates that pass in less than half of the comparisons of one market with itself."""
    registry = standard_registry(with_plugins=False)
    shares = same.passes_by_metric
    gates = [name for name in shares if name in registry and registry.get(name).severity is Severity.GATE]
    least = sorted((name for name in gates if shares[name] < _WEAK), key=lambda name: shares[name])
    told = ", ".join(f"`{name}` passes in {100 * shares[name]:.0f} %" for name in least)
    return f": so short a market proves no likeness ({told})" if told else ""


def _listed(sentences: list[str]) -> str:
    return "; ".join(sentences) or "none"


def _sentences(table: Table, holds: Callable[[Trials], bool]) -> list[str]:
    """Faults of which something holds, paired and unpaired."""
    told = []
    for fault in FAULTS:
        for strength, unpaired in table.faults[fault.name].items():
            beside = table.paired.get(fault.name, {}).get(strength)
            if holds(unpaired) and (beside is None or holds(beside)):
                told.append(fault.sentence(strength))
    return told


def _is_unseen(told: Trials) -> bool:
    """Whether a fault may be seen no more often than there are false alarms; one trial is taken as it is."""
    return told.low <= _ALARMS_MAX if told.trials > 1 else not told.fails


def _share(told: Trials) -> str:
    if told.trials == 1:
        return "yes" if told.fails else "no"
    return f"{100 * told.fails:.0f} % of {told.trials} ({100 * told.low:.0f}-{100 * told.high:.0f})"


def _metrics(told: Trials) -> str:
    most = sorted(told.by_metric.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"`{name}`" for name, _ in most[:3])


def _matrix(table: Table) -> list[str]:
    """Per cent of trials in which each metric failed, at the greatest strength that was tried."""
    worst = {name: told[_heaviest(name, told)] for name, told in table.faults.items()}
    metrics = sorted({metric for told in worst.values() for metric in told.by_metric})
    lines = [
        "### Fault by metric, unpaired, at the heaviest strength",
        "",
        "Per cent of trials in which the metric fails; metrics that see no fault are left out.",
        "",
        "| metric | " + " | ".join(name.replace("_", " ") for name in worst) + " |",
        "|---|" + "---|" * len(worst),
    ]
    for metric in metrics:
        cells = [
            f"{100 * told.by_metric[metric]:.0f}" if metric in told.by_metric else ""
            for told in worst.values()
        ]
        lines.append(f"| `{metric}` | " + " | ".join(cells) + " |")
    silent = sorted(set(table.same.passes_by_metric) - set(metrics))
    return [*lines, "", "See none: " + (", ".join(f"`{name}`" for name in silent) or "none") + ".", ""]


def _heaviest(name: str, told: Mapping[float, Trials]) -> float:
    strengths = next(fault.strengths for fault in FAULTS if fault.name == name)
    return next(strength for strength in reversed(strengths) if strength in told)
