"""Everything that knows ffmpeg: running it, probing files, and making recordings with sound."""
