"""The report in a real browser: everything clickable is clicked, nothing may complain or reach outside."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from twinset.report import ReportData, render

selenium = pytest.importorskip("selenium", reason="selenium is not installed")

from selenium import webdriver  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CHROMEDRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1280,1000",
)  # fmt: skip

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM and CHROMEDRIVER), reason="no Chromium with chromedriver on this machine"),
]


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('browser') / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(CHROMEDRIVER)))
    driver.set_page_load_timeout(60)
    yield driver
    driver.quit()


@pytest.fixture
def browser(chromium: webdriver.Chrome) -> Iterator[webdriver.Chrome]:
    """A tab of its own, with whatever sizes and switches it is given, and logs that begin with it."""
    empty = chromium.current_window_handle
    chromium.switch_to.new_window("tab")
    for log in ("browser", "performance"):
        chromium.get_log(log)
    yield chromium
    chromium.close()
    chromium.switch_to.window(empty)


@pytest.fixture
def opened(browser: webdriver.Chrome, tmp_path: Path, report_data: Callable[..., ReportData]) -> webdriver.Chrome:
    path = tmp_path / "report.html"
    path.write_text(render(report_data()), encoding="utf-8")
    browser.get(path.as_uri())
    WebDriverWait(browser, 30).until(lambda d: len(d.find_elements(By.CSS_SELECTOR, ".plot .main-svg")) >= 5)
    return browser


def complaints(driver: webdriver.Chrome) -> list[str]:
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


def outside_requests(driver: webdriver.Chrome) -> list[str]:
    urls = []
    for entry in driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] in ("Network.requestWillBeSent", "Network.webSocketCreated"):
            params = message["params"]
            urls.append(params["request"]["url"] if "request" in params else params["url"])
    return [url for url in urls if not url.startswith(("file:", "data:", "chrome:", "about:"))]


def click(driver: webdriver.Chrome, selector: str, within: str = "") -> int:
    elements = driver.find_elements(By.CSS_SELECTOR, f"{within} {selector}")
    for element in elements:
        driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()
    return len(elements)


def test_everything_clicks_without_a_complaint_or_a_request(opened: webdriver.Chrome) -> None:
    driver = opened
    assert click(driver, "button") == 12
    assert click(driver, "summary") == 19
    assert click(driver, "summary") == 19
    assert click(driver, "nav.contents a") == 13
    assert click(driver, "#class-chooser") == 1
    assert click(driver, "#plot-map .legendtoggle") == 10
    assert complaints(driver) == []
    assert outside_requests(driver) == []


def test_a_planted_script_is_refused_and_a_planted_request_is_seen(
    browser: webdriver.Chrome, tmp_path: Path, report_data: Callable[..., ReportData]
) -> None:
    text = render(report_data())
    planted = tmp_path / "planted.html"
    planted.write_text(text.replace("<footer>", "<script>document.title = 'owned'</script><footer>"), encoding="utf-8")
    browser.get(planted.as_uri())
    assert browser.title != "owned"
    assert any("Content Security Policy" in message for message in complaints(browser))
    planted.write_text(
        text.replace("Content-Security-Policy", "x").replace("<footer>", "<img src='http://outside.invalid/x.png'>"),
        encoding="utf-8",
    )
    browser.get(planted.as_uri())
    assert outside_requests(browser) == ["http://outside.invalid/x.png"]


def test_hostile_class_names_are_visible_text(opened: webdriver.Chrome) -> None:
    driver = opened
    text = driver.find_element(By.TAG_NAME, "body").text
    assert "<script>alert(1)</script>" in text
    assert "<b>x</b>" in text
    assert driver.find_elements(By.CSS_SELECTOR, "main script, bdi b, summary b, img[onerror]") == []
    driver.find_element(By.CSS_SELECTOR, "[data-view='by class']").click()
    legend = [element.text for element in driver.find_elements(By.CSS_SELECTOR, "#plot-map .legendtext")]
    assert "<script>alert(1)</script>" in legend
    assert "<b>x</b>" in legend


def test_theme_button_turns_the_page_and_its_charts(opened: webdriver.Chrome) -> None:
    driver = opened

    def looks() -> tuple[str, str]:
        ground = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
        mark = driver.execute_script("return getComputedStyle(document.querySelector('#plot-cost .bars path')).fill")
        return ground, mark

    before = looks()
    driver.find_element(By.ID, "theme").click()
    after = looks()
    assert before[0] != after[0]
    assert before[1] != after[1]
    driver.find_element(By.ID, "theme").click()
    assert looks() == before


def test_filter_shows_only_one_reason(opened: webdriver.Chrome) -> None:
    driver = opened
    buttons = driver.find_elements(By.CSS_SELECTOR, "[data-filter='rejected'] button")
    for button in buttons[1:]:
        driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
        button.click()
        shown = driver.find_elements(By.CSS_SELECTOR, "#rejected figure:not([hidden])")
        assert {item.get_attribute("data-group") for item in shown} == {button.get_attribute("data-value")}
        assert f"({len(shown)})" in button.text
    buttons[0].click()
    assert len(driver.find_elements(By.CSS_SELECTOR, "#rejected figure:not([hidden])")) == 48


@pytest.mark.parametrize("width", [360, 768])
def test_narrow_screens_need_no_sideways_scrolling(opened: webdriver.Chrome, width: int) -> None:
    driver = opened
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 740, "deviceScaleFactor": 1, "mobile": True},
    )
    driver.refresh()
    WebDriverWait(driver, 30).until(lambda d: len(d.find_elements(By.CSS_SELECTOR, ".plot .main-svg")) >= 5)
    driver.execute_script("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    assert complaints(driver) == []


def test_page_reads_without_scripts(
    browser: webdriver.Chrome, tmp_path: Path, report_data: Callable[..., ReportData]
) -> None:
    path = tmp_path / "report.html"
    path.write_text(render(report_data()), encoding="utf-8")
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.get(path.as_uri())
    text = browser.find_element(By.TAG_NAME, "main").text
    assert "Use it" in text
    assert "The same as a table" in text
