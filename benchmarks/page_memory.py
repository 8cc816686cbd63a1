"""What the page holds in memory while it refreshes for hours: the heap of its scripts, nodes and listeners.

In a headless Chromium the page of a running service (URL) is refreshed by its button, one time after the other; after
each ``--step`` the garbage is collected and counted. Prints a table. Wants chromium-driver, and a service that caches
no report (REPORT_CACHE_SECONDS=0): else most refreshes show what is there already.
"""

import shutil
from argparse import ArgumentParser
from collections.abc import Iterator

from selenium import webdriver
from selenium.webdriver.support.wait import WebDriverWait

from benchmarks.markdown import table

# An hour has 72.
REFRESHES = 288
STEP = 72
SECONDS = 600
REFRESH = """
    const [times, done] = arguments;
    const moment = () => document.querySelector("#age time").dateTime;
    const until = async (holds) => { while (!holds()) await new Promise((tick) => setTimeout(tick, 5)); };
    (async () => {
        for (let time = 0; time < times; time += 1) {
            const before = moment();
            document.querySelector("#refresh").click();
            await until(() => moment() !== before && !document.querySelector("[aria-busy]"));
        }
        performance.clearResourceTimings();
        done();
    })();"""


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--refreshes", type=int, default=REFRESHES, help=f"how many ({REFRESHES})")
    parser.add_argument("--step", type=int, default=STEP, help=f"between two lines of the table ({STEP})")
    arguments = parser.parse_args()
    driver = _browser()
    try:
        driver.get(f"{arguments.url}/?refresh=off")
        shown = "return document.querySelector('#age time') && !document.querySelector('[aria-busy]')"
        WebDriverWait(driver, SECONDS).until(lambda _: driver.execute_script(shown))
        rows = [*_rows(driver, arguments.refreshes, arguments.step)]
    finally:
        driver.quit()
    print(table(["refreshes", "heap in kB", "nodes", "listeners"], rows))


def _rows(driver: webdriver.Chrome, refreshes: int, step: int) -> Iterator[list[str]]:
    for refreshed in range(0, refreshes + 1, step):
        if refreshed:
            driver.execute_async_script(REFRESH, step)
        driver.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
        heap = driver.execute_cdp_cmd("Runtime.getHeapUsage", {})["usedSize"]
        counted = driver.execute_cdp_cmd("Memory.getDOMCounters", {})
        yield [str(refreshed), f"{heap / 1000:,.0f}", str(counted["nodes"]), str(counted["jsEventListeners"])]


def _browser() -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver") or ""))
    driver.set_script_timeout(SECONDS)
    return driver


if __name__ == "__main__":
    main()
