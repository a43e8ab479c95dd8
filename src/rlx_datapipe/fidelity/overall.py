"""The verdict on the whole: what fails it, what holds it up, in one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rlx_datapipe.core.finding import Severity
from rlx_datapipe.fidelity.decision import Standing, Verdict
from rlx_datapipe.fidelity.plugin import MetricPlugin, Need

_NAMED = 4


def asked(plugin: type[MetricPlugin], verdict: Verdict, *, is_paired: bool) -> bool:
    """Whether a metric can be asked of these data at all: no amount of them would change that."""
    if Need.SAME_TIME in plugin.requirements and not is_paired:
        return False
    return verdict.standing is not Standing.NOT_IDENTIFIABLE


def overall(
    verdicts: Mapping[str, Verdict],
    plugins: Mapping[str, type[MetricPlugin]],
    failed: Sequence[str] = (),
    *,
    is_paired: bool,
) -> Verdict:
    """The verdict on a comparison from those on its metrics.

    FAIL when any metric fails, notes aside; PASS when all gates pass that can be asked here (all metrics,
    where none is a gate); else INCONCLUSIVE, with what is lacking.

    Parameters
    ----------
    failed
        Names of metrics that came to no end: they are findings, and no PASS is given over them.
    is_paired
        Whether both sides are the same interval.
    """
    different = _named(verdicts, Standing.FAIL, [n for n in verdicts if plugins[n].severity != Severity.NOTE])
    if different:
        return Verdict(
            standing=Standing.FAIL, reason=f"{told(different)}: different from golden beyond the margin"
        )
    can_tell = [name for name in verdicts if asked(plugins[name], verdicts[name], is_paired=is_paired)]
    gates = [name for name in can_tell if plugins[name].severity is Severity.GATE] or can_tell
    waiting = _named(verdicts, Standing.INCONCLUSIVE, gates)
    if failed:
        reason = f"{told(sorted(failed))}: could not be measured"
    elif waiting:
        reason = f"{told(waiting)}: {verdicts[waiting[0]].reason}"
    elif not gates:
        reason = "nothing can be told from these data"
    else:
        passed = _named(verdicts, Standing.PASS, can_tell)
        proven = f"{len(passed)} of {len(can_tell)} metrics are equivalent to golden"
        return Verdict(standing=Standing.PASS, reason=f"{proven}, all gates among them, and none differs")
    return Verdict(standing=Standing.INCONCLUSIVE, reason=reason)


def told(names: Sequence[str]) -> str:
    """Some names, the first few of them in full."""
    if len(names) <= _NAMED:
        return ", ".join(names)
    return f"{', '.join(names[: _NAMED - 1])} and {len(names) - _NAMED + 1} more"


def _named(verdicts: Mapping[str, Verdict], standing: Standing, among: Sequence[str]) -> list[str]:
    return sorted(name for name in among if verdicts[name].standing is standing)
