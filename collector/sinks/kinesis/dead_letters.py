"""Keep what is refused for good, with the reason: in a file, a line of JSON each, or in another stream."""

import base64
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from collector.aws import KINESIS, AwsError, Calls, Failure, StreamAddress, failure_of, make_client

PIECE_BYTES = 700_000  # in base64, with what is told of it, a record of a stream has room for so many


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that is refused."""

    reason: str
    data: bytes
    partition_key: str
    at_ns: int
    where: str  # the stream that it was for, or came from
    details: dict[str, Any] = field(default_factory=dict)

    def lines(self, most_bytes: int | None = None) -> Iterator[bytes]:
        """Yield it as lines of JSON; in pieces where a line has only so much room for its data."""
        size = most_bytes or max(1, len(self.data))
        pieces = [self.data[first : first + size] for first in range(0, len(self.data), size)] or [b""]
        for number, piece in enumerate(pieces):
            told = {
                "at_ns": self.at_ns,
                "where": self.where,
                "reason": self.reason,
                "partition_key": self.partition_key,
                **self.details,
                **({"piece": number + 1, "pieces": len(pieces)} if len(pieces) > 1 else {}),
                "data": base64.b64encode(piece).decode(),
            }
            yield json.dumps(told).encode()


class DeadLetters(Protocol):
    """Where dead letters are kept."""

    @property
    def name(self) -> str:
        """Return what to call it in messages."""

    def examine(self) -> None:
        """Raise AwsError where it is plain that nothing could be kept. Keeps nothing."""

    def put(self, letter: DeadLetter, calls: Calls) -> None:
        """Keep it durably, or raise AwsError."""

    def close(self) -> None:
        """Release everything. Idempotent."""


class FileOfDeadLetters:
    """A file that grows by a line for each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self.name = str(path)

    def examine(self) -> None:
        """Look at the file, or where it would be."""
        place = self._path if self._path.exists() else self._path.absolute().parent
        is_fit = self._path.is_file() if place is self._path else place.is_dir()
        if not is_fit or not os.access(place, os.W_OK):
            raise AwsError(Failure.UNUSABLE, f"the file of dead letters {self._path} cannot be written")

    def put(self, letter: DeadLetter, calls: Calls) -> None:
        """Append it, on the disk when this returns."""
        del calls  # a disk is not broken off
        try:
            with self._lock, self._path.open("ab+") as file:
                if file.seek(0, os.SEEK_END):
                    file.seek(-1, os.SEEK_END)
                    if file.read(1) != b"\n":  # a full disk or a kill broke a line off
                        file.write(b"\n")
                file.writelines(line + b"\n" for line in letter.lines())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            text = f"the file of dead letters {self._path} cannot be written: {error.strerror or error}"
            raise AwsError(Failure.AWAY, text) from error

    def close(self) -> None:
        """Do nothing: it is open while a line is written."""


class StreamOfDeadLetters:
    """A stream that gets a record for each, in pieces where it is too large for one."""

    def __init__(self, address: StreamAddress, make: Callable[[], Any]) -> None:
        self._address = address
        self._make = make
        self._client: Any = None
        self.name = str(address)

    def examine(self) -> None:
        """Do nothing: a stream is asked only when there is a letter."""

    def put(self, letter: DeadLetter, calls: Calls) -> None:
        """Put it, and wait for the answer."""
        for line in letter.lines(PIECE_BYTES):
            self._put_line(letter.partition_key, line, calls)

    def _put_line(self, key: str, line: bytes, calls: Calls) -> None:
        def put() -> None:
            if self._client is None:
                self._client = self._make()
            self._client.put_record(StreamName=self._address.stream, PartitionKey=key or "-", Data=line)

        try:
            calls.make(put)
        except Exception as error:
            failed = failure_of(error)
            raise AwsError(failed.kind, f"the stream of dead letters {self.name}: {failed.text}") from error

    def close(self) -> None:
        """Close the client."""
        client, self._client = self._client, None
        if client is not None:
            client.close()


def dead_letters_at(where: str, *, call_timeout_s: float) -> DeadLetters:
    """Return the dead letters' place: a stream's URL or the path of a file. Raises UserError."""
    if where.lower().startswith(f"{KINESIS}://"):
        address = StreamAddress.parse(where)
        return StreamOfDeadLetters(
            address,
            lambda: make_client(KINESIS, address.region, address.endpoint, call_timeout_s=call_timeout_s),
        )
    return FileOfDeadLetters(Path(where).expanduser())
