"""How fast to ask: as fast as answers come until AWS first refuses, from then on no faster than it lets pass.

AWS publishes no numbers for IAM, whose buckets belong to the account and not to who asks: whoever empties them makes
the account's own work fail. The end of a full bucket refuses nearly all that is in flight at once, so that only the
first refusal of a second counts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

# After the first refusal: IAM lets at least 15 a second of one operation pass, by the limits that others have found.
_AFTER_FIRST = 20.0
_GAIN = 2.0
_LOSS = 0.7
_LEAST = 1.0


class Pacer:
    """When each request may be sent: one instance is shared by all threads that ask one service of one account.

    Without a `rate` (requests a second) nothing waits before the first refusal. After it, requests stand in line at a
    rate that grows by two each second, and falls to seven tenths at a refusal, once a second at most. A given `rate`
    is the most that it ever is.
    """

    def __init__(
        self,
        rate: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._most = rate
        self._rate = rate
        self._since = self._next = float("-inf")
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when the next request may be sent."""
        with self._lock:
            rate = self._now()
            if rate is None:
                return
            now = self._clock()
            at = max(now, self._next)
            self._next = at + 1 / rate
        if at > now:
            self._sleep(min(at - now, threading.TIMEOUT_MAX))

    def refused(self) -> None:
        """Note that AWS refused a request for its rate."""
        with self._lock:
            rate, now = self._now(), self._clock()
            if rate is None:
                rate, self._next = _AFTER_FIRST, now + 1 / _AFTER_FIRST
            elif now - self._since < 1:
                return
            else:
                rate = max(rate * _LOSS, _LEAST)
            self._rate = min(rate, self._most or rate)
            self._since = now

    def _now(self) -> float | None:
        if self._rate is None or self._since == float("-inf"):
            return self._rate
        rate = self._rate + _GAIN * (self._clock() - self._since)
        return min(rate, self._most or rate)
