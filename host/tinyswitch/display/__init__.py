"""What the firmware's screens are drawn with, on the host's side."""
