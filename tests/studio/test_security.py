"""Strangers are refused: other pages and names, long bodies, files, those without a token."""

import json
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from melodyconstraints.errors import UsageError
from melodyconstraints.rules import find_rule
from melodyconstraints.studio.app import create_app
from melodyconstraints.studio.engine import Engine
from melodyconstraints.studio.schemas import melody_of
from melodyconstraints.studio.security import MOST_BYTES
from melodyconstraints.studio.server import check_settings, serve

TOKEN = "0123456789" + "abcdef"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),  # a name of theirs that points to this machine
        ({"host": "127.0.0.1"}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"host": "localhost:8127", "origin": "http://localhost:8127"}, 200),
        ({"origin": "http://127.0.0.1:8127", "sec-fetch-site": "same-origin"}, 200),
    ],
)
def test_host_and_origin_are_checked(client, headers, status):
    assert client.get("/rules", headers=headers).status_code == status


def test_every_answer_forbids_scripts_and_frames_of_others(client):
    for path in ("/", "/rules", "/nothing", "/js/main.js"):
        policy = client.get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy


def test_the_page_has_no_inline_script_or_style_and_loads_nothing_from_elsewhere(client):
    page = client.get("/").text
    assert "<style" not in page
    assert "style=" not in page
    assert "http" not in page.replace("http-equiv", "").replace("by HTTP", "")
    assert page.count("<script") == 2  # the module, and the first melody, which is data
    first = json.loads(page.partition('id="first">')[2].partition("</script>")[0])
    melody = melody_of(first["melodies"][0]["notes"])
    assert len(melody) == 64
    assert [find_rule(name)(melody) for name in first["rules"]] == first["melodies"][0]["rewards"]


@pytest.mark.parametrize(
    "path", ["/../pyproject.toml", "/%2e%2e/app.py", "/js/../../app.py", "//etc/passwd"]
)
def test_no_path_reaches_the_disk(client, path):
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    "spec",
    [
        "novelty:/etc/passwd",
        "not:novelty:/etc/passwd",
        "/home/ann/rule.py:f",
        "not:/home/ann/rule.py",
        "not:code:0123456789abcdef",
        "not:not:sing",
    ],
)
def test_no_rule_names_a_file(post, wishes, spec):
    error = post("/generate", {"rules": wishes(spec)}, 422)["error"]
    assert error.startswith("there is no rule")


def test_a_long_body_is_refused_whatever_its_length_claims(client):
    assert client.post("/melody", content=b"x" * (MOST_BYTES + 1)).status_code == 413
    parts = (b"x" * 2**20 for _ in range(17))
    assert client.post("/melody", content=parts).status_code == 413
    assert client.post("/melody", headers={"content-length": "many"}).status_code == 413


def test_a_token_is_wanted_of_every_request_and_a_cookie_keeps_it(settings, models):
    app = create_app(replace(settings, token=TOKEN), Engine(lambda: models))
    client = TestClient(app, base_url="http://studio.lan:8127", follow_redirects=False)
    assert client.get("/").status_code == 401
    assert client.get("/?token=wrong").status_code == 401
    bearer = {"authorization": f"Bearer {TOKEN}"}
    assert client.get("/rules", headers=bearer).status_code == 200
    entered = client.get(f"/?token={TOKEN}")
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    assert {"HttpOnly", "SameSite=Strict"} < set(entered.headers["set-cookie"].split("; "))
    assert client.get("/").status_code == 200
    assert client.get("/rules", headers={"origin": "http://evil.example"}).status_code == 403


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"host": "192.0.2.1"}, "give a --token"),
        ({"token": "short"}, "at least 16 letters and digits, got 5"),
        ({"token": "0123456789abcde;"}, "letters and digits"),
    ],
)
def test_strangers_are_not_let_in_by_settings(settings, changes, text):
    with pytest.raises(UsageError, match=text):
        check_settings(replace(settings, **changes))


def test_a_port_that_is_taken_is_said(settings):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match="choose another --port"):
            serve(replace(settings, port=port), open_page=False, announce=print)
