from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from facereg.checkpoint import pack, unpack
from facereg.plugins.pspnet.smoothing import Smoother

SIDE, STRIDE = 384, 4
PICTURE = np.ascontiguousarray(data.astronaut()[:, :, ::-1])


def crop(x: float = 64, y: float = 0, noise: float = 0, seed: int = 0) -> NDArray[np.uint8]:
    """A window on the picture, with a camera's noise."""
    shift = np.float32([[1, 0, -x], [0, 1, -y]])
    cut = cv2.warpAffine(PICTURE, shift, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT_101)
    grain = np.random.default_rng(seed).normal(0, noise, cut.shape)
    return np.clip(cut + grain, 0, 255).astype(np.uint8)


def truth(x: float = 64, y: float = 0) -> NDArray[np.uint8]:
    """What is to be seen in that window: a head (1) with an eye (2)."""
    labels = np.zeros((SIDE // STRIDE, SIDE // STRIDE), np.uint8)
    for label, place, axes in ((1, (222, 112), (52, 76)), (2, (200, 105), (12, 9))):
        at = (round((place[0] - x) / STRIDE * 16), round((place[1] - y) / STRIDE * 16))
        size = (round(axes[0] / STRIDE * 16), round(axes[1] / STRIDE * 16))
        cv2.ellipse(labels, at, size, 0, 0, 360, label, -1, cv2.LINE_8, 4)
    return labels


def logits(labels: NDArray[np.uint8], seed: int = 0, margin: float = 4.0) -> NDArray[np.float32]:
    """What a network that is unsure at borders, and another way in every frame, makes of it."""
    sure = np.stack([cv2.blur(np.float32(labels == i), (5, 5)) for i in range(3)]) * margin
    wrong = np.random.default_rng(seed).normal(0, 4, (3, *labels.shape)).astype(np.float32)
    return sure + np.stack([cv2.GaussianBlur(plane, (0, 0), 1.5) for plane in wrong])


def steadied(
    smoother: Smoother, track: int, crop: NDArray[np.uint8], logits: NDArray[np.float32]
) -> NDArray[np.float32]:
    return smoother.blend(track, crop, smoother.compare(track, crop), logits)


def wrong(found: NDArray[np.float32], labels: NDArray[np.uint8]) -> float:
    return float((found.argmax(0) != labels).mean())


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0, 4])
def test_a_still_face_has_a_steadier_mask_in_spite_of_the_cameras_noise(noise: float) -> None:
    smoother, last, steps = Smoother(), {}, {"raw": [], "smooth": []}
    for i in range(16):
        new = logits(truth(), i)
        for name, found in (
            ("raw", new),
            ("smooth", steadied(smoother, 1, crop(noise=noise, seed=i), new)),
        ):
            steps[name].append(wrong(found, last.get(name, found.argmax(0))))
            last[name] = found.argmax(0)
    assert np.mean(steps["smooth"][4:]) < 0.4 * np.mean(steps["raw"][4:])


@pytest.mark.slow
@pytest.mark.parametrize(("right", "down"), [(1, 0), (-2, 1), (4, -2)])
def test_a_moving_face_has_a_steadier_mask_that_does_not_lag(right: int, down: int) -> None:
    smoother, last, steps = Smoother(), {}, {"raw": [], "smooth": []}
    for i in range(9):
        at = (64 - STRIDE * right * (i - 4), 64 - STRIDE * down * (i - 4))
        new = logits(truth(*at), i)
        for name, found in (("raw", new), ("smooth", steadied(smoother, 1, crop(*at, 2, i), new))):
            there = np.roll(last.get(name, found.argmax(0)), (down, right), (0, 1))
            steps[name].append(wrong(found, there))
            last[name] = found.argmax(0)
    assert np.mean(steps["smooth"][3:]) < 0.7 * np.mean(steps["raw"][3:])
    where = [np.argwhere(labels == 1).mean(0) for labels in (truth(*at), last["smooth"])]
    assert np.abs(where[0] - where[1]).max() < 0.5


def test_nothing_trails_after_what_moves_too_fast_to_follow() -> None:
    smoother = Smoother()
    for i in range(6):
        picture, labels = crop(), np.zeros_like(truth())
        place = np.s_[160:224, 32 + 60 * i : 72 + 60 * i]
        picture[place] = (40, 220, 60)
        labels[40:56, 8 + 15 * i : 18 + 15 * i] = 1
        found = steadied(smoother, 1, picture, logits(labels, i, margin=8)).argmax(0)
        past = labels.copy()
        past[40:56, : 8 + 15 * i] = 2
        assert not i or (found[past == 2] == 1).mean() < 0.05
        assert (found[labels == 1] == 1).mean() > 0.8


def test_another_picture_is_not_held_back() -> None:
    smoother = Smoother()
    steadied(smoother, 1, crop(), logits(truth(), 0))
    other = np.ascontiguousarray(cv2.resize(data.chelsea(), (SIDE, SIDE)))
    new = logits(truth(0, 60), 1)
    out = steadied(smoother, 1, other, new)
    assert wrong(out, new.argmax(0)) < 0.05
    assert np.abs(out - new).mean() < 0.2 * np.abs(logits(truth(), 0) - new).mean()


def test_what_the_network_is_sure_of_is_taken_at_once() -> None:
    """An eye that closes changes few pixels by little."""
    smoother = Smoother()
    for i in range(6):
        steadied(smoother, 1, crop(noise=1, seed=i), logits(truth(), 0, margin=8))
    closed = truth()
    closed[closed == 2] = 1
    out = steadied(smoother, 1, crop(noise=1, seed=9), logits(closed, 0, margin=8))
    assert (out.argmax(0)[truth() == 2] == 1).mean() > 0.9


def test_tracks_are_apart_and_forgotten() -> None:
    smoother = Smoother()
    steadied(smoother, 1, crop(), logits(truth(), 0))
    np.testing.assert_array_equal(
        steadied(smoother, 2, crop(), logits(truth(), 1)), logits(truth(), 1)
    )
    smoother.forget(1)
    smoother.forget(99)
    np.testing.assert_array_equal(
        steadied(smoother, 1, crop(), logits(truth(), 2)), logits(truth(), 2)
    )


def test_a_model_with_another_number_of_logits_is_smoothed_too() -> None:
    smoother, planes = Smoother(), []
    for i in range(2):
        planes = [cv2.resize(plane, (64, 64)) for plane in logits(truth(64 + 8 * i), i)]
        out = steadied(smoother, 1, crop(64 + 8 * i), np.stack(planes))
    assert out.shape == (3, 64, 64)
    assert np.abs(out - planes).mean() > 0.1


def test_the_same_input_gives_the_same_result_with_any_number_of_threads() -> None:
    threads, results = cv2.getNumThreads(), []
    try:
        for number in (1, 4):
            cv2.setNumThreads(number)
            smoother = Smoother()
            results.append(
                [
                    steadied(smoother, 1, crop(64 + 5 * i), logits(truth(64 + 5 * i), i))
                    for i in range(5)
                ]
            )
    finally:
        cv2.setNumThreads(threads)
    np.testing.assert_array_equal(*results)


def test_another_smoother_goes_on_exactly_where_one_ended() -> None:
    one, other = Smoother(), Smoother()
    for i in range(3):
        for track in (1, 4):
            steadied(one, track, crop(64 + 3 * i), logits(truth(64 + 3 * i), i + track))
    steadied(other, 9, crop(), logits(truth(), 0))
    other.restore(unpack(pack(one.state())))
    for track in (1, 4, 9):
        after = [steadied(s, track, crop(74), logits(truth(74), 7)) for s in (one, other)]
        np.testing.assert_array_equal(*after)
