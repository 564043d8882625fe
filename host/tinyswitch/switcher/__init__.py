"""The firmware's policies, for programs on the host."""

from tinyswitch.switcher.policy import KINDS, Budget, Choice, Chooser, Option, Policy

__all__ = ["KINDS", "Budget", "Choice", "Chooser", "Option", "Policy"]
