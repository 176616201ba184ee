"""A server comes up on its port or says why not, and leaves neither thread nor socket behind."""

import gc
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest
import structlog

from collector.serve.access import Access
from collector.serve.application import make_application
from collector.serve.server import Server

sys.path.insert(0, str(Path(__file__).parent))
from serve_rig import ask, connect, http_threads, serving


def bare(limits: Any) -> Any:
    return make_application(Access("127.0.0.1"), limits, [])


def open_sockets() -> int:
    return len([one for one in psutil.Process().net_connections() if one.status != psutil.CONN_TIME_WAIT])


def start_and_stop(times: int) -> None:
    """Start and stop with a client that has asked, one that has not, and one in the middle of a request."""
    for _ in range(times):
        with serving() as port, connect(port), connect(port) as half:
            half.sendall(b"GET /health HTTP/1.1\r\nHo")
            assert ask(port).status == 200


def check_nothing_stays(times: int) -> None:
    start_and_stop(1)  # what is made once for the process
    gc.collect()
    gc.freeze()  # what other tests left need not be gone through once more
    threads, sockets = threading.active_count(), open_sockets()
    start_and_stop(times)
    gc.collect()
    assert (threading.active_count(), open_sockets()) == (threads, sockets)


def test_starts_and_stops_leave_nothing_behind() -> None:
    check_nothing_stays(2)


@pytest.mark.proof
def test_fifty_starts_and_stops_leave_nothing_behind() -> None:
    check_nothing_stays(50)


def test_a_server_that_is_stopped_at_once_ends() -> None:
    before = http_threads()
    for _ in range(5):
        server = Server(bare, "127.0.0.1", 0)
        assert server.start()
        server.close()
        server.close()
        assert server.url is None
    assert http_threads() == before


def test_any_free_port_is_said() -> None:
    server = Server(bare, "127.0.0.1", 0)
    with structlog.testing.capture_logs() as lines:
        server.start()
    url, port = server.url, server.port
    server.close()
    assert url == f"http://127.0.0.1:{port}"
    assert [line["url"] for line in lines if line["event"] == "serve.listening"] == [url]


def test_a_port_in_use_is_said_and_nothing_is_raised() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = Server(bare, "127.0.0.1", port)
        with structlog.testing.capture_logs() as lines:
            assert not server.start()
        server.close()
    assert lines == [
        {
            "event": "serve.not_listening",
            "log_level": "warning",
            "address": f"127.0.0.1:{port}",
            "reason": "Address already in use",
            "what_next": "collecting goes on; serve.port, or --no-serve",
        }
    ]


def test_a_fault_while_the_application_is_made_ends_the_server_alone() -> None:
    def broken(_limits: Any) -> Any:
        raise RuntimeError("no")

    server = Server(broken, "127.0.0.1", 0)
    with structlog.testing.capture_logs() as lines:
        assert server.start()
        for thread in http_threads():
            thread.join(10.0)
        server.close()
    assert "serve.ended" in [line["event"] for line in lines]
