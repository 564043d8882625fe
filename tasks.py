"""The command line: ``invoke --list``. Each task parses its options and calls one function of the package."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path

from invoke import Context, task

try:
    from tinyswitch.errors import TinyswitchError
except ImportError:
    sys.exit(f"tinyswitch is not installed here: {sys.executable} -m pip install -e {Path(__file__).parent}")

BOARD_HELP = "stm32f746, nano33ble, nano33ble-bare or native"
PORT_HELP = "auto (a board that is plugged in, else the virtual one), virtual, or a serial port"
NET_HELP = "net of models/nets, or FILE.json, converted if need be; several: A,B"
MODELS_HELP = "int8 .tflite file; several: A,B"
FAMILY_HELP = "family of models/families, or FILE.json: all its sub-networks; some: FAMILY:A,B"
IMAGES_HELP = "folder with labels.csv and images/, or one sub-folder a class (else the data root's sample)"
APP_HELP = "application: image, gesture or keyword (which have models of their own if --models is left out)"
DETECTOR_HELP = "average_ms=500,threshold=0.6,suppression_ms=1500,minimum=2 or some of these"
CODEC_HELP = "virtual board: what is wrong with its codec, as in docs/virtual-board.md (absent, reset@3, ...)"
LIMIT_HELP = "only the first N images"
OUT_HELP = "folder for results.jsonl and summary.json (else runs/BOARD-MODEL)"


def one_line(function: Callable[..., None]) -> Callable[..., None]:
    """Whatever the user can mend becomes one line on stderr and a non-zero exit status."""

    @functools.wraps(function)
    def run(*args: object, **options: object) -> None:
        try:
            function(*args, **options)
        except TinyswitchError as error:
            fail(str(error), error.exit_code)
        except KeyboardInterrupt:
            fail("interrupted", 130)
        except OSError as error:  # a disk that is full, a folder without permission
            fail(f"{error.filename or 'error'}: {error.strerror or error}", 1)

    return run


def fail(text: str, code: int) -> None:
    print(text, file=sys.stderr)
    sys.exit(code)


def say(text: str) -> None:
    """A line on progress; results go to stdout."""
    print(text, file=sys.stderr)


@task
@one_line
def doctor(_: Context) -> None:
    """Say what is installed, what is missing, and how to get it."""
    from tinyswitch import doctor

    checks = doctor.examine()
    print(doctor.report(checks))
    sys.exit(any(check.state == "missing" for check in checks))


@task
@one_line
def nets(_: Context) -> None:
    """List the nets, their cost, and where their weights are."""
    from tinyswitch.commands import making

    making.list_nets()


@task(
    help={
        "board": f"{BOARD_HELP}: whose kernels are planned for",
        "net": NET_HELP,
        "models": MODELS_HELP,
        "family": FAMILY_HELP,
        "segment": "which segment to show in detail: its number, or all (else the one that sets the peak)",
        "out": "folder for the pictures, NAME.svg and NAME.png (else runs/plan-BOARD)",
    }
)
@one_line
def plan(
    _: Context,
    board: str = "stm32f746",
    net: str | None = None,
    models: str | None = None,
    family: str | None = None,
    segment: str | None = None,
    out: str | None = None,
) -> None:
    """Show a model's memory map: what lies where in RAM, when, and what sets the peak."""
    from tinyswitch.commands import making
    from tinyswitch.evaluate.target import Choice

    making.plan_models(board, Choice(net, models, family), segment, out, say)


@task(
    help={
        "net": "net of models/nets, or FILE.json",
        "checkpoint": ".pth file, or 'random' (else the net's published weights)",
        "calibration": "folder of representative images (else the data root's sample)",
        "out": "where to write (else build/models/NAME.tflite)",
    }
)
@one_line
def convert(
    _: Context,
    net: str,
    checkpoint: str | None = None,
    calibration: str | None = None,
    out: str | None = None,
) -> None:
    """Turn a net and its weights into an int8 .tflite."""
    from tinyswitch.commands import making

    making.convert_net(net, checkpoint, calibration, out, say)


BUILD_HELP = {
    "board": BOARD_HELP,
    "app": APP_HELP,
    "net": NET_HELP,
    "models": MODELS_HELP,
    "family": FAMILY_HELP,
}


@task(help=BUILD_HELP)
@one_line
def build(
    _: Context,
    board: str,
    app: str = "image",
    net: str | None = None,
    models: str | None = None,
    family: str | None = None,
) -> None:
    """Compile models to C and build the firmware that holds them."""
    from tinyswitch.commands import building
    from tinyswitch.evaluate.target import Choice

    building.build_firmware(board, app, Choice(net, models, family), say)


@task(help={**BUILD_HELP, "port": "serial port of the board, if several are plugged in"})
@one_line
def build_flash(
    _: Context,
    board: str,
    app: str = "image",
    net: str | None = None,
    models: str | None = None,
    family: str | None = None,
    port: str | None = None,
) -> None:
    """Build the firmware and put it on the board that is plugged in."""
    from tinyswitch.commands import building
    from tinyswitch.evaluate.target import Choice

    building.build_and_flash(board, app, Choice(net, models, family), port, say)


@task(
    help={
        "board": BOARD_HELP,
        "port": PORT_HELP,
        "net": NET_HELP,
        "models": MODELS_HELP,
        "family": FAMILY_HELP,
        "app": APP_HELP,
        "images": IMAGES_HELP,
        "recordings": "gesture: folder of recordings (else those that the model was not trained with); "
        "keyword: a WAV file or a folder of them, in place of clips",
        "clips": "keyword: folder with WORD/*.wav (else the data root's, of speakers that are held out)",
        "source": "gesture: sensor, keyword: microphones (a virtual board's; the default where it has them), "
        "or link",
        "rate": "gesture: samples a second, one of the rates in the model's record (else the best)",
        "codec-fault": f"keyword: {CODEC_HELP}",
        "detector": f"keyword: {DETECTOR_HELP}",
        "limit": "only the first N images, clips or recordings",
        "out": OUT_HELP,
    }
)
@one_line
def stream_eval(
    _: Context,
    board: str,
    app: str = "image",
    port: str = "auto",
    net: str | None = None,
    models: str | None = None,
    family: str | None = None,
    images: str | None = None,
    recordings: str | None = None,
    clips: str | None = None,
    source: str | None = None,
    rate: str | None = None,
    codec_fault: str | None = None,
    detector: str | None = None,
    limit: str | None = None,
    out: str | None = None,
) -> None:
    """Stream images, motions or sound to a board; report accuracy and costs. Goes on if interrupted."""
    from tinyswitch.evaluate.target import Choice

    choice = Choice(net, models, family)
    if app == "gesture":
        from tinyswitch.commands import gestures

        gestures.stream_recordings(board, port, choice, recordings, limit, source, rate, out, say)
    elif app == "keyword":
        from tinyswitch.commands import keywords

        keywords.stream_sound(
            board, port, choice, clips, recordings, limit, source, codec_fault, detector, out, say
        )
    else:
        from tinyswitch.commands import evaluating

        evaluating.stream_images(board, app, port, choice, images, limit, out, say)


@task(
    help={
        "board": BOARD_HELP,
        "port": PORT_HELP,
        "models": MODELS_HELP,
        "audio": "WAV file that a board without microphones, or a virtual board, hears",
        "limit": "only so many seconds (else until Ctrl-C)",
        "codec-fault": CODEC_HELP,
        "detector": DETECTOR_HELP,
    }
)
@one_line
def listen(
    _: Context,
    board: str,
    port: str = "auto",
    models: str | None = None,
    audio: str | None = None,
    limit: str | None = None,
    codec_fault: str | None = None,
    detector: str | None = None,
) -> None:
    """Show live which words a board detects (--app keyword)."""
    from tinyswitch.commands import keywords
    from tinyswitch.evaluate.target import Choice

    keywords.listen(board, port, Choice(None, models, None), audio, limit, codec_fault, detector, say)


@task(
    help={
        "board": "stm32f746",
        "models": MODELS_HELP,
        "audio": "WAV file that the board hears: the picture is taken when a word has been detected",
        "codec-fault": CODEC_HELP,
        "out": "PNG file (else runs/screenshot-BOARD.png)",
    }
)
@one_line
def screenshot(
    _: Context,
    board: str = "stm32f746",
    models: str | None = None,
    audio: str | None = None,
    codec_fault: str | None = None,
    out: str | None = None,
) -> None:
    """Write what the display of a virtual board shows while it listens (--app keyword)."""
    from tinyswitch.commands import keywords
    from tinyswitch.evaluate.target import Choice

    keywords.screenshot(board, Choice(None, models, None), audio, codec_fault, out, say)


@task(
    help={
        "app": "application: gesture",
        "label": "what is recorded: the gesture's name, and the files'",
        "board": "nano33ble",
        "port": PORT_HELP,
        "seconds": "of each recording",
        "count": "number of recordings",
        "out": "folder for LABEL.NUMBER.json (else recordings); nothing is overwritten",
    }
)
@one_line
def record(
    _: Context,
    app: str,
    label: str,
    board: str = "nano33ble",
    port: str = "auto",
    seconds: str = "10",
    count: str = "1",
    out: str | None = None,
) -> None:
    """Record motions from a board's sensor, to train with (train --app gesture --recordings DIR)."""
    from tinyswitch.commands import gestures

    if app != "gesture":
        fail(f"--app {app}: recordings are made for gesture", 1)
    gestures.record_motions(board, port, label, seconds, count, out, say)


@task(
    help={
        "net": NET_HELP,
        "models": MODELS_HELP,
        "family": FAMILY_HELP,
        "images": IMAGES_HELP,
        "limit": LIMIT_HELP,
        "out": OUT_HELP,
    }
)
@one_line
def host_eval(
    _: Context,
    net: str | None = None,
    models: str | None = None,
    family: str | None = None,
    images: str | None = None,
    limit: str | None = None,
    out: str | None = None,
) -> None:
    """Answer the same images with LiteRT on this machine, on all cores."""
    from tinyswitch.commands import evaluating
    from tinyswitch.evaluate.target import Choice

    evaluating.host_images(Choice(net, models, family), images, limit, out, say)


@task(
    help={
        "board": BOARD_HELP,
        "port": PORT_HELP,
        "net": NET_HELP,
        "models": MODELS_HELP,
        "family": FAMILY_HELP,
        "count": "number of random inputs; the first three are all smallest, all largest, all zero point",
        "seed": "of the random numbers",
        "out": "JSON file for the result",
    }
)
@one_line
def verify(
    _: Context,
    board: str,
    port: str = "auto",
    net: str | None = None,
    models: str | None = None,
    family: str | None = None,
    count: str = "20",
    seed: str = "0",
    out: str | None = None,
) -> None:
    """Compare a board with LiteRT, bit for bit, on random inputs; fail if one differs."""
    from tinyswitch.commands import evaluating
    from tinyswitch.evaluate.target import Choice

    evaluating.verify_models(board, port, Choice(net, models, family), count, seed, out, say)


@task(
    help={
        "board": BOARD_HELP,
        "port": PORT_HELP,
        "net": f"{NET_HELP} (with neither --net nor --models: all nets that fit)",
        "models": MODELS_HELP,
        "family": FAMILY_HELP,
        "count": "number of random inputs a model",
        "seed": "of the random numbers",
        "out": "folder for bench.json and the pictures (else runs/bench-BOARD)",
        "stages": "print a line a stage, too",
    }
)
@one_line
def bench(
    _: Context,
    board: str,
    port: str = "auto",
    net: str | None = None,
    models: str | None = None,
    family: str | None = None,
    count: str = "1",
    seed: str = "0",
    out: str | None = None,
    stages: bool = False,
) -> None:
    """Measure what models cost on a board, stage by stage, beside other engines."""
    from tinyswitch.commands import evaluating
    from tinyswitch.evaluate.target import Choice

    evaluating.bench_models(board, port, Choice(net, models, family), count, seed, out, stages, say)


@task(
    help={
        "name": "family of models/families, or FILE.json",
        "images": "folder of images to calibrate with and, if it has labels, to measure accuracy with",
        "limit": "accuracy over the first N images only",
        "out": "folder for the models and record.json (else build/families/NAME)",
    }
)
@one_line
def family(
    _: Context, name: str, images: str | None = None, limit: str | None = None, out: str | None = None
) -> None:
    """Make a family: sub-networks of one net, int8 models that share its weights byte for byte."""
    from tinyswitch.commands import making

    making.make_family(name, images, limit, out, say)


@task(
    help={
        "family": "family to train: digits, cifar10, or FILE.json (digits if no --app is given)",
        "app": "application whose model to train: gesture or keyword",
        "recordings": "with --app: folder of recordings (keyword: WORD/*.wav; else the data root's)",
        "keep": "gesture: keep only so many features, the most important",
        "trials": "gesture: hyper-parameters to try first",
        "net": "keyword: tiny, default or large",
        "out": "folder for everything, or with --app: file (else models/ and models/families/NAME)",
    }
)
@one_line
def train(
    _: Context,
    family: str | None = None,
    app: str | None = None,
    recordings: str | None = None,
    keep: str | None = None,
    trials: str | None = None,
    net: str | None = None,
    out: str | None = None,
) -> None:
    """Train a family whose sub-networks are all good (digits: minutes, cifar10: an hour), or an --app's."""
    from tinyswitch.commands import making

    if app:
        making.train_app(app, family, making.AppTraining(recordings, keep, trials, net, out), say)
    else:
        making.train_family(family or "digits", out, say)


@task(
    help={
        "family": "family to explore: its net and its weights",
        "trials": "sub-networks to try in all, those of earlier runs and other machines included",
        "images": "folder with labels: one half for the search, the other for the report",
        "limit": "only N of the images, both halves together",
        "storage": "where the study is kept, for several machines (else sqlite under build/search)",
        "study": "name of the study (else the family's)",
        "sampler": "nsga2 or tpe",
        "explore": "some of resolution,skip,kernel,width,exit (else all that the net has)",
        "jobs": "processes",
        "out": "folder for search.json and the plot (else runs/search-FAMILY)",
    }
)
@one_line
def search(
    _: Context,
    family: str,
    trials: str = "30",
    images: str | None = None,
    limit: str | None = None,
    storage: str | None = None,
    study: str | None = None,
    sampler: str = "nsga2",
    explore: str | None = None,
    jobs: str = "1",
    out: str | None = None,
) -> None:
    """Search a family for sub-networks: MACs against accuracy. Goes on where it was interrupted."""
    from tinyswitch.commands import searching

    searching.search_family(family, trials, images, limit, storage, study, sampler, explore, jobs, out, say)


POLICY_HELP = "fixed, ram, deadline, priority, energy or cascade; several: A,B"
THRESHOLD_HELP = "cascade: the larger net is asked if the best two scores differ by less (logits)"


@task(
    help={
        "board": BOARD_HELP,
        "policy": f"{POLICY_HELP}. Every fixed choice is played, too",
        "port": PORT_HELP,
        "net": NET_HELP,
        "models": MODELS_HELP,
        "family": FAMILY_HELP,
        "trace": "CSV file with the load (else models/traces/mixed.csv)",
        "images": "as of stream-eval (else what the net's training held out, or the data root's sample)",
        "limit": "only N frames",
        "fps": "frames a second",
        "threshold": f"{THRESHOLD_HELP}; several: X,Y",
        "out": "folder for summary.json, the answers and the timeline (else runs/dynamic-BOARD-TRACE)",
    }
)
@one_line
def dynamic_eval(
    _: Context,
    board: str,
    policy: str = "deadline",
    port: str = "auto",
    net: str | None = None,
    models: str | None = None,
    family: str | None = None,
    trace: str | None = None,
    images: str | None = None,
    limit: str | None = None,
    fps: str = "1",
    threshold: str = "0.5",
    out: str | None = None,
) -> None:
    """Play a load trace while a board classifies images; compare policies with every fixed choice."""
    from tinyswitch.commands import dynamic
    from tinyswitch.evaluate.target import Choice

    dynamic.evaluate_policies(
        board,
        port,
        Choice(net, models, family),
        policy,
        trace,
        images,
        limit,
        fps,
        threshold,
        out,
        say,
    )


@task(
    help={
        "net": NET_HELP,
        "models": MODELS_HELP,
        "family": FAMILY_HELP,
        "images": "an image, or a folder of images",
        "policy": POLICY_HELP,
        "batch": "images a decision (else one for each worker)",
        "workers": "processes (else one a core)",
        "limit": LIMIT_HELP,
        "deadline-ms": "for each image (else 1.5 times what the slowest net takes alone)",
        "ram-mb": "at most so much memory",
        "threshold": THRESHOLD_HELP,
        "trace": "CSV file with the load, in place of this machine's",
        "out": "folder for the log and summary.json (else runs/host-dynamic)",
    }
)
@one_line
def host_dynamic(
    _: Context,
    net: str | None = None,
    models: str | None = None,
    family: str | None = None,
    images: str | None = None,
    policy: str = "deadline",
    batch: str | None = None,
    workers: str | None = None,
    limit: str | None = None,
    deadline_ms: str | None = None,
    ram_mb: str | None = None,
    threshold: str = "0.5",
    trace: str | None = None,
    out: str | None = None,
) -> None:
    """Classify images with LiteRT on this machine, switching nets by what it has to spare."""
    from tinyswitch.commands import on_host
    from tinyswitch.evaluate.target import Choice

    on_host.host_dynamic(
        Choice(net, models, family),
        images,
        policy,
        batch,
        workers,
        limit,
        deadline_ms,
        ram_mb,
        threshold,
        trace,
        out,
        say,
    )


@task(
    help={
        "net": NET_HELP,
        "models": MODELS_HELP,
        "family": FAMILY_HELP,
        "images": IMAGES_HELP,
        "limit": LIMIT_HELP,
        "out": "folder for compare.json (else runs/compare)",
    }
)
@one_line
def compare_nets(
    _: Context,
    net: str | None = None,
    models: str | None = None,
    family: str | None = None,
    images: str | None = None,
    limit: str | None = None,
    out: str | None = None,
) -> None:
    """Time, memory, top-1 and top-5 of nets under LiteRT on this machine, as one table."""
    from tinyswitch.commands import on_host
    from tinyswitch.evaluate.target import Choice

    on_host.compare_nets(Choice(net, models, family), images, limit, out, say)


@task(
    help={"board": "stm32f746 (else native, where the ARM compiler is missing) or native", "port": PORT_HELP}
)
@one_line
def demo(_: Context, board: str | None = None, port: str = "auto") -> None:
    """Classify handwritten digits on a board: the whole way, without any download."""
    from tinyswitch.commands import development

    development.run_demo(board, port, say)


@task(help={"quick": "without the tests on TINYSWITCH_DATA, up to the first failure"})
@one_line
def test(_: Context, quick: bool = False) -> None:
    """Check style and formatting, and run the tests."""
    from tinyswitch.commands import development

    development.run_tests(quick, say)
