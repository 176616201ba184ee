"""AWS on this machine: moto's server, and a proxy before it that fails as AWS does. Real sockets on loopback.

with moto_server() as aws, FaultyAws(aws.url) as proxy:
    aws.make_stream("market-data", shards=2)
    proxy.plan(partial_failure([0, 2]))             # the next PutRecords; what failed is not forwarded
    proxy.plan(refusal(400, "ThrottlingException"), times=3)
    proxy.plan(lost_answer)                         # done, but the connection is cut before the answer
    proxy.die() ... proxy.come_back()               # nobody listens at the port for a while
    ... kinesis://eu-central-1/market-data?endpoint={proxy.url} ...
    aws.records("market-data")
"""

import base64
import http.client
import itertools
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing as _closing
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

REGION = "eu-central-1"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIALOCALTEST01",
    "AWS_SECRET_ACCESS_KEY": "local-secret-9f8e7d6c",
}
_NUMBERS = itertools.count()


class Got(NamedTuple):
    """A record that is in a stream."""

    shard: str
    sequence: str
    key: str
    data: bytes


@dataclass(frozen=True)
class LocalAws:
    """A moto server, by its address."""

    url: str
    _clients: dict[str, Any] = field(default_factory=dict)  # to make one takes a tenth of a second

    def client(self, service: str = "kinesis", region: str = REGION) -> Any:
        """Return a client that talks to the server itself, past any proxy."""
        import boto3  # noqa: PLC0415  (costs what it imports)

        return boto3.session.Session().client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )

    def close(self) -> None:
        """Close the connections of those that were shared."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def _shared(self, region: str) -> Any:
        if region not in self._clients:
            self._clients[region] = self.client(region=region)
        return self._clients[region]

    def make_stream(self, name: str | None = None, *, shards: int = 1, region: str = REGION) -> str:
        """Create a stream that takes records at once, and return its name: one of its own if not told."""
        name = name or f"stream-{os.getpid()}-{next(_NUMBERS)}"
        client = self._shared(region)
        client.create_stream(StreamName=name, ShardCount=shards)
        waiting = {"Delay": 0.05, "MaxAttempts": 100}  # moto: at once
        client.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig=waiting)
        return name

    def records(self, name: str, *, region: str = REGION) -> list[Got]:
        """Return all that is in a stream, shard after shard, each in its order."""
        client = self._shared(region)
        shards = [one["ShardId"] for one in client.list_shards(StreamName=name)["Shards"]]
        return [got for shard in shards for got in _records_of(client, name, shard)]


def _records_of(client: Any, name: str, shard: str) -> Iterator[Got]:
    iterator = client.get_shard_iterator(StreamName=name, ShardId=shard, ShardIteratorType="TRIM_HORIZON")[
        "ShardIterator"
    ]
    while iterator:
        answer = client.get_records(ShardIterator=iterator, Limit=10_000)
        for one in answer["Records"]:
            yield Got(shard, one["SequenceNumber"], one["PartitionKey"], one["Data"])
        iterator = answer.get("NextShardIterator") if answer["Records"] else None


@contextmanager
def closing_client(client: Any) -> Iterator[Any]:
    """Close a client's connections in the end: a socket left open is a warning, and warnings are errors."""
    try:
        yield client
    finally:
        client.close()


@contextmanager
def moto_server() -> Iterator[LocalAws]:
    """Run moto's server in a thread of this process."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        with _closing(LocalAws(f"http://{host}:{port}")) as aws:
            yield aws
    finally:
        server.stop()


_PROGRAM = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()  # until whoever started us goes
"""


@contextmanager
def moto_process(before: str = "") -> Iterator[LocalAws]:
    """Run moto's server as a process of its own, where its CPU would distort what is measured.

    `before`: a program for it to begin with.
    """
    with subprocess.Popen(
        [sys.executable, "-c", before + _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # a line a request
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with _closing(LocalAws(f"http://127.0.0.1:{int(process.stdout.readline())}")) as aws:
                yield aws
        finally:
            process.terminate()  # it has nothing to bring to an end


class Request(NamedTuple):
    """What a client asks."""

    action: str  # like PutRecords
    body: dict[str, Any]
    raw: bytes
    headers: dict[str, str]


class Answer(NamedTuple):
    """What a client is answered. A status of 0 cuts the connection."""

    status: int
    body: bytes


Forward = Callable[[Request], Answer]
Fault = Callable[[Request, Forward, "FaultyAws"], Answer]


@dataclass
class _Plan:
    fault: Fault
    action: str | None
    times: int | None
    share: float
    chance: random.Random = field(default_factory=lambda: random.Random(7))


class FaultyAws:
    """Forwards to an AWS endpoint over HTTP, and fails as planned."""

    def __init__(self, target: str) -> None:
        self._target = urlsplit(target)
        self._lock = threading.Lock()
        self._plans: list[_Plan] = []  # guarded by _lock, like the lists below
        self.requests: list[Request] = []  # as they came, whatever became of them
        self.came_s: list[float] = []  # when each of them came, by the monotonic clock
        self.failed = 0  # requests that a fault answered
        self.released = threading.Event()  # ends what hangs
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Return the endpoint that a client is told."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.come_back()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.die()

    def plan(
        self,
        fault: Fault,
        *,
        times: int | None = 1,
        action: str | None = "PutRecords",
        share: float = 1.0,
    ) -> None:
        """Let the next requests of an action fail: so many times (None: always), with this probability."""
        with self._lock:
            self._plans.append(_Plan(fault, action, times, share))

    def be_well(self) -> None:
        """Forget what was planned, and let go what hangs."""
        with self._lock:
            self._plans.clear()
        self.released.set()
        self.released = threading.Event()

    def die(self) -> None:
        """Listen no more and cut all connections: the client's connect is refused. Idempotent."""
        self.released.set()
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._server.cut_all()
        self._thread.join()
        self._server.server_close()  # joins the threads of the connections
        self._server = self._thread = None

    def come_back(self) -> None:
        """Listen again, at the same port."""
        self.released = threading.Event()
        self._server = _Server(("127.0.0.1", self.port), self)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="faulty AWS"
        )
        self._thread.start()

    def puts(self) -> list[list[dict[str, Any]]]:
        """Return the records of each PutRecords that came, whatever became of it."""
        with self._lock:
            return [one.body["Records"] for one in self.requests if one.action == "PutRecords"]

    def answer(self, request: Request) -> Answer:
        """Answer a request, as planned."""
        with self._lock:
            self.requests.append(request)
            self.came_s.append(time.monotonic())
            fault = self._next_fault(request.action)
            self.failed += fault is not None
        return self._forward(request) if fault is None else fault(request, self._forward, self)

    def _next_fault(self, action: str) -> Fault | None:
        for plan in self._plans:
            if plan.action not in (None, action) or plan.chance.random() >= plan.share:
                continue
            if plan.times is not None:
                plan.times -= 1
                if plan.times <= 0:
                    self._plans.remove(plan)
            return plan.fault
        return None

    def _forward(self, request: Request) -> Answer:
        link = http.client.HTTPConnection(self._target.hostname or "", self._target.port, timeout=30)
        try:
            headers = {
                name: value
                for name, value in request.headers.items()
                if name.lower() not in ("host", "content-length", "connection", "expect")
            }
            link.request("POST", "/", body=request.raw, headers=headers)
            answer = link.getresponse()
            return Answer(answer.status, answer.read())
        finally:
            link.close()


class _Server(ThreadingHTTPServer):
    allow_reuse_address = True
    daemon_threads = False  # joined in the end
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], owner: FaultyAws) -> None:
        self.owner = owner
        self._links: set[socket.socket] = set()
        self._links_lock = threading.Lock()
        super().__init__(address, _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        link, address = super().get_request()
        with self._links_lock:
            self._links.add(link)
        return link, address

    def shutdown_request(self, request: Any) -> None:
        with self._links_lock:
            self._links.discard(request)
        super().shutdown_request(request)

    def cut_all(self) -> None:
        with self._links_lock:
            for link in self._links:
                with suppress(OSError):
                    link.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that goes away, or is cut off, is what this server is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        action = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        body = json.loads(raw) if raw.startswith(b"{") else {}
        answer = self.server.owner.answer(Request(action, body, raw, dict(self.headers.items())))
        if not answer.status:
            self.close_connection = True
            return
        head = f"HTTP/1.1 {answer.status} -\r\nContent-Type: application/x-amz-json-1.1\r\n"
        self.wfile.write(f"{head}Content-Length: {len(answer.body)}\r\n\r\n".encode() + answer.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Log nothing."""


def refusal(status: int, kind: str, message: str = "Rate exceeded") -> Fault:
    """Answer with an error and forward nothing: 400 ThrottlingException, 503 ServiceUnavailable, ..."""
    body = json.dumps({"__type": kind, "message": message}).encode()
    return lambda _request, _forward, _proxy: Answer(status, body)


def throttling(status: int = 400) -> Fault:
    """Refuse a whole request for its rate, in the way of a stream in provisioned mode."""
    message = "Rate exceeded for shard shardId-000000000000 in stream under account 123456789012."
    return refusal(status, "ProvisionedThroughputExceededException", message)


def partial_failure(
    which: Collection[int] | Callable[[int], bool], code: str = "ProvisionedThroughputExceededException"
) -> Fault:
    """Fail some of the records of a PutRecords, by their place in it: those are not forwarded."""
    fails = which if callable(which) else which.__contains__

    def fail(request: Request, forward: Forward, _proxy: FaultyAws) -> Answer:
        records = request.body["Records"]
        bad = {place for place in range(len(records)) if fails(place)}
        told = {"ErrorCode": code, "ErrorMessage": "Internal service failure."}
        if code.startswith("Provisioned"):
            told["ErrorMessage"] = "Rate exceeded for shard shardId-000000000000 in stream under account 1."
        good = [record for place, record in enumerate(records) if place not in bad]
        taken: Iterator[dict[str, Any]] = iter(())
        if good:
            raw = json.dumps({**request.body, "Records": good}).encode()
            answer = forward(request._replace(raw=raw))
            if answer.status != http.HTTPStatus.OK:
                return answer
            taken = iter(json.loads(answer.body)["Records"])
        results = [told if place in bad else next(taken) for place in range(len(records))]
        return Answer(200, json.dumps({"FailedRecordCount": len(bad), "Records": results}).encode())

    return fail


def fails_at_random(share: float, seed: int = 7) -> Fault:
    """Fail each record of a PutRecords with this probability."""
    chance = random.Random(seed)
    return partial_failure(lambda _place: chance.random() < share)


def refuses_records(bad: Callable[[dict[str, Any]], bool], kind: str = "InvalidArgumentException") -> Fault:
    """Refuse every request with a record that is bad, as a whole, and without saying which."""
    refuse = refusal(400, kind, "a record is not valid")

    def answer(request: Request, forward: Forward, proxy: FaultyAws) -> Answer:
        is_bad = any(map(bad, request.body.get("Records", ())))
        return refuse(request, forward, proxy) if is_bad else forward(request)

    return answer


def lost_answer(request: Request, forward: Forward, _proxy: FaultyAws) -> Answer:
    """Do what is asked and cut the connection: the client cannot know that it was done."""
    forward(request)
    return Answer(0, b"")


def cut_off(_request: Request, _forward: Forward, _proxy: FaultyAws) -> Answer:
    """Cut the connection; nothing is done."""
    return Answer(0, b"")


def hang(_request: Request, _forward: Forward, proxy: FaultyAws) -> Answer:
    """Do nothing and answer nothing, until the proxy is well again or dies."""
    proxy.released.wait()
    return Answer(0, b"")


def data_of(record: dict[str, Any]) -> bytes:
    """Return the content of a record in a request."""
    return base64.b64decode(record["Data"])
