from __future__ import annotations

import math

import numpy as np
import pytest

from facereg.checkpoint import pack, unpack

RNG = np.random.default_rng(0)


def test_every_number_comes_back_as_it_was() -> None:
    numbers = [*RNG.normal(0, 1, 500).tolist(), 0.1, 1e-320, -0.0, math.inf, 2**70, True, None]
    state = {
        "numbers": numbers,
        "nested": {"pair": (1, "två"), "one": np.float32(0.1), "count": np.int64(3)},
        "arrays": [
            RNG.normal(0, 1, (21, 6, 6)).astype(np.float32),
            RNG.normal(0, 1, 8),
            np.arange(6, dtype=np.uint16)[::-2],
            np.zeros((0, 4), np.uint8),
        ],
        "empty": {},
    }
    back = unpack(pack(state))
    assert back["numbers"] == numbers
    assert math.copysign(1, back["numbers"][-5]) == -1
    assert back["nested"] == {"pair": [1, "två"], "one": float(np.float32(0.1)), "count": 3}
    assert back["empty"] == {}
    for one, other in zip(state["arrays"], back["arrays"], strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        assert np.array_equal(one, other)


def test_what_is_stored_does_not_change_with_what_it_was_made_from() -> None:
    array = np.zeros(3)
    data = pack({"array": array})
    array += 1
    assert not unpack(data)["array"].any()


def test_a_byte_that_is_missing_or_another_is_seen() -> None:
    data = pack({"a": 1, "b": np.arange(4)})
    places = range(0, len(data), 7)
    for damaged in (
        b"", data[:20], data[:-1], data + b"x",
        *(data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :] for i in places),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="damaged"):
            unpack(damaged)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"a": np.array([object()])}, "an array of object cannot be stored"),
        ({"tracks": {7: 1.0}}, "the key 7 is not text"),
        ({"a": {1, 2}}, "set is not JSON serializable"),
    ],
)
def test_what_would_need_pickle_is_refused(state: dict, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        pack(state)
