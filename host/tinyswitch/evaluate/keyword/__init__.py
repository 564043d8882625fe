"""Sound on a board: played, answered, compared with the host window by window."""
