"""What the benchmarks share: frames, the server that sends them, the programs measured, the tables."""

from collector.lean import this_process_is_ours
from collector.network import import_ccxt_in_parts

# As the program does: what is measured has a process of its own.
this_process_is_ours()
import_ccxt_in_parts()
