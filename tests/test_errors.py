"""What must not be shown is not."""

from __future__ import annotations

import pytest

from facereg.errors import hide_password, missing_extra


@pytest.mark.parametrize(
    "text",
    [
        "rtsp://me:SECRET@host:554/live",
        "rtsp://me:SECRET/SECRET@host/x: refused",
        "rtsp://me:SECRET word@host/x",
        "rtsp://me:SECRET@SECRET@host/x",
        "rtsp://host/user=admin_password=SECRET_channel=1_stream=0.sdp",
        "http://host/x?user=me&password=SECRET",
        "http://host/x?access_token=SECRET&x=1",
        "http://host/x;api_key=SECRET",
        "http://host:80/x, then rtsp://me:SECRET@other/y",
    ],
)
def test_passwords_are_hidden(text: str) -> None:
    shown = hide_password(text)
    assert "SECRET" not in shown
    assert "***" in shown
    assert "host" in shown


@pytest.mark.parametrize(
    "text", ["http://host:80/a is of me@here.org", "C:\\a@b", "key=3", "a:b@c"]
)
def test_what_is_no_password_stays(text: str) -> None:
    assert hide_password(text) == text


def test_a_missing_extra_names_the_command_that_installs_it() -> None:
    message = str(missing_extra("matplotlib", "plot", "facereg plot"))

    assert message == (
        "facereg plot needs matplotlib, which is not installed: pip install 'facereg[plot]'"
    )
