"""What a window is made of: its keys, its screen, its scene, its recordings."""
