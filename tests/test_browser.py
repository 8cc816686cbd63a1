"""The page at ``/`` in a real browser: chromium, and chromium-driver to lead it."""

import json
import os
import re
import shutil
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from urllib.parse import urlencode

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from conftest import WebServer, drop_keyspace, free_port, manage
from events.domain import HOUR_MS, Event, format_timestamp
from events.services import record_events

MISSING = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
# The gate sets REQUIRE_BROWSER: there a missing browser is a failure, not a reason to skip.
pytestmark = [
    pytest.mark.skipif(
        bool(MISSING) and not os.environ.get("REQUIRE_BROWSER"),
        reason=f"needs {' and '.join(MISSING)}: apt-get install chromium chromium-driver",
    ),
    pytest.mark.long,
]

# What a page shows is there within a blink; a machine that runs the whole suite may take longer.
PATIENCE_SECONDS = 10
DESKTOP, PHONE = (1280, 900), (375, 812)
EMPTY_KEYSPACE = f"player_sessions_empty_{uuid.uuid4().hex[:8]}_test"
# What a page has in view when the cache is off: it asks again after 5 s, and up to 3 s by chance.
LONGEST_PAUSE_SECONDS = 8.5


class Browser:
    """A page as a person has it: what stands there, and what fingers do."""

    def __init__(self) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        # A container's root has no sandbox, and a container's /dev/shm is small.
        for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--lang=en-GB"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))

    def open(self, url: str, *, size: tuple[int, int] = DESKTOP, scheme: str = "light", **query: str) -> None:
        width, height = size
        self.tell("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.prefer(scheme)
        self.driver.get(f"{url}/?{urlencode(query)}")

    def prefer(self, scheme: str) -> None:
        self.tell("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def tell(self, command: str, **parameters: object) -> None:
        self.driver.execute_cdp_cmd(command, parameters)

    def find(self, css: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def texts(self, css: str) -> list[str]:
        return self.run("return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)", css)

    def text(self, css: str) -> str:
        return " ".join(self.texts(css))

    def run(self, script: str, *arguments: object) -> object:
        return self.driver.execute_script(script, *arguments)

    def wait(self, until: Callable[[], object], *, seconds: float = PATIENCE_SECONDS) -> None:
        WebDriverWait(self.driver, seconds, poll_frequency=0.05).until(lambda _: until())

    def wait_for_numbers(self) -> None:
        self.wait(lambda: self.shown_as_of() and not self.run("return document.querySelector('[aria-busy]')"))

    def shown_as_of(self) -> str | None:
        return self.run("return document.querySelector('#age time')?.dateTime")

    def press(self, *keys: str) -> None:
        ActionChains(self.driver).send_keys(*keys).perform()

    def focused(self, css: str) -> bool:
        return bool(self.run("return document.activeElement.matches(arguments[0])", css))

    def tab_to(self, css: str, *, most: int = 60) -> None:
        for _ in range(most):
            self.press(Keys.TAB)
            assert self.run(FOCUS_IS_SEEN), self.run("return document.activeElement.outerHTML")
            if self.focused(css):
                return
        raise AssertionError(f"the tab key does not come to {css}")

    def complaints(self) -> list[dict]:
        """What the console has said since the last call: errors of scripts, refusals of the policy, failed requests."""
        said = [entry for entry in self.driver.get_log("browser") if entry["level"] in {"SEVERE", "WARNING"}]
        # "rendering" is about these tests: they look at the plot's pixels.
        return [entry for entry in said if entry["source"] != "rendering"]


# The ring around what has the focus; that of a window's radio button is around the text beside it.
FOCUS_IS_SEEN = """
    const one = document.activeElement;
    const ring = getComputedStyle(one.matches("[type=radio]") ? one.nextElementSibling : one);
    return one !== document.body && ring.outlineStyle !== "none" && parseFloat(ring.outlineWidth) >= 1;"""
# How many pixels of the plot have the colour of each layer of the legend.
PIXELS_OF_LAYERS = """
    const canvas = document.querySelector("#plot canvas");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const colours = [...document.querySelectorAll("#plot .swatch")].map((swatch) =>
        getComputedStyle(swatch).backgroundColor.match(/[0-9]+/g).map(Number));
    const seen = colours.map(() => 0);
    for (let at = 0; at < data.length; at += 4)
        colours.forEach((colour, index) => seen[index] += colour.every((part, of) => data[at + of] === part));
    return seen;"""

# What is wider than the room inside its section, but for what scrolls.
STICKS_OUT = """
    const right = (one) => one.getBoundingClientRect().right;
    const room = (section) => right(section) - parseFloat(getComputedStyle(section).paddingRight);
    return [...document.querySelectorAll("main > section *, main > .columns > section *")]
        .filter((one) => one.offsetParent && !one.closest(".scroll, .canvas, .unseen"))
        .filter((one) => right(one) > room(one.closest("section")) + 1)
        .map((one) => one.outerHTML.slice(0, 80));"""
LOADED = """
    const entries = ["navigation", "resource"].flatMap((type) => performance.getEntriesByType(type));
    return entries.map((one) => [one.name, one.transferSize]);"""
NOTE_WHEN_HIDDEN = """
    window.turns = [];
    const note = () => window.turns.push([document.visibilityState, performance.now()]);
    document.addEventListener("visibilitychange", note);"""
ASKED_WHILE_HIDDEN = """
    const [[left, from], [back, to]] = window.turns;
    if (left !== "hidden" || back !== "visible") throw Error(JSON.stringify(window.turns));
    const asked = performance.getEntriesByType("resource").filter((one) => one.name.includes("/reports/"));
    return asked.filter((one) => one.startTime > from && one.startTime < to - 1).length;"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    browser = Browser()
    yield browser
    browser.driver.quit()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """The module's browser; a test that provokes no failure ends without a word on the console."""
    chromium.complaints()
    yield chromium
    assert chromium.complaints() == []


@pytest.fixture(scope="module")
def web() -> Iterator[WebServer]:
    server = WebServer(REPORT_CACHE_SECONDS="50", WEB_WORKERS="1")
    yield server
    server.stop()


@pytest.fixture(scope="module", autouse=True)
def countries(new_country: Callable[[], str]) -> list[str]:
    """Seven countries with 14, 13, … starts in the last hours: five layers, and others.

    Each has 450 more in three hours before: so in every window of a day or more they are among the largest and their
    layers some pixels high, whatever the other tests have left in the store. And 450 in an earlier day: late in the
    evening the others are all of the present one, which is paler.
    """
    now_ms = time.time_ns() // 1_000_000
    found = [new_country() for _ in range(7)]
    for rank, country in enumerate(found):
        hours_ago = [*range(14 - rank), *[20, 21, 22, 26, 27, 28] * 150]
        starts = [
            Event("start", f"page_{country}", uuid.uuid4(), now_ms - number * HOUR_MS - 60_000, country)
            for number in hours_ago
        ]
        for first in range(0, len(starts), 10):
            record_events(starts[first : first + 10], now_ms=now_ms)
    return found


def record_session(player: str, *, minutes_ago: int, country: str, now_ms: int) -> None:
    session = uuid.uuid4()
    started = now_ms - minutes_ago * 60_000
    start = Event("start", player, session, started, country)
    record_events([start, Event("end", player, session, started + 90_000, None)], now_ms=now_ms)


def ask(web: WebServer, path: str, **query: object) -> dict:
    with urllib.request.urlopen(f"{web.url}/api/v1/reports/{path}?{urlencode(query)}") as reply:
        return json.load(reply)


def number(text: str) -> int:
    return int(text.replace(",", ""))


# --- What it shows ----------------------------------------------------------------------------------------------------


def test_the_numbers_are_those_of_the_api(browser, web):
    browser.open(web.url)
    browser.wait_for_numbers()
    window = {"hours": 24, "as_of": browser.shown_as_of()}
    report = ask(web, "starts/", sessions=0, **window)
    hours = [point["starts"] for point in ask(web, "starts/timeline/", **window)["points"]]
    assert number(browser.text("#total")) == report["total"] == sum(hours)
    assert number(browser.text("#busiest")) == max(hours)
    assert number(browser.text("#number-of-countries")) == len(report["countries"])
    shown = dict(
        zip(browser.texts("#countries tbody tr"), browser.texts("#countries td.number:nth-child(2)"), strict=True)
    )
    for one, (row, starts) in zip(report["countries"], shown.items(), strict=False):
        assert one["country"] in row
        assert number(starts) == one["starts"]
    links = browser.run("return [...document.querySelectorAll('#countries tbody a')].map((link) => link.search)")
    assert links == [f"?country={one['country']}" for one in report["countries"][: len(links)]]


def quiet_moment() -> str:
    """The hour behind the three in which ``countries`` have most.

    Parts that are not over are paler, and in the last hours other tests store so much that these layers would be thin.
    """
    moment_ms = time.time_ns() // 1_000_000 - 19 * HOUR_MS
    return format_timestamp(moment_ms - moment_ms % HOUR_MS)


def test_the_plot_is_drawn_with_every_layer_of_its_legend(browser, web):
    browser.open(web.url, as_of=quiet_moment())
    browser.wait_for_numbers()
    legend = browser.texts("#plot .legend li")
    assert len(legend) == 6
    assert "Other countries" in legend[-1]
    browser.wait(lambda: all(pixels > 50 for pixels in browser.run(PIXELS_OF_LAYERS)))
    assert sum(map(number, browser.texts("#plot .legend b"))) == number(browser.text("#total"))


def test_the_first_load_takes_at_most_70_kb_and_few_requests(browser, web):
    """Page, scripts, styles and reports, with their headers, as the network carries them."""
    browser.tell("Network.clearBrowserCache")
    browser.open(web.url)
    browser.wait_for_numbers()
    loaded = dict(browser.run(LOADED))
    assert 4 <= sum("/reports/" not in address for address in loaded) <= 12
    asked = [address for address in loaded if "/reports/" in address]
    assert 2 <= len(asked) <= 4, asked
    assert 30_000 < sum(loaded.values()) <= 70_000, loaded


# The share of the view that has moved by itself, by how far: 0.1 is what browsers' makers find good.
MOST_MOVED = 0.05
MOVED = """
    const [done] = arguments;
    let moved = 0;
    const add = (list) => { for (const { value } of list.getEntries()) moved += value; };
    new PerformanceObserver(add).observe({ type: "layout-shift", buffered: true });
    setTimeout(() => done(moved), 200);"""


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nothing_moves_when_the_numbers_come(browser, web, size):
    browser.open(web.url, size=size)
    browser.wait_for_numbers()
    assert browser.driver.execute_async_script(MOVED) < MOST_MOVED


def test_the_plot_is_also_a_table(browser, web):
    browser.open(web.url)
    browser.wait_for_numbers()
    browser.find("#plot summary").click()
    browser.wait(lambda: browser.texts("#plot tbody tr"))
    window = {"hours": 24, "as_of": browser.shown_as_of()}
    points = ask(web, "starts/timeline/", **window)["points"]
    largest = ask(web, "starts/", sessions=0, **window)["countries"][0]["country"]
    of_largest = ask(web, "starts/timeline/", country=largest, **window)["points"]
    assert [number(one) for one in browser.texts("#plot tbody td:nth-child(2)")] == [one["starts"] for one in points]
    assert [number(one) for one in browser.texts("#plot tbody td:nth-child(3)")] == [
        one["starts"] for one in of_largest
    ]
    cells = [[number(one) for one in browser.texts(f"#plot tbody tr:nth-child({row}) td")] for row in (1, len(points))]
    assert all(whole == sum(layers) for whole, *layers in cells)


def test_each_country_in_sight_has_its_hours_in_small(browser, web):
    browser.open(web.url, size=(1280, 1600))
    browser.wait_for_numbers()
    rows = len(browser.texts("#countries tbody tr"))
    assert rows >= 7
    browser.wait(lambda: len(browser.texts("#countries svg path")) == rows)
    assert browser.text("#countries tr:first-child svg title").startswith("Peak: ")


@pytest.mark.parametrize(("name", "hours"), [("1 h", 1), ("7 d", 168), ("30 d", 720)])
def test_another_window_is_shown_when_picked(browser, web, name, hours):
    browser.open(web.url)
    browser.wait_for_numbers()
    day = browser.shown_as_of()
    next(one for one in browser.driver.find_elements(By.CSS_SELECTOR, ".segments span") if one.text == name).click()
    browser.wait(lambda: browser.shown_as_of() != day)
    browser.wait_for_numbers()
    report = ask(web, "starts/", hours=hours, as_of=browser.shown_as_of())
    assert number(browser.text("#total")) == report["total"]
    assert f"hours={hours}" in browser.driver.current_url
    browser.wait(lambda: any(browser.run(PIXELS_OF_LAYERS)))


def test_a_moment_can_be_held_and_sent_to_someone(browser, web):
    as_of = time.strftime("%Y-%m-%dT%H:00:00.000Z", time.gmtime(time.time() - 3 * 3600))
    browser.open(web.url, hours="24", as_of=as_of)
    browser.wait_for_numbers()
    assert browser.shown_as_of() == as_of
    assert browser.text("#age").endswith(", fixed")
    assert number(browser.text("#total")) == ask(web, "starts/", hours=24, as_of=as_of)["total"]
    browser.find("#hold").click()
    browser.wait(lambda: browser.shown_as_of() != as_of)
    assert browser.text("#age").endswith("refreshed every 50 s")
    assert "as_of" not in browser.driver.current_url


def test_a_shorter_window_is_shown_while_the_cursor_is_on_a_late_hour_of_a_longer_one(browser, web):
    browser.open(web.url, hours="720")
    browser.wait_for_numbers()
    browser.run("document.querySelector('#plot .canvas').focus()")
    browser.press(Keys.END)
    assert browser.text("#plot .moment") != "Whole window"
    # As a click does, but the cursor stays where it is.
    browser.run("document.querySelector('[name=hours][value=\"24\"]').click()")
    browser.wait(lambda: "hours=24" in browser.driver.current_url)
    browser.wait_for_numbers()
    total = ask(web, "starts/", hours=24, as_of=browser.shown_as_of())["total"]
    browser.wait(lambda: number(browser.text("#total")) == total)
    assert browser.text("#age").endswith("refreshed every 50 s")


@pytest.mark.parametrize(
    "form",
    [
        "%Y-%m-%dT%H:00:00Z",
        "%Y-%m-%dT%H:00",
        "%Y-%m-%d %H:00",
        "%Y-%m-%dT%H:00:00,000+00",
        "%Y-%m-%dT%H:00:00 0000",  # a + that has become a blank
    ],
)
def test_a_moment_in_any_form_of_the_api_is_that_moment_wherever_one_is(browser, web, form):
    browser.tell("Emulation.setTimezoneOverride", timezoneId="Asia/Tokyo")
    moment = time.gmtime(time.time() - 3 * 3600)
    browser.open(web.url, hours="24", as_of=time.strftime(form, moment))
    browser.wait_for_numbers()
    assert browser.shown_as_of() == time.strftime("%Y-%m-%dT%H:00:00.000Z", moment)
    assert browser.run("return document.querySelector('#as-of').value") == time.strftime("%Y-%m-%dT%H:00", moment)
    browser.tell("Emulation.setTimezoneOverride", timezoneId="")


def test_what_is_no_moment_is_named(chromium, web):
    chromium.open(web.url, as_of="yesterday")
    chromium.wait(lambda: "Send an ISO 8601 date" in chromium.text("#notice"))
    chromium.find("#hold").click()
    chromium.wait(lambda: chromium.text("#age").endswith("refreshed every 50 s"))
    assert {entry["source"] for entry in chromium.complaints()} == {"network"}


TYPED = """
const input = document.querySelector('#as-of');
input.value = arguments[0];
input.dispatchEvent(new Event('change'));
"""


def test_a_moment_that_is_being_typed_is_waited_for(browser, web):
    moment = time.gmtime(time.time() - 3 * 3600)
    browser.open(web.url, hours="24", as_of=time.strftime("%Y-%m-%dT%H:00:00Z", moment))
    browser.wait_for_numbers()
    held = browser.shown_as_of()
    browser.find("#as-of").click()
    for year in ("0002", "0020", "0202"):
        browser.run(TYPED, time.strftime(f"{year}-%m-%dT%H:00", moment))
    time.sleep(0.6)
    assert browser.shown_as_of() == held
    assert browser.run("return document.activeElement.id") == "as-of"
    moment = time.gmtime(time.time() - 5 * 3600)
    browser.run(TYPED, time.strftime("%Y-%m-%dT%H:00", moment))
    browser.wait(lambda: browser.shown_as_of() == time.strftime("%Y-%m-%dT%H:00:00.000Z", moment))
    browser.run(TYPED, "")
    browser.wait(lambda: browser.text("#age").endswith("refreshed every 50 s"))
    assert browser.run("return document.activeElement.id") == "hold"


def test_back_shows_what_the_address_says(browser, web):
    browser.open(web.url, hours="24")
    browser.wait_for_numbers()
    browser.run("document.querySelector('[name=hours][value=\"168\"]').click()")
    browser.wait(lambda: "hours=168" in browser.driver.current_url)
    browser.driver.back()
    browser.wait(lambda: browser.run("return document.forms.window.elements.hours.value") == "24")
    browser.wait_for_numbers()
    assert "hours=24" in browser.driver.current_url


def test_the_last_sessions_of_a_player_stand_in_a_table_and_on_a_bar(browser, web, player, country, now_ms):
    for minutes_ago in range(10, 240, 10):
        record_session(player, minutes_ago=minutes_ago, country=country, now_ms=now_ms)
    browser.open(web.url)
    browser.find("#player").send_keys(player, Keys.ENTER)
    browser.wait(lambda: len(browser.texts("#look-up tbody tr")) == 20)
    assert browser.text("#look-up .result") == f"The last 20 completed sessions of {player}"
    assert len(browser.driver.find_elements(By.CSS_SELECTOR, ".time-bar rect")) == 20
    newest = ask(web, f"players/{player}/sessions/")["results"][0]
    shown = browser.texts("#look-up tbody tr:first-child td")
    assert shown[0].endswith(newest["started_at"][11:19])
    assert shown[1].endswith(newest["ended_at"][11:19])
    assert shown[2] == "1 min 30 s"
    assert f"player={player}" in browser.driver.current_url
    browser.wait_for_numbers()


def test_a_session_that_ended_before_it_started_has_no_duration_and_lies_on_the_bar(browser, web, player, now_ms):
    session, before, after = uuid.uuid4(), now_ms - 7_200_000, now_ms - 3_600_000
    record_events(
        [Event("start", player, session, after, "FI"), Event("end", player, session, before, None)], now_ms=now_ms
    )
    record_session(player, minutes_ago=90, country="FI", now_ms=now_ms)
    browser.open(web.url, player=player)
    browser.wait(lambda: len(browser.texts("#look-up tbody tr")) == 2)
    spans = browser.run(
        "return [...document.querySelectorAll('.time-bar rect')].map("
        "(one) => [one.x.baseVal.value, one.x.baseVal.value + one.width.baseVal.value])"
    )
    assert sorted(spans)[0] == [0, pytest.approx(4, abs=1)]
    assert 4 < sorted(spans)[1][0] < sorted(spans)[1][1] <= 1000
    assert browser.texts("#look-up tbody tr:last-child td")[2] == "ended before it started"
    browser.wait_for_numbers()


def test_a_player_without_sessions_is_named(browser, web, player):
    browser.open(web.url, player=player)
    browser.wait(lambda: player in browser.text("#look-up .result"))
    assert browser.text("#look-up .result").startswith("No completed session")
    browser.wait_for_numbers()


def test_a_player_seen_lately_is_found_with_one_press(browser, web):
    browser.open(web.url)
    browser.wait(lambda: browser.texts(".recent button"))
    offered = browser.texts(".recent button")[0]
    assert browser.find(".recent button").get_attribute("title") == offered  # a long one is cut
    browser.find(".recent button").click()
    browser.wait(lambda: offered in browser.text("#look-up .result"))
    browser.wait_for_numbers()


# --- From one view to the next ---------------------------------------------------------------------------------------


def follow(browser: Browser, css: str) -> None:
    browser.wait(lambda: browser.driver.find_elements(By.CSS_SELECTOR, css))
    browser.run("document.querySelector(arguments[0]).scrollIntoView({ block: 'center' })", css)
    browser.find(css).click()


def shown_rows(browser: Browser, css: str) -> list[str]:
    return browser.texts(f"{css} tbody tr")


def test_a_country_filters_the_page_and_lists_its_starts(browser, web, countries):
    largest = countries[0]
    browser.open(web.url, hours="72")
    browser.wait_for_numbers()
    follow(browser, f"[data-country={largest}] a")
    browser.wait(lambda: len(shown_rows(browser, "#country")) == 20)
    browser.wait_for_numbers()
    assert browser.focused("#country")
    window = {"hours": 72, "as_of": browser.shown_as_of()}
    report = ask(web, f"starts/{largest}/", limit=20, **window)
    assert number(browser.text("#total")) == report["starts"] > 450
    points = ask(web, "starts/timeline/", country=largest, **window)["points"]
    assert number(browser.text("#busiest")) == max(point["starts"] for point in points)
    assert len(browser.texts("#plot .legend li")) == 1
    assert not browser.find("#countries").is_displayed()
    ids = browser.run("return [...document.querySelectorAll('#country [title]')].map((one) => one.title)")
    assert ids == [one["session_id"] for one in report["results"]]
    assert browser.driver.title.endswith("Player sessions")
    assert largest in browser.driver.title or "–" in browser.driver.title
    follow(browser, "#country [rel=next]")
    browser.wait(lambda: "cursor=" in browser.driver.current_url)
    browser.wait_for_numbers()
    rest = ask(web, f"starts/{largest}/", limit=40, **window)["results"][20:]
    second = "return [...document.querySelectorAll('#country [title]')].map((one) => one.title)"
    browser.wait(lambda: browser.run(second) == [one["session_id"] for one in rest])
    assert browser.shown_as_of() == window["as_of"]
    follow(browser, "#everywhere")
    browser.wait(lambda: browser.find("#countries").is_displayed())
    browser.wait_for_numbers()
    assert not browser.find("#country").is_displayed()


def test_back_and_forward_walk_the_views_and_a_link_shows_one_to_others(browser, web, player, country, now_ms):
    record_session(player, minutes_ago=30, country=country, now_ms=now_ms)
    record_events([Event("start", player, uuid.uuid4(), now_ms - 60_000, country)], now_ms=now_ms)
    browser.open(web.url, country=country, hours="2")
    browser.wait(lambda: len(shown_rows(browser, "#country")) == 2)
    follow(browser, "#country td.player a")
    browser.wait(lambda: len(shown_rows(browser, "#look-up")) == 2)
    assert browser.driver.title == f"{player} – {browser.run(NAME_OF, country)} – Player sessions"
    follow(browser, "#look-up tbody tr:last-child [title]")
    browser.wait(lambda: browser.find("#look-up .one").is_displayed())
    there = browser.driver.current_url
    browser.driver.back()
    browser.wait(lambda: not browser.find("#look-up .one").is_displayed())
    assert len(shown_rows(browser, "#look-up")) == 2
    browser.driver.back()
    browser.wait(
        lambda: shown_rows(browser, "#look-up .sessions") and not browser.find("#look-up .sessions").is_displayed()
    )
    assert browser.driver.title == f"{browser.run(NAME_OF, country)} – Player sessions"
    browser.driver.forward()
    browser.wait(lambda: browser.find("#look-up .sessions").is_displayed())
    browser.driver.get(there)
    browser.wait(lambda: browser.find("#look-up .one").is_displayed())
    browser.wait_for_numbers()
    assert browser.driver.title.startswith("Session ")


def test_open_and_overlapping_sessions_of_a_player_are_seen(browser, web, player, country, now_ms):
    overlapping = [uuid.uuid4() for _ in range(2)]
    for session, minutes_ago in zip(overlapping, (60, 50), strict=True):
        started = now_ms - minutes_ago * 60_000
        start = Event("start", player, session, started, country)
        record_events([start, Event("end", player, session, started + 1_200_000, None)], now_ms=now_ms)
    record_events([Event("start", player, uuid.uuid4(), now_ms - 300_000, country)], now_ms=now_ms)
    record_events([Event("start", player, uuid.uuid4(), now_ms - 30 * HOUR_MS, country)], now_ms=now_ms)
    browser.open(web.url, player=player)
    browser.wait(lambda: len(shown_rows(browser, "#look-up")) == 2)
    assert browser.texts("#look-up .mark") == ["overlaps", "overlaps"]
    follow(browser, "#state label:nth-of-type(2) span")
    browser.wait(lambda: browser.text("#look-up .result") == f"2 open sessions of {player}")
    assert "state=open" in browser.driver.current_url
    ended = browser.texts("#look-up tbody td:nth-child(2)")
    assert ended == ["playing now", "no end received"]
    assert browser.texts("#look-up tbody td:nth-child(3)")[0].startswith("5 min ")
    follow(browser, "#state label:nth-of-type(3) span")
    browser.wait(lambda: len(shown_rows(browser, "#look-up")) == 4)
    tops = browser.run("return [...document.querySelectorAll('.time-bar rect')].map((one) => one.y.baseVal.value)")
    assert len(set(tops)) == 2  # those at the same time lie one below the other
    assert len(browser.driver.find_elements(By.CSS_SELECTOR, ".time-bar rect.playing")) == 1
    browser.wait_for_numbers()


def test_older_sessions_of_a_player_are_on_the_next_page(browser, web, player, country, now_ms):
    for minutes_ago in range(10, 240, 10):
        record_session(player, minutes_ago=minutes_ago, country=country, now_ms=now_ms)
    browser.open(web.url, player=player)
    browser.wait(lambda: len(shown_rows(browser, "#look-up")) == 20)
    follow(browser, "#look-up [rel=next]")
    browser.wait(lambda: len(shown_rows(browser, "#look-up")) == 3)
    assert browser.text("#look-up .result") == f"3 older completed sessions of {player}"
    follow(browser, "#look-up .pages a")
    browser.wait(lambda: len(shown_rows(browser, "#look-up")) == 20)
    browser.wait_for_numbers()


def test_a_session_is_found_by_its_id_among_its_players(browser, web, player, country, now_ms):
    for minutes_ago in range(10, 260, 10):
        record_session(player, minutes_ago=minutes_ago, country=country, now_ms=now_ms)
    oldest = ask(web, f"players/{player}/sessions/", limit=100)["results"][-1]
    browser.open(web.url, player=player, session=oldest["session_id"].upper())
    browser.wait(lambda: "1 min 30 s" in browser.text("#look-up .one"))
    browser.wait_for_numbers()
    browser.open(web.url, player=player, session=str(uuid.uuid4()))
    browser.wait(lambda: "not among the newest sessions" in browser.text("#look-up .one"))
    browser.wait_for_numbers()


def test_a_country_without_starts_says_so(browser, web, country):
    browser.open(web.url, country=country.lower())
    browser.wait(lambda: browser.text("#notice"))
    browser.wait_for_numbers()
    assert " in the last 24 hours. Choose another window" in browser.text("#notice")
    assert browser.text("#total") == "0"


def test_what_is_no_country_is_named(chromium, web):
    chromium.open(web.url, country="FINLAND")
    chromium.wait(lambda: "Send a country code of two letters." in chromium.text("#notice"))
    assert "errors" not in chromium.text("#notice")
    chromium.driver.get("about:blank")  # other requests of the page fail likewise
    assert {entry["source"] for entry in chromium.complaints()} == {"network"}


# --- Words, and what is taken along ----------------------------------------------------------------------------------

NAME_OF = "return new Intl.DisplayNames('en', { type: 'region', fallback: 'code' }).of(arguments[0])"


def test_any_number_of_hours_can_be_asked_for(browser, web):
    browser.open(web.url, hours="5")
    browser.wait_for_numbers()
    assert number(browser.text("#total")) == ask(web, "starts/", hours=5, as_of=browser.shown_as_of())["total"]
    assert browser.run("return document.getElementById('any-hours').value") == "5"
    assert browser.run("return document.querySelectorAll('[name=hours]:checked').length") == 0
    day = browser.shown_as_of()
    typed = browser.find("#any-hours")
    typed.clear()
    typed.send_keys("36", Keys.ENTER)
    browser.wait(lambda: "hours=36" in browser.driver.current_url and browser.shown_as_of() != day)
    browser.wait_for_numbers()
    assert number(browser.text("#total")) == ask(web, "starts/", hours=36, as_of=browser.shown_as_of())["total"]


def test_a_pasted_id_may_have_blanks_around_it(browser, web, player, country, now_ms):
    record_session(player, minutes_ago=10, country=country, now_ms=now_ms)
    browser.open(web.url)
    browser.find("#player").send_keys(f"  {player} ", Keys.ENTER)
    browser.wait(lambda: len(shown_rows(browser, "#look-up")) == 1)
    assert browser.run("return document.getElementById('player').value") == player
    browser.wait_for_numbers()


def test_what_is_no_player_is_said_in_words(chromium, web):
    chromium.open(web.url, player="a b")
    chromium.wait(lambda: chromium.text("#look-up .result").startswith("Send 1 to 64 characters"))
    assert {entry["source"] for entry in chromium.complaints()} == {"network"}


def test_what_is_there_is_never_nothing(browser, web):
    browser.open(web.url)
    browser.wait_for_numbers()
    module = f"{web.url}/static/dashboard/format.js"
    assert browser.driver.execute_async_script(
        "const done = arguments[arguments.length - 1]; import(arguments[0]).then(({ share }) => "
        "done([share(1, 100000), share(0, 5), share(1, 1000), share(1, 1)]))",
        module,
    ) == ["<0.1%", "0.0%", "0.1%", "100.0%"]


def test_what_is_shown_can_be_taken_along(browser, web, countries):
    moment = now()  # no report of before, which lacks what came since
    browser.open(web.url, as_of=moment)
    browser.wait_for_numbers()
    for section, header in {"#starts": "hour,starts", "#countries": "country,starts"}.items():
        link = browser.run("return document.querySelector(arguments[0]).href", f"{section} .take .button")
        with urllib.request.urlopen(link) as reply:
            lines = reply.read().decode().splitlines()
        assert lines[0] == header
        total = sum(int(line.split(",")[1]) for line in lines[1:])
        assert total == number(browser.text("#total"))
    browser.find("#starts .take button").click()
    command = browser.text("#starts .command")
    assert browser.run("return getSelection().toString()") == command
    shell = subprocess.run(["sh", "-c", command], capture_output=True, check=True)
    assert json.loads(shell.stdout)["total"] == number(browser.text("#total"))
    browser.open(web.url, country=countries[0], hours="1", as_of=moment)
    browser.wait_for_numbers()
    link = browser.run("return document.querySelector('#country .take .button').href")
    with urllib.request.urlopen(link) as reply:
        assert len(reply.read().decode().splitlines()) == 1 + number(browser.text("#total"))


def test_the_page_refreshes_when_it_is_told_to_and_need_not_automatically(browser, web):
    browser.open(web.url)
    browser.wait_for_numbers()
    browser.find("#auto-refresh").click()
    browser.wait(lambda: "refresh=off" in browser.driver.current_url)
    browser.wait(lambda: browser.text("#age").endswith("auto-refresh off"))
    asked = "return performance.getEntriesByType('resource').filter((one) => one.name.includes('/reports/')).length"
    before = browser.run(asked)
    browser.find("#refresh").click()
    browser.wait(lambda: browser.run(asked) > before)
    browser.wait_for_numbers()
    browser.find("#auto-refresh").click()
    browser.wait(lambda: "refresh" not in browser.driver.current_url)
    browser.wait(lambda: browser.text("#age").endswith("refreshed every 50 s"))


# --- Time and plot ---------------------------------------------------------------------------------------------------


def now() -> str:
    """A moment that the page is opened at: no reply of it is cached yet."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def timeline_of(browser: Browser, web: WebServer, **asked: object) -> dict:
    return ask(web, "starts/timeline/", as_of=browser.shown_as_of(), **asked)


def column(browser: Browser, number_of_column: int) -> list[int]:
    if not browser.run("return document.querySelector('#plot details').open"):
        follow(browser, "#plot summary")
    browser.wait(lambda: browser.texts("#plot tbody tr"))
    return [number(one) for one in browser.texts(f"#plot tbody td:nth-of-type({number_of_column})")]


def choose(browser: Browser, name: str, value: str) -> None:
    browser.run(CHOOSE, name, value)
    browser.wait(lambda: f"{name}=" in browser.driver.current_url)
    browser.wait_for_numbers()


CHOOSE = """
    const input = document.forms.shape.elements[arguments[0]];
    input.value = arguments[1];
    input.dispatchEvent(new Event("change"));"""


@pytest.mark.parametrize(("hours", "interval"), [(1, "minute"), (48, "hour"), (720, "day"), (8000, "week")])
def test_a_window_has_the_parts_that_fit_it(browser, web, hours, interval):
    def shows_what_the_api_says() -> bool:
        """Unless another test has stored a start of that window meanwhile."""
        browser.open(web.url, hours=str(hours), as_of=now())
        browser.wait_for_numbers()
        starts = [point["starts"] for point in timeline_of(browser, web, hours=hours, interval=interval)["points"]]
        return column(browser, 1) == starts and number(browser.text("#busiest")) == max(starts)

    browser.wait(shows_what_the_api_says)
    assert browser.text("#of-busiest") == f"in the busiest {interval}"


def test_other_parts_and_the_zone_of_days_can_be_chosen_and_the_zone_is_remembered(browser, web):
    def shows_what_the_api_says() -> bool:
        browser.open(web.url, hours="100", as_of=now())
        browser.wait_for_numbers()
        choose(browser, "interval", "day")
        choose(browser, "tz", "Asia/Kathmandu")
        points = timeline_of(browser, web, hours=100, interval="day", tz="Asia/Kathmandu")["points"]
        assert points[1]["begin"][11:16] == "18:15"
        return column(browser, 1) == [point["starts"] for point in points]

    browser.wait(shows_what_the_api_says)
    assert browser.text("#zone") == "Asia/Kathmandu"
    assert "Asia/Kathmandu" in browser.text("#age")
    browser.open(web.url)
    browser.wait_for_numbers()
    assert browser.text("#zone") == "Asia/Kathmandu"
    choose(browser, "tz", "UTC")
    assert browser.text("#zone") == "UTC"


def test_what_is_no_zone_is_named(chromium, web):
    chromium.open(web.url, tz="Nowhere/At_All")
    chromium.wait(lambda: "Send the name of a time zone" in chromium.text("#notice"))
    chromium.driver.get("about:blank")  # other requests of the page fail likewise
    assert {entry["source"] for entry in chromium.complaints()} == {"network"}


@pytest.mark.parametrize("compare", ["previous", "week"])
def test_the_window_is_shown_beside_an_earlier_one(browser, web, compare):
    def shows_what_the_api_says() -> bool:
        browser.open(web.url, as_of=now())
        browser.wait_for_numbers()
        choose(browser, "compare", compare)
        report = timeline_of(browser, web, hours=24, compare=compare)
        shown = column(browser, 2), number(browser.text("#plot .before b"))
        return shown == ([point["before"] for point in report["points"]], report["compare"]["total"])

    browser.wait(shows_what_the_api_says)
    assert "Dashed line: the earlier period" in browser.text("#plot-summary")


def test_a_drag_over_the_plot_shows_that_time(browser, web):
    browser.open(web.url, hours="48")
    browser.wait_for_numbers()
    over = browser.find("#plot .u-over")
    browser.run("arguments[0].scrollIntoView({ block: 'center' })", over)
    width = over.size["width"]
    pointer = ActionChains(browser.driver).move_to_element_with_offset(over, -width // 4, 0)
    pointer.click_and_hold().move_by_offset(width // 4, 0).release().perform()
    browser.wait(lambda: "as_of=" in browser.driver.current_url)
    browser.wait_for_numbers()
    hours = int(browser.run("return document.getElementById('any-hours').value"))
    assert 11 <= hours <= 15
    assert number(browser.text("#total")) == ask(web, "starts/", hours=hours, as_of=browser.shown_as_of())["total"]
    browser.driver.back()
    browser.wait(lambda: "as_of=" not in browser.driver.current_url)
    browser.wait_for_numbers()


def test_a_layer_is_taken_out_of_the_plot_and_put_back(browser, web):
    browser.open(web.url, as_of=quiet_moment())
    browser.wait_for_numbers()
    browser.wait(lambda: all(browser.run(PIXELS_OF_LAYERS)))
    browser.tab_to("#plot .legend button")
    browser.press(Keys.SPACE)
    assert browser.run("return document.activeElement.getAttribute('aria-pressed')") == "false"
    browser.wait(lambda: browser.run(PIXELS_OF_LAYERS)[0] == 0)
    browser.press(Keys.SPACE)
    browser.wait(lambda: all(browser.run(PIXELS_OF_LAYERS)))


def test_a_country_keeps_its_colour_when_its_rank_changes(browser, web):
    browser.open(web.url)
    browser.wait_for_numbers()
    module = f"{web.url}/static/dashboard/colours.js"
    first, second, every = browser.driver.execute_async_script(
        """const done = arguments[arguments.length - 1];
        import(arguments[0]).then(({ coloursOf }) => done([
            [...coloursOf(["FI", "US", "NL", null])].sort(),
            [...coloursOf([null, "NL", "FI", "US"])].sort(),
            [...coloursOf(["AA", "AH", "AO", "AV", "BC", null]).values()],
        ]));""",
        module,
    )
    assert first == second
    assert len(set(every)) == 6


def test_what_the_window_cuts_off_is_paler(browser, web):
    browser.open(web.url, hours="1")
    browser.wait_for_numbers()
    points = timeline_of(browser, web, hours=1, interval="minute")["points"]
    assert [point["complete"] for point in points].count(False) == 2
    assert "drawn paler" in browser.text("#plot-summary")


# --- Sending a batch --------------------------------------------------------------------------------------------------


def send(browser: Browser, text: str) -> None:
    browser.run("document.getElementById('batch').value = arguments[0]", text)
    browser.find("#ingest .primary").click()
    browser.wait(lambda: browser.text("#ingest .result")[:1].isdigit())


def test_the_example_is_stored_with_a_result_per_event(browser, web):
    browser.open(web.url)
    browser.find("#ingest .primary").click()
    browser.wait(lambda: browser.texts("#ingest tbody tr"))
    assert browser.text("#ingest .result") == "201: 2 stored, 1 discarded."
    assert browser.texts("#ingest .outcome") == ["stored", "stored", "discarded"]
    session = json.loads(browser.run("return document.getElementById('batch').value"))[0]["session_id"]
    assert browser.texts("#ingest .detail")[:2] == [session, session]
    found = ask(web, "players/grace/sessions/")["results"]
    assert session in [one["session_id"] for one in found]
    browser.wait_for_numbers()


def test_what_is_wrong_with_an_event_stands_beside_it_and_never_read_as_html(chromium, web, player):
    nasty = "<img src=x onerror=alert(1)>"
    chromium.open(web.url)
    events = [{"event": "end", "player_id": player}, {"event": "start", "player_id": nasty, "country": "FIN"}]
    send(chromium, json.dumps(events))
    assert chromium.text("#ingest .result") == "400: 1 of 2 events invalid; nothing was stored."
    assert chromium.texts("#ingest .outcome") == ["not stored", "invalid"]
    assert chromium.texts("#ingest td:nth-child(2)")[1] == f"start {nasty}"
    assert "player_id: Send 1 to 64 characters" in chromium.texts("#ingest .detail")[1]
    assert "country: Send a country code of two letters." in chromium.texts("#ingest .detail")[1]
    assert not chromium.driver.find_elements(By.CSS_SELECTOR, "main img")
    assert {entry["source"] for entry in chromium.complaints()} == {"network"}


def test_the_valid_events_can_be_stored_alone(browser, web, player):
    browser.open(web.url)
    browser.find("#lenient").click()
    send(browser, json.dumps([{"event": "end", "player_id": player}, {"event": "pause", "player_id": player}]))
    assert browser.text("#ingest .result") == "207: 1 stored, 0 discarded, 1 invalid."
    assert browser.texts("#ingest .outcome") == ["stored", "invalid"]
    browser.wait_for_numbers()


@pytest.mark.parametrize("text", ["nonsense", "[]", json.dumps([{}] * 11), "5"])
def test_what_is_no_batch_is_refused(chromium, web, text):
    chromium.open(web.url)
    send(chromium, text)
    assert chromium.text("#ingest .result").startswith("400: ")
    assert {entry["source"] for entry in chromium.complaints()} == {"network"}


# --- Whoever looks, with whatever -------------------------------------------------------------------------------------


def test_all_of_it_works_by_keyboard(browser, web, player, country, now_ms):
    record_session(player, minutes_ago=10, country=country, now_ms=now_ms)
    browser.open(web.url)
    browser.wait_for_numbers()
    browser.tab_to("[name=hours]")
    browser.press(Keys.ARROW_RIGHT)
    browser.wait(lambda: "hours=168" in browser.driver.current_url)
    browser.wait_for_numbers()
    browser.tab_to("#plot .canvas")
    browser.press(Keys.ARROW_LEFT)
    browser.wait(lambda: "starts" in browser.find("#plot .canvas").get_attribute("aria-valuetext"))
    newest = browser.find("#plot .canvas").get_attribute("aria-valuetext")
    browser.press(Keys.HOME)
    browser.wait(lambda: browser.find("#plot .canvas").get_attribute("aria-valuetext") != newest)
    for key, index in (Keys.ARROW_UP, "1"), (Keys.ARROW_RIGHT, "2"), (Keys.ARROW_DOWN, "1"), (Keys.ARROW_LEFT, "0"):
        browser.press(key)
        browser.wait(lambda index=index: browser.find("#plot .canvas").get_attribute("aria-valuenow") == index)
    browser.tab_to("#plot summary")
    browser.press(Keys.ENTER)
    browser.wait(lambda: browser.texts("#plot tbody tr"))
    browser.tab_to("#player")
    browser.press(player, Keys.ENTER)
    browser.wait(lambda: len(browser.texts("#look-up tbody tr")) == 1)
    browser.tab_to("#batch")
    browser.tab_to("#ingest .primary")
    browser.press(Keys.SPACE)
    browser.wait(lambda: browser.texts("#ingest .outcome") == ["stored", "stored", "discarded"])


def test_all_countries_can_be_shown_by_keyboard(browser, web, new_country, now_ms):
    for _ in range(4):
        record_events([Event("start", "page", uuid.uuid4(), now_ms - 1000, new_country())], now_ms=now_ms)
    browser.open(web.url, hours="24", as_of=now())
    browser.wait_for_numbers()
    countries = number(browser.text("#number-of-countries"))
    assert len(browser.texts("#countries tbody tr")) == 10 < countries
    browser.tab_to(".more")
    browser.press(Keys.ENTER)
    browser.wait(lambda: len(browser.texts("#countries tbody tr")) == countries)


def test_a_country_is_found_among_many(browser, web, countries, new_country, now_ms):
    for _ in range(5):
        record_events([Event("start", "page", uuid.uuid4(), now_ms - 1000, new_country())], now_ms=now_ms)
    browser.open(web.url, hours="25", as_of=now())
    browser.wait_for_numbers()
    browser.find("#search").send_keys(countries[3].lower())
    browser.wait(lambda: all(countries[3].lower() in one.lower() for one in browser.texts("#countries tbody th")))
    assert browser.driver.find_elements(By.CSS_SELECTOR, f"[data-country={countries[3]}]")
    browser.find("#search").clear()
    browser.find("#search").send_keys("nowhere at all")
    browser.wait(lambda: browser.texts("#countries tbody tr") == ["No sessions in this window"])


def test_the_countries_are_sorted_by_a_column_by_keyboard(browser, web):
    browser.open(web.url, size=(1280, 2000), hours="24", as_of=now())
    browser.wait_for_numbers()

    def column() -> list[str]:
        return browser.texts("#countries tbody th a")

    def sorted_by() -> list[str]:
        return browser.run(
            "return [...document.querySelectorAll('#countries [aria-sort]')].map((one) => "
            "[one.textContent, one.ariaSort])"
        )

    most_first = column()
    assert sorted_by() == [["Starts", "descending"]]
    browser.tab_to("[data-by=name]")
    browser.press(Keys.ENTER)
    assert sorted_by() == [["Country", "ascending"]]
    names = column()
    assert names == browser.run("return arguments[0].toSorted((one, other) => one.localeCompare(other))", names)
    browser.press(Keys.ENTER)
    assert sorted_by() == [["Country", "descending"]]
    browser.tab_to("[data-by=starts]")
    browser.press(Keys.ENTER)
    assert (column(), sorted_by()) == (most_first, [["Starts", "descending"]])
    browser.press(Keys.ENTER)
    starts = [number(one) for one in browser.texts("#countries tbody td:nth-child(2)")]
    assert starts == sorted(starts)
    browser.wait(lambda: len(browser.texts("#countries svg path")) == len(starts))


def test_lengths_and_who_is_playing_are_shown(browser, web, country, now_ms):
    for minutes in (10, 12, 14):
        record_session(f"page_{minutes}", minutes_ago=minutes, country=country, now_ms=now_ms)
    record_events([Event("start", "page_14", uuid.uuid4(), now_ms - 90_000, country)], now_ms=now_ms)
    browser.open(web.url, country=country)
    browser.wait_for_numbers()
    figures = ("players", "length-median", "length-p90", "playing", "open")
    assert [browser.text(f"#{figure}") for figure in figures] == ["3", "1 min 30 s", "1 min 30 s", "1", "25.0%"]
    assert browser.text("#measures p") == "Based on all 4 sessions started in the window."


def test_what_is_an_estimate_says_how_far_it_may_be_off(browser, web):
    browser.open(web.url)  # thousands of starts, of which 500 are looked up
    browser.wait_for_numbers()
    open_ones = browser.text("#open")
    assert re.fullmatch(r"about [\d.]+%, ±[\d.]+", open_ones), open_ones
    assert re.match(r"Estimated from a random sample of \d+ starts \(95% confidence\)\.", browser.text("#measures p"))
    said = browser.driver.execute_async_script(
        "const [address, done] = arguments; import(address).then(({ aboutDuration, aboutCount, aboutShare }) => done(["
        "aboutDuration({ value: 725, low: 660, high: 800 }), aboutDuration({ value: 725, low: 725, high: 725 }),"
        "aboutDuration({ value: 9000, low: 8700, high: 9200 }), aboutDuration({ value: 61, low: 50, high: 72 }),"
        "aboutCount({ value: 1234.4, low: 1200.5, high: 1268 }), aboutShare({ value: 0.123, low: 0.1, high: 0.14 }),"
        "aboutCount({ value: 0, low: 0, high: 9.2 }), aboutShare({ value: 0, low: 0, high: 0.004 })]))",
        f"{web.url}/static/dashboard/format.js",
    )
    assert said == [
        {"value": "12 min", "margin": "1"},
        {"value": "12 min 05 s"},
        {"value": "2.5 h", "margin": "0.1"},
        {"value": "61 s", "margin": "11"},
        {"value": "1,234", "margin": "34"},
        {"value": "12.3%", "margin": "2"},
        {"value": "up to 10"},
        {"value": "up to 0.4%"},
    ]


def test_a_screen_reader_finds_a_name_for_everything(browser, web):
    browser.open(web.url)
    browser.wait_for_numbers()
    named = browser.driver.find_elements(By.CSS_SELECTOR, "a, button, input, textarea, [tabindex='0'], section, nav")
    nameless = [one.get_attribute("outerHTML")[:80] for one in named if one.is_displayed() and not one.accessible_name]
    assert nameless == []
    assert browser.find("#plot .canvas").aria_role == "slider"
    tables = [one for one in browser.driver.find_elements(By.CSS_SELECTOR, "main table") if one.is_displayed()]
    assert tables
    assert all(one.accessible_name for one in tables)
    live = browser.run("return [...document.querySelectorAll('[role=status]')].map((one) => one.id || one.className)")
    assert live == ["notice", "result muted", "result muted"]


@pytest.mark.parametrize("hours", ["1", "720"])
def test_nothing_is_wider_than_a_phone(browser, web, player, now_ms, hours):
    for minutes_ago in (10, 20_000):
        record_session(player, minutes_ago=minutes_ago, country="NL", now_ms=now_ms)
    again = uuid.uuid4()
    record_events([Event("end", player, again, now_ms - 900_000, None)], now_ms=now_ms)
    record_events([Event("start", player, again, now_ms - 800_000, "NL")], now_ms=now_ms)
    browser.open(web.url, size=PHONE, hours=hours, player=player)
    browser.wait_for_numbers()
    browser.find("#hold").click()
    browser.find("#plot summary").click()
    browser.find("#ingest .primary").click()
    browser.wait(lambda: browser.texts("#ingest tbody tr") and browser.texts("#look-up tbody tr"))
    browser.wait_for_numbers()
    assert browser.run(
        "const { scrollWidth, clientWidth } = document.documentElement; return scrollWidth <= clientWidth"
    )
    assert browser.run(STICKS_OUT) == []
    small = browser.run(
        "return [...document.querySelectorAll('button, .segments span')].filter((one) => one.offsetParent)"
        ".map((one) => one.offsetHeight).filter((height) => height < 36)"
    )
    assert small == []


def test_a_month_has_dates_on_a_phone(browser, web):
    browser.open(web.url, size=PHONE, hours=720)
    browser.wait_for_numbers()
    below_the_plot = (
        "const canvas = document.querySelector('#plot canvas'), { width, height } = canvas;"
        "const { data } = canvas.getContext('2d').getImageData(0, height - 16, width, 16);"
        "return data.filter((_, at) => at % 4 === 3).some((opacity) => opacity > 0)"
    )
    assert browser.run(below_the_plot)


def test_the_dark_is_dark_and_so_is_the_plot(browser, web):
    ground = "return getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number)"
    browser.open(web.url, as_of=quiet_moment())
    browser.wait_for_numbers()
    assert min(browser.run(ground)) > 200
    browser.prefer("dark")
    assert max(browser.run(ground)) < 60
    # The layers have other colours now, and the plot is drawn again with them.
    browser.wait(lambda: all(browser.run(PIXELS_OF_LAYERS)))


# --- Nothing there ----------------------------------------------------------------------------------------------------


@pytest.fixture
def empty_web(web_server: Callable[..., WebServer]) -> Iterator[WebServer]:
    """A service with tables of its own and nothing in them; its reports are not cached."""
    keyspace = {"CASSANDRA_KEYSPACE": EMPTY_KEYSPACE}
    own = {**os.environ, **keyspace, "DJANGO_SETTINGS_MODULE": "sessions_project.settings"}
    try:
        assert manage("sync_cassandra", "--wait", "60", env=own).returncode == 0
        yield web_server(**keyspace, REPORT_CACHE_SECONDS="0", WEB_WORKERS="1")
    finally:
        drop_keyspace(EMPTY_KEYSPACE)


def test_an_empty_store_says_what_to_do_and_an_open_page_notices_the_first_session(browser, empty_web):
    browser.open(empty_web.url, hours="720")
    browser.wait_for_numbers()
    assert browser.text("#notice") == "No sessions yet. Send a batch below: its sessions appear here."
    assert browser.text("#total") == "0"
    page = browser.driver.current_window_handle
    browser.find("#ingest .primary").click()
    browser.wait(lambda: browser.texts("#ingest tbody tr"))
    browser.run(NOTE_WHEN_HIDDEN)
    browser.driver.switch_to.new_window("tab")
    time.sleep(LONGEST_PAUSE_SECONDS)
    browser.driver.close()
    browser.driver.switch_to.window(page)
    browser.wait(lambda: browser.text("#total") == "1")
    assert browser.text("#notice") == ""
    assert browser.run(ASKED_WHILE_HIDDEN) == 0
    browser.driver.get("about:blank")  # before its service ends


def test_an_unavailable_store_is_named_with_what_to_do(chromium, web_server):
    web = web_server(CASSANDRA_PORT=str(free_port()), WEB_WORKERS="1")
    chromium.open(web.url, player="ada")
    chromium.wait(lambda: chromium.text("#notice"))
    assert chromium.text("#notice").startswith("Cassandra does not answer. This page tries again every 5 s.")
    assert "start Cassandra with make up" in chromium.text("#notice")
    assert chromium.text("#age") == "No data yet."
    chromium.wait(lambda: chromium.text("#look-up .result").endswith("Try again in a moment."))
    chromium.find("#ingest .primary").click()
    chromium.wait(lambda: chromium.text("#ingest .result").startswith("503: The store does not answer."))
    assert {entry["source"] for entry in chromium.complaints()} == {"network"}


def test_an_unavailable_service_leaves_its_numbers_on_show_and_comes_back_by_itself(chromium, web):
    chromium.open(web.url)
    chromium.wait_for_numbers()
    total = chromium.text("#total")
    chromium.tell("Network.enable")
    conditions = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    chromium.tell("Network.emulateNetworkConditions", offline=True, **conditions)
    chromium.find(".segments label:last-child span").click()
    chromium.wait(lambda: chromium.text("#notice"))
    assert chromium.text("#notice").startswith("The service does not answer. This page tries again every 5 s.")
    assert chromium.text("#total") == total
    assert chromium.text("#age").endswith("out of date: the service does not answer")
    chromium.tell("Network.emulateNetworkConditions", offline=False, **conditions)
    chromium.wait(lambda: chromium.text("#notice") == "")
    assert chromium.text("#age").endswith("refreshed every 50 s")
    assert {entry["source"] for entry in chromium.complaints()} == {"network"}


def test_a_moment_in_the_future_is_refused(chromium, web):
    chromium.open(web.url, as_of="2999-01-01T00:00:00Z")
    chromium.wait(lambda: chromium.text("#notice"))
    assert "This is in the future." in chromium.text("#notice")
    assert chromium.find("#as-of").get_attribute("aria-invalid") == "true"
    assert {entry["source"] for entry in chromium.complaints()} == {"network"}


# --- The API's own pages ---------------------------------------------------------------------------------------------

# Of the bundles, which a policy lets ask this service alone: Redoc's logo is elsewhere.
ASKED_OF_OTHERS = """
    const asked = performance.getEntriesByType("resource").map((one) => one.name);
    return asked.filter((one) => !one.startsWith(location.origin) && !/^(data|blob):/.test(one));"""


def test_an_operation_can_be_tried_as_it_opens(chromium, web):
    chromium.tell("Emulation.setDeviceMetricsOverride", width=1280, height=1400, deviceScaleFactor=1, mobile=False)
    chromium.driver.get(f"{web.url}/api/v1/docs/#/events/record_events")
    chromium.wait(lambda: chromium.driver.find_elements(By.CSS_SELECTOR, ".execute"))
    prefer = chromium.find("tr[data-param-name=Prefer]")
    chosen = "return [...arguments[0].querySelectorAll('input, select')].map((one) => one.value)"
    assert set(chromium.run(chosen, prefer)) <= {"", "--"}
    chromium.run("document.querySelector('.execute').click()")
    chromium.wait(lambda: "201" in chromium.text(".live-responses-table .response-col_status"))
    chromium.driver.get(f"{web.url}/api/v1/docs/#/reports/sessions_of_player")
    chromium.driver.refresh()
    chromium.wait(lambda: chromium.driver.find_elements(By.CSS_SELECTOR, ".execute"))
    chromium.run("document.querySelector('.execute').click()")
    chromium.wait(lambda: "4a0c43c9-c43a-42ff-ba55-67563dfa35d4" in chromium.text(".live-responses-table"))
    assert chromium.run(ASKED_OF_OTHERS) == []
    assert {entry["source"] for entry in chromium.complaints()} <= {"console-api"}  # the bundle's own advice


def test_the_reference_asks_nothing_of_the_internet(chromium, web):
    chromium.driver.get(f"{web.url}/api/v1/redoc/")
    chromium.wait(lambda: "Store 1 to 10 session events" in chromium.text("redoc"))
    chromium.wait(lambda: chromium.run(ASKED_OF_OTHERS))  # what it meant to ask stands there, too
    [logo] = chromium.run(ASKED_OF_OTHERS)
    [refused] = [entry["message"] for entry in chromium.complaints() if entry["source"] != "console-api"]
    assert logo in refused
    assert "Content Security Policy" in refused


def test_what_was_typed_into_the_form_of_the_api_is_sent_and_stays(chromium, web, player):
    chromium.driver.get(f"{web.url}/api/v1/events/")
    typed = f'{{"event": "start", "player_id": "{player}"}}'
    chromium.run("document.querySelector('textarea').value = arguments[0]", typed)
    chromium.run("document.querySelector('#post-generic-content-form button, .form-actions button').click()")
    chromium.wait(lambda: "A start needs a country." in chromium.text(".response-info"))
    assert chromium.run("return document.querySelector('textarea').value") == typed
    assert {entry["source"] for entry in chromium.complaints()} <= {"network"}
