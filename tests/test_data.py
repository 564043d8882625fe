"""Where files come from: the data root, a download with a checksum, or a message that says what to do."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest

from tinyswitch import data
from tinyswitch.errors import TinyswitchError

NAME = "mcunet/test.pth"
CONTENT = b"what was published"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Address of a folder with good.pth and bad.pth."""
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / "good.pth").write_bytes(CONTENT)
    (folder / "bad.pth").write_bytes(b"something else")
    with HTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder)) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def empty(monkeypatch, tmp_path):
    """No data root, an empty cache, no proxy."""
    for variable in (data.VARIABLE, "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(data, "cache", lambda: tmp_path / "cache")


def _publish(monkeypatch, *urls: str) -> None:
    monkeypatch.setitem(data.DOWNLOADS, NAME, data.Download(hashlib.sha256(CONTENT).hexdigest(), urls))


def test_the_data_root_comes_first(monkeypatch, tmp_path):
    root = tmp_path / "root with spaces"
    (root / "mcunet").mkdir(parents=True)
    (root / NAME).write_bytes(b"here")
    monkeypatch.setenv(data.VARIABLE, str(root))
    _publish(monkeypatch, "http://127.0.0.1:1/")
    assert data.fetch(NAME) == root / NAME
    assert data.availability(NAME) == "here"
    assert data.local("nothing") is None


def test_a_data_root_that_is_not_there(monkeypatch):
    monkeypatch.setenv(data.VARIABLE, "/no/such/folder")
    with pytest.raises(TinyswitchError, match="TINYSWITCH_DATA=/no/such/folder: no such folder"):
        data.fetch(NAME)


def test_a_download_is_checked_and_kept(monkeypatch, tmp_path, server):
    lines: list[str] = []
    _publish(monkeypatch, f"{server}/bad.pth", f"{server}/missing.pth", f"{server}/good.pth")
    assert data.availability(NAME) == "download"
    path = data.fetch(NAME, lines.append)
    assert path == tmp_path / "cache" / NAME
    assert path.read_bytes() == CONTENT
    assert [line.rsplit("/", 1)[1] for line in lines] == ["bad.pth", "missing.pth", "good.pth"]
    assert data.fetch(NAME, lines.append) == path and len(lines) == 3
    assert data.availability(NAME) == "here"


def test_a_damaged_copy_in_the_cache_is_replaced(monkeypatch, tmp_path, server):
    copy = tmp_path / "cache" / NAME
    copy.parent.mkdir(parents=True)
    copy.write_bytes(b"damaged")
    _publish(monkeypatch, f"{server}/good.pth")
    assert data.fetch(NAME).read_bytes() == CONTENT


def test_no_download_leaves_a_clear_line_and_no_file(monkeypatch, tmp_path, server):
    _publish(monkeypatch, f"{server}/bad.pth", "http://127.0.0.1:1/good.pth")
    with pytest.raises(TinyswitchError) as caught:
        data.fetch(NAME, lambda line: None)
    message = str(caught.value)
    assert message.startswith(f"{NAME}: not in TINYSWITCH_DATA (unset) and not to be downloaded")
    assert "the checksum is wrong" in message and "127.0.0.1:1/good.pth: " in message
    assert str(tmp_path / "cache" / NAME) in message and "\n" not in message
    assert not list((tmp_path / "cache").rglob("*.pth"))


def test_a_name_without_an_address():
    with pytest.raises(TinyswitchError, match=r"mcunet/other\.pth: not in TINYSWITCH_DATA \(unset\)"):
        data.fetch("mcunet/other.pth")
    assert data.availability("mcunet/other.pth") == "-"
    assert data.availability(None) == "-"


def test_files_are_written_whole_or_not_at_all(monkeypatch, tmp_path):
    path = tmp_path / "new" / "model.tflite"
    data.write_file(path, b"first")
    assert path.read_bytes() == b"first"

    def full(self: Path, content: bytes) -> None:
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(TinyswitchError, match=r"model\.tflite: not written: No space left on device"):
        data.write_file(path, b"second")
    assert path.read_bytes() == b"first"
    assert [file.name for file in path.parent.iterdir()] == ["model.tflite"]
    monkeypatch.undo()
    with pytest.raises(TinyswitchError, match="not written"):
        data.write_file(path / "below a file", b"")
