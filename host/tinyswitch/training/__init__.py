"""Training of the nets whose data the project can ship: see ``digits``."""
