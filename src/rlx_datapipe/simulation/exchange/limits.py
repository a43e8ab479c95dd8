"""Sliding windows: how much of something an address, or a connection, has used lately."""

from __future__ import annotations

from collections import deque


class Window:
    """Sum of what was used in the last ``seconds``; times are those of the event loop."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._uses: deque[tuple[float, int]] = deque()
        self.used = 0

    def add(self, now_s: float, amount: int = 1) -> int:
        """Use some more; gives all that is in the window."""
        self.look(now_s)
        self._uses.append((now_s, amount))
        self.used += amount
        return self.used

    def look(self, now_s: float) -> int:
        """What is in the window now."""
        while self._uses and self._uses[0][0] <= now_s - self._seconds:
            self.used -= self._uses.popleft()[1]
        return self.used

    def free_after_s(self, now_s: float) -> float:
        """Seconds until the oldest use leaves the window."""
        return max(0.0, self._uses[0][0] + self._seconds - now_s) if self._uses else 0.0


class Windows:
    """A window for each address, dropped when it is empty: clients come and go."""

    def __init__(self, seconds: float, addresses_max: int = 10_000) -> None:
        self._seconds, self._addresses_max = seconds, addresses_max
        self._windows: dict[str, Window] = {}

    def of(self, address: str) -> Window:
        """The window of an address."""
        if address not in self._windows and len(self._windows) >= self._addresses_max:
            self._windows.pop(next(iter(self._windows)))
        return self._windows.setdefault(address, Window(self._seconds))
