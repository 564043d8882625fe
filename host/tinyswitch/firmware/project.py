"""Where the firmware's sources, boards and builds lie."""

from __future__ import annotations

import configparser
import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyswitch.errors import TinyswitchError

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Spec:
    """One board and application: an environment of platformio.ini."""

    board: str
    app: str
    manifest: dict[str, Any]  # firmware/platform/boards/BOARD.json

    @property
    def environment(self) -> str:
        return f"{self.board}_{self.app}"

    @property
    def output(self) -> Path:
        return ROOT / "build" / self.board / self.app

    @property
    def generated(self) -> Path:
        return self.output / "generated"

    @property
    def elf(self) -> Path:
        return self.output / "firmware.elf"

    @property
    def image(self) -> Path:
        """What goes into the flash, of embedded boards."""
        return self.output / "firmware.bin"

    @property
    def memory_file(self) -> Path:
        return self.output / "memory.json"

    @property
    def log(self) -> Path:
        return self.output / "build.log"

    @property
    def objects(self) -> Path:
        """Where PlatformIO puts the object files of the generated sources."""
        return ROOT / "build" / "platformio" / "build" / self.environment / "generated"

    @property
    def compiler(self) -> str:
        return self.manifest["build"]["cc_prefix"] + "gcc"

    @property
    def kernels(self) -> str:
        """The kernel variants for the board's processor; see tinyswitch.compiler.variants."""
        return self.manifest["build"]["kernels"]

    @property
    def is_embedded(self) -> bool:
        return "ldscript" in self.manifest["build"]

    @property
    def flash_bytes(self) -> int | None:
        """Flash of the chip; None where there is no limit."""
        return self.manifest["upload"]["maximum_size"] if self.is_embedded else None

    @property
    def ram_bytes(self) -> int | None:
        return self.manifest["upload"]["maximum_ram_size"] if self.is_embedded else None


def board(name: str, app: str) -> Spec:
    """The environment NAME_APP of platformio.ini; raises TinyswitchError with those that there are."""
    ini = ROOT / "platformio.ini"
    parser = configparser.ConfigParser(interpolation=None)
    if not parser.read(ini):
        raise TinyswitchError(f"{ini}: not there; install the project from its repository: pip install -e .")
    pairs = {
        (parser[section]["board"], parser[section]["custom_app"])
        for section in parser.sections()
        if section.startswith("env:")
    }
    if (name, app) not in pairs:
        known = ", ".join(f"{b} with {a}" for b, a in sorted(pairs))
        raise TinyswitchError(f"no board {name!r} with application {app!r}; there are: {known}")
    manifest = ROOT / "firmware" / "platform" / "boards" / f"{name}.json"
    return Spec(name, app, json.loads(manifest.read_text()))


@contextmanager
def locked() -> Iterator[None]:
    """One build at a time: PlatformIO's own files are shared by all environments.

    Files that cannot be written, a full disk for example, become TinyswitchError.
    """
    folder = ROOT / "build"
    try:
        folder.mkdir(exist_ok=True)
        with open(folder / ".lock", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise TinyswitchError(f"{error.filename or folder}: {error.strerror or error}") from None
