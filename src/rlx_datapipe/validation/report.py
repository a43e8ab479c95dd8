"""The report of a validation as a Markdown page: verdict, rules with their figures, named differences."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rlx_datapipe.validation.result import NAMED_MAX, RuleResult, ValidationReport

MARKS = {"pass": "✅ pass", "note": "📝 note", "warn": "⚠️ warn", "fail": "❌ fail", "skipped": "⏭️ skipped"}
_MARKUP = re.compile(r"[\\`*\[\]<>|]")
_BREAKS = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")
_BEST = ("bid_price", "bid_quantity", "ask_price", "ask_quantity")


def to_markdown(report: ValidationReport, title: str = "Validation") -> str:
    """A Markdown page of a report, of one chain or of several."""
    chains = report.chains or [report]
    parts = [f"# {title}", _verdict(report)]
    if report.chains:
        parts.append(_overview(report))
    for chain in chains:
        if report.chains:
            parts.append(f"# {_text(chain.exchange)} {_text(chain.symbol)}")
            parts.append(_verdict(chain))
        parts += _chain(chain)
    return "\n\n".join(parts) + "\n"


def _verdict(report: ValidationReport) -> str:
    oracle = report.oracle
    where = f" — {_text(report.exchange)} {_text(report.symbol)}" if report.symbol else ""
    lines = [
        f"**Verdict: {MARKS[report.verdict]}**{where}",
        "",
        _table(
            [
                "events",
                "update groups compared",
                "equal to the venue's quote",
                "gaps",
                "crossed",
                "compared with",
            ],
            [
                [
                    _number(report.events),
                    _number(oracle["compared"]),
                    _equal(oracle),
                    _number(report.gaps),
                    _number(report.crossed),
                    _text(report.golden or oracle["source"]),
                ]
            ],
        ),
    ]
    return "\n".join(lines)


def _equal(oracle: Mapping[str, Any]) -> str:
    if not oracle["compared"]:
        return "-"
    # Rounded down: 100 % is said only where all are equal.
    share = oracle["equal"] * 1_000_000 // oracle["compared"] / 10_000
    return f"{oracle['equal']:,} ({share:g} %)"


def _overview(report: ValidationReport) -> str:
    rows = [
        [
            _text(f"{chain.exchange} {chain.symbol}"),
            MARKS[chain.verdict],
            _number(chain.events),
            _number(chain.oracle["compared"]),
            _equal(chain.oracle),
            _number(chain.gaps),
            _number(chain.crossed),
        ]
        for chain in report.chains
    ]
    return _table(["chain", "verdict", "events", "compared", "equal", "gaps", "crossed"], rows)


def _chain(report: ValidationReport) -> list[str]:
    rows = [[MARKS[rule.verdict], f"`{rule.name}`", _text(rule.headline)] for rule in report.rules]
    parts = ["## Rules", _table(["", "rule", "measured"], rows)]
    if report.findings:
        told = [f"- **{one.severity}** `{one.rule}`: {_text(one.message)}" for one in report.findings]
        parts += ["## Findings", "\n".join(told)]
    if report.oracle["differing"]:
        parts += _differences(report)
    parts.append("## Figures")
    parts += [_figures(rule) for rule in report.rules]
    return parts


def _differences(report: ValidationReport) -> list[str]:
    named = report.oracle["differing"]
    different = report.oracle["compared"] - report.oracle["equal"]
    first = f"The first {NAMED_MAX} of {different:,}" if different > len(named) else f"All {different:,}"
    rows = [
        [
            str(one["update_id"]),
            str(one["event_id"]),
            "<br>".join(name.replace("_", " ") for name in _BEST if name in one["fields"]),
            _values(one, "expected"),
            _values(one, "found"),
            _number(one["quote_ids_behind"]),
        ]
        for one in named
    ]
    head = ["update id", "event id", "what differs", "quoted", "published", "quote older by (ids)"]
    return [
        "## Where the published best differs from the quote",
        f"{first}, by update id.",
        _table(head, rows),
    ]


def _values(difference: Mapping[str, Any], side: str) -> str:
    return "<br>".join(difference[side][name] or "(empty)" for name in _BEST if name in difference["fields"])


def _figures(rule: RuleResult) -> str:
    table = _table(["figure", "value"], [list(row) for row in _flat(rule.measures)])
    return f"### `{rule.name}`\n\n{rule.purpose}\n\nReference: {rule.reference}.\n\n{table}"


def _flat(measures: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Names and texts of all measures, nested ones under ``outer: inner``."""
    rows: list[tuple[str, str]] = []
    for name, value in measures.items():
        told = prefix + name.replace("_", " ")
        rows += _flat(value, f"{told}: ") if isinstance(value, Mapping) else [(told, _text(_number(value)))]
    return rows


def _number(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(text: str) -> str:
    """Text from outside as plain text: it can't break out of its cell or line, nor become markup."""
    return _MARKUP.sub(r"\\\g<0>", _BREAKS.sub(" ", text))
