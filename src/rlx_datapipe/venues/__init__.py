"""Bytes on the wire: all that we know of one venue or vendor in one file."""
