"""Families: sub-networks of one net that share its int8 weights."""

from tinyswitch.families.family import Family, Subnet, load, names, parse_subnet

__all__ = ["Family", "Subnet", "load", "names", "parse_subnet"]
