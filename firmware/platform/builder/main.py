"""SCons script of every environment: sources of one board and one application, one program, its upload."""

import sys
from pathlib import Path

from SCons.Script import COMMAND_LINE_TARGETS, AlwaysBuild, Default, DefaultEnvironment

env = DefaultEnvironment()
platform = env.PioPlatform()
board = env.BoardConfig()
sys.path.insert(0, str(Path(platform.get_dir()) / "builder"))
import bossac  # noqa: E402  (lie beside this file, which SCons does not import but executes)
import flash  # noqa: E402
import openocd  # noqa: E402

PROTOCOLS = "stlink, probe and bootloader"

app = env.GetProjectOption("custom_app")
board_id = env["BOARD"]
prefix = board.get("build.cc_prefix")
root = Path(env.subst("$PROJECT_DIR"))
firmware = Path(env.subst("$PROJECT_SRC_DIR"))
output = root / "build" / board_id / app
generated = output / "generated"

if not any(generated.glob("*.c")):
    sys.stderr.write(
        f"Error: {generated}: no generated C files; run `invoke build --board {board_id} --app {app}` first\n"
    )
    env.Exit(1)

# What applications are made of besides their own folder.
LIBRARIES = {"gesture": ("gesture", "features"), "keyword": ("keyword", "features", "ui")}

folder = board.get("build.folder", board_id)  # of the board's sources
libraries = ("engine", "switcher", *LIBRARIES.get(app, ()))
parts = [
    *(f"{name}/" for name in libraries),
    "link/*.c",
    f"apps/{app}/*.c",
    f"boards/{folder}/",
    *(f"boards/{shared}" for shared in board.get("build.shared", [])),
]
cpu = list(board.get("build.cpu_flags"))
embedded = "ldscript" in board.get("build")
env.Replace(
    CC=prefix + "gcc",
    LINK=prefix + "gcc",
    AR=prefix + "gcc-ar",
    RANLIB=prefix + "gcc-ranlib",
    OBJCOPY=prefix + "objcopy",
    PROGPATH=str(output / "firmware.elf"),
    SRC_FILTER=" ".join(f"+<{part}>" for part in parts),
)
env.Append(
    CPPPATH=[str(firmware / folder) for folder in (*libraries, "link", "boards")],
    CFLAGS=["-std=c99"],
    CCFLAGS=[
        *cpu,
        board.get("build.optimise"),
        "-g",
        "-ffp-contract=off",  # a fused multiply-add rounds differently from the reference kernels
        "-Wall",
        "-Wextra",
        "-Werror",
        "-ffunction-sections",
        "-fdata-sections",
        f"-ffile-prefix-map={root}=.",  # the same bytes wherever the project lies
    ],
    LINKFLAGS=[*cpu, "-Wl,--gc-sections"],
)
if embedded:
    # Start-up code is ours. The C library is newlib and not its nano variant: all that is taken of it are
    # memcpy and its kin, and nano's copy byte by byte.
    env.Replace(
        LDSCRIPT_PATH=str(firmware / "boards" / folder / board.get("build.ldscript")),
        SIZETOOL=prefix + "size",
        SIZECHECKCMD="$SIZETOOL -A -d $SOURCES",
        SIZEPRINTCMD="$SIZETOOL -B -d $SOURCES",
        SIZEPROGREGEXP=r"^(?:\.vectors|\.text|\.rodata|\.data)\s+(\d+).*",
        SIZEDATAREGEXP=r"^(?:\.stack|\.dtcm|\.noinit|\.data|\.bss)\s+(\d+).*",
    )
    env.Append(
        LIBPATH=[str(firmware / "boards" / folder)],  # of what the linker script includes
        LINKFLAGS=["-nostartfiles", "-Wl,--fatal-warnings", "-Wl,-z,noexecstack"],
    )


def allow_gnu99(node):
    """Boards may use what their compiler offers; everything else is plain C99."""
    flags = ["-std=gnu99" if flag == "-std=c99" else flag for flag in env["CFLAGS"]]
    return env.Object(node, CFLAGS=flags)


env.AddBuildMiddleware(allow_gnu99, f"{firmware / 'boards'}/*")
env.BuildSources(str(Path("$BUILD_DIR") / "generated"), str(generated))
program = env.BuildProgram()
Default(program)

if embedded:
    env.Depends(program, sorted(map(str, (firmware / "boards" / folder).glob("*.ld"))))
    image = env.Command(
        str(output / "firmware.bin"),
        program,
        env.VerboseAction("$OBJCOPY -O binary $SOURCE $TARGET", "Writing $TARGET"),
    )
    Default(image)

    def upload(target, source, env):
        protocol = env.GetProjectOption("upload_protocol", board.get("upload.protocol"))
        elf, binary = output / "firmware.elf", output / "firmware.bin"
        openocd_package = platform.get_package_dir("tool-openocd")
        port = env.get("UPLOAD_PORT")
        if protocol == "stlink":
            flash.flash(
                elf=elf,
                image=binary,
                openocd_board=board.get("upload.openocd_board"),
                openocd_package=openocd_package,
                drive=board.get("upload.drive"),
                port=port,
            )
        elif protocol == "probe":
            openocd.upload(
                elf=elf,
                interfaces=board.get("upload.openocd_interfaces"),
                target=board.get("upload.openocd_target"),
                package=openocd_package,
            )
        elif protocol == "bootloader":
            bossac.upload(
                image=binary,
                package=platform.get_package_dir("tool-bossac-nordicnrf52"),
                bootloader=board.get("upload.usb_bootloader"),
                sketch=board.get("upload.usb_sketch"),
                port=port,
            )
        else:
            sys.stderr.write(f"Error: {board_id}: upload_protocol {protocol}: there are {PROTOCOLS}\n")
            sys.exit(1)

    AlwaysBuild(env.Alias("upload", image, env.VerboseAction(upload, "Uploading $SOURCE")))
elif "upload" in COMMAND_LINE_TARGETS:
    sys.stderr.write(f"Error: {board_id} runs on this computer: nothing to upload\n")
    env.Exit(1)
