"""Keywords on a board: sound played to it, what it hears live, what its display shows."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from tinyswitch import firmware
from tinyswitch.boards import Board, names
from tinyswitch.commands.building import KEYWORD, keyword_models
from tinyswitch.commands.evaluating import check, connected
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate import target
from tinyswitch.evaluate.display import wide_console
from tinyswitch.evaluate.target import Choice
from tinyswitch.firmware import Build, project
from tinyswitch.link.keyword import Detector

if TYPE_CHECKING:
    from tinyswitch.evaluate.keyword.playing import KeywordSession
    from tinyswitch.evaluate.keyword.stream import Job
    from tinyswitch.keywords.recording import Recording

Log = Callable[[str], None]
SOURCES = ("microphones", "link")
SETTLED_SAMPLES = 4000  # of sound between a detection and a picture: a quarter of a second to draw it
SHOWN_SAMPLES = 24000  # of silence, if nothing is played
LOOK_S = 0.05  # between two looks at the board
PATIENCE_S = 300.0  # for a picture
CODEC_S = 3.0  # so long a picture waits for a codec that does not answer: the display says so by then


def stream_sound(
    board: str,
    port: str,
    choice: Choice,
    clips: str | None,
    recordings: str | None,
    limit: str | None,
    source: str | None,
    codec_fault: str | None,
    detector: str | None,
    out: str | None,
    log: Log,
) -> None:
    """Each model of ``--models``, else the project's default one. TinyswitchError if recordings are lost or
    answers differ."""
    from tinyswitch.evaluate.keyword.stream import Job

    project.board(board, KEYWORD)
    if source not in (None, *SOURCES):
        raise TinyswitchError(f"--source {source}: it is microphones or link")
    if clips and recordings:
        raise TinyswitchError("give either --clips DIR or --recordings WAV, not both")
    _check_played(board in names.WITH_MICROPHONES, board, source, codec_fault)
    count = target.number("--limit", limit) if limit else None
    detects = _detector(detector)
    models = keyword_models(choice)
    chosen = models if choice.models else models[:1]
    sounds = [_material(model, clips, recordings, count, log) for model in chosen]
    log(f"building the firmware for {board}")
    built = firmware.build(board, KEYWORD, models)
    with connected(board, port, built, log) as (device, prepare):
        playing = _playing(device, built, source, codec_fault)
        for model, (where, found) in zip(built.models, sounds, strict=False):
            folder = target.model_folder(out, len(chosen) > 1, board, model.name)
            job = Job(device, playing, built, model, where, found, folder, target.CACHE, detects, prepare)
            _stream(job, log)


def _detector(text: str | None) -> Detector:
    """``--detector``: some of its fields as name=value, separated by commas."""
    kinds = {field.name: type(field.default) for field in fields(Detector)}
    values: dict[str, Any] = {}
    for part in (text or "").split(",") if text else ():
        name, _, value = (word.strip() for word in part.partition("="))
        try:
            values[name] = kinds[name](value)
        except (KeyError, ValueError):
            raise TinyswitchError(
                f"--detector {text}: {part.strip()!r}; it takes NAME=NUMBER of {', '.join(kinds)}, "
                "separated by commas"
            ) from None
    return Detector(**values)


def _material(
    model: Path, clips: str | None, recordings: str | None, limit: int | None, log: Log
) -> tuple[Path, list[Recording]]:
    from tinyswitch.evaluate.keyword import material
    from tinyswitch.keywords import record

    known = record.read(model)
    if recordings:
        return material.long(Path(recordings), limit, log)
    return material.of_clips(known, Path(clips) if clips else None, limit, log)


def _check_played(possible: bool, board: str, source: str | None, codec_fault: str | None) -> None:
    """Raises TinyswitchError for options about microphones that sound cannot be played into."""
    if (source == "microphones" or codec_fault) and not possible:
        raise TinyswitchError(
            f"{'--codec-fault' if codec_fault else '--source microphones'}: only a virtual "
            f"{names.WITH_MICROPHONES[0]} can be played to; leave it out, and {board} gets sound over "
            "the link"
        )


def _playing(
    device: Board, built: Build, source: str | None, codec_fault: str | None
) -> Callable[[Path], Board] | None:
    """What makes a board that hears a WAV file; None: samples go over the link."""
    possible = device.kind == "virtual" and device.name in names.WITH_MICROPHONES
    _check_played(possible, device.label, source, codec_fault)
    if source == "link" or not possible:
        return None
    return lambda path: _virtual(built, device.name, audio=path, audio_fast=True, codec_fault=codec_fault)


def _virtual(built: Build, board: str, **options: object) -> Board:
    from tinyswitch.boards.virtual import VirtualBoard  # loads the emulator
    from tinyswitch.boards.virtual.chip import Options

    return VirtualBoard(built.elf, board, Options(**options))  # type: ignore[arg-type]


def _stream(job: Job, log: Log) -> None:
    from tinyswitch.evaluate.keyword.display import keyword_tables
    from tinyswitch.evaluate.keyword.stream import keyword_eval

    summary = keyword_eval(job, Console(stderr=True))
    console = wide_console()
    for shown in keyword_tables(summary):
        console.print(shown)
    log(f"results: {job.out}")
    check(summary, job.out, "windows", "windows differ from the host's")
    if different := summary["detections"]["different"]:
        raise TinyswitchError(f"{job.out}: {different} detections are the board's or the host's alone")


def listen(
    board: str,
    port: str,
    choice: Choice,
    audio: str | None,
    limit: str | None,
    codec_fault: str | None,
    detector: str | None,
    log: Log,
) -> None:
    """Until the time is over, the sound ends, or Ctrl-C."""
    from tinyswitch.keywords.listen import Listener

    project.board(board, KEYWORD)
    if audio is None and board not in names.WITH_MICROPHONES:
        raise TinyswitchError(f"--board {board}: it has no microphones; give --audio FILE.wav")
    seconds = target.number("--limit", limit) if limit else None
    detects = _detector(detector)
    sound = _sound(audio, log)
    built = firmware.build(board, KEYWORD, keyword_models(choice))
    with connected(board, port, built, log) as (device, prepare):
        prepare()
        device, over_link = _hearing(device, built, audio, sound, codec_fault)
        with device, _session(device, built, log, detects) as session:
            nets = [plan.name for plan in built.models]
            listener = Listener(session.keywords, session.entry.classes, nets, Console(), over_link)
            log(f"{device.label} listens{'' if limit or audio else ' until Ctrl-C'}")
            listener.run(seconds, None if sound is None else len(sound) + SETTLED_SAMPLES)
    log(f"{listener.detected} detected")


def _hearing(
    device: Board, built: Build, audio: str | None, sound: np.ndarray | None, codec_fault: str | None
) -> tuple[Board, np.ndarray | None]:
    """The board, and the sound that it gets over the link; None: its microphones hear something."""
    if device.kind == "virtual" and device.name in names.WITH_MICROPHONES:
        path = Path(audio) if audio else None
        return _virtual(built, device.name, audio=path, codec_fault=codec_fault), None
    _check_played(False, device.label, None, codec_fault)
    return device, sound


def _sound(audio: str | None, log: Log) -> np.ndarray | None:
    from tinyswitch.keywords import wav

    if audio is None:
        return None
    sound = wav.read(Path(audio))
    wav.say([sound], log)
    return sound.samples


def _session(device: Board, built: Build, log: Log, detector: Detector) -> KeywordSession:
    from tinyswitch.evaluate.keyword.playing import KeywordSession

    first = built.models[0]
    return KeywordSession(device, first.id, first.name, detector, log)


def screenshot(
    board: str, choice: Choice, audio: str | None, codec_fault: str | None, out: str | None, log: Log
) -> None:
    """Prints where the picture is: of when a word has been detected, else of the end of the sound."""
    project.board(board, KEYWORD)
    if board not in names.WITH_DISPLAY:
        raise TinyswitchError(f"--board {board}: it has no display; {', '.join(names.WITH_DISPLAY)} has one")
    path = Path(out) if out else project.ROOT / "runs" / f"screenshot-{board}.png"
    sound = _sound(audio, log)
    built = firmware.build(board, KEYWORD, keyword_models(choice))
    options = {"audio": Path(audio) if audio else None, "audio_fast": True, "codec_fault": codec_fault}
    path.parent.mkdir(parents=True, exist_ok=True)
    device = _virtual(built, board, screenshot=path.absolute(), **options)
    with device, _session(device, built, log, Detector()) as session:
        word = _wait(session, SHOWN_SAMPLES if sound is None else len(sound) + SETTLED_SAMPLES)
        device.screenshot()  # type: ignore[attr-defined]
    log(f"detected: {word or 'nothing'}")
    print(path)


def _wait(session: KeywordSession, samples: int) -> str | None:
    """Until a word has been detected and shown, or so many samples are heard; returns the word."""
    session.keywords.listen("microphones")
    begin, until, word = time.monotonic(), samples, None
    while True:
        now = session.keywords.scores()
        silent = now.microphones == "silent" and time.monotonic() - begin > CODEC_S
        if now.samples >= until or silent:
            return word
        if now.detections and word is None:
            word = session.entry.classes[session.keywords.detections().detections[-1].word]
            until = min(until, now.samples + SETTLED_SAMPLES)
        if time.monotonic() - begin > PATIENCE_S:
            raise TinyswitchError(
                f"{PATIENCE_S:g} s have passed, {until - now.samples} samples are missing; "
                f"microphones: {now.microphones}"
            )
        time.sleep(LOOK_S)
