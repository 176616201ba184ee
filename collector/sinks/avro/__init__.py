"""Write sets as Avro records, and such records as write sets: pure, without a network or a clock."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.errors import BadRecord, UnfitRow
    from collector.sinks.avro.assembler import Assembler, OpenPart
    from collector.sinks.avro.heartbeat import HealthPart, Heartbeat, encoded_heartbeat, read_heartbeat
    from collector.sinks.avro.parts import MOST_BYTES, MOST_ROWS
    from collector.sinks.avro.records import Form, Record, record_without_rows, records_of, why_unfit
else:
    __getattr__, __dir__ = face(__name__, __file__)
