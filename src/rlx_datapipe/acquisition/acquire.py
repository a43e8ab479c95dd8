"""A download from its wish to its outcome: archive, inventory, plan, staging folder and downloader joined."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rlx_datapipe.acquisition.archive import Archive
from rlx_datapipe.acquisition.client import open_archive
from rlx_datapipe.acquisition.download import NOTHING, Downloader, Outcome, Progress
from rlx_datapipe.acquisition.holdings import Inventory, Wanted
from rlx_datapipe.acquisition.inventory import find_root, take_inventory
from rlx_datapipe.acquisition.lake_door import LakeDoor
from rlx_datapipe.acquisition.ledger import Ledger, open_ledger
from rlx_datapipe.acquisition.patience import PatientArchive
from rlx_datapipe.acquisition.plan import TO_FETCH, Plan, make_plan
from rlx_datapipe.acquisition.record import begun_record, ended_record, write_record
from rlx_datapipe.acquisition.settings import AcquisitionSettings
from rlx_datapipe.acquisition.staging import StagingManager
from rlx_datapipe.core.errors import DatapipeError, UnwritableError

Door = Literal["direct", "lakeapi"]
_NO_ROOM = "See that --staging can be written to; then the same command goes on with what is missing"


@dataclass(frozen=True)
class Prepared:
    """A download that is planned, with what it needs."""

    archive: Archive
    wanted: Wanted
    plan: Plan
    settings: AcquisitionSettings
    ledger: Ledger


def open_door(url: str, settings: AcquisitionSettings, environment: Mapping[str, str], door: Door) -> Archive:
    """The archive at a URL, with its root above the tables, by one of the doors.

    Raises
    ------
    OptionError
        When credentials, or what the door needs, are missing.
    SourceError
        When there are no tables, or the store refuses.
    """
    raw = LakeDoor(url, settings) if door == "lakeapi" else open_archive(url, settings, environment)
    found = find_root(PatientArchive(raw, settings))
    if found.address == raw.address:
        return raw
    return raw.below(found.address.prefix.removeprefix(raw.address.prefix).strip("/"))


def look(archive: Archive, wanted: Wanted, settings: AcquisitionSettings, *, by_list: bool) -> Inventory:
    """What there is of what is wanted; errors as `take_inventory`."""
    return take_inventory(PatientArchive(archive, settings), wanted, settings, by_list=by_list)


def prepare(
    archive: Archive,
    wanted: Wanted,
    staging: Path,
    settings: AcquisitionSettings,
    environment: Mapping[str, str],
    *,
    refresh: bool = False,
) -> Prepared:
    """Plan a download; nothing is changed. Errors as `take_inventory` and `make_plan`."""
    inventory = look(archive, wanted, settings, by_list=True)
    address = archive.address
    store = address.url if address.is_local else f"{settings.endpoint}#{address.bucket}"
    ledger = open_ledger(settings, environment, store)
    patient = PatientArchive(archive, settings)
    plan = make_plan(patient, inventory, staging, settings, ledger, refresh=refresh)
    return Prepared(archive, wanted, plan, settings, ledger)


def fetch(prepared: Prepared, on_progress: Callable[[Progress], None] = lambda _: None) -> Outcome:
    """Carry out a plan; what was done is recorded in the staging folder, however it ends.

    Raises
    ------
    OptionError
        When the quota or the disk does not allow it.
    DatapipeError
        As `StagingManager.open` and `Downloader.run`.
    """
    plan = prepared.plan
    plan.require_room()
    if not plan.count(*TO_FETCH):
        return NOTHING
    with StagingManager(Path(plan.staging)).open() as staging:
        record = begun_record(plan, prepared.wanted)
        write_record(staging.root, record)
        downloader = Downloader(
            prepared.archive, staging, plan, prepared.settings, prepared.ledger, on_progress
        )
        try:
            outcome = downloader.run()
        except KeyboardInterrupt:
            write_record(staging.root, ended_record(record, problem="stopped"))
            raise
        except UnwritableError as error:
            told = type(error)(error.what, remedy=_NO_ROOM, **error.facts)
            with suppress(UnwritableError):
                write_record(staging.root, ended_record(record, problem=str(told)))
            raise told from error
        except DatapipeError as error:
            write_record(staging.root, ended_record(record, problem=str(error)))
            raise
        done = ended_record(
            record, fetched_bytes=outcome.fetched_bytes, retries=outcome.retries, failed=outcome.failed
        )
        write_record(staging.root, done)
    return outcome
