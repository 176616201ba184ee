"""What the benchmarks share: frames, the server that sends them, the programs measured, the tables."""

from collector.network import import_ccxt_in_parts

import_ccxt_in_parts()  # as the program does: what is measured has a process of its own
