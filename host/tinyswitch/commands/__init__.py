"""What each task of ``tasks.py`` does, with the options as the user typed them; one module a subject."""
