"""`rlx bench verdict`: how often the verdict alarms at one and the same market, and which faults it sees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from rlx_datapipe.fidelity.catalogue import require_statistics, standard_registry
from rlx_datapipe.fidelity.decision import DecisionSettings
from rlx_datapipe.fidelity.faults import FAULTS, Fault
from rlx_datapipe.pipeline.bench.figure import Figure, Measured
from rlx_datapipe.pipeline.bench.verdict_market import recorded, simulated
from rlx_datapipe.pipeline.bench.verdict_page import page
from rlx_datapipe.pipeline.bench.verdict_trials import (
    Bench,
    Both,
    Setting,
    Table,
    Trials,
    faulty_market,
    faulty_recording,
    same_market,
    same_recording,
)
from rlx_datapipe.pipeline.bench.workbench import Workbench

FALSE_ALARMS_MAX = 0.05
LOUD = "rows_shuffled"
"""The fault that must be seen each time."""
_S = 1_000_000_000


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much is tried.

    Parameters
    ----------
    markets, windows, window_s, speed
        Simulated markets, windows of each, their length, and how busy the market is beside the usual one.
    spoiled
        Markets on which faults are planted.
    splits, trials, pairs
        Comparisons of one market with itself, of each fault at each strength, and whether faults are tried
        on the same interval too: once for each spoiled market.
    named_only
        Whether each fault is tried at the strength alone by which it is known.
    run, recorded_trials, recorded_window_s
        Of a recording: neighbouring windows that go to one side together, splits with each fault at each
        strength, and the length of a window.
    bins
        Bins of a distribution; 1,024 in a comparison by itself.
    """

    markets: int = 21
    windows: int = 40
    window_s: int = 60
    speed: float = 0.3
    spoiled: int = 8
    splits: int = 210
    trials: int = 16
    pairs: bool = True
    named_only: bool = False
    run: int = 6
    recorded_trials: int = 8
    recorded_window_s: int = 5
    bins: int = 256
    permutations: int = 199
    without: frozenset[str] = frozenset()


FULL = Size()
QUICK = Size(
    spoiled=2,
    splits=200,
    trials=6,
    recorded_trials=6,
    pairs=False,
    named_only=True,
    bins=128,
    permutations=99,
    without=frozenset({"garch_persistence", "trade_size_tail"}),
)


def measure(bench: Workbench) -> Measured:
    """Measure how often the verdict fails a market held against itself, and how often one with a fault.

    Unpaired: both sides are other stretches of one law; a fault is planted in one. Paired: both are one
    stretch, one of them with the fault. A fault counts as seen when the verdict on the whole is FAIL; the
    matrix says by which metrics. Without --quick each fault is tried at several strengths.

    Input: simulated markets of one law, each with a seed of its own; and, if given, your own recording of one
    symbol, split into two sides by runs of neighbouring windows.
    """
    require_statistics()
    return measured(bench, QUICK if bench.options.quick else FULL)


def measured(bench: Workbench, size: Size) -> Measured:
    """What `measure` tells, for any size."""
    tables = {"simulated": _simulated(bench, size)}
    if bench.options.source is not None:
        tables["real"] = _recorded(bench, size, bench.options.source)
    figures = [figure for name, table in tables.items() for figure in _figures(name, table)]
    told: dict[str, Any] = {**_keys(tables["simulated"])}
    if "real" in tables:
        told["real"] = _keys(tables["real"])
    wrong = [
        f"{name}: {FAULT[LOUD].sentence(FAULT[LOUD].named)}, and only {power:.0%} of the verdicts are FAIL"
        for name, table in tables.items()
        if (power := table.faults[LOUD][FAULT[LOUD].named].fails) < 1.0
    ]
    if bench.options.report is not None:
        bench.options.report.write_text(page(tables, bench.options), encoding="utf-8")
    return Measured(figures, told, wrong)


FAULT = {fault.name: fault for fault in FAULTS}


def _simulated(bench: Workbench, size: Size) -> Table:
    seconds = size.windows * size.window_s + 1
    seed = bench.options.seed
    setting = Setting(
        market=lambda k: simulated(1_000 * seed + k, seconds, size.speed),
        markets=size.markets,
        spoiled=size.spoiled,
        window_ns=size.window_s * _S,
        registry=standard_registry(with_plugins=False),
        rule=_rule(size),
        bins=size.bins,
        seed=seed,
        without=size.without,
    )
    trials = Bench(setting, bench.on_step)
    bench.on_step(f"{size.splits} comparisons of one market with itself")
    same = same_market(trials, size.splits)
    faults: dict[str, dict[float, Trials]] = {}
    paired: dict[str, dict[float, Trials]] = {}
    for fault in FAULTS:
        bench.on_step(f"planting: {fault.told}")
        strengths = _strengths(fault, size)
        both = {s: faulty_market(trials, fault, s, size.trials, pairs=size.pairs) for s in strengths}
        faults[fault.name], paired[fault.name] = _apart(both)
    told = (
        f"{size.markets} simulated markets, {size.windows} windows of {size.window_s} s each, "
        f"{size.speed:g} times as busy as the usual one"
    )
    return Table(told=told, same=same, faults=faults, paired=paired)


def _recorded(bench: Workbench, size: Size, source: Path) -> Table:
    bench.on_step(f"reconstructing {source.name}")
    whole = recorded(source, bench.new_folder("recorded"))
    setting = Setting(
        market=lambda _: whole,
        markets=1,
        spoiled=1,
        window_ns=size.recorded_window_s * _S,
        registry=standard_registry(with_plugins=False),
        rule=_rule(size),
        bins=size.bins,
        seed=bench.options.seed,
        without=size.without,
    )
    trials = Bench(setting)
    bench.on_step(f"{size.splits} splits of {source.name}")
    same = same_recording(trials, size.run, size.splits)
    faults: dict[str, dict[float, Trials]] = {}
    paired: dict[str, dict[float, Trials]] = {}
    for fault in FAULTS:
        bench.on_step(f"planting in {source.name}: {fault.told}")
        strengths = _strengths(fault, size)
        both = {
            s: faulty_recording(trials, fault, s, size.run, size.recorded_trials, pairs=size.pairs)
            for s in strengths
        }
        faults[fault.name], paired[fault.name] = _apart(both)
    told = (
        f"the recording {source.name}, {len(trials.clean[0][0])} windows of {size.recorded_window_s} s, "
        f"split by runs of {size.run}"
    )
    return Table(told=told, same=same, faults=faults, paired=paired)


def _apart(both: dict[float, Both]) -> tuple[dict[float, Trials], dict[float, Trials]]:
    """By strength, unpaired; and paired, as far as there are pairs."""
    pairs = {strength: beside for strength, (_, beside) in both.items() if beside is not None}
    return {strength: told for strength, (told, _) in both.items()}, pairs


def _rule(size: Size) -> DecisionSettings:
    return DecisionSettings(permutations=size.permutations, rounds=size.permutations)


def _strengths(fault: Fault, size: Size) -> tuple[float, ...]:
    return (fault.named,) if size.named_only else fault.strengths


def _figures(name: str, table: Table) -> list[Figure]:
    same = Figure(
        claim=f"{name}: one market fails itself",
        figure=100 * table.same.fails,
        unit=f"% of {table.same.trials}",
        target="5 % at most",
        is_met=table.same.fails <= FALSE_ALARMS_MAX,
    )
    return [same, *(_figure(name, FAULT[fault], told) for fault, told in table.faults.items())]


def _figure(name: str, fault: Fault, told: dict[float, Trials]) -> Figure:
    trials = told[fault.named]
    return Figure(
        claim=f"{name}: {fault.sentence(fault.named)}",
        figure=100 * trials.fails,
        unit="% seen",
        target="all" if fault.name == LOUD else "",
        is_met=trials.fails == 1.0 if fault.name == LOUD else None,
        detail={"metrics": trials.by_metric},
    )


def _keys(table: Table) -> dict[str, Any]:
    """What JSON has by name."""
    return {
        "told": table.told,
        "false_alarm_rate": table.same.fails,
        "false_alarm_interval": [table.same.low, table.same.high],
        "same_market": msgspec.to_builtins(table.same),
        "faults": {
            name: {
                "strength": FAULT[name].named,
                "power": told[FAULT[name].named].fails,
                "interval": [told[FAULT[name].named].low, told[FAULT[name].named].high],
                "strengths": [
                    {"strength": strength, "power": one.fails, **_detail(one)}
                    for strength, one in told.items()
                ],
                "paired": [
                    {"strength": strength, "power": one.fails, **_detail(one)}
                    for strength, one in table.paired.get(name, {}).items()
                ],
            }
            for name, told in table.faults.items()
        },
    }


def _detail(one: Trials) -> dict[str, Any]:
    return {"trials": one.trials, "interval": [one.low, one.high], "metrics": one.by_metric}
