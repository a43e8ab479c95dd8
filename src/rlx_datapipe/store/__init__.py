"""Bytes at rest: atomic files, layout, tables, digests."""
