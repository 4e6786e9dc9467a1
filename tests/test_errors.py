"""Errors are one line that a terminal shows safely, with no secret in it."""

from __future__ import annotations

import pytest

from facereg.errors import clean_lines, clean_text, hide_secrets, missing_extra


@pytest.mark.parametrize(
    "text",
    [
        "rtsp://me:SECRET@host:554/live",
        "rtsp://me:SECRET/SECRET@host/x: refused",
        "rtsp://me:SECRET word@host/x",
        "rtsp://me:SECRET@SECRET@host/x",
        "file:rtsp://me:SECRET@host/live",
        "images:rtsp:/me:SECRET@host/live: no such file",
        "/home/me/rtsp:/me:SECRET@host/out.mp4",
        "rtsp://host/user=admin_password=SECRET_channel=1_stream=0.sdp",
        "http://host/pass=SECRET/1",
        "http://host/x?user=me&password=SECRET",
        "http://host/x?user=me&pass=SECRET",
        "http://host/x?loginuse=me&loginpas=SECRET",
        "http://host/x?access_token=SECRET&x=1",
        "http://host/x#access_token=SECRET",
        "http://host/x#state=1&id_token=SECRET",
        "http://host/x;api_key=SECRET",
        "http://host/x?apikey=SECRET",
        "srt://host:9000?passphrase=SECRET&latency=20",
        "http://host/x?auth=SECRET",
        "http://host/x?jwt=SECRET.SECRET.SECRET",
        "http://host/x?sv=2022&sig=SECRET/SECRET%3D",
        "http://host/x?signature=SECRET/SECRET",
        "http://host/x?AWSAccessKeyId=SECRET&Signature=SECRET&Expires=1",
        "http://host/x?X-Amz-Credential=SECRET/eu&X-Amz-Signature=SECRET",
        "http://host/x?X-Goog-Signature=SECRET",
        "http://host/x?Key-Pair-Id=SECRET",
        "http://host/?to=rtsp%3A%2F%2Fme%3ASECRET%40other",
        "camera:host,password=SECRET,size=2x2",
        "source camera at host: password=SECRET: must have eight letters",
        "host: Authorization: Bearer SECRET.SECRET.SECRET",
        "http://host:80/x, then rtsp://me:SECRET@other/y",
    ],
)
def test_secrets_are_hidden(text: str) -> None:
    shown = hide_secrets(text)
    assert "SECRET" not in shown
    assert "***" in shown
    assert "host" in shown
    assert hide_secrets(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "http://host:80/a is of me@here.org",
        "C:\\a@b",
        "key=3",
        "a:b@c",
        "images:icon@2x.png",
        "--facereg-plugin a.py keyint=50 passes=2 monkeys=3",
        "unknown view 'author=1'",
        "/data/take=3/out.mp4",
        "an author's tokens, 3 keys",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert hide_secrets(text) == text


def test_the_rest_of_a_url_is_still_told() -> None:
    assert hide_secrets("http://host/x?token=a&part=2") == "http://host/x?token=***&part=2"
    assert hide_secrets("http://host/x?sig=a: refused") == "http://host/x?sig=***: refused"
    assert hide_secrets("rtsp://me:a@host:554/1: refused") == "rtsp://me:***@host:554/1: refused"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2J\x07.mp4", r"a\x1b[2J\x07.mp4"),
        ("two\nlines\r\t", r"two\nlines\r\t"),
        ("\x9b31m", r"\x9b31m"),
        ("gepj\u202e4pm", r"gepj\u202e4pm"),
        ("caf\udce9.mp4", r"caf\xe9.mp4"),
        ("naïve café 日本語 \N{NO-BREAK SPACE}🙂", "naïve café 日本語 \N{NO-BREAK SPACE}🙂"),
    ],
)
def test_control_characters_are_shown_as_escapes(text: str, shown: str) -> None:
    assert clean_text(text) == shown
    assert clean_text(text).encode()


def test_a_traceback_is_cleaned_line_by_line() -> None:
    assert clean_lines("one\x1b\nrtsp://me:SECRET@host") == "one\\x1b\nrtsp://me:***@host"


def test_a_secret_behind_a_control_character_is_hidden() -> None:
    assert "SECRET" not in clean_text("\x1b[1mrtsp://me:SECRET@host/\n1")


def test_a_missing_extra_names_the_command_that_installs_it() -> None:
    message = str(missing_extra("matplotlib", "plot", "facereg plot"))

    assert message == (
        "facereg plot needs matplotlib, which is not installed: pip install 'facereg[plot]'"
    )
