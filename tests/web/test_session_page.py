"""The page of a session, in a real browser over a real Redis: every moment, live, by keyboard, whatever is said."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from eventlog.events import EventId
from eventlog.history import ChatHistory
from eventlog.log import EventLog
from tests.cli.running import Eventlog
from tests.web.browsing import Site, Watched
from tests.web.conftest import Look

pytestmark = pytest.mark.slow

TALK = ["one chai latte please", "which size?", "large", "here or to go?"]
HOSTILE = [
    "<script>window.hacked = 1</script><img src=x onerror='window.hacked=1'>",
    '"><svg/onload=alert(1)> &lt;b&gt; &amp; {{7*7}} ${7*7} javascript:alert(1)',
    "</script><!-- ]]> <style>*{display:none}</style>",
    "\u202eevil\u2066 \x1b[31mred\x00 \u200f \ufeff zero\u200dwidth e\u0301 👩‍👩‍👧 \U0001d4d7 שלום مرحبا",
    "x" * 3000,
    "line\nline\r\n\tline\u2028line",
]
SESSIONS = [
    "a/b?c=d&e#f%20g",
    "..",
    " ",
    "+",
    "\x00\x01",
    "</title><script>",
    "💥 שלום",
    "é" * 512,
    "\n",
    "%",
    "id=&id=",
]


def as_shown(text: str) -> str:
    """Give a text as the page shows it: what acts is named by its number."""
    acting = {*map(chr, (*range(9), *range(0x0B, 0x20), *range(0x7F, 0xA0), 0x61C, 0x200E, 0x200F, 0xFEFF))}
    acting |= {*map(chr, (*range(0x2028, 0x202F), *range(0x2066, 0x206A)))}
    return "".join(f"U+{ord(character):04X}" if character in acting else character for character in text)


def say(chat: ChatHistory, *texts: str, role: str = "user") -> None:
    """Add messages whose ids differ in their milliseconds."""
    for text in texts:
        chat.add({"role": role, "content": text})
        sleep(0.002)


def spoken(messages: list[Any]) -> list[str]:
    """Give the texts of messages."""
    return [message["content"] for message in messages]


def order(log: EventLog, session: str = "order") -> ChatHistory:
    """Write a session in which messages are cleared, expire one by one, and expire together."""
    chat = log.history(session)
    say(chat, *TALK[:2])
    say(log.history(session, ttl=timedelta(milliseconds=5)), "gone in a moment")
    sleep(0.01)
    say(chat, TALK[2])
    chat.clear()
    say(log.history(session, ttl=timedelta(milliseconds=20), expiry="sliding"), "slides", "slides too")
    sleep(0.03)
    say(chat, "after a pause", TALK[3])
    assert log.flush(20)
    return chat


def test_every_moment_shows_what_messages_gave_then(log: EventLog, site: Site, look: Look) -> None:
    """From now to the first event and back, by keyboard alone."""
    chat = order(log)
    ids = [each.id for each in chat.timeline()]
    seen = look()
    seen.go(site.session("order"))
    assert seen.moment == len(ids)
    assert seen.texts() == spoken(chat.messages())
    for number in reversed(range(len(ids))):
        seen.press("ArrowLeft")
        assert seen.moment == number
        assert seen.texts() == spoken(chat.messages(as_of=EventId(ids[number])))
    for number in range(1, len(ids) + 1):
        seen.press("ArrowRight")
        assert seen.moment == number
    seen.press("Home", "v", "End")
    assert seen.texts() == spoken(chat.messages())
    assert seen.texts(gone=True) == [], "only what was to be seen"
    seen.assert_well_behaved(site.address)


def test_the_slider_moves_with_the_keyboard(log: EventLog, site: Site, look: Look) -> None:
    """It has a name, says its moment, and each step shows another."""
    chat = order(log)
    count = len(chat.timeline())
    seen = look()
    seen.go(site.session("order"))
    slider = seen.page.get_by_role("slider", name="Moment")
    slider.focus()
    seen.press("ArrowLeft", "ArrowLeft")
    assert seen.moment == count - 2
    assert seen.page.get_attribute("input[type=range]", "aria-valuetext") not in (None, "", "Now")
    seen.press("c", "C")
    assert seen.page.locator(".event.clear").last.is_visible(), "a clear is jumped to"
    seen.press("End")
    assert seen.page.get_attribute("input[type=range]", "aria-valuetext") == "Now"


def test_what_is_gone_is_shown_as_gone_and_says_why(log: EventLog, site: Site, look: Look) -> None:
    """Cleared, or expired."""
    order(log)
    seen = look()
    seen.go(site.session("order"))
    assert seen.texts(gone=True) == [*TALK[:2], "gone in a moment", TALK[2], "slides", "slides too"]
    chips = seen.page.locator(".said.gone .chip").all_text_contents()
    assert chips == ["cleared", "cleared", "expired", "cleared", "expired", "expired"]


def test_a_new_message_appears_and_a_clear_takes_it(log: EventLog, site: Site, look: Look) -> None:
    """Without a touch, from another process, also one that waits for an older moment's reader."""
    chat = log.history("live")
    say(chat, "first")
    seen = look()
    seen.go(site.session("live"))
    seen.page.wait_for_selector(".badge.live")
    say(chat, "second")
    seen.wait_for_texts(["first", "second"])
    chat.clear()
    seen.wait_for_texts([])
    assert seen.texts(gone=True) == ["first", "second"]
    seen.press("Home")
    say(chat, "third")
    seen.wait("() => document.querySelector('input[type=range]').max === '4'")
    assert (seen.moment, seen.texts()) == (0, ["first"]), "who looks at the past stays there"
    seen.press("End")
    seen.wait_for_texts(["third"])
    seen.assert_well_behaved(site.address)


def test_what_expires_while_it_is_looked_at_goes(log: EventLog, site: Site, look: Look) -> None:
    """No event comes, only time passes."""
    say(log.history("s", ttl=timedelta(seconds=2)), "soon gone")
    seen = look()
    seen.go(site.session("s"))
    seen.wait("() => document.querySelectorAll('.said.gone').length === 1")
    assert seen.texts() == []


def test_text_is_text_wherever_it_stands(log: EventLog, site: Site, look: Look) -> None:
    """In a message, a role, a tool's name and arguments; markup does nothing, what acts is named."""
    chat = log.history("hostile")
    for text in HOSTILE:
        chat.add(
            {"role": text[:200], "content": text, "tool_calls": [{"name": text[:200], "args": {text[:99]: text[:99]}}]}
        )
    seen = look(height=9000)
    seen.go(site.session("hostile"))
    assert seen.texts() == [as_shown(text) for text in HOSTILE]
    assert seen.page.locator(".role").all_text_contents() == [as_shown(text[:200]) for text in HOSTILE]
    assert seen.page.locator(".call b").all_text_contents() == [as_shown(text[:200]) for text in HOSTILE]
    assert seen.page.evaluate("() => window.hacked") is None
    assert seen.page.locator("main script, main img, main style, main svg").count() == 0
    seen.assert_well_behaved(site.address)


def test_a_session_with_any_name_is_found_in_the_list_and_opened(log: EventLog, site: Site, look: Look) -> None:
    """Its link leads to it, its name is text."""
    for number, session in enumerate(SESSIONS):
        say(log.history(session), f"here {number}")
    assert log.flush(20)
    seen = look()
    for session in sorted(SESSIONS):
        seen.go(site.address)
        links = seen.page.locator(".sessions a")
        assert links.all_text_contents() == [as_shown(each) for each in sorted(SESSIONS)]
        links.nth(sorted(SESSIONS).index(session)).focus()
        seen.press("Enter")
        seen.page.wait_for_selector("body[data-page=session][data-ready]")
        assert seen.texts() == [f"here {SESSIONS.index(session)}"]
        assert seen.page.locator("h1").text_content() == as_shown(session)
    seen.assert_well_behaved(site.address)


def test_details_say_where_an_event_is(log: EventLog, site: Site, look: Look) -> None:
    """Opened and closed by keyboard; the id, the writer, the backend."""
    chat = order(log)
    seen = look()
    seen.go(site.session("order"))
    seen.texts()
    button = seen.page.locator(".said:not(.gone) .time").last
    button.focus()
    seen.press("Enter")
    facts = seen.page.locator(".facts dd").all_text_contents()
    last = chat.timeline()[-1]
    assert str(last.id) in facts
    assert last.writer in facts
    assert "redis" in facts
    seen.press("Enter")
    assert seen.page.locator(".facts").count() == 0


def test_what_waits_says_so_until_it_is_delivered(
    log: EventLog, redis_url: str, journal: Path, site: Site, look: Look
) -> None:
    """The page shows what is pending on this host, and that it is."""
    from eventlog import open as open_log  # noqa: PLC0415 (a second process's part)

    del log
    with open_log(redis_url, journal=journal, deliver=False) as other:
        say(other.history("s"), "waits")
        seen = look()
        seen.go(site.session("s"))
        assert seen.texts() == ["waits"]


def test_long_text_is_cut_until_it_is_asked_for(log: EventLog, site: Site, look: Look) -> None:
    """All of it is one press away, what a tool was called with too."""
    call = {"name": "f", "args": "x" * 9000}
    log.history("s").add({"role": "user", "content": "word " * 20_000, "tool_calls": [call]})
    seen = look()
    seen.go(site.session("s"))
    assert len(seen.texts()[0]) == 8000
    seen.page.get_by_role("button", name="Show all 109,000 characters").press("Enter")
    seen.wait("() => document.querySelector('.text').textContent.length === 100000")
    assert seen.page.locator(".call code").text_content() == "x" * 9000
    assert seen.page.get_by_role("button", name="Show all").count() == 0


def test_a_hundred_thousand_events_are_paged(log: EventLog, site: Site, look: Look) -> None:
    """The page holds few rows and asks for few pieces; any place is reached, and nothing jumps.

    Of more than a hundred thousand the last are listed, up to the moment.
    """
    chat = log.history("long")
    for start in range(0, 100_200, 600):
        numbers = range(start, start + 600)
        chat.add_many([{"role": "user", "content": f"message {n}" + "\nand more" * (n % 5)} for n in numbers])
    assert log.flush(60)
    seen = look()
    seen.go(site.session("long"))
    assert seen.texts()[-1].startswith("message 100199\n")
    assert seen.page.locator(".row").count() < 60
    assert sum("/api/entries" in url for url in seen.requests) <= 2
    seen.page.evaluate("() => { document.querySelector('main').scrollTop = 0; }")
    seen.wait("() => document.querySelector('.row')?.textContent.includes('message 200')")
    assert "the last 100,000" in (seen.page.locator("#notice").text_content() or "")
    seen.press("Home")
    assert seen.page.locator("#notice").is_hidden()
    assert seen.texts() == ["message 0"]
    seen.page.evaluate(
        "() => { const slider = document.querySelector('input[type=range]');"
        " slider.value = 50000; slider.dispatchEvent(new Event('input')); }"
    )
    seen.wait("() => [...document.querySelectorAll('.row .text')].some(row => row.textContent === 'message 50000')")
    assert seen.texts()[-1] == "message 50000"
    assert seen.page.locator(".row").count() < 60
    _assert_scrolls_without_jumps(seen)
    seen.assert_well_behaved(site.address)


def _assert_scrolls_without_jumps(seen: Watched) -> None:
    """Scroll up in steps: what is on the screen moves by just that much, whatever was estimated above it."""
    for _ in range(30):
        before = _tops(seen)
        seen.page.evaluate("() => { document.querySelector('main').scrollTop -= 100; }")
        seen.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        seen.texts()
        after = _tops(seen)
        moved = {after[row] - top for row, top in before.items() if row in after}
        assert moved
        assert all(abs(distance - 100) < 2 for distance in moved), moved


def _tops(seen: Watched) -> dict[str, float]:
    """Give the place of each row that is on the screen."""
    found: dict[str, float] = seen.page.evaluate(
        "() => { const main = document.querySelector('main').getBoundingClientRect();"
        " const rows = [...document.querySelectorAll('.row')];"
        " const places = rows.map(row => [row.dataset.n, row.getBoundingClientRect()]);"
        " const on = places.filter(([, place]) => place.bottom > main.top && place.top < main.bottom);"
        " return Object.fromEntries(on.map(([n, place]) => [n, place.top])); }"
    )
    return found


def test_one_file_is_the_same_page_without_a_server(
    log: EventLog, redis_url: str, journal: Path, run: Eventlog, look: Look
) -> None:
    """Every moment, hostile text too, and not one request."""
    chat = order(log, "a </script> b")
    for text in HOSTILE:
        chat.add({"role": "user", "content": text})
    assert log.flush(20)
    done = run("timeline", chat.session_id, "--html", "page.html", "--url", redis_url, "--journal", journal)
    assert done.returncode == 0, done.stderr
    seen = look(height=9000)
    seen.go((run.folder / "page.html").as_uri())
    assert seen.texts() == [as_shown(text) for text in spoken(chat.messages())]
    ids = [each.id for each in chat.timeline()]
    for number in reversed(range(len(ids))):
        seen.press("ArrowLeft")
        assert seen.texts() == [as_shown(text) for text in spoken(chat.messages(as_of=EventId(ids[number])))]
    assert seen.complaints == []
    assert seen.requests == [(run.folder / "page.html").as_uri()]
    assert sorted(path.name for path in run.folder.iterdir()) == ["page.html"]
