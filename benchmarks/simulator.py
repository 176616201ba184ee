"""How fast the simulator puts frames on the wire: made ahead and released flat out, and made as they go.

    python benchmarks/simulator.py [--updates 200000] [--json]

A second process reads the socket and counts frames, so that the simulator has its process to itself, as
in a benchmark of the collector. The baseline beside it is as many frames of 250 bytes, written by nothing but
`sendall` and read by the same reader: what the loopback itself bears.
"""

import argparse
import json
import multiprocessing
import socket
import struct
import time
from multiprocessing.connection import Connection

from collector.simulator import Simulator
from collector.simulator.wire import frame

# The length in a frame's second byte, or where it stands instead.
SHORT_HEAD, MEDIUM, LONG = 2, 126, 127
EXCHANGES = {
    "bybit": (
        "BTC/USDT:USDT",
        "/v5/public/linear",
        "book.50",
        '{"op":"subscribe","args":["orderbook.50.BTCUSDT"]}',
    ),
    "binance": (
        "BTC/USDT",
        "/stream/ws",
        "book.10",
        '{"method":"SUBSCRIBE","params":["btcusdt@depth@100ms"],"id":1}',
    ),
    "kraken": (
        "BTC/USD",
        "/kraken/v2",
        "book.10",
        '{"method":"subscribe","params":{"channel":"book","symbol":["BTC/USD"],"depth":10}}',
    ),
}


def read(port: int, path: str, subscribe: str, wanted: int, pipe: Connection) -> None:
    """Subscribe, then count frames and bytes until so many frames have come."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        request = f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        request += "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        connection.sendall(request.encode())
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65536)
        data = data.partition(b"\r\n\r\n")[2]
        payload = subscribe.encode()
        # A client's frame is masked; a mask of zeros leaves the text as it is.
        connection.sendall(
            bytes((0x81, 0x80 | 126)) + struct.pack("!H", len(payload)) + b"\0\0\0\0" + payload
        )
        frames, size, at, started = 0, 0, 0, 0.0
        while frames < wanted:
            part = connection.recv(1 << 20)
            if not part:
                break
            if pipe.poll():
                # From here on the frames count.
                pipe.recv()
                frames, size, started = 0, 0, time.perf_counter()
            size += len(part)
            data = data[at:] + part
            at = 0
            while len(data) - at >= SHORT_HEAD:
                length, head = data[at + 1], SHORT_HEAD
                if length == MEDIUM:
                    length, head = int.from_bytes(data[at + 2 : at + 4]), 4
                elif length == LONG:
                    length, head = int.from_bytes(data[at + 2 : at + 10]), 10
                if len(data) - at < head + length:
                    break
                frames += 1
                at += head + length
        pipe.send((frames, size, time.perf_counter() - started))


def measure(name: str, updates: int, *, ahead: bool) -> dict[str, float]:
    symbol, path, channel, subscribe = EXCHANGES[name]
    context = multiprocessing.get_context("spawn")
    with Simulator(symbols={name: [symbol]}, updates_per_s=0.0) as simulator:
        here, there = context.Pipe()
        reader = context.Process(target=read, args=(simulator.port, path, subscribe, updates, there))
        reader.start()
        simulator.wait_for_subscription(name, symbol, channel, 20)
        simulator.publish(1)
        if ahead:
            simulator.prepare(updates)
        here.send("go")
        started = time.perf_counter()
        if ahead:
            simulator.release()
        else:
            simulator.publish(updates)
        handed_s = time.perf_counter() - started
        frames, size, _ = here.recv()
        read_s = time.perf_counter() - started
        reader.join()
    return {
        "frames": frames,
        "bytes_per_frame": round(size / frames),
        "handed_per_s": round(updates / handed_s),
        "read_per_s": round(frames / read_s),
    }


def baseline(updates: int) -> dict[str, float]:
    context = multiprocessing.get_context("spawn")
    with socket.create_server(("127.0.0.1", 0)) as server:
        here, there = context.Pipe()
        reader = context.Process(target=read, args=(server.getsockname()[1], "/", "{}", updates, there))
        reader.start()
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
            data = frame(b"x" * 246) * 256
            here.send("go")
            started = time.perf_counter()
            for _ in range(updates // 256 + 1):
                connection.sendall(data)
            handed_s = time.perf_counter() - started
            frames, size, _ = here.recv()
            read_s = time.perf_counter() - started
        reader.join()
    return {
        "frames": frames,
        "bytes_per_frame": round(size / frames),
        "handed_per_s": round(updates / handed_s),
        "read_per_s": round(frames / read_s),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--updates", type=int, default=200_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = {"baseline": baseline(options.updates)}
    for name in EXCHANGES:
        for ahead in (True, False):
            count = options.updates if ahead else options.updates // 10
            results[f"{name} {'made ahead' if ahead else 'as they go'}"] = measure(name, count, ahead=ahead)
    for row in results.values():
        row["of_baseline"] = round(row["read_per_s"] / results["baseline"]["read_per_s"], 3)
    if options.json:
        print(json.dumps(results))
        return
    for label, row in results.items():
        print(f"{label:22} " + "  ".join(f"{key} {value:>9,}" for key, value in row.items()))


if __name__ == "__main__":
    main()
