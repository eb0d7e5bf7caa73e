"""How fast iamframe asks: freely until AWS refuses, then in line, and never above a rate that was given."""

from __future__ import annotations

import threading
import time

import pytest

from iamframe.sources.client import Pacer


class Clock:
    """A clock that moves only when somebody sleeps, and remembers for how long."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.now += seconds


def paced(rate: float | None = None) -> tuple[Pacer, Clock]:
    clock = Clock()
    return Pacer(rate, lambda: clock.now, clock.sleep), clock


def test_nothing_waits_before_the_first_refusal() -> None:
    pacer, clock = paced()
    for _ in range(100):
        pacer.wait()
    assert clock.slept == []


def test_after_the_first_refusal_requests_stand_in_line_at_twenty_a_second() -> None:
    pacer, clock = paced()
    pacer.refused()
    for _ in range(3):
        pacer.wait()
    # The rate grows by two each second: 20 a second is a wait of 0.05, and a little less each time.
    assert clock.slept == [0.05, pytest.approx(0.05, abs=0.001), pytest.approx(0.05, abs=0.001)]


def test_the_rate_grows_by_two_each_second() -> None:
    pacer, clock = paced()
    pacer.refused()
    clock.now += 10
    pacer.wait()
    pacer.wait()
    assert clock.slept == [pytest.approx(1 / 40, abs=0.001)]


def test_a_refusal_takes_the_rate_to_seven_tenths_once_a_second_at_most() -> None:
    pacer, clock = paced()
    pacer.refused()
    clock.now += 1
    for _ in range(16):
        pacer.refused()
    pacer.wait()
    pacer.wait()
    # 20 and two more after a second, by 0.7: what was in flight at the same time does not count again.
    assert clock.slept == [pytest.approx(1 / 15.4, abs=0.001)]


def test_a_given_rate_is_kept_from_the_first_request_and_never_exceeded() -> None:
    pacer, clock = paced(rate=15)
    for _ in range(4):
        pacer.wait()
    clock.now += 100
    pacer.wait()
    pacer.wait()
    assert clock.slept == [pytest.approx(1 / 15, abs=0.001)] * 4


def test_a_given_rate_below_twenty_is_not_raised_by_the_first_refusal() -> None:
    pacer, clock = paced(rate=2)
    pacer.refused()
    pacer.wait()
    pacer.wait()
    # Two a second was too fast, so that it is seven tenths of that.
    assert clock.slept[-1] == pytest.approx(1 / 1.4, abs=0.001)


def test_it_never_stops_altogether() -> None:
    pacer, clock = paced()
    for _ in range(50):
        pacer.refused()
        clock.now += 1
    pacer.wait()
    pacer.wait()
    assert clock.slept[-1] <= 1


def test_threads_share_one_line() -> None:
    pacer = Pacer(50)
    began = time.monotonic()
    times: list[float] = []
    lock = threading.Lock()

    def ask() -> None:
        for _ in range(5):
            pacer.wait()
            with lock:
                times.append(time.monotonic())

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Twenty requests at fifty a second: the last may not come before 19/50 of a second.
    assert max(times) - began >= 19 / 50 - 0.03


def test_a_rate_however_small_is_a_time_that_can_be_waited_for() -> None:
    pacer, clock = paced(rate=1e-300)
    pacer.wait()
    pacer.wait()
    assert clock.slept == [threading.TIMEOUT_MAX]
