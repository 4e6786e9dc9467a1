from __future__ import annotations

import numpy as np

from facereg.plugins.pspnet.smoothing import Smoother

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (96, 96, 3), np.uint8)


def noisy(level: float, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, level, PICTURE.shape)
    return np.clip(PICTURE + noise, 0, 255).astype(np.uint8)


def logits(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (21, 24, 24)).astype(np.float32)


def test_a_still_picture_has_steadier_logits_in_spite_of_the_cameras_noise() -> None:
    smoother, before, steps = Smoother(), None, []
    for i in range(20):
        now = smoother(1, noisy(3, i), logits(i))
        if before is not None:
            steps.append(np.abs(now - before).mean())
        before = now
    raw = np.mean([np.abs(logits(i + 1) - logits(i)).mean() for i in range(19)])
    assert np.mean(steps[5:]) < 0.5 * raw


def test_a_changed_picture_is_not_held_back() -> None:
    smoother = Smoother()
    smoother(1, PICTURE, logits(0))
    np.testing.assert_allclose(smoother(1, 255 - PICTURE, logits(1)), logits(1), atol=1e-6)


def test_only_what_moves_is_taken_new() -> None:
    smoother, moved = Smoother(), PICTURE.copy()
    moved[:48, :48] = 255 - moved[:48, :48]
    smoother(1, PICTURE, logits(0))
    out = smoother(1, moved, logits(1))
    np.testing.assert_allclose(out[:, :10, :10], logits(1)[:, :10, :10], atol=1e-6)
    assert np.abs(out[:, 14:, 14:] - logits(1)[:, 14:, 14:]).mean() > 0.1


def test_tracks_are_apart_and_forgotten() -> None:
    smoother = Smoother()
    smoother(1, PICTURE, logits(0))
    np.testing.assert_array_equal(smoother(2, PICTURE, logits(1)), logits(1))
    smoother.forget(1)
    smoother.forget(99)
    np.testing.assert_array_equal(smoother(1, PICTURE, logits(2)), logits(2))


def test_the_same_input_gives_the_same_result() -> None:
    one, two = (
        [smoother(1, noisy(3, i), logits(i)) for i in range(5)]
        for smoother in (Smoother(), Smoother())
    )
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
