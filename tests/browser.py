"""Debian's chromium without a screen, for the tests of the pages."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
# a browser that asks no server of its own for anything
_QUIET = (
    "--headless=new",
    "--no-sandbox",  # tests may run as root, in a container
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--hide-scrollbars",  # so that screenshots are as wide as the page
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
    "--force-device-scale-factor=1",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


@contextmanager
def browser(profile: Path, *options: str) -> Iterator[Any]:
    """A browser with an empty profile; it keeps its console and what it asks for."""
    from selenium import webdriver

    settings = webdriver.ChromeOptions()
    settings.binary_location = CHROMIUM
    for option in (*_QUIET, f"--user-data-dir={profile}", *options):
        settings.add_argument(option)
    settings.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(settings, webdriver.ChromeService(DRIVER))
    try:
        driver.set_page_load_timeout(60)
        driver.set_script_timeout(30)
        yield driver
    finally:
        driver.quit()


def visit(driver: Any, page: Path, width: int = 1100, height: int = 900) -> None:
    """Open a file in a window of a size."""
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
    )
    driver.get_log("browser"), driver.get_log("performance")
    driver.get(page.resolve().as_uri())
    deadline = time.monotonic() + 30
    while driver.execute_script("return document.readyState") != "complete":
        assert time.monotonic() < deadline
        time.sleep(0.05)


def asked(driver: Any) -> list[str]:
    """Return the addresses that pages have asked for since the last call, not the browser."""
    messages = [json.loads(e["message"])["message"] for e in driver.get_log("performance")]
    return [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
        and not message["params"]["documentURL"].startswith("chrome")
    ]


def complaints(driver: Any) -> list[str]:
    """Return what the console says, refusals of the Content-Security-Policy included."""
    return [entry["message"] for entry in driver.get_log("browser")]


def screenshot(driver: Any, file: Path) -> None:
    """Write the whole page, not only the window, as PNG."""
    import base64

    size = driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
    clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
    parameters = {"captureBeyondViewport": True, "clip": clip}
    image = driver.execute_cdp_cmd("Page.captureScreenshot", parameters)["data"]
    file.write_bytes(base64.b64decode(image))


def printed(driver: Any) -> bytes:
    """Return the page as the browser prints it on A4, as PDF."""
    import base64

    parameters = {"printBackground": False, "preferCSSPageSize": True}
    return base64.b64decode(driver.execute_cdp_cmd("Page.printToPDF", parameters)["data"])
