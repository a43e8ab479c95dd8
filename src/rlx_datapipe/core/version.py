"""The version of this program, told in every dataset that it writes."""

from __future__ import annotations

from importlib.metadata import version

VERSION = version("rlx-datapipe")
WRITER = f"rlx-datapipe {VERSION}"
