"""Options that the commands of `rlx acquire` share: which archive, by which way, and which part of it."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rlx_datapipe.core.errors import OptionError

if TYPE_CHECKING:
    from rlx_datapipe.acquisition.holdings import Wanted
    from rlx_datapipe.acquisition.settings import AcquisitionSettings

Command = TypeVar("Command", bound=Callable[..., Any])

_STORE = (
    click.option(
        "--archive", metavar="URL", help="s3://BUCKET/PREFIX, or a folder; by default Crypto Lake's."
    ),
    click.option("--sample", is_flag=True, help="The free sample, without a key, in place of the archive."),
    click.option("--region", help="Of the bucket; eu-west-1 by default."),
    click.option("--endpoint", metavar="URL", help="An S3-compatible server in place of Amazon's."),
    click.option("--profile", help="Of the AWS credentials file; else the environment's keys."),
    click.option("--anonymous", is_flag=True, default=None, help="Send no key."),
)
_PART = (
    click.option(
        "--exchange", "exchanges", metavar="NAMES", help="Only these, such as BINANCE,BINANCE_FUTURES."
    ),
    click.option("--symbols", metavar="NAMES", help="Only these, such as BTC-USDT,ETHUSDT."),
    click.option("--tables", metavar="NAMES", help="Only these, such as trades,book_delta_v2."),
    click.option("--from", "first", metavar="DAY", help="First day (UTC), such as 2024-08-01."),
    click.option("--to", "last", metavar="DAY", help="Last day, included."),
)


def store_options(command: Command) -> Command:
    """Options that say which archive is meant, and how it is reached."""
    return _with(_STORE, command)


def part_options(command: Command) -> Command:
    """Options that say which part of it is meant."""
    return _with(_PART, command)


def door_option(command: Command) -> Command:
    """The option that says by which door."""
    kinds = click.Choice(["direct", "lakeapi"])
    told = "lakeapi: through the vendor's package, for accounts that need it."
    return click.option("--door", type=kinds, default="direct", show_default=True, help=told)(command)


def _with(options: tuple[Callable[[Any], Any], ...], command: Command) -> Command:
    for option in reversed(options):
        command = option(command)
    return command


def chosen_archive(
    given: Mapping[str, Any], config: Path | None, **more: Any
) -> tuple[str, AcquisitionSettings]:
    """URL and settings, from what `store_options` took, the file and the environment.

    Raises
    ------
    OptionError
        For two archives at once, or a setting that has no meaning.
    """
    from rlx_datapipe.acquisition.settings import acquisition_settings

    if given["sample"] and given["archive"]:
        raise OptionError("either the sample or an archive", found="--sample and --archive")
    names = ("archive", "region", "endpoint", "profile", "anonymous")
    said = {name: given[name] for name in names} | more
    if given["sample"]:
        said["anonymous"] = True
    settings = acquisition_settings(config, os.environ, said)
    return (settings.sample if given["sample"] else settings.archive), settings


def chosen_part(given: Mapping[str, Any]) -> Wanted:
    """What `part_options` took.

    Raises
    ------
    OptionError
        For what is no day, or when the last lies before the first.
    """
    from rlx_datapipe.acquisition.holdings import Wanted

    first, last = _day("--from", given["first"]), _day("--to", given["last"])
    if first and last and last < first:
        raise OptionError("the last day lies before the first", found=f"--from {first} --to {last}")
    return Wanted(
        tuple(name.upper() for name in _names(given["exchanges"])),
        _names(given["symbols"]),
        _names(given["tables"]),
        first,
        last,
    )


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name for name in (text or "").replace(" ", "").split(",") if name)


def _day(option: str, text: str | None) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text) if text else None
    except ValueError:
        raise OptionError(f"{option} is no day", found=text, expected="such as 2024-08-01") from None
