"""Parameters of a market with known laws: from a TOML file, complete by default, checked before it begins."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.core.told_settings import read_toml, told_problem
from rlx_datapipe.simulation.config import HALF_MINUTE_BEFORE_MIDNIGHT_NS, NS_PER_S, MarketConfig
from rlx_datapipe.simulation.lob.episode_kinds import Episode, Planting

Rate = Annotated[float, msgspec.Meta(ge=0.0, le=1e6)]
Pair = tuple[float, float]
"""Mean children on the same side, and on the other side."""
Tail = Annotated[float, msgspec.Meta(gt=0.05, le=20.0)]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file: frozen, and no unknown keys."""


class Kinds(_Table, frozen=True):
    """Events a second that come by themselves, one side alone, for each kind of event."""

    market: Rate = 0.6
    limit: Rate = 12.0
    deep_limit: Rate = 16.0
    cancel: Rate = 8.0
    deep_cancel: Rate = 16.0


class Children(_Table, frozen=True):
    """How many events one event calls forth on average, by kind, as (same side, other side)."""

    market: Pair = (0.0, 0.0)
    limit: Pair = (0.0, 0.0)
    deep_limit: Pair = (0.0, 0.0)
    cancel: Pair = (0.0, 0.0)
    deep_cancel: Pair = (0.0, 0.0)


_AFTER_MARKET = Children(
    market=(0.35, 0.03),
    limit=(0.20, 0.30),
    deep_limit=(0.10, 0.10),
    cancel=(0.10, 0.25),
    deep_cancel=(0.05, 0.10),
)
_AFTER_LIMIT = Children(
    market=(0.01, 0.01),
    limit=(0.25, 0.08),
    deep_limit=(0.08, 0.04),
    cancel=(0.16, 0.06),
    deep_cancel=(0.06, 0.03),
)
_AFTER_DEEP_LIMIT = Children(
    market=(0.002, 0.002),
    limit=(0.06, 0.03),
    deep_limit=(0.22, 0.06),
    cancel=(0.03, 0.02),
    deep_cancel=(0.18, 0.04),
)
_AFTER_CANCEL = Children(
    market=(0.005, 0.01),
    limit=(0.25, 0.05),
    deep_limit=(0.06, 0.03),
    cancel=(0.20, 0.06),
    deep_cancel=(0.05, 0.03),
)
_AFTER_DEEP_CANCEL = Children(
    market=(0.001, 0.001),
    limit=(0.04, 0.02),
    deep_limit=(0.20, 0.05),
    cancel=(0.03, 0.02),
    deep_cancel=(0.22, 0.05),
)


class Branching(_Table, frozen=True):
    """What each kind of event calls forth; the matrix of all of it must have a spectral radius below 1."""

    market: Children = _AFTER_MARKET
    limit: Children = _AFTER_LIMIT
    deep_limit: Children = _AFTER_DEEP_LIMIT
    cancel: Children = _AFTER_CANCEL
    deep_cancel: Children = _AFTER_DEEP_CANCEL


class Flow(_Table, frozen=True):
    """Arrivals: a multivariate Hawkes process whose kernels are sums of exponentials.

    Attributes
    ----------
    speed
        Multiplies all of ``baseline_per_s``, and so all rates.
    decays_per_s, weights
        Rates at which excitation fades, per second, and the share of the children that each of them brings;
        the shares sum to 1.
    """

    speed: Annotated[float, msgspec.Meta(gt=0.0, le=10_000.0)] = 1.0
    baseline_per_s: Kinds = Kinds()
    branching: Branching = Branching()
    decays_per_s: Annotated[tuple[float, ...], msgspec.Meta(min_length=1, max_length=4)] = (400.0, 8.0)
    weights: Annotated[tuple[float, ...], msgspec.Meta(min_length=1, max_length=4)] = (0.6, 0.4)


class Modulation(_Table, frozen=True):
    """Slow change of all baselines by one factor of mean 1: the exponential of an Ornstein-Uhlenbeck process.

    Attributes
    ----------
    deviation
        Standard deviation of the factor's logarithm; 0 for none.
    memory_s
        Time in which its correlation falls to 1/e.
    step_s
        The factor is constant for so long.
    """

    deviation: Annotated[float, msgspec.Meta(ge=0.0, le=1.5)] = 0.3
    memory_s: Annotated[float, msgspec.Meta(gt=0.0, le=1e6)] = 300.0
    step_s: Annotated[float, msgspec.Meta(ge=0.01, le=3_600.0)] = 1.0


class Sizes(_Table, frozen=True):
    """Sizes of orders: Pareto, cut off at ``largest``; decimal strings in units of the base asset."""

    limit_least: str = "0.02"
    limit_tail: Tail = 1.5
    market_least: str = "0.06"
    market_tail: Tail = 1.8
    largest: str = "10"


class Placement(_Table, frozen=True):
    """Where orders stand, and how the book finds back to its usual shape.

    Attributes
    ----------
    deep_scale_ticks, deep_tail, reach_ticks
        A deep order stands 1 + floor(x) ticks behind the best price of its side, with
        P(x > d) = (1 + d / scale) ^ -tail, cut off at the reach.
    inside_ticks
        A limit order goes inside a spread of s ticks with chance 1 - exp(-(s - 1) / inside_ticks), else it
        joins the best price. The smaller, the faster the spread closes.
    touch_orders, deep_orders
        A cancel at the best price withdraws (orders there) / touch_orders orders on average, a deep one
        (orders of the side) / deep_orders: so queues and book have a size to which they return. The book
        opens with ``deep_orders`` a side.
    """

    deep_scale_ticks: Annotated[float, msgspec.Meta(gt=0.0, le=10_000.0)] = 2_000.0
    deep_tail: Tail = 0.9
    reach_ticks: Annotated[int, msgspec.Meta(ge=10, le=50_000)] = 50_000
    inside_ticks: Annotated[float, msgspec.Meta(gt=0.0, le=100_000.0)] = 30.0
    touch_orders: Annotated[float, msgspec.Meta(ge=1.0, le=1_000.0)] = 1.8
    deep_orders: Annotated[int, msgspec.Meta(ge=100, le=20_000)] = 800


class Truth(_Table, frozen=True):
    """How often, and how deep, the true book is written beside the feed."""

    book_every_ms: Annotated[int, msgspec.Meta(ge=1, le=3_600_000)] = 1_000
    book_levels: Annotated[int, msgspec.Meta(ge=1, le=5_000)] = 20


class MarketParameters(_Table, frozen=True):
    """One market, complete: the same parameters give the same bytes.

    Attributes
    ----------
    seed
        Of all chance there is, by one `numpy.random.SeedSequence`.
    start_ns, duration_s
        Exchange time of the first moment in ns since the epoch, and the length in seconds.
    mid_price
        First mid price, a decimal string; tick and lot are the venue's.
    depth_interval_ms
        Pace of the depth stream.
    snapshot_levels, snapshot_after_ms, snapshot_every_s
        Levels of a snapshot at most, time of the first one, and pause to each further one (0: none).
    skew_ns
        Local clock minus exchange clock, in what a recorder writes.
    """

    symbol: str = "BTCUSDT"
    venue: str = "binance-spot"
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 7
    start_ns: int = HALF_MINUTE_BEFORE_MIDNIGHT_NS
    duration_s: Annotated[int, msgspec.Meta(ge=1, le=366 * 86_400)] = 60
    mid_price: str = "61837.60"
    depth_interval_ms: Annotated[int, msgspec.Meta(ge=10, le=10_000)] = 100
    snapshot_levels: Annotated[int, msgspec.Meta(ge=1, le=5_000)] = 1_000
    snapshot_after_ms: Annotated[int, msgspec.Meta(ge=0, le=60_000)] = 150
    snapshot_every_s: Annotated[int, msgspec.Meta(ge=0, le=86_400)] = 0
    skew_ns: int = 0
    flow: Flow = Flow()
    modulation: Modulation = Modulation()
    sizes: Sizes = Sizes()
    placement: Placement = Placement()
    truth: Truth = Truth()
    planting: Planting = Planting()
    episodes: tuple[Episode, ...] = ()

    @property
    def end_ns(self) -> int:
        """Exchange time of the end, ns."""
        return self.start_ns + self.duration_s * NS_PER_S

    def wire_config(self) -> MarketConfig:
        """What the venue's wire needs to know; OptionError for a number that it does not take."""
        try:
            config = MarketConfig(
                symbol=self.symbol,
                venue=self.venue,
                start_ns=self.start_ns,
                duration_s=self.duration_s,
                seed=self.seed,
                depth_interval_ms=self.depth_interval_ms,
                mid_price=self.mid_price,
                snapshot_levels=self.snapshot_levels,
                snapshot_after_ms=min(self.snapshot_after_ms, 1_000 * self.duration_s),
                snapshot_every_s=self.snapshot_every_s or None,
                skew_ns=self.skew_ns,
                levels=50,
            )
        except ValueError as error:
            raise OptionError(f"no such market: {error}") from error
        if config.mid_ticks <= self.placement.reach_ticks:
            raise OptionError(
                "mid_price must have more ticks than placement.reach_ticks",
                found=config.mid_ticks,
                remedy="Raise the price, or lower the reach",
            )
        return config


def load_parameters(file: Path) -> MarketParameters:
    """The market that a TOML file describes.

    Raises
    ------
    OptionError
        For a file that can't be read, an unknown key, or a value that is out of bounds.
    """
    return to_parameters(read_toml(file, "the market"), file)


def to_parameters(told: dict[str, Any], file: Path | None = None) -> MarketParameters:
    """The market that tables and keys describe, such as a TOML file holds."""
    try:
        return msgspec.convert(told, MarketParameters)
    except msgspec.ValidationError as error:
        facts = {} if file is None else {"file": file}
        problem = told_problem(error)
        raise OptionError(
            f"bad market: {problem}", remedy="docs/market.md tells every key", **facts
        ) from error
