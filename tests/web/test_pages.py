"""The other pages: the list, health; what they look like in every size, light and dark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import eventlog
from eventlog.log import EventLog
from tests.servers.redis_server import MakeRedis
from tests.web.browsing import Site, served
from tests.web.conftest import Look
from tests.web.test_session_page import order, say

pytestmark = pytest.mark.slow
SIZES = {"wide": (1200, 800), "narrow": (360, 740)}


def test_sessions_are_found_by_their_beginning_and_listed_in_pages(log: EventLog, site: Site, look: Look) -> None:
    """All by keyboard: search, walk, open."""
    for number in range(450):
        log.history(f"bot-{number:03d}").add("x")
    log.history("other").add("x")
    assert log.flush(20)
    seen = look()
    seen.go(site.address)
    assert seen.page.locator(".sessions a").count() == 200
    seen.page.get_by_role("button", name="Show more").press("Enter")
    seen.wait("() => document.querySelectorAll('.sessions a').length === 400")
    seen.press("/")
    seen.page.keyboard.type("bot-44")
    seen.wait("() => document.querySelectorAll('.sessions a').length === 10")
    seen.press("ArrowDown", "ArrowDown", "Enter")
    seen.page.wait_for_selector("body[data-page=session][data-ready]")
    assert seen.page.locator("h1").text_content() == "bot-441"
    seen.assert_well_behaved(site.address)


def test_health_shows_a_lag_that_grows_and_goes(own_redis: MakeRedis, tmp_path: Path, look: Look) -> None:
    """While the server is down, and after."""
    server = own_redis()
    url, journal = f"redis://127.0.0.1:{server.port}/0", tmp_path / "shared"
    with (
        eventlog.open(url, journal=journal) as log,
        served("--url", url, "--journal", journal, folder=tmp_path) as site,
    ):
        log.history("s").add("x")
        assert log.flush(20)
        server.kill()
        log.history("s").add("y")
        seen = look()
        seen.go(f"{site.address}health")
        seen.wait("() => document.body.textContent.includes('1 event')")
        seen.wait("() => document.querySelector('.badge').textContent !== 'ok'")
        server.start()
        assert log.flush(30)
        seen.wait("() => document.querySelector('.numbers dd').textContent === 'nothing'")
        seen.wait("() => document.querySelector('.badge').textContent === 'ok'")
        assert seen.page.locator("svg .lag").count() == 1
        seen.assert_well_behaved(site.address)


def test_an_outage_is_told_and_what_is_known_is_shown(own_redis: MakeRedis, tmp_path: Path, look: Look) -> None:
    """A session without its backend is what waits in the journal, and the page says so."""
    server = own_redis()
    url, journal = f"redis://127.0.0.1:{server.port}/0", tmp_path / "shared"
    with (
        eventlog.open(url, journal=journal) as log,
        served("--url", url, "--journal", journal, folder=tmp_path) as site,
    ):
        server.kill()
        say(log.history("s"), "in the outage")
        seen = look()
        seen.go(site.session("s"))
        assert seen.texts() == ["in the outage"]
        seen.wait("() => document.getElementById('notice').textContent.includes('No backend answers')")
        assert seen.page.locator(".chip.wait").text_content() == "waits for redis"
        server.start()
        assert log.flush(30)
        seen.wait("() => document.getElementById('notice').hidden")
        seen.wait("() => !document.querySelector('.chip.wait')")
        log.close(timeout=0)


def test_an_outage_takes_nothing_off_the_screen(own_redis: MakeRedis, tmp_path: Path, look: Look) -> None:
    """What was read stays, what is new is added, what was not read says so and comes when it can."""
    server = own_redis(durable=True)
    url, journal = f"redis://127.0.0.1:{server.port}/0", tmp_path / "shared"
    with (
        eventlog.open(url, journal=journal) as log,
        served("--url", url, "--journal", journal, folder=tmp_path) as site,
    ):
        say(log.history("s"), "before")
        assert log.flush(20)
        seen = look()
        seen.go(site.session("s"))
        assert seen.texts() == ["before"]
        server.kill()
        say(log.history("s"), "meanwhile")
        seen.wait_for_texts(["before", "meanwhile"])
        another = look()
        another.go(site.session("s"))
        another.wait_for_texts(["(cannot be read now)", "meanwhile"])
        server.start()
        assert log.flush(30)
        another.wait_for_texts(["before", "meanwhile"])
        seen.wait_for_texts(["before", "meanwhile"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_pages_fit_every_screen(log: EventLog, site: Site, look: Look, scheme: str, size: str) -> None:
    """Nothing is wider than the screen, what is written can be read; a picture of each is kept."""
    order(log, "order/42 with a rather long name that does not fit on a line of a phone")
    log.history("another").add("x" * 500)
    seen = look(*SIZES[size], scheme)
    addresses = {
        "sessions": site.address,
        "session": site.session(log.sessions("order")[0]),
        "health": f"{site.address}health",
    }
    for name, address in addresses.items():
        seen.go(address)
        if name == "session":
            seen.texts()
        assert seen.page.evaluate("() => document.scrollingElement.scrollWidth <= innerWidth")
        assert _contrast(seen.page.evaluate(_COLOURS)) >= 7
        seen.keep(f"{name}-{size}-{scheme}")
    seen.assert_well_behaved(site.address)


def test_the_theme_can_be_chosen_and_stays(log: EventLog, site: Site, look: Look) -> None:
    """The reader's choice goes before the system's."""
    del log
    seen = look(scheme="light")
    seen.go(site.address)
    before = seen.page.evaluate(_COLOURS)
    seen.page.get_by_role("button", name="Dark or light").press("Enter")
    assert seen.page.evaluate(_COLOURS) != before
    seen.go(f"{site.address}health")
    assert seen.page.evaluate(_COLOURS) != before


_COLOURS = "() => { const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]; }"


def _contrast(colours: Any) -> float:
    """Give the contrast of two colours as WCAG reckons it."""
    lights = sorted(_light(colour) for colour in colours)
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def _light(colour: str) -> float:
    parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
