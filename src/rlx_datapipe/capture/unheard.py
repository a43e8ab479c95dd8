"""Symbols of which nothing comes: the venue is asked whether it knows them, and what it says is told."""

from __future__ import annotations

from rlx_datapipe.capture.clock import Clock
from rlx_datapipe.capture.intake import Intake
from rlx_datapipe.capture.rest import Answer, Fetch, Gate, UnansweredError
from rlx_datapipe.capture.settings import CaptureSettings
from rlx_datapipe.capture.streams import Plan
from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.venues.binance_ids import refused_symbol

_NS = 1_000_000_000


class Unheard:
    """Tells a symbol that the venue refuses, and one that is silent from the start.

    A stream of a symbol that does not exist stands like any other, and nothing ever comes. So when the first
    connection has stood for ``stall_s`` without a message of a symbol, a small book of it is asked for, once
    (and again only where no answer came): "invalid symbol" is final, and nothing is asked for it any more.
    One that the venue knows is told as silent at ``silence_s``.

    Parameters
    ----------
    plan
        Symbols and where they are asked for.
    intake
        Knows what has come; keeps what is noted.
    fetch, gate
        How the venue is asked, and when it may be.
    clock, settings
        A steady clock; waits and tries.
    """

    def __init__(
        self, plan: Plan, intake: Intake, fetch: Fetch, gate: Gate, clock: Clock, settings: CaptureSettings
    ) -> None:
        self._plan, self._intake, self._fetch, self._gate = plan, intake, fetch, gate
        self._clock, self._settings = clock, settings
        self._streams = {
            symbol: [stream for stream in plan.streams if stream.partition("@")[0] == symbol.lower()]
            for symbol in plan.symbols
        }
        self._tries = dict.fromkeys(plan.symbols, 0)
        self._silent = dict.fromkeys(plan.symbols, False)
        self.refused: dict[str, str] = {}

    def unheard(self) -> list[str]:
        """Symbols of which nothing has come, those that are refused left out."""
        return [symbol for symbol in self._streams if symbol not in self.refused and self._is_unheard(symbol)]

    async def look(self) -> bool:
        """Ask about one symbol if it is time; whether one was asked about.

        Raises
        ------
        OptionError
            When the venue has refused every symbol, and nothing has come.
        """
        opened_ns = self._intake.first_opened_ns
        if opened_ns is None:
            return False
        waited_ns = self._clock.monotonic_ns() - opened_ns
        if waited_ns < self._settings.stall_s * _NS:
            return False
        due = [symbol for symbol in self.unheard() if not self._silent[symbol]]
        if waited_ns >= self._settings.silence_s * _NS:
            for symbol in due:
                self._silent[symbol] = True
                self._intake.note("symbol_silent", symbol=symbol, seconds=round(waited_ns / _NS, 1))
        asked = next((symbol for symbol in due if self._tries[symbol] < self._settings.snapshot_tries), None)
        if asked is None or self._gate.wait_ns() > 0:
            return False
        await self._ask(asked)
        return True

    def is_refused(self, symbol: str, answer: Answer) -> bool:
        """Whether an answer says that the venue has no such symbol; that is final, and noted.

        Raises
        ------
        OptionError
            When it was the last symbol, and nothing has come.
        """
        if not 400 <= answer.status < 500:
            return False
        said = refused_symbol(answer.body)
        if said is None:
            return False
        if symbol not in self.refused:
            self.refused[symbol] = said
            self._intake.note("symbol_refused", symbol=symbol, status=answer.status, said=said)
        if len(self.refused) == len(self._streams) and all(map(self._is_unheard, self._streams)):
            raise OptionError(
                f"{self._plan.market.format} knows none of the symbols {', '.join(self._streams)}",
                said="; ".join(dict.fromkeys(self.refused.values())),
                remedy="Write them as the venue does, such as BTCUSDT",
            )
        return True

    async def _ask(self, symbol: str) -> None:
        self._tries[symbol] += 1
        try:
            answer = await self._fetch(self._plan.check_url(symbol))
        except UnansweredError:
            self._gate.failed()
            return
        if self.is_refused(symbol, answer):
            return
        if self._gate.heed(answer):
            self._tries[symbol] = self._settings.snapshot_tries

    def _is_unheard(self, symbol: str) -> bool:
        return not any(self._intake.has_heard(stream) for stream in self._streams[symbol])
