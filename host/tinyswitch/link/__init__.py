"""The serial protocol between host and board; docs/link.md gives every byte."""

from tinyswitch.link.client import Client
from tinyswitch.link.errors import BoardReset, LinkError, LinkLost
from tinyswitch.link.messages import BoardInfo, Decision, EntryInfo, ModelInfo, Profile, Result, Status

__all__ = [
    "BoardInfo",
    "BoardReset",
    "Client",
    "Decision",
    "EntryInfo",
    "LinkError",
    "LinkLost",
    "ModelInfo",
    "Profile",
    "Result",
    "Status",
]
