"""An exchange from a seeded market: its messages and its book, played as a recording would be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.simulation.exchange.books import ServedBook, warm_up
from rlx_datapipe.simulation.exchange.channels import Floor, Timed
from rlx_datapipe.simulation.exchange.fault_plan import FaultPlan
from rlx_datapipe.simulation.exchange.options import ExchangeOptions
from rlx_datapipe.simulation.exchange.server import Exchange
from rlx_datapipe.simulation.exchange.truth import Truth
from rlx_datapipe.simulation.lob.market import LobMarket
from rlx_datapipe.simulation.lob.parameters import load_parameters
from rlx_datapipe.simulation.lob.source import play
from rlx_datapipe.venues.binance import MARKETS

_ROWS_AT_A_TIME = 2_048
_WHOLE_BOOK = 5_000


def market_exchange(
    file: str | Path,
    options: ExchangeOptions | None = None,
    *,
    plan: FaultPlan | None = None,
    truth: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
) -> Exchange:
    """An exchange that plays the market of a TOML file; enter it to begin.

    The market is simulated while it is played. What happens in it is what `write_market` writes of the same
    file: the truth beside this feed. Options and the rest as `exchange_of` takes them.

    Raises
    ------
    OptionError
        When the parameters describe no market.
    """
    parameters = load_parameters(Path(file))
    # Nobody is sent this snapshot: it is where the exchange's book begins, so it should hold all of it.
    parameters = msgspec.structs.replace(parameters, snapshot_levels=_WHOLE_BOOK)
    opened: list[LobMarket] = [LobMarket(parameters, _ROWS_AT_A_TIME)]
    wire, format = opened[0].wire, parameters.venue
    plan = plan or FaultPlan()
    warm_up()
    instrument = Instrument(
        MARKETS[format].exchange,
        parameters.symbol,
        wire.price_decimals,
        wire.quantity_decimals,
        wire.tick_units,
    )
    floor = Floor()
    mark_every = plan.stale_snapshot.messages if plan.stale_snapshot else 0
    floor.enlist(format, instrument, ServedBook(instrument, MARKETS[format], mark_every=mark_every))

    def batches() -> Iterator[list[Timed]]:
        market = opened.pop() if opened else LobMarket(parameters, _ROWS_AT_A_TIME)
        for batch in play(market):
            yield [(one.time_ns, floor.channel(format, one.stream), one.data) for one in batch]

    return Exchange(floor, batches, options, plan=plan, truth=Truth(truth), host=host, port=port)
