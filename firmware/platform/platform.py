"""Where the tools of a build come from: the PATH first, then what PlatformIO has or can download.

Nothing is fetched when the compiler is on the PATH and the pip package ``scons`` is there, so a build needs
no registry. If PlatformIO has a tool already, or the PATH has no compiler, PlatformIO's package manager is
in charge.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import threading
from pathlib import Path

import requests
from platformio import __registry_mirror_hosts__
from platformio.exception import UserSideException
from platformio.package.commands import install as install_command
from platformio.package.manager.core import get_core_package_dir
from platformio.platform import _run
from platformio.platform.base import PlatformBase

PROBE_SECONDS = 4  # for all mirrors together; PlatformIO's own retries take minutes
# Of each upload protocol: PlatformIO's package, and the program that takes its place.
UPLOADERS = {
    "stlink": ("tool-openocd", "openocd"),
    "probe": ("tool-openocd", "openocd"),
    "bootloader": ("tool-bossac-nordicnrf52", "bossac"),
}


class MissingToolError(UserSideException):
    MESSAGE = "{0}"


def registry_answers() -> bool:
    """Whether a mirror of PlatformIO's registry gives a sensible answer within PROBE_SECONDS."""
    answers = threading.Event()

    def probe(host: str) -> None:
        url = f"https://api.{host}/v3/packages/platformio/tool/tool-scons"
        try:
            reply = requests.get(url, timeout=PROBE_SECONDS)
            if reply.status_code == 200 and reply.json().get("versions"):
                answers.set()
        except (requests.RequestException, json.JSONDecodeError, AttributeError):
            pass

    threads = [
        threading.Thread(target=probe, args=(host,), daemon=True) for host in __registry_mirror_hosts__
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PROBE_SECONDS)
    return answers.is_set()


def scons_dir(name: str, *args, **kwargs) -> str:
    """Folder with a ``scons.py``: PlatformIO's tool-scons if it has it, else ours for the pip package."""
    if name != "tool-scons":
        return get_core_package_dir(name, *args, **kwargs)
    installed = get_core_package_dir(name, auto_install=False)
    if installed:
        return installed
    if importlib.util.find_spec("SCons"):
        return str(Path(__file__).parent / "builder")
    if not registry_answers():
        raise MissingToolError(
            "SCons is missing and PlatformIO's registry does not answer: pip install scons==4.11.1"
        )
    return get_core_package_dir(name)


# PlatformIO asks for SCons in these two places.
install_command.get_core_package_dir = scons_dir
_run.get_core_package_dir = scons_dir


class TinyswitchPlatform(PlatformBase):
    def configure_default_packages(self, options, targets):
        super().configure_default_packages(options, targets)
        board = self.board_config(options["board"])
        self._choose_compiler(board)
        self._choose_uploader(options.get("upload_protocol") or board.get("upload.protocol", ""))

    def _choose_compiler(self, board) -> None:
        compiler = board.get("build.cc_prefix") + "gcc"
        package = board.get("build.toolchain_package", "")
        if shutil.which(compiler):
            return
        if package and (self.get_package(package) or registry_answers()):
            self.packages[package]["optional"] = False
            return
        reason = " and PlatformIO's registry does not answer" if package else ""
        raise MissingToolError(f"{compiler} is not on the PATH{reason}: {board.get('build.install')}")

    def _choose_uploader(self, protocol: str) -> None:
        """Of the uploaders, asks for the protocol's when one is wanted, the PATH has none and it can be had.

        Without any, the builder knows another way or says what to install.
        """
        package, program = UPLOADERS.get(protocol, ("", ""))
        for name, options in self.packages.items():
            if options.get("type") != "uploader":
                continue
            needed = not options["optional"] and name == package and not shutil.which(program)
            options["optional"] = not (needed and (self.get_package(name) or registry_answers()))
