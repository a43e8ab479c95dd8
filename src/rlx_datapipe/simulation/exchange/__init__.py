"""An exchange made of recorded data: Binance's WebSocket and REST protocol on one port, faults on demand."""
