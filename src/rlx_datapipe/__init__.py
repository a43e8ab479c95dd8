"""One exact, chronological event stream with the full order book at every event, from recorded or live data."""

__version__ = "0.1.0"
