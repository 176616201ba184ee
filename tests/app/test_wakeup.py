"""Waking a thread from anywhere, a signal handler included."""

import os
import signal
import threading
import time

import pytest

from collector.app.wakeup import SignalSafeEvent


def test_it_is_waited_for_and_stays_rung() -> None:
    bell = SignalSafeEvent()
    assert not bell.wait(0.001)
    assert not bell.wait(0)
    bell.ring()
    bell.ring()
    assert bell.wait()
    assert bell.wait(0)


def test_several_who_wait_all_hear_it() -> None:
    bell, heard = SignalSafeEvent(), []
    threads = [threading.Thread(target=lambda: heard.append(bell.wait(20))) for _ in range(4)]
    for thread in threads:
        thread.start()
    bell.ring()
    for thread in threads:
        thread.join()
    assert heard == [True] * 4


@pytest.mark.timeout(60, method="thread")
def test_a_signal_handler_rings_it_whatever_the_thread_is_doing() -> None:
    """The handler runs between any two steps of the wait; a lock held there would never be let go."""
    bells: list[SignalSafeEvent] = [SignalSafeEvent()]
    before = signal.signal(signal.SIGUSR1, lambda *_: bells[-1].ring())
    stop = threading.Event()

    def shoot() -> None:
        while not stop.is_set():
            os.kill(os.getpid(), signal.SIGUSR1)
            time.sleep(0.0002)

    shooter = threading.Thread(target=shoot)
    shooter.start()
    try:
        until_s = time.monotonic() + 1.5
        rounds = 0
        while time.monotonic() < until_s:
            bells.append(SignalSafeEvent())
            for _ in range(50):
                bells[-1].wait(0.00001)
            assert bells[-1].wait(20)
            rounds += 1
    finally:
        stop.set()
        shooter.join()
        signal.signal(signal.SIGUSR1, before)
    assert rounds > 10


def test_a_signal_that_another_thread_gets_rings_it_as_well() -> None:
    """The kernel may give it to any thread; its handler runs in this one, once this one does anything."""
    bell = SignalSafeEvent()
    before = signal.signal(signal.SIGUSR1, lambda *_: bell.ring())

    def get_it() -> None:
        time.sleep(0.3)  # by then the wait has begun; where it has not, there is nothing to see
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)

    other = threading.Thread(target=get_it)
    other.start()
    try:
        assert bell.wait(10.0)
    finally:
        other.join()
        signal.signal(signal.SIGUSR1, before)
