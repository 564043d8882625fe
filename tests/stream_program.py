"""A model whole and as a stream on the virtual STM32F746: instructions, and that answers equal LiteRT's.

python tests/stream_program.py MODEL.tflite... prints the figures that docs/engine.md shows.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from native_engine import ENGINE
from stream_support import answers, random_rows
from tinyswitch.compiler import Plan, Stream, compile_model, compile_stream, emit
from virtual_programs import run_program

HOPS = 8  # behind the first window
PROGRAM = """
#include <string.h>
#include "model_table.h"
#include "stream.h"
enum { ROW = %(row)d, ROWS = %(rows)d, HOP = %(hop)d, WINDOWS = %(windows)d, BYTES = %(bytes)d };
static const int8_t rows[] = {%(data)s};
static const int8_t expected[] = {%(expected)s};

static uint32_t differ(const int8_t *answer, uint32_t window) {
    return memcmp(answer, expected + window * BYTES, BYTES) != 0;
}

static void whole(uint32_t window) {
    ts_engine e;
    const uint32_t start = CYCCNT;
    ts_start(&e, ts_model_table[0].model, ts_arena, ts_arena_bytes);
    int8_t *to;
    for (const int8_t *row = rows + window * HOP * ROW; (to = ts_input_row(&e)) != NULL; row += ROW) {
        memcpy(to, row, ROW);
        ts_run(&e);
    }
    uint32_t bytes;
    const int8_t *answer = ts_output(&e, 0, &bytes);
    result[0] += CYCCNT - start;
    result[1] += differ(answer, window);
}

int main(void) {
    static ts_stream s;
    uint32_t begin, window = 0, most = 0;
    CYCLES_ON();
    for (uint32_t w = 0; w < WINDOWS; w++) whole(w);
    begin = CYCCNT;
    result[2] = (uint32_t)ts_stream_begin(&s, ts_stream_table[0], ts_arena, ts_arena_bytes);
    for (uint32_t i = 0; i < sizeof rows / ROW; i++) {
        const uint32_t start = CYCCNT;
        const int is_due = ts_stream_push(&s, rows + i * ROW);
        const uint32_t pushed = CYCCNT - start;
        uint32_t bytes;
        const int8_t *answer = is_due ? ts_stream_answer(&s, &bytes) : NULL;
        const uint32_t used = CYCCNT - start;
        if (i < ROWS) result[3] = CYCCNT - begin; else result[4] += used;
        if (i >= ROWS && pushed > most) most = pushed;
        if (is_due) { result[5] = used - pushed; result[2] += differ(answer, window++); }
    }
    result[6] = most;
    result[7] = window;
    return 0;
}
"""


@dataclass(frozen=True)
class Cost:
    """Instructions of one window unless it says otherwise."""

    whole: int
    first: int  # of the stream, all of its rows
    streamed: float  # every further one, its answer included
    answer: int  # of the tail alone
    largest_row: int  # behind the first window, without an answer


def measure(path: Path, folder: Path) -> tuple[Plan, Stream, Cost]:
    """Raises AssertionError if an answer isn't LiteRT's."""
    plan, stream = compile_model(path, "dsp"), compile_stream(path, "dsp")
    assert stream, f"{path}: no streaming form"
    rows = random_rows(path, stream.rows + HOPS * stream.hop, np.random.default_rng(0))
    expected = answers(path, rows, stream, range(HOPS + 1))
    values = {
        "row": rows[0].size,
        "rows": stream.rows,
        "hop": stream.hop,
        "windows": len(expected),
        "bytes": expected.shape[1],
        "data": ",".join(map(str, rows.reshape(-1))),
        "expected": ",".join(map(str, expected.reshape(-1))),
    }
    tables = emit([plan], folder / "generated", streams=[stream])
    sources = [*tables, *ENGINE.glob("*.c"), *ENGINE.glob("*/*.c")]
    # newlib's memcpy and its kin, as the firmware has them
    library = [*(f"-Wl,-u,{name}" for name in ("memcpy", "memset", "memcmp")), "-lc"]
    flags = ["-ffp-contract=off", f"-I{ENGINE}", *map(str, sources), *library]
    found = run_program(folder, PROGRAM % values, b"", *flags).result
    assert found[7] == len(expected) and found[1] == found[2] == 0, found
    return plan, stream, Cost(found[0] // len(expected), found[3], found[4] / HOPS, found[5], found[6])


def main(paths: list[str]) -> None:
    print("model | arena whole, streamed | instructions whole, streamed | MACs whole, streamed | largest row")
    for path in map(Path, paths):
        with tempfile.TemporaryDirectory() as folder:
            plan, stream, cost = measure(path, Path(folder))
        bytes_and_instructions = plan.arena_bytes, stream.arena_bytes, cost.whole, round(cost.streamed)
        figures = *bytes_and_instructions, plan.macs, stream.macs, cost.largest_row
        print(path.stem, *(f"{n:,}" for n in figures), sep=" | ")


if __name__ == "__main__":
    main(sys.argv[1:])
