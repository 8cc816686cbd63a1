"""The page of a service that wants keys, in a real browser: signing in, signing out, and what a key may not do."""

import base64
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from access.keys import READ, WRITE
from conftest import WebServer
from tests.clients import store_key
from tests.test_browser import Browser, pytestmark  # noqa: F401  # skips these, too, where there is no browser


@pytest.fixture(scope="module")
def web() -> Iterator[WebServer]:
    server = WebServer(AUTH="keys", REPORT_CACHE_SECONDS="0", WEB_WORKERS="1")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    browser = Browser()
    yield browser
    browser.driver.quit()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """A tab of its own: the page keeps a key for as long as its tab is open."""
    first = chromium.driver.current_window_handle
    chromium.driver.switch_to.new_window("tab")
    yield chromium
    chromium.driver.close()
    chromium.driver.switch_to.window(first)


def make_key(web: WebServer, *scopes: str) -> str:
    text = store_key(*scopes)
    deadline = time.monotonic() + 10
    while not _is_known(web, text):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return text


def _is_known(web: WebServer, text: str) -> bool:
    request = urllib.request.Request(f"{web.url}/api/v1/", headers={"Authorization": f"Bearer {text}"})
    try:
        return urllib.request.urlopen(request).status == 200
    except urllib.error.HTTPError:
        return False


def sign_in(browser: Browser, key: str) -> None:
    browser.wait(lambda: browser.find("#sign-in").is_displayed())
    browser.find("#key").send_keys(key)
    browser.find("#sign-in .primary").click()


def test_a_reader_signs_in_sees_numbers_and_signs_out(browser: Browser, web: WebServer) -> None:
    browser.open(web.url)
    browser.wait(lambda: "Enter your key" in browser.text("#sign-in .result"))
    key = make_key(web, READ)
    sign_in(browser, key)
    browser.wait_for_numbers()
    assert not browser.find("#sign-in").is_displayed()
    assert key not in browser.driver.current_url
    assert key not in browser.driver.page_source
    browser.driver.refresh()  # the tab keeps it
    browser.wait_for_numbers()
    assert not browser.find("#sign-in").is_displayed()
    browser.find("#sign-out").click()
    browser.wait(lambda: browser.find("#sign-in").is_displayed())
    assert browser.run("return sessionStorage.length") == 0


def test_a_wrong_key_is_refused_in_words(browser: Browser, web: WebServer) -> None:
    browser.open(web.url)
    sign_in(browser, "nonsense")
    browser.wait(lambda: "not a whole key" in browser.text("#sign-in .result"))
    browser.wait(lambda: browser.find("#sign-in").is_displayed())


def test_what_a_key_may_not_do_is_said_in_words(browser: Browser, web: WebServer) -> None:
    browser.open(web.url)
    sign_in(browser, make_key(web, READ))
    browser.wait_for_numbers()
    browser.find("#ingest .primary").click()
    browser.wait(lambda: f"the scope {WRITE}" in browser.text("#ingest .result"))
    assert not browser.find("#sign-in").is_displayed()


def test_a_reader_takes_a_file_and_a_command_along(browser: Browser, web: WebServer, tmp_path: Path) -> None:
    browser.tell("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.open(web.url)
    sign_in(browser, make_key(web, READ))
    browser.wait_for_numbers()
    browser.wait(lambda: browser.texts("a.button[download]"))
    browser.run("document.querySelector('a.button[download]').click()")
    browser.wait(lambda: [*tmp_path.glob("*.csv")])
    [file] = tmp_path.glob("*.csv")
    assert file.read_text().startswith("hour,starts")
    assert any('-H "Authorization: Bearer $KEY"' in command for command in browser.texts(".command"))


def test_a_file_that_cannot_be_had_is_told_beside_its_button(browser: Browser, web: WebServer) -> None:
    browser.open(web.url)
    sign_in(browser, make_key(web, READ))
    browser.wait_for_numbers()
    browser.wait(lambda: browser.texts("a.button[download]"))
    browser.tell("Network.enable")
    browser.tell("Network.setBlockedURLs", urls=["*format=csv*"])
    for _ in range(2):
        browser.run("document.querySelector('a.button[download]').click()")
        browser.wait(lambda: browser.texts(".take [role=alert]") == ["The service does not answer."])
    assert {entry["source"] for entry in browser.complaints()} <= {"network"}


def test_a_browser_that_may_store_nothing_can_sign_in(browser: Browser, web: WebServer) -> None:
    blocked = (
        "Object.defineProperty(window, 'sessionStorage', { get() { throw new DOMException('', 'SecurityError'); } })"
    )
    browser.tell("Page.addScriptToEvaluateOnNewDocument", source=blocked)
    browser.open(web.url)
    sign_in(browser, make_key(web, READ))
    browser.wait_for_numbers()
    browser.find("#sign-out").click()
    browser.wait(lambda: browser.find("#sign-in").is_displayed())


def test_the_form_is_one_that_password_managers_know(browser: Browser, web: WebServer) -> None:
    browser.open(web.url)
    browser.wait(lambda: browser.find("#sign-in").is_displayed())
    assert browser.find("#key").get_attribute("autocomplete") == "current-password"
    assert browser.find("#sign-in [autocomplete=username]").get_attribute("value")


def test_a_browser_reads_the_documentation_by_its_own_prompt(web: WebServer) -> None:
    key = make_key(web, READ)
    sent = {"Accept": "text/html", "Authorization": f"Basic {base64.b64encode(f'x:{key}'.encode()).decode()}"}
    with urllib.request.urlopen(urllib.request.Request(f"{web.url}/api/v1/docs/", headers=sent)) as reply:
        assert b"swagger" in reply.read().lower()
