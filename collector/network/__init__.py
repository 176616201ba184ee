"""Reach exchanges: sockets, markets, REST snapshots, the pace of requests, the meaning of failures."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.network.allowance import WEIGHT_SHARE, Need
    from collector.network.attempts import STABLE_AFTER_S, Attempts, Next
    from collector.network.budget import Budget, BudgetClosed, BudgetNews, BudgetNow, LongWait
    from collector.network.budgets import BUDGETS, Budgets
    from collector.network.ccxt_in_parts import import_ccxt_in_parts, import_exchange
    from collector.network.choosing import collected, look_up
    from collector.network.failure_table import FailureClass, class_of_cause
    from collector.network.failures import (
        MOST_SUSPICIOUS_TRIES,
        Failure,
        classify,
        gone,
        mistake_in_words,
        mistaken,
    )
    from collector.network.limiter import RateLimiter
    from collector.network.loop import new_loop
    from collector.network.markets import Markets, OnFailure, Source, load_until
    from collector.network.pacing import Pacer, at_most, requests_at_most
    from collector.network.probe import ClockAnswer, ask_the_time, check_credentials, dial, unchecked_because
    from collector.network.request_line import Turn
    from collector.network.rest import RestClient
    from collector.network.snapshots import Snapshots
    from collector.network.socket import CLOSE_TIMEOUT_S, Heart, Pushes, Reader, Socket
    from collector.network.tap import TakeText, TappedClient, dialler
    from collector.network.tickers import load_volumes
    from collector.network.turnstile import Turnstile
    from collector.network.waiting import in_thread, wait_for_first
else:
    __getattr__, __dir__ = face(__name__, __file__)
