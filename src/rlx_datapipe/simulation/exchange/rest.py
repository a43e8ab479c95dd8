"""The REST side: depth, exchangeInfo, time and ping of each market, with weights, bans and error objects."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from websockets.datastructures import Headers
from websockets.http11 import Response

from rlx_datapipe.core.instrument import plain_symbol
from rlx_datapipe.simulation.exchange.chance import Chance
from rlx_datapipe.simulation.exchange.channels import Floor, Listing
from rlx_datapipe.simulation.exchange.fault_plan import FaultPlan, OnRequests
from rlx_datapipe.simulation.exchange.limits import Windows
from rlx_datapipe.simulation.exchange.options import ExchangeOptions
from rlx_datapipe.simulation.exchange.playhead import Playhead
from rlx_datapipe.simulation.exchange.rules import RULES, WEIGHT_WINDOW_S, MarketRules, weight_of
from rlx_datapipe.simulation.exchange.snapshot_text import snapshot_text
from rlx_datapipe.simulation.exchange.symbols import exchange_information
from rlx_datapipe.simulation.exchange.truth import Truth

LEVELS_MAX = 5000
_POLL_S = 0.005
_SYMBOL = re.compile(r"[A-Z0-9\-_.]{1,20}", re.ASCII)
_WHOLE = re.compile(r"\d{1,20}", re.ASCII)
_CALLS = ("ping", "time", "exchangeInfo", "depth")
_SPOT_INFORMATION_WEIGHT = 20
_REFUSALS = (("http_418", 418), ("http_429", 429))
Upcoming = Callable[[Listing, int], list[bytes]]
"""Depth messages of a symbol that will be sent next, as many as are known up to a number."""


class _RefusedError(Exception):
    """Raised where a request gets an error object."""

    def __init__(self, status: int, code: int, message: str, retry_after_s: int = 0) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.retry_after_s = status, code, message, retry_after_s


class Rest:
    """Answers REST requests.

    Parameters
    ----------
    floor, playhead, upcoming
        What is listed, how far it has come, and what comes next.
    options, plan, truth
        Snapshots, limits, and the faults of requests.
    """

    def __init__(
        self,
        floor: Floor,
        playhead: Playhead,
        upcoming: Upcoming,
        options: ExchangeOptions,
        plan: FaultPlan,
        truth: Truth,
    ) -> None:
        self._floor, self._playhead, self._upcoming = floor, playhead, upcoming
        self._options, self._plan, self._truth = options, plan, truth
        self._weights = {format: Windows(WEIGHT_WINDOW_S) for format in RULES}
        self._banned_until: dict[str, tuple[float, int]] = {}
        self._requests = 0
        self._chances: dict[str, Chance] = {}
        for name in ("http_418", "http_429", "stale_snapshot", "new_snapshot"):
            fault: OnRequests | None = getattr(plan, name)
            if fault is not None:
                self._chances[name] = Chance(fault.rate, fault.at, f"{plan.seed}/rest/{name}")

    @staticmethod
    def concerns(target: str) -> bool:
        """Whether a request's target is one of the REST side."""
        return urlsplit(target).path.startswith(tuple(rules.api for rules in RULES.values()))

    async def answer(self, target: str, client: str) -> Response:
        """The answer to a GET request of a client, by its address without the port."""
        parts = urlsplit(target)
        rules = next(rules for rules in RULES.values() if parts.path.startswith(rules.api))
        call = parts.path.removeprefix(rules.api).strip("/")
        query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        weights = self._weights[rules.format].of(client)
        now_s = asyncio.get_running_loop().time()
        try:
            if call not in _CALLS:
                raise _RefusedError(404, -1000, "No such endpoint on this replay.")
            self._check_ban(client, now_s)
            limit = _limit(rules, query.get("limit")) if call == "depth" else 0
            used = weights.add(now_s, _weight(rules, call, limit))
            if self._options.has_limits and used > rules.weight_a_minute:
                raise _too_much(rules, 429, int(weights.free_after_s(now_s)) + 1)
            body = await self._body(rules, call, query, limit, client)
        except _RefusedError as refused:
            answer = {"code": refused.code, "msg": refused.message}
            body = json.dumps(answer, separators=(",", ":")).encode()
            return self._response(refused.status, body, weights.look(now_s), refused.retry_after_s)
        return self._response(200, body, weights.look(now_s))

    def _response(self, status: int, body: bytes, weight: int, retry_after_s: int = 0) -> Response:
        headers = Headers()
        # Clients take the time of their weights from it, so it is the exchange's, not this machine's.
        headers["Date"] = formatdate(self._playhead.time_ms / 1000, usegmt=True)
        headers["Content-Type"] = "application/json;charset=UTF-8"
        headers["Content-Length"] = str(len(body))
        headers["Connection"] = "close"
        headers["X-MBX-USED-WEIGHT"] = str(weight)
        headers["X-MBX-USED-WEIGHT-1M"] = str(weight)
        if retry_after_s:
            headers["Retry-After"] = str(retry_after_s)
        reason = "I'm a teapot" if status == 418 else HTTPStatus(status).phrase
        return Response(status, reason, headers, body)

    async def _body(
        self, rules: MarketRules, call: str, query: dict[str, str], limit: int, client: str
    ) -> bytes:
        playhead = self._playhead
        if call == "ping":
            return b"{}"
        if call == "time":
            return b'{"serverTime":%d}' % playhead.time_ms
        if call == "exchangeInfo":
            listings = [one for one in self._floor.listings.values() if one.rules is rules]
            return exchange_information(rules, listings, playhead.time_ms)
        listing = self._listing(rules, query.get("symbol"))
        self._requests += 1
        met = [name for name, chance in self._chances.items() if chance.happens()]
        for name, status in _REFUSALS:
            if name in met:
                retry_after_s = getattr(self._plan, name).retry_after_s
                until_s = asyncio.get_running_loop().time() + retry_after_s
                self._banned_until[client] = until_s, status
                self._truth.tell(name, request=self._requests, position=playhead.played)
                raise _too_much(rules, status, retry_after_s)
        listing.asked += 1
        body = await self._depth(listing, limit, met)
        listing.answered += 1
        return body

    async def _depth(self, listing: Listing, limit: int, met: list[str]) -> bytes:
        """The snapshot: the recording's own, the book at this moment, or one that a fault has moved."""
        book, options, plan = listing.book, self._options, self._plan
        if options.snapshots == "recorded":
            await self._until(lambda: book.recorded is not None, options.book_wait_s)
            if book.recorded is None:
                raise _no_book()
            return book.recorded
        if listing.rules.label != "spot":
            before = book.sent_count
            await self._until(lambda: book.sent_count > before, options.join_wait_s)
        await self._until(lambda: book.statement() is not None, options.book_wait_s)
        statement = book.statement()
        if statement is None:
            raise _no_book()
        now_id, moved = statement.last_id, None
        if plan.stale_snapshot is not None and "stale_snapshot" in met:
            met, moved = ["stale_snapshot"], book.older(plan.stale_snapshot.messages)
        elif plan.new_snapshot is not None and "new_snapshot" in met:
            upcoming = self._upcoming(listing, plan.new_snapshot.messages)
            met, moved = ["new_snapshot"], book.ahead(upcoming)
        if moved is not None:
            ids = {"id": moved.last_id, "now_id": now_id}
            position = self._playhead.played
            self._truth.tell(met[0], request=self._requests, symbol=listing.symbol, position=position, **ids)
        names_symbol = listing.rules.label == "coinm"
        return snapshot_text(moved or statement, listing.instrument, limit, names_symbol=names_symbol)

    async def _until(self, is_there: Callable[[], bool], wait_s: float) -> None:
        """Wait for something that the play brings, no longer than is given or than anything is played."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + wait_s
        while not is_there() and loop.time() < until_s and not self._playhead.is_ended:
            await asyncio.sleep(_POLL_S)

    def _listing(self, rules: MarketRules, symbol: str | None) -> Listing:
        if not symbol:
            message = "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."
            raise _RefusedError(400, -1102, message)
        if not _SYMBOL.fullmatch(symbol):
            legal = "legal range is '^[A-Z0-9-_.]{1,20}$'."
            raise _RefusedError(400, -1100, f"Illegal characters found in parameter 'symbol'; {legal}")
        listing = self._floor.listings.get((rules.format, plain_symbol(symbol)))
        if listing is None or listing.symbol != symbol:
            raise _RefusedError(400, -1121, "Invalid symbol.")
        return listing

    def _check_ban(self, client: str, now_s: float) -> None:
        until_s, status = self._banned_until.get(client, (0.0, 0))
        if now_s < until_s:
            self._truth.tell(f"call_during_{status}", position=self._playhead.played)
            raise _RefusedError(status, -1003, "Too many requests.", int(until_s - now_s) + 1)


def _weight(rules: MarketRules, call: str, limit: int) -> int:
    if call == "depth":
        return weight_of(rules, limit)
    return _SPOT_INFORMATION_WEIGHT if call == "exchangeInfo" and rules.label == "spot" else 1


def _limit(rules: MarketRules, text: str | None) -> int:
    """Levels a side that are asked for."""
    if text is None:
        return rules.default_limit
    if not _WHOLE.fullmatch(text):
        legal = "legal range is '^[0-9]{1,20}$'."
        raise _RefusedError(400, -1100, f"Illegal characters found in parameter 'limit'; {legal}")
    limit = int(text)
    if rules.any_limit:
        if limit < 1:
            raise _RefusedError(400, -1130, "Data sent for parameter 'limit' is not valid.")
        return min(limit, LEVELS_MAX)
    if limit not in [known for known, _ in rules.depth_limits]:
        raise _RefusedError(400, -4021, f"{limit} is not valid depth limit.")
    return limit


def _no_book() -> _RefusedError:
    message = "Internal error; unable to process your request. Please try again."
    return _RefusedError(503, -1001, message)


def _too_much(rules: MarketRules, status: int, retry_after_s: int) -> _RefusedError:
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        limit = f"current limit is {rules.weight_a_minute} request weight per 1 MINUTE."
        message = f"Too much request weight used; {limit} Please use WebSocket Streams for live updates."
    else:
        message = "Way too much request weight used; IP banned. Please use WebSocket Streams to avoid bans."
    return _RefusedError(status, -1003, message, retry_after_s)
