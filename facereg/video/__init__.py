"""How pictures become an MP4: the grid, the encoders, the sound, and the check of the result."""
