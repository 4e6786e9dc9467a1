from __future__ import annotations

import numpy as np

from facereg.regions import IDS
from facereg.training.textures import cut_texture, draw_pattern, random_color, smooth_noise


def test_a_texture_shows_no_face() -> None:
    image = np.zeros((96, 96, 3), np.uint8)
    labels = np.full((96, 96), IDS["skin"], np.uint8)
    image[:, 40:], labels[:, 40:] = 255, IDS["clothing"]
    for seed in range(20):
        cut = cut_texture([image], [labels], np.random.default_rng(seed))
        assert cut is None or (cut == 255).all()


def test_pictures_without_cloth_or_wall_give_no_texture() -> None:
    face = np.full((96, 96), IDS["skin"], np.uint8)
    assert cut_texture([np.zeros((96, 96, 3), np.uint8)], [face], np.random.default_rng(0)) is None


def test_patterns_differ_in_colour_and_in_kind() -> None:
    patterns = [draw_pattern((64, 48), np.random.default_rng(seed)) for seed in range(30)]
    assert all(p.shape == (64, 48, 3) and p.dtype == np.uint8 for p in patterns)
    contrasts = [float(p.std((0, 1)).max()) for p in patterns]
    assert min(contrasts) < 20  # plain ones
    assert max(contrasts) > 40  # patterned ones
    assert np.std([p.mean((0, 1)) for p in patterns], axis=0).min() > 30


def test_noise_is_smooth() -> None:
    noise = smooth_noise((64, 64), 16, np.random.default_rng(0))
    assert np.abs(np.diff(noise, axis=1)).max() < 1 < np.ptp(noise)


def test_a_colour_has_three_channels() -> None:
    colors = np.stack([random_color(np.random.default_rng(seed)) for seed in range(50)])
    assert colors.shape == (50, 3)
    assert colors.min() >= 0
    assert colors.max() <= 255
