"""The C files of a board, as the platform's build takes them."""

from __future__ import annotations

import json
from pathlib import Path

FIRMWARE = Path(__file__).resolve().parents[1] / "firmware"


def manifest(board: str) -> dict:
    """``firmware/platform/boards/BOARD.json``."""
    return json.loads((FIRMWARE / "platform" / "boards" / f"{board}.json").read_text())


def folder(board: str) -> Path:
    """Where the board's own sources lie."""
    return FIRMWARE / "boards" / manifest(board)["build"].get("folder", board)


def sources(board: str) -> list[Path]:
    """The board's own files and those it shares with others."""
    shared = [FIRMWARE / "boards" / part for part in manifest(board)["build"].get("shared", [])]
    files: list[Path] = []
    for place in (folder(board), *shared):
        files += sorted(place.glob("*.c")) if place.is_dir() else [place]
    return files
