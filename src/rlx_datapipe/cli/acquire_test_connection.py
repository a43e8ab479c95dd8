"""`rlx acquire test-connection`: can the archive be read? What is wrong, and how to mend it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from rlx_datapipe.cli.acquire_options import chosen_archive, store_options
from rlx_datapipe.cli.terminal import config_option, give, guarded, json_option
from rlx_datapipe.core.errors import EXIT_BAD_INPUT, EXIT_DONE


@click.command("test-connection")
@store_options
@config_option
@json_option
@guarded
def test_connection(config: Path | None, as_json: bool, **given: Any) -> None:
    """Ask an archive step by step: key, server, region, bucket, clock, what may be listed and read.

    Keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or from a profile, never from an option.
    Exit status 2 if anything is wrong.
    """
    from rlx_datapipe.acquisition.connection import as_facts, check_connection, is_good
    from rlx_datapipe.cli.acquire_view import show_checks

    url, settings = chosen_archive(given, config)
    checks = check_connection(url, settings, os.environ)
    if as_json:
        give(as_facts(url, checks))
    else:
        show_checks(url, checks)
    sys.exit(EXIT_DONE if is_good(checks) else EXIT_BAD_INPUT)
