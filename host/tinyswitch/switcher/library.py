"""``firmware/switcher/policy.c`` as a shared library, and its structs."""

from __future__ import annotations

import ctypes
import functools

from tinyswitch import native_library
from tinyswitch.firmware.project import ROOT

SOURCE = ROOT / "firmware" / "switcher" / "policy.c"


class COption(ctypes.Structure):
    """``ts_option``; see policy.h."""

    _fields_ = [
        ("ram_bytes", ctypes.c_uint32),
        ("cycles", ctypes.c_uint32),
        ("macs", ctypes.c_uint32),
        ("accuracy", ctypes.c_uint16),
        ("energy", ctypes.c_uint8),
        ("reserved", ctypes.c_uint8),
    ]


class CBudget(ctypes.Structure):
    """``ts_budget``."""

    _fields_ = [
        ("ram_bytes", ctypes.c_uint32),
        ("ram_low_bytes", ctypes.c_uint32),
        ("clock_hz", ctypes.c_uint32),
        ("deadline_us", ctypes.c_uint32),
        ("cpu_permille", ctypes.c_uint16),
        ("cpu_high_permille", ctypes.c_uint16),
        ("battery_permille", ctypes.c_uint16),
        ("reserved", ctypes.c_uint16),
    ]


class CPolicy(ctypes.Structure):
    """``ts_policy``."""

    _fields_ = [
        ("kind", ctypes.c_uint8),
        ("up_frames", ctypes.c_uint8),
        ("option", ctypes.c_uint16),
        ("threshold", ctypes.c_uint16),
        ("safety_permille", ctypes.c_uint16),
        ("margin_permille", ctypes.c_uint16),
    ]


class CState(ctypes.Structure):
    """``ts_policy_state``."""

    _fields_ = [
        ("option", ctypes.c_uint16),
        ("candidate", ctypes.c_uint16),
        ("streak", ctypes.c_uint16),
        ("since_up", ctypes.c_uint16),
        ("doublings", ctypes.c_uint8),
        ("begun", ctypes.c_uint8),
    ]


class CChoice(ctypes.Structure):
    """``ts_choice``."""

    _fields_ = [("option", ctypes.c_uint16), ("reason", ctypes.c_uint8), ("fits", ctypes.c_uint8)]


@functools.cache
def policy_library() -> ctypes.CDLL:
    """The library, with the signatures of its functions set.

    Raises TinyswitchError if there is no C compiler, it fails, or ``build`` cannot be written.
    """
    library = native_library.load("policy", [SOURCE])
    u32, ref = ctypes.c_uint32, ctypes.POINTER
    begin = [ref(CPolicy), ref(COption), u32, ref(CBudget)]
    library.ts_policy_choose.argtypes = [*begin, ref(CState)]
    library.ts_policy_choose.restype = CChoice
    library.ts_policy_escalate.argtypes = [*begin, u32, u32, u32]
    library.ts_policy_escalate.restype = CChoice
    library.ts_policy_cycles.argtypes = [ref(COption), u32, u32]
    library.ts_policy_cycles.restype = u32
    library.ts_policy_predict_us.argtypes = [u32, u32, u32]
    library.ts_policy_predict_us.restype = u32
    return library
