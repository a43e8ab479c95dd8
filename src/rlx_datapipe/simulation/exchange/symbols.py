"""The answer of ``exchangeInfo``: what is listed, with its steps, in the fields that clients look at."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.units import to_text
from rlx_datapipe.simulation.exchange.channels import Listing
from rlx_datapipe.simulation.exchange.rules import MarketRules

_QUOTES = ("FDUSD", "USDT", "USDC", "BUSD", "TUSD", "USD", "BTC", "ETH", "BNB", "EUR", "TRY", "BRL", "JPY")
_DECIMALS_MAX = 8


def exchange_information(rules: MarketRules, listings: Iterable[Listing], time_ms: int) -> bytes:
    """All symbols of a market as its ``exchangeInfo`` tells them; none of what is not in a recording."""
    weight = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1}
    told: dict[str, Any] = {
        "timezone": "UTC",
        "serverTime": time_ms,
        "rateLimits": [{**weight, "limit": rules.weight_a_minute}],
        "exchangeFilters": [],
        "symbols": [_symbol(rules, listing.symbol, listing.instrument) for listing in listings],
    }
    if rules.label != "spot":
        told["assets"] = []
    return json.dumps(told, separators=(",", ":")).encode()


def split_pair(symbol: str) -> tuple[str, str]:
    """Base and quote of a symbol by the quote that it ends with; all base where none is known."""
    name = symbol.partition("_")[0]
    for quote in _QUOTES:
        if name.endswith(quote) and name != quote:
            return name.removesuffix(quote), quote
    return name, ""


def _symbol(rules: MarketRules, symbol: str, instrument: Instrument) -> dict[str, Any]:
    base, quote = split_pair(symbol)
    tick = to_text(instrument.price_step, instrument.price_decimals)
    lot_places = min(instrument.quantity_decimals, _DECIMALS_MAX)
    lot = to_text(10 ** (instrument.quantity_decimals - lot_places), instrument.quantity_decimals)
    most = "9000000"
    told: dict[str, Any] = {
        "symbol": symbol,
        "status": "TRADING",
        "baseAsset": base,
        "quoteAsset": quote,
        "baseAssetPrecision": _DECIMALS_MAX,
        "quotePrecision": _DECIMALS_MAX,
        "quoteAssetPrecision": _DECIMALS_MAX,
        "orderTypes": ["LIMIT", "MARKET"],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": most, "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": most, "stepSize": lot},
        ],
    }
    if rules.label == "spot":
        return {
            **told,
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "permissions": ["SPOT"],
        }
    is_coin = rules.label == "coinm"
    told |= {
        "pair": symbol.partition("_")[0],
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": 1567965300000,
        "marginAsset": base if is_coin else quote,
        "pricePrecision": _places(tick),
        "quantityPrecision": _places(lot),
        "underlyingType": "COIN",
    }
    if is_coin:
        told |= {"contractStatus": "TRADING", "contractSize": 100 if base == "BTC" else 10}
    return told


def _places(text: str) -> int:
    return len(text.partition(".")[2])
