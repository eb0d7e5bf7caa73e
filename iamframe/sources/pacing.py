"""The pace of requests: unlimited until AWS first throttles one, then as fast as AWS allows.

AWS publishes no limits for IAM. All users of an account share the limits. If a load uses them up, other work in the
account fails. When a limit is reached, AWS throttles nearly all requests in flight at once. So at most one throttled
request per second counts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

# The rate after the first refusal. IAM allows at least 15 requests per second of one operation (measured by others).
_AFTER_FIRST = 20.0
_GAIN = 2.0
_LOSS = 0.7
_LEAST = 1.0


class Pacer:
    """The pace of requests to one service of one account, shared by all threads.

    `rate` is the highest allowed rate, in requests per second. Without it, no request waits until AWS throttles one for
    the first time. From then on, the rate grows by two each second. A throttled request lowers the rate to seven
    tenths, but at most once per second.
    """

    def __init__(
        self,
        rate: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._most = self._rate = rate
        self._since = self._next = float("-inf")
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()

    def wait(self) -> float:
        """Wait until the next request may be sent. Return the number of seconds waited."""
        with self._lock:
            rate = self._now()
            if rate is None:
                return 0.0
            now = self._clock()
            at = max(now, self._next)
            self._next = at + 1 / rate
        if at > now:
            self._sleep(min(at - now, threading.TIMEOUT_MAX))
        return at - now

    def refused(self) -> None:
        """Lower the rate, because AWS throttled a request."""
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
