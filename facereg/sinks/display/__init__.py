"""The parts of a window: keys, screen, state, status line, recordings."""
