"""Who may look: on this machine anybody who asks for it by name, elsewhere who has the token; and nobody may write."""

from __future__ import annotations

import json
import signal
import subprocess
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import eventlog
from eventlog.errors import ConfigurationError
from eventlog.web.guard import is_loopback
from eventlog.web.serving import token_for
from tests.cli.running import COMMAND, environment
from tests.web.browsing import Site, served

TOKEN = "a-token-of-some-length"  # noqa: S105 (nobody's)
URL = "sqlite:///talks.db"
TIMEOUT_S = 30.0


def ask(site: Site, path: str, method: str = "GET", **headers: str) -> tuple[HTTPResponse, bytes]:
    """Send one request; give the answer and its body."""
    connection = HTTPConnection(urlsplit(site.address).netloc, timeout=TIMEOUT_S)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    return answer, answer.read()


def test_on_this_machine_only_its_own_names_are_answered(tmp_path: Path) -> None:
    """A page from elsewhere whose name resolves to this machine gets nothing."""
    with served("--url", URL, folder=tmp_path) as site:
        assert ask(site, "/")[0].status == 200
        for host in ("localhost", "localhost:80", "127.0.0.1:1", "[::1]:8321", "127.8.8.8"):
            assert ask(site, "/api/sessions", Host=host)[0].status == 200, host
        for host in ("evil.example", "localhost.evil.example:80", "127.0.0.1.evil.example", "", "10.0.0.1"):
            assert ask(site, "/api/sessions", Host=host)[0].status in (400, 421), host


def test_with_a_token_nothing_is_answered_without_it(tmp_path: Path) -> None:
    """Neither a page nor data nor a style; with it all is, by cookie or by header, and it leaves the address."""
    with served("--url", URL, "--token", TOKEN, folder=tmp_path) as site:
        assert site.whole_address.endswith(f"/?token={TOKEN}")
        for path in ("/", "/session?id=x", "/api/sessions", "/api/health", "/static/page.css", f"/?token={TOKEN}x"):
            for headers in ({}, {"Cookie": "eventlog-token=x"}, {"Cookie": "\x01=;"}, {"Authorization": "Bearer é"}):
                answer, body = ask(site, path, **headers)
                assert answer.status == 401
                assert TOKEN.encode() not in body
        answer, _ = ask(site, f"/session?id=a%2Fb&token={TOKEN}")
        assert (answer.status, answer.headers["Location"]) == (303, "/session?id=a%2Fb")
        cookie = answer.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert ask(site, "/api/sessions", Cookie=cookie.partition(";")[0])[0].status == 200
        assert ask(site, "/api/sessions", Authorization=f"Bearer {TOKEN}", Host="bots.example")[0].status == 200


def test_the_welcome_leads_nowhere_else(tmp_path: Path) -> None:
    """An address that looks like one of another host stays on this one."""
    with served("--url", URL, "--token", TOKEN, folder=tmp_path) as site:
        answer, _ = ask(site, f"//evil.example/?token={TOKEN}")
        assert answer.headers["Location"] == "/evil.example/"


def test_listening_elsewhere_needs_a_token(tmp_path: Path) -> None:
    """A new one is made and told; a short one is refused."""
    with served("--url", URL, "--host", "0.0.0.0", folder=tmp_path) as site:  # noqa: S104 (that is what is tested)
        assert len(site.whole_address.partition("?token=")[2]) >= 32
    assert token_for("127.0.0.1", None) is None
    assert token_for("192.0.2.1", None) != token_for("192.0.2.1", None)
    assert token_for("127.0.0.1", TOKEN) == TOKEN
    with pytest.raises(ConfigurationError, match="at least 16"):
        token_for("127.0.0.1", "short")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("::1", True),
        ("[::1]", True),
        ("0.0.0.0", False),  # noqa: S104 (not listened at)
        ("x", False),
        ("", False),
    ],
)
def test_loopback_is_known(host: str, loopback: bool) -> None:  # noqa: FBT001 (a parameter)
    """By name and by address."""
    assert is_loopback(host) is loopback


def test_every_answer_forbids_what_the_page_does_not_need(tmp_path: Path) -> None:
    """No inline script, no other origin, no frame, no guessing of types, no keeping; no inline code in the pages."""
    with served("--url", URL, folder=tmp_path) as site:
        for path in ("/", "/session?id=x", "/health", "/api/sessions", "/static/base.js", "/nowhere", "/api/outline"):
            answer, body = ask(site, path)
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Cache-Control"] == "no-store"
            assert b"onclick=" not in body
            assert b"<style" not in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_written(tmp_path: Path, method: str) -> None:
    """It only reads: what lies in the log and the journal is untouched."""
    with eventlog.open(f"sqlite:///{tmp_path}/talks.db", journal=tmp_path / "j", deliver=False) as log:
        log.history("s").add("x")
        before = {path: path.read_bytes() for path in (tmp_path / "j").rglob("*.seg")}
        with served("--url", URL, "--journal", tmp_path / "j", folder=tmp_path) as site:
            for path in ("/", "/session", "/api/sessions", "/api/entries", "/static/base.js"):
                assert ask(site, path, method)[0].status == 405
            assert json.loads(ask(site, "/api/outline?id=s")[1])["total"] == 1
        assert {path: path.read_bytes() for path in (tmp_path / "j").rglob("*.seg")} == before


def test_a_bad_request_is_answered_and_says_why(tmp_path: Path) -> None:
    """Without a traceback, without what was asked for."""
    with served("--url", URL, folder=tmp_path) as site:
        for path in (
            "/api/outline",
            "/api/outline?id=",
            "/api/entries?id=x&from=a&to=1",
            "/api/live",
            "/api/entries?id=s",
        ):
            answer, body = ask(site, path)
            assert answer.status == 400, path
            assert set(json.loads(body)) == {"error"}
        assert ask(site, "/static/../app.py")[0].status == 404
        assert ask(site, "/static/%2e%2e/app.py")[0].status == 404


def test_without_its_backend_it_answers_that_it_cannot(tmp_path: Path) -> None:
    """A list needs a backend; the page of health does not."""
    with served("--url", "redis://127.0.0.1:1", folder=tmp_path) as site:
        answer, body = ask(site, "/api/sessions")
        assert (answer.status, "error" in json.loads(body)) == (503, True)
        assert ask(site, "/api/health")[0].status == 200


def test_it_ends_with_ctrl_c_and_while_somebody_looks(tmp_path: Path) -> None:
    """At once, with the code of an interrupted command."""
    command = [*COMMAND, "serve", "--port", "0", "--url", URL]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=tmp_path, env=environment(), text=True) as process:
        assert process.stdout is not None
        site = Site(process.stdout.readline().strip())
        connection = HTTPConnection(urlsplit(site.address).netloc, timeout=TIMEOUT_S)
        connection.request("GET", "/api/live?id=s")
        assert connection.getresponse().readline() == b"retry: 1000\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_S) == 130


def test_an_address_that_is_taken_is_one_line(tmp_path: Path) -> None:
    """Which one, and no traceback."""
    with served("--url", URL, folder=tmp_path) as site:
        port = str(urlsplit(site.address).port)
        command = [*COMMAND, "serve", "--port", port, "--url", URL]
        done = subprocess.run(command, capture_output=True, cwd=tmp_path, env=environment(), text=True, check=False)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert port in done.stderr


def test_without_its_packages_it_names_the_command_that_installs_them(tmp_path: Path) -> None:
    """`timeline --html` needs none of them."""
    (tmp_path / "starlette.py").write_text("raise ImportError('none', name='starlette')")
    variables = environment()
    variables["PYTHONPATH"] = f"{tmp_path}:{variables['PYTHONPATH']}"
    run = [*COMMAND, "serve", "--port", "0", "--url", URL]
    done = subprocess.run(run, capture_output=True, cwd=tmp_path, env=variables, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'chat-eventlog[web]'" in done.stderr
    write = [*COMMAND, "timeline", "s", "--html", "page.html", "--url", URL]
    assert subprocess.run(write, cwd=tmp_path, env=variables, check=False).returncode == 0
