"""A market from its parameter file to a folder: the capture of its feed, and the truth beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rlx_datapipe.core.errors import OutputError
from rlx_datapipe.simulation.capture_file import write_capture
from rlx_datapipe.simulation.lob.feed import TimedMessage
from rlx_datapipe.simulation.lob.market import LobMarket
from rlx_datapipe.simulation.lob.parameters import MarketParameters, load_parameters
from rlx_datapipe.simulation.lob.source import play, recorded
from rlx_datapipe.simulation.lob.truth import TruthFolder
from rlx_datapipe.store.files import make_folder, publishing, unwritable


def write_market(
    file: str | Path, out: str | Path, *, on_time: Callable[[float], None] = lambda _: None
) -> dict[str, Any]:
    """Simulate the market that a TOML file describes; write its capture and its truth into a folder.

    Parameters
    ----------
    file
        Parameters; docs/market.md tells every key.
    out
        The folder; it must not be there yet, or be empty.
    on_time
        Told the share of the market's length that has passed.

    Returns
    -------
    ``capture`` (a file that `rlx reconstruct` reads) and ``truth`` (a folder), ``messages``, ``episodes``.

    Raises
    ------
    OptionError
        When the parameters describe no market.
    OutputError
        When ``out`` is not empty, or can't be written.
    """
    return write_parameters(load_parameters(Path(file)), Path(out), on_time=on_time)


def write_parameters(
    parameters: MarketParameters, folder: Path, *, on_time: Callable[[float], None] = lambda _: None
) -> dict[str, Any]:
    """As `write_market`, of parameters at hand."""
    market = LobMarket(parameters)
    _require_empty(folder)
    capture = folder / "capture" / f"{parameters.symbol.lower()}.zst"
    truth = folder / "truth"
    try:
        make_folder(truth)
        make_folder(capture.parent)
        with TruthFolder(truth) as witness, publishing(capture) as temporary:
            # The suffix of the name says how it is packed; the temporary name has another one.
            packed = temporary.with_name(f".{capture.name}.partial.zst")
            messages = write_capture(
                recorded(_watched(play(market, witness), parameters, on_time), market), packed
            )
            packed.rename(temporary)
    except OSError as error:
        raise unwritable(folder, error) from error
    return {
        "capture": str(capture),
        "truth": str(truth),
        "messages": messages,
        "episodes": len(market.planted),
    }


def _watched(
    batches: Iterator[list[TimedMessage]], parameters: MarketParameters, on_time: Callable[[float], None]
) -> Iterator[list[TimedMessage]]:
    length_ns = parameters.end_ns - parameters.start_ns
    for batch in batches:
        if batch:
            on_time((batch[-1].time_ns - parameters.start_ns) / length_ns)
        yield batch


def _require_empty(folder: Path) -> None:
    try:
        if folder.is_dir() and not any(folder.iterdir()):
            return
        if folder.exists():
            raise OutputError("is there already and not empty", file=folder, remedy="Name another folder")
    except OSError as error:
        raise unwritable(folder, error) from error
