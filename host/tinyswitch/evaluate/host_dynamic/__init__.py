"""Nets on this machine, switched by what it has left: the board's policies over LiteRT."""
