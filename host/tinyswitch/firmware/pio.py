"""Runs PlatformIO and turns what it prints into one line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tinyswitch.errors import TinyswitchError
from tinyswitch.firmware import project
from tinyswitch.firmware.project import Spec

OVERFLOW = re.compile(r"region `(FLASH|RAM)' overflowed by (\d+) bytes")
COMPILER_ERROR = re.compile(
    r"^.*?(?:(?:fatal )?error: |undefined reference to |multiple definition of |cannot find ).*$",
    re.MULTILINE,
)
OTHER_ERROR = re.compile(r"^(?:Error: |\*\*\* |\w+Error: )(.*)$", re.MULTILINE)
MISSING_HEADER = re.compile(r"error: (?:string|stdint|stddef|math)\.h: No such file")
NO_QUESTIONS_HOME = {
    "PLATFORMIO_SETTING_ENABLE_TELEMETRY": "no",
    "PLATFORMIO_DISABLE_UPGRADE_CHECK": "true",  # asks the network
    "PLATFORMIO_NO_ANSI": "true",
}


def compile(spec: Spec) -> dict[str, int]:
    """Builds the environment. Returns bytes too many of FLASH and RAM; empty when all fits.

    Raises TinyswitchError with the first error and the log's path.
    """
    done = _run(spec, [])
    if done.returncode == 0:
        return {}
    spec.image.unlink(missing_ok=True)  # the ELF it was made from is gone
    overflow = {region: int(n) for region, n in OVERFLOW.findall(done.stdout)}
    if not overflow:
        raise TinyswitchError(_failure(spec, done.stdout))
    return overflow


def upload(spec: Spec, port: str | None) -> None:
    """Uploads what :func:`compile` built; raises TinyswitchError."""
    options = ["--target", "upload"] + (["--upload-port", port] if port else [])
    done = _run(spec, options)
    if done.returncode != 0:
        raise TinyswitchError(_failure(spec, done.stdout))


def _run(spec: Spec, options: list[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "platformio", "run", "--environment", spec.environment, *options]
    done = subprocess.run(
        [*command, "--project-dir", str(project.ROOT)],
        env={**os.environ, **NO_QUESTIONS_HOME, **_core_folder()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    spec.log.write_text(done.stdout)
    return done


def _core_folder() -> dict[str, str]:
    """PlatformIO's own folder, where the user's home cannot hold it: one in build/."""
    if os.environ.get("PLATFORMIO_CORE_DIR"):
        return {}
    usual = Path.home() / ".platformio"
    if os.access(usual if usual.exists() else usual.parent, os.W_OK):
        return {}
    return {"PLATFORMIO_CORE_DIR": str(project.ROOT / "build" / "platformio" / "core")}


def _failure(spec: Spec, output: str) -> str:
    """One line: the first error, the way out, where to read on."""
    compiler = COMPILER_ERROR.search(output)
    if compiler:
        hint = f"; {spec.manifest['build']['install']}" if MISSING_HEADER.search(output) else ""
        return f"{spec.environment}: {compiler[0].strip()}{hint} (log: {spec.log})"
    other = OTHER_ERROR.search(output)
    last = (output.strip().splitlines() or ["PlatformIO printed nothing"])[-1]
    return f"{spec.environment}: {other[1].strip() if other else last} (log: {spec.log})"
