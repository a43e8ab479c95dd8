"""Export: a dataset, or a recording on its way through one, in the layout of another vendor."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.pipeline.strategy import refuse_inferred
from rlx_datapipe.sink.lake_export import write_lake
from rlx_datapipe.store.chain_rows import chain_batches
from rlx_datapipe.store.dataset import Dataset, open_dataset
from rlx_datapipe.store.layout import readable
from rlx_datapipe.store.manifest import is_dataset

LAYOUTS = ("crypto-lake",)
_WORK = ".rlx-export"


def export(
    sources: str | Path | Iterable[str | Path],
    out: str | Path,
    *,
    to: str = "crypto-lake",
    settings: Settings | None = None,
    symbols: Iterable[str] = (),
) -> dict[str, Any]:
    """Write a dataset or recordings as Crypto Lake files; what was written, per chain.

    ``book`` rows come at the cadence of the dataset's ``books`` table. Recordings are first reconstructed in
    a folder below ``out``, which is removed again.

    Raises
    ------
    OptionError
        For an unknown layout.
    DatasetError
        When the deltas of a chain were inferred.
    OutputError
        When a file is there already.
    """
    if to not in LAYOUTS:
        raise OptionError("unknown layout", found=to, expected=", ".join(LAYOUTS))
    paths = [Path(sources)] if isinstance(sources, str | Path) else [Path(source) for source in sources]
    folder = Path(out)
    if len(paths) == 1 and is_dataset(paths[0]):
        return _export_dataset(open_dataset(paths[0]), folder, symbols)
    work = folder / _WORK
    try:
        reconstruct(paths, work, settings, symbols=symbols)
        return _export_dataset(open_dataset(work), folder, (), ", ".join(path.name for path in paths))
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _export_dataset(dataset: Dataset, out: Path, symbols: Iterable[str], source: str = "") -> dict[str, Any]:
    wanted = [dataset.manifest.chain(symbol) for symbol in symbols] or list(dataset.manifest.chains)
    refuse_inferred(wanted, dataset.path)
    chains = []
    for chain in wanted:
        tables = {name: chain_batches(dataset.path, name, chain) for name in ("events", "books")}
        instrument = chain.instrument
        origin = source or ", ".join(file.name for file in chain.files)
        chains.append(write_lake(tables, out, instrument.exchange, instrument.symbol, origin))
    return {"out": readable(str(out)), "layout": LAYOUTS[0], "chains": chains}
