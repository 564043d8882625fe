"""The one exception whose text is meant for the user."""


class TinyswitchError(Exception):
    """Something the user can mend; ``str()`` is one line: the file, the value, the way out.

    ``tasks.py`` prints it without a traceback and exits with ``exit_code``.
    """

    exit_code = 1
