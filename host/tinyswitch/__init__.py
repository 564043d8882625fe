"""tinyswitch: several neural networks on one microcontroller, switched at run time."""

__version__ = "0.1.0"
