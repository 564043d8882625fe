"""Boards: real, virtual and native, reached through a serial port and nothing else."""
