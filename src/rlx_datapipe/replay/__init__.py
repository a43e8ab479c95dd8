"""Events become events with book state; drift, resync, keyframes."""
