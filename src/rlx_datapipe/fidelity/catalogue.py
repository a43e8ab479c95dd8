"""The catalogue: a registry of all metrics of this package, and of those that installed plugins bring."""

from __future__ import annotations

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.fidelity.metrics import (
    arrivals,
    depth,
    flow,
    flow_levels,
    garch,
    impact,
    integrity,
    jumps,
    noise,
    returns,
    spread,
    tails,
    touch,
    trades,
)
from rlx_datapipe.fidelity.registry import MetricRegistry

_MARKET = (spread, depth, touch, integrity, flow, flow_levels, trades, arrivals)
_PRICE = (returns, tails, noise, jumps, impact, garch)
FAMILIES = (*_MARKET, *_PRICE)


def standard_registry(*, with_plugins: bool = True) -> MetricRegistry:
    """All metrics of this package, and those of installed plugins unless told otherwise."""
    registry = MetricRegistry()
    for family in FAMILIES:
        for plugin in family.METRICS:
            registry.metric(plugin)
    if with_plugins:
        registry.load_entry_points()
    return registry


def require_statistics() -> None:
    """See that what the statistics stand on is installed.

    Raises
    ------
    OptionError
        When it is not; the sentence has the command that installs it.
    """
    try:
        import arch  # noqa: F401
        import array_api_compat  # noqa: F401
        import scipy  # noqa: F401
    except ModuleNotFoundError as error:
        raise missing_extra() from error


def missing_extra() -> OptionError:
    """The error for statistics that are not installed."""
    return OptionError(
        "fidelity needs the extra 'fidelity'", remedy="Run: pip install 'rlx-datapipe[fidelity]'"
    )
