"""Replay stopped between two batches and restored in a new object goes on as if it had not stopped."""

from __future__ import annotations
