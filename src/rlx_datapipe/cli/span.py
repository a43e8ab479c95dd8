"""A stretch of time as an option of a command: 90s, 15m, 8h."""

from __future__ import annotations

import re
from typing import Any

import click

_UNITS_S = {"": 1.0, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_SPAN = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)?", re.ASCII)


class Span(click.ParamType[float]):
    """A stretch of time: ``90``, ``90s``, ``15m``, ``8h``, ``30d``."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds."""
        if isinstance(value, float):
            return value
        match = _SPAN.fullmatch(str(value).strip())
        if match is None:
            self.fail(f"{value!r} is no time such as 90s, 15m or 8h", param, ctx)
        return float(match[1]) * _UNITS_S[match[2] or ""]
