"""Figures of matplotlib as files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from tinyswitch import data

DPI = 110


def save(figure: Any, path: Path, dpi: int = DPI) -> Path:
    """Writes ``figure`` in the format of the path's suffix, whole or not at all; raises TinyswitchError.

    pyplot forgets the figure, which may still be saved in another format.
    """
    from matplotlib import pyplot

    content = io.BytesIO()
    metadata = {"Date": None} if path.suffix == ".svg" else {}  # the same figure is the same file
    figure.savefig(content, format=path.suffix[1:], dpi=dpi, metadata=metadata)
    pyplot.close(figure)
    data.write_file(path, content.getvalue())
    return path
