"""Writes ``firmware/features/frontend_tables.h``: ``python -m tinyswitch.features.frontend_tables``.

The formulas are those of TensorFlow's micro frontend (tensorflow/lite/experimental/microfrontend/lib:
window_util, filterbank_util, pcan_gain_control_util, log_lut) and of the fixed-point transform below it
(kissfft). There they are computed in single precision, which rounds three of the values the other way.
"""

from __future__ import annotations

import math
import subprocess
import sysconfig
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tinyswitch import data
from tinyswitch.firmware.project import ROOT

PATH = ROOT / "firmware" / "features" / "frontend_tables.h"
RATE, WINDOW, LENGTH, CHANNELS = 16000, 480, 512, 40
LOWEST_HZ, HIGHEST_HZ = 125.0, 7500.0
STRENGTH, OFFSET, GAIN_BITS, NOISE_BITS = 0.95, 80.0, 21, 7  # of PCAN; bits behind the noise's point
UP_HANN = (17,)  # samples and bins whose value single precision rounds up
UP_WEIGHT = (149, 221)


def window() -> list[int]:
    """Hann, 4096 is 1."""
    n = np.arange(WINDOW)
    rounded = np.floor((0.5 - 0.5 * np.cos(2 * np.pi * (n + 0.5) / WINDOW)) * 4096 + 0.5).astype(int)
    rounded[list(UP_HANN)] += 1
    return rounded.tolist()


def turns(first: int, count: int, length: int, begin: float = 0.0) -> list[int]:
    """e^(-2 pi i (begin + k / length)) from k = ``first``: 32767 * imaginary, 32767 * real part."""
    angles = -2 * np.pi * (begin + np.arange(first, first + count) / length)
    real, imaginary = (np.floor(0.5 + 32767 * of(angles)).astype(int) for of in (np.cos, np.sin))
    return ((real & 0xFFFF) | (imaginary & 0xFFFF) << 16).tolist()


def _mel(hertz: float) -> float:
    return 1127 * math.log1p(hertz / 700)


def filters() -> tuple[int, list[int], list[int]]:
    """First bin, the bin behind each band, and each bin's weight (4096 is 1) in the channel that ends there.

    Triangles with equal distances on the mel scale: between two centres a bin is shared by two channels.
    """
    width = RATE / LENGTH
    low, spacing = _mel(LOWEST_HZ), (_mel(HIGHEST_HZ) - _mel(LOWEST_HZ)) / (CHANNELS + 1)
    first = k = int(1.5 + LOWEST_HZ / width)
    ends, weights = [], []
    for band in range(1, CHANNELS + 2):
        while (rest := low + spacing * band - _mel(k * width)) >= 0:
            weights.append(math.floor(4096 * rest / spacing + 0.5) + (k in UP_WEIGHT))
            k += 1
        ends.append(k)
    return first, ends, weights


def _gain(noise: int) -> int:
    gain = 2.0**GAIN_BITS * (noise / 2.0**NOISE_BITS + OFFSET) ** -STRENGTH
    return min(32767, int(gain + 0.5))


def gains() -> list[tuple[int, int, int]]:
    """(y, a, b) for noise from 2^i to 2^(i+1): the gain is y + a x + b x^2 with x from 0 to 1."""
    rows = []
    for exponent in range(1, 32):
        begin = 1 << exponent
        y0 = _gain(begin)
        middle, end = _gain(begin + begin // 2) - y0, _gain(min(2 * begin, 2**32 - 1)) - y0
        rows.append((y0, 4 * middle - end, end - (4 * middle - end)))
    return rows


def logarithms() -> list[int]:
    """What log2(1 + i / 128) is more than i / 128; 65536 is 1."""
    i = np.arange(129) / 128
    return np.rint(65536 * (np.log2(1 + i) - i)).astype(int).tolist()


def _table(comment: str, declaration: str, values: Iterable[object]) -> str:
    text = ", ".join(map(str, values))
    return f"/* {comment} */\nstatic const {declaration} = {{{text}}};\n"


def content() -> str:
    """The header, not yet formatted."""
    first, ends, weights = filters()
    parts = [
        "/* Made by host/tinyswitch/features/frontend_tables.py, which has the formulas. */\n",
        "#ifndef TS_FRONTEND_TABLES_H\n#define TS_FRONTEND_TABLES_H\n\n#include <stdint.h>\n",
        _table("Hann window, 4096 is 1", f"uint16_t HANN[{WINDOW}]", window()),
        _table(
            "32767 * e^(-2 pi i k / 256): real part in the lower half, imaginary part in the upper one",
            "uint32_t TURN_256[192]",
            map(hex, turns(0, 192, 256)),
        ),
        _table(
            "32767 * e^(-2 pi i (1 / 4 + k / 512)), of k from 1",
            "uint32_t TURN_512[128]",
            map(hex, turns(1, 128, 512, 0.25)),
        ),
        f"#define FIRST_BIN {first}\n#define END_BIN {ends[-1]}\n",
        _table("bin behind each band", f"uint8_t BAND_END[{CHANNELS + 1}]", ends),
        _table(
            "of each bin in the channel that ends with its band, 4096 is 1; the rest goes to the next",
            f"uint16_t WEIGHT[{len(weights)}]",
            weights,
        ),
        _table("gain where the noise estimate is 0 and 1", "int16_t GAIN_FIRST[2]", (_gain(0), _gain(1))),
        _table(
            "gain from a noise estimate of 2^(i + 1) on: value, slope, bend",
            "int16_t GAIN[31][3]",
            (f"{{{y}, {a}, {b}}}" for y, a, b in gains()),
        ),
        _table("65536 * (log2(1 + i / 128) - i / 128)", "uint16_t LOG2_EXCESS[129]", logarithms()),
        "#endif\n",
    ]
    return "\n".join(parts)


def formatted() -> str:
    """The header as it is in the repository."""
    tool = Path(sysconfig.get_path("scripts")) / "clang-format"
    command = [str(tool), f"--assume-filename={PATH}"]
    run = subprocess.run(command, input=content(), capture_output=True, text=True, check=True, cwd=ROOT)
    return run.stdout


if __name__ == "__main__":
    data.write_file(PATH, formatted().encode())
