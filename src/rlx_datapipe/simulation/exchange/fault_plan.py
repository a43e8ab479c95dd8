"""What faults an exchange has: a seeded plan from a TOML file or options, frozen and checked."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.core.told_settings import read_toml, told_problem

Rate = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Ordinals = tuple[Annotated[int, msgspec.Meta(ge=0)], ...]
Positive = Annotated[float, msgspec.Meta(gt=0.0, le=1e9)]
Whole = Annotated[int, msgspec.Meta(ge=1, le=1 << 30)]


class OnMessages(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A fault that befalls messages: with a chance each, and for certain at some ordinals.

    Ordinals count from 0, on each connection by itself, the messages whose stream name holds ``streams``.
    """

    rate: Rate = 0.0
    at: Ordinals = ()
    streams: str = ""


class Delay(OnMessages, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The message comes later, behind others."""

    delay_ms: Positive = 500.0


class Stall(OnMessages, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The connection says nothing for a while, then everything."""

    stall_ms: Positive = 5000.0


class Corrupt(OnMessages, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``json`` breaks the message; ``value`` changes a digit of it, which no sequence check can see."""

    what: Literal["json", "value"] = "json"


class Oversize(OnMessages, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The message is blown up to so many bytes."""

    size_bytes: Whole = 2 << 20


class OnRequests(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A fault that befalls depth requests: with a chance each, and for certain at some ordinals from 0."""

    rate: Rate = 0.0
    at: Ordinals = ()


class Refusal(OnRequests, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The request is refused; what comes before ``retry_after_s`` has passed is refused as well."""

    retry_after_s: Whole = 2


class Displaced(OnRequests, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The snapshot is of another moment, at least (stale) or at most (new) so many depth messages away."""

    messages: Whole = 50


class AfterTime(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A fault that befalls each connection when it is so old; ``warn_s`` before, it is announced."""

    after_s: Positive
    warn_s: Annotated[float, msgspec.Meta(ge=0.0, le=1e9)] = 0.0


class FaultPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every fault an exchange has, None for those it has not, and the seed of their chances.

    Attributes
    ----------
    drop, duplicate, reorder, delay, corrupt, wrong_symbol, oversized
        Befall single messages: left out; sent twice; behind the next one of the same stream; late; broken;
        with the symbol of another; too large.
    stall, half_open, disconnect
        Befall the connection at a message: silent for a while; silent for ever but open; cut without a word.
    cut
        The 24-hour cut, compressed: a close frame after so many seconds.
    shutdown
        ``serverShutdown`` is announced, then the connection is closed, for all at their age.
    http_429, http_418
        Depth requests are refused with ``Retry-After``.
    stale_snapshot, new_snapshot
        The answer is of an earlier moment, or of one that the stream has not come to.
    """

    seed: int = 0
    drop: OnMessages | None = None
    duplicate: OnMessages | None = None
    reorder: OnMessages | None = None
    delay: Delay | None = None
    corrupt: Corrupt | None = None
    wrong_symbol: OnMessages | None = None
    oversized: Oversize | None = None
    stall: Stall | None = None
    half_open: OnMessages | None = None
    disconnect: OnMessages | None = None
    cut: AfterTime | None = None
    shutdown: AfterTime | None = None
    http_429: Refusal | None = None
    http_418: Refusal | None = None
    stale_snapshot: Displaced | None = None
    new_snapshot: Displaced | None = None

    @property
    def befalls_messages(self) -> bool:
        """Whether any fault looks at single messages."""
        return any(getattr(self, name) is not None for name in MESSAGE_FAULTS)


MESSAGE_FAULTS = (
    "drop",
    "duplicate",
    "reorder",
    "delay",
    "corrupt",
    "wrong_symbol",
    "oversized",
    "stall",
    "half_open",
    "disconnect",
)
"""In the order in which they are asked: one message meets one fault at most."""
_NAMES = [name for name in FaultPlan.__struct_fields__ if name != "seed"]


def read_plan(file: Path | None, given: Iterable[str] = (), seed: int | None = None) -> FaultPlan:
    """The plan of a TOML file, with faults given as ``name=value`` over it.

    The value is a rate, for ``cut`` and ``shutdown`` the seconds.

    Raises
    ------
    OptionError
        When the file can't be read, or names or values make no plan.
    """
    found: dict[str, Any] = {}
    if file is not None:
        found = read_toml(file, "the plan of faults")
    for text in given:
        name, _, value = text.partition("=")
        name = name.strip().replace("-", "_")
        name = f"http_{name}" if name in ("429", "418") else name
        if name not in _NAMES:
            raise OptionError("unknown fault", found=name, expected=", ".join(_NAMES))
        try:
            number = float(value)
        except ValueError:
            raise OptionError(
                "a fault is given as name=number", found=text, expected="drop=0.001, cut=60"
            ) from None
        key = "after_s" if name in ("cut", "shutdown") else "rate"
        found[name] = {**found.get(name, {}), key: number}
    if seed is not None:
        found["seed"] = seed
    try:
        return msgspec.convert(found, FaultPlan)
    except msgspec.ValidationError as error:
        facts: dict[str, Any] = {"file": file} if file else {}
        raise OptionError(f"bad plan of faults: {told_problem(error)}", **facts) from error
