"""Files that the project uses but does not contain: the data root, or a download with a checksum."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tinyswitch.errors import TinyswitchError

VARIABLE = "TINYSWITCH_DATA"


@dataclass(frozen=True)
class Download:
    """A published file: the first URL that works, checked against its SHA-256."""

    sha256: str
    urls: tuple[str, ...]


# The commit's files never change; the other address is where the authors' own code looks today.
_MCUNET = "https://raw.githubusercontent.com/mit-han-lab/tinyml/e899b1bec08604910098ab6aab57bb30735dbb31"
_HAN_LAB = "https://hanlab18.mit.edu/projects/tinyml/mcunet/release"
DOWNLOADS = {
    "mcunet/mcunet-320kb-1mb_imagenet.pth": Download(
        "c0d4ccf4bb8ba93ef69a609c60ca053be2c6bab3b4ece19d9b7e66cec8a485e5",
        (
            f"{_MCUNET}/mcunet/assets/pt_ckpt/mcunet-320kb-1mb_imagenet.pth",
            f"{_HAN_LAB}/mcunet-320kb-1mb_imagenet.pth",
        ),
    ),
    "mcunet/mcunet-320kb-1mb_imagenet.tflite": Download(
        "780563f544bccba413b1ee4e051159996ac8b5be39eba8bb38761a51b58a07d1",
        (
            f"{_MCUNET}/mcunet/assets/tflite/mcunet-320kb-1mb_imagenet.tflite",
            f"{_HAN_LAB}/mcunet-320kb-1mb_imagenet.tflite",
        ),
    ),
}


def root() -> Path | None:
    """The folder that TINYSWITCH_DATA names, None if unset; raises TinyswitchError if it is no folder."""
    text = os.environ.get(VARIABLE, "")
    if not text:
        return None
    folder = Path(text).expanduser().absolute()
    if not folder.is_dir():
        raise TinyswitchError(f"{VARIABLE}={text}: no such folder; correct it or unset it")
    return folder


def need(name: str, way_out: str) -> Path:
    """As :func:`local`; raises TinyswitchError, which ends with ``way_out``, if it is not there."""
    path = local(name)
    if path is None:
        raise TinyswitchError(f"{name}: not in {VARIABLE} ({root() or 'unset'}); {way_out}")
    return path


def local(name: str) -> Path | None:
    """The file or folder ``name`` of the data root, if it is there."""
    folder = root()
    path = folder / name if folder else None
    return path if path and path.exists() else None


def fetch(name: str, log: Callable[[str], None] = print) -> Path:
    """The file ``name`` (path in the data root's layout): in the data root, else downloaded and kept.

    ``log`` gets a line before a download starts. Raises TinyswitchError if it is nowhere to be had.
    """
    found = local(name)
    if found:
        return found
    if name not in DOWNLOADS:
        raise TinyswitchError(
            f"{name}: not in {VARIABLE} ({root() or 'unset'}), and no address for it is known; set"
            f" {VARIABLE} to a folder that has it"
        )
    return _download(name, DOWNLOADS[name], log)


def cache() -> Path:
    """Where downloads are kept, per user."""
    import pooch

    return Path(pooch.os_cache("tinyswitch"))


def availability(name: str | None) -> str:
    """How a checkpoint can be had: "shipped", "here", "download" or "-"."""
    if name is None:
        return "-"
    from tinyswitch.nets import MODELS

    if (MODELS / name).exists():
        return "shipped"
    if local(name) or (cache() / name).exists():
        return "here"
    return "download" if name in DOWNLOADS else "-"


def write_file(path: Path, content: bytes) -> None:
    """Writes ``path`` whole or not at all, making its folder; raises TinyswitchError (e.g. disk full)."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        raise TinyswitchError(f"{path}: not written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _download(name: str, download: Download, log: Callable[[str], None]) -> Path:
    import pooch

    pooch.get_logger().setLevel("ERROR")
    target = cache() / name
    failures = []
    for url in download.urls:
        if not target.exists():
            log(f"downloading {url}")
        try:
            return Path(
                pooch.retrieve(
                    url,
                    f"sha256:{download.sha256}",
                    fname=target.name,
                    path=target.parent,
                    downloader=pooch.HTTPDownloader(timeout=30, progressbar=False),
                )
            )
        except ValueError:
            failures.append(f"{url}: the checksum is wrong")
        except Exception as error:  # requests' and urllib3's many kinds; each means: not from there
            failures.append(f"{url}: {_reason(error)}")
    raise TinyswitchError(
        f"{name}: not in {VARIABLE} ({root() or 'unset'}) and not to be downloaded"
        f" ({'; '.join(failures)}); put the file at {target} or set {VARIABLE}"
    )


def _reason(error: Exception) -> str:
    """The innermost cause in a few words: requests wraps it several times."""
    text = str(error).splitlines()[0] if str(error) else ""
    return text.rsplit(": ", 1)[-1].strip("'\")> ")[:100] or type(error).__name__
