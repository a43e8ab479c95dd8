"""Settings of one simulated market: venue, clock, prices, sizes and the temper of the order flow."""

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final

NS_PER_MS: Final = 1_000_000
NS_PER_S: Final = 1_000_000_000
HALF_MINUTE_BEFORE_MIDNIGHT_NS: Final = 1_723_161_570 * NS_PER_S
"""2024-08-08T23:59:30Z, so that a minute of market crosses a UTC midnight."""


@dataclass(frozen=True, slots=True)
class Wire:
    """How a venue writes numbers and paces its depth stream.

    Units are counted in the last written decimal: spot writes eight decimals, so a tick of 0.01 is
    1,000,000 units.
    """

    price_decimals: int
    tick_units: int
    quantity_decimals: int
    lot_units: int
    depth_interval_ms: int
    update_id_stride: int
    first_update_id: int
    first_trade_id: int


WIRES: Final = {
    "binance-spot": Wire(8, 1_000_000, 8, 1_000, 100, 1, 50_093_239_189, 3_735_683_259),
    "binance-usdm": Wire(2, 10, 3, 1, 51, 40, 5_123_107_832_006, 5_266_583_935),
}
"""The venues that can be simulated, with the numbers their BTCUSDT streams used in August 2024."""


@dataclass(frozen=True, slots=True)
class MarketConfig:
    """One simulated market, complete: the same config gives the same bytes.

    Fields that are ``None`` take the venue's own value (see ``WIRES``). Prices and sizes are decimal
    strings, for a float has no business on the way to the wire.

    Attributes
    ----------
    start_ns, duration_s
        Exchange time of the first moment, in ns since the epoch, and the length in seconds.
    price_decimals, tick_units, quantity_decimals, lot_units
        Decimals written on the wire, and the tick and the lot counted in the last decimal.
    mid_price, typical_size
        First mid price and typical order size, as decimal strings.
    orders_per_s
        Mean rate of limit orders and cancels together, per second.
    levels, snapshot_levels
        Price levels a side at the start, and how many of them a snapshot shows at most.
    snapshot_after_ms, snapshot_every_s
        When the first snapshot is taken, and the pause to each further one (``None``: no further one).
    volatility_bps, drift_bps
        Standard deviation a square-root second in the calm regime, and drift a second, in basis points.
    skew_ns
        Local clock minus exchange clock; negative when the local clock is behind.
    """

    symbol: str = "BTCUSDT"
    venue: str = "binance-spot"
    start_ns: int = HALF_MINUTE_BEFORE_MIDNIGHT_NS
    duration_s: int = 60
    seed: int = 7
    price_decimals: int | None = None
    tick_units: int | None = None
    quantity_decimals: int | None = None
    lot_units: int | None = None
    depth_interval_ms: int | None = None
    mid_price: str = "61837.60"
    typical_size: str = "0.05"
    orders_per_s: int = 2_000
    levels: int = 1_500
    snapshot_levels: int = 1_000
    snapshot_after_ms: int = 150
    snapshot_every_s: int | None = None
    volatility_bps: float = 0.3
    drift_bps: float = 0.02
    skew_ns: int = -1_270_000_000

    def __post_init__(self) -> None:
        if self.venue not in WIRES:
            raise ValueError(f"venue must be one of {', '.join(WIRES)}, not {self.venue!r}")
        if not re.fullmatch(r'[^\s"\\@a-z]{1,40}', self.symbol):
            raise ValueError(f"symbol must be upper case without spaces, quotes or '@', not {self.symbol!r}")
        self._check_ranges()
        if self.snapshot_every_s is not None and self.snapshot_every_s < 1:
            raise ValueError(f"snapshot_every_s must be at least 1 or None, not {self.snapshot_every_s}")
        if self.mid_ticks < 20 * self.levels:
            raise ValueError(
                f"mid_price {self.mid_price} has {self.mid_ticks} ticks, too few for {self.levels} levels "
                f"a side: raise it to {20 * self.levels} ticks, or lower levels"
            )
        if self.typical_lots < 1:
            raise ValueError(f"typical_size must be at least one lot, not {self.typical_size!r}")

    def _check_ranges(self) -> None:
        """Refuse a number outside the range in which the market stays alive."""
        wire = self.wire
        bounds: tuple[tuple[str, float, float, float], ...] = (
            ("seed", self.seed, 0, 2**63 - 1),
            ("start_ns", self.start_ns, 10**18 + 10 * NS_PER_S, 9 * 10**18),
            ("duration_s", self.duration_s, 1, 366 * 86_400),
            ("price_decimals", wire.price_decimals, 1, 18),
            ("tick_units", wire.tick_units, 1, 10**18),
            ("quantity_decimals", wire.quantity_decimals, 1, 18),
            ("lot_units", wire.lot_units, 1, 10**18),
            ("depth_interval_ms", wire.depth_interval_ms, 1, 10_000),
            ("orders_per_s", self.orders_per_s, 1, 100_000),
            ("levels", self.levels, 50, 20_000),
            ("snapshot_levels", self.snapshot_levels, 1, 5_000),
            ("snapshot_after_ms", self.snapshot_after_ms, 0, 1_000 * self.duration_s),
            ("volatility_bps", self.volatility_bps, 0, 100),
            ("drift_bps", self.drift_bps, -100, 100),
            ("skew_ns", self.skew_ns, -10 * NS_PER_S, 10 * NS_PER_S),
        )
        for name, value, low, high in bounds:
            if not low <= value <= high:
                raise ValueError(f"{name} must lie in {low} to {high}, not {value}")

    @property
    def wire(self) -> Wire:
        """The venue's wire, with what this config states in its place."""
        own = WIRES[self.venue]

        def chosen(stated: int | None, usual: int) -> int:
            return usual if stated is None else stated

        return Wire(
            chosen(self.price_decimals, own.price_decimals),
            chosen(self.tick_units, own.tick_units),
            chosen(self.quantity_decimals, own.quantity_decimals),
            chosen(self.lot_units, own.lot_units),
            chosen(self.depth_interval_ms, own.depth_interval_ms),
            own.update_id_stride,
            own.first_update_id,
            own.first_trade_id,
        )

    @property
    def mid_ticks(self) -> int:
        """First mid price in ticks."""
        return steps("mid_price", self.mid_price, self.wire.price_decimals, self.wire.tick_units)

    @property
    def typical_lots(self) -> int:
        """Typical order size in lots."""
        return steps("typical_size", self.typical_size, self.wire.quantity_decimals, self.wire.lot_units)


def steps(name: str, text: str, decimals: int, step_units: int) -> int:
    """Count a decimal string in ticks or lots; refuse what is not a whole number of them."""
    try:
        units = Decimal(text).scaleb(decimals)
        steps, rest = divmod(units, step_units)
    except InvalidOperation:
        raise ValueError(f"{name} must be a decimal number, not {text!r}") from None
    if not units.is_finite() or rest != 0:
        raise ValueError(
            f"{name} must be a whole number of steps of {step_units} x 10^-{decimals}, not {text!r}"
        )
    return int(steps)
