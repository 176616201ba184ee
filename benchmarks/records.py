"""What records cost: CPU and bytes an event, made and read, beside JSON and Avro row by row.

    python benchmarks/records.py [--quick] [--json]

No network: write sets as the writer hands them over become records of each form and are read back, at many
and at few events a part. The baselines are what a plain program does: a JSON text an event, and fastavro with
a dict an event. Beneath, the codecs that a container can have, on the same events.
"""

import argparse
import io
import json
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import fastavro
import zstandard
from bench.report import Report, run
from bench.row_writers import LEVELS, batches, key_of

from collector.features.options import FeatureSet
from collector.features.rows import BookRows
from collector.features.stream_facts import StreamFacts
from collector.sinks.avro import Assembler, Form, records_of
from collector.sinks.avro.schemas import schemas
from collector.sinks.contract import SessionState, WriteSet
from collector.writer.prepare import Preparation

SESSION = SessionState(
    "019a-bench", time.time_ns(), "0", "host", 1, json.dumps({"bybit": ["X000/USDT:USDT"]})
)
ROUNDS = 3
Records = Sequence[bytes]


class Way(NamedTuple):
    """One way to make records of write sets, and to read them."""

    make: Callable[[WriteSet], Records]
    read: Callable[[Records], int]  # returns how many events


def write_sets(events: int, batch_rows: int, symbols: int, features: FeatureSet) -> Iterator[WriteSet]:
    """Make what the writer hands over."""
    book_rows = BookRows(lambda number: StreamFacts(key_of(number), 50, "simulator"), LEVELS, features)
    preparation = Preparation(SESSION, key_of, book_rows.settle, most_rows=batch_rows)
    for batch in batches(events, batch_rows, symbols):
        yield from preparation.write_sets(batch, extend_alive=True)


def made_by_us(form: Form) -> Way:
    def read(records: Records) -> int:
        assembler = Assembler()
        found = (assembler.take(one, "") for one in records)
        return sum(len(one.rows[0]) for one in found if one is not None)

    return Way(lambda write_set: [one.data for one in records_of(write_set, form)], read)


def events_of(write_set: WriteSet) -> Iterator[dict[str, Any]]:
    """Yield a dict an event, with the columns of all tables."""
    columns: dict[str, Sequence[Any]] = {}
    for rows in write_set.rows:
        columns |= rows.columns
    for values in zip(*columns.values(), strict=True):
        yield dict(zip(columns, values, strict=True))


def as_json() -> Way:
    return Way(
        lambda write_set: [json.dumps(one).encode() for one in events_of(write_set)],
        lambda records: len([json.loads(one) for one in records]),
    )


def row_by_row(write_set: WriteSet) -> Way:
    """Write the columns as they are, a nullable field each: no nesting, nothing derived."""
    example = next(events_of(write_set))
    kinds = {str: "string", int: "long", float: "double", type(None): "double"}
    fields = [{"name": name, "type": ["null", kinds[type(one)]]} for name, one in example.items()]
    schema: Any = fastavro.parse_schema({"type": "record", "name": "Row", "fields": fields})

    def make(write_set: WriteSet) -> Records:
        found = []
        for event in events_of(write_set):
            out = io.BytesIO()
            fastavro.schemaless_writer(out, schema, event)
            found.append(out.getvalue())
        return found

    def read(records: Records) -> int:
        return len([fastavro.schemaless_reader(io.BytesIO(one), schema, None) for one in records])

    return Way(make, read)


def best_s(work: Callable[[], object]) -> float:
    """Return the CPU time of the best of some rounds."""
    found = []
    for _ in range(ROUNDS):
        began_s = time.process_time()
        work()
        found.append(time.process_time() - began_s)
    return min(found)


def codecs() -> Mapping[str, Callable[[bytes], bytes]]:
    def deflate(level: int) -> Callable[[bytes], bytes]:
        def pack(content: bytes) -> bytes:
            packer = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
            return packer.compress(content) + packer.flush()

        return pack

    zstd = {f"zstandard {level}": zstandard.ZstdCompressor(level=level).compress for level in (1, 3)}
    return {"null": bytes, **{f"deflate {level}": deflate(level) for level in (1, 4, 6)}, **zstd}


def measure_codecs(report: Report, ready: Sequence[WriteSet], events_a_part: int, features: str) -> None:
    """Pack the blocks of the containers in each way."""
    begin = len(schemas().market_data.prefix)
    mark = schemas().market_data.prefix
    blocks: list[bytes] = []
    for write_set in ready:
        by_key: dict[str, list[bytes]] = {}
        for one in records_of(write_set, Form.SINGLE):
            if one.data.startswith(mark):
                by_key.setdefault(one.partition_key, []).append(one.data[begin:])
        blocks += [b"".join(several) for several in by_key.values()]
    events = sum(write_set.row_count for write_set in ready) // (2 if features == "deep" else 1)
    for name, pack in codecs().items():
        used_s = best_s(lambda pack=pack: [pack(one) for one in blocks])  # type: ignore[misc]
        report.add(
            features=features,
            events_a_part=events_a_part,
            codec=name,
            pack_us_an_event=used_s / events * 1e6,
            bytes_an_event=round(sum(len(pack(one)) for one in blocks) / events, 1),
        )


def work(report: Report, options: argparse.Namespace) -> None:
    """Measure each way at each size of a part."""
    events = 4_000 if options.quick else 20_000
    kinds: tuple[FeatureSet, ...] = ("practical", "deep")
    for features in kinds:
        for events_a_part, symbols in ((1_000, 4), (10, 100)):
            batch_rows = events_a_part * symbols
            ready = list(write_sets(events, batch_rows, symbols, features))
            ways = {
                "JSON": as_json(),
                "Avro, row by row": row_by_row(ready[-1]),
                **{f"ours, {form}": made_by_us(form) for form in Form},
            }
            base_s = 0.0
            for name, way in ways.items():
                records = [one for write_set in ready for one in way.make(write_set)]
                make_s = best_s(lambda way=way, ready=ready: [way.make(one) for one in ready])  # type: ignore[misc]
                read_s = best_s(lambda way=way, records=records: way.read(records))  # type: ignore[misc]
                base_s = base_s or make_s
                report.add(
                    features=features,
                    events_a_part=events_a_part,
                    way=name,
                    make_us_an_event=make_s / events * 1e6,
                    of_json=make_s / base_s,
                    read_us_an_event=read_s / events * 1e6,
                    bytes_an_event=round(sum(map(len, records)) / events, 1),
                    records=len(records),
                    events=events,
                    read_back=way.read(records),
                )
            measure_codecs(report, ready, events_a_part, features)


if __name__ == "__main__":
    run(__doc__, work)
