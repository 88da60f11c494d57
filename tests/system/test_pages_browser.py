"""The pages in a real browser: nothing is asked, nothing complains, the keyboard is enough."""

import base64
import os
from pathlib import Path
from typing import Any

import page_samples as sample
import pytest
from browser import asked, browser, complaints, printed, screenshot, visit

from llama.figures.event_page import write_event_page
from llama.figures.run_page import write_run_page
from llama.files import write_json
from llama.settings import from_dict
from llama.settings.render import defaults

pytestmark = pytest.mark.needs("chromium", "chromedriver")

WIDE = "document.documentElement.scrollWidth"


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output directory with events, their pages and the page of all."""
    output = tmp_path_factory.mktemp("output")
    names = {
        "S230518h": {"far": 3.2e-10},
        "S190425z": {"far": 4.5e-13, "flags": {"ROLE": "observation"}},
        "MS230522j": {"far": 1e-6, "events": []},
        "S190426c": {"far": 2e-8, "flags": {"BLINDED_NEUTRINOS": True}, "retracted": True},
    }
    for age_s, (name, changes) in enumerate(names.items()):
        event_dir = sample.write_event(output, name, **changes)
        os.utime(event_dir / "skymap_info.json", (1e9 - age_s, 1e9 - age_s))
        write_event_page(event_dir, f"events/{name}")
    (output / "events").symlink_to("current_run")
    write_run_page(from_dict(defaults() | {"output_dir": str(output)}, "defaults"))
    return output


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


def page_of(output: Path, name: str = "S230518h") -> Path:
    return output / "events" / name / "index.html"


def press(driver: Any, *keys: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    for key in keys:
        ActionChains(driver).send_keys(key).perform()


def active(driver: Any) -> str:
    """Return id or words of what has the focus."""
    return driver.execute_script(
        "const a = document.activeElement; return a.id || a.textContent.trim()"
    )


def pixels(driver: Any) -> str:
    """Return what the globe shows, to compare."""
    return driver.execute_script("return document.getElementById('sky').toDataURL()")


def told(driver: Any, name: str = "sky-told") -> str:
    return driver.execute_script(f"return document.getElementById('{name}').textContent")


@pytest.mark.parametrize("width", [1100, 400])
def test_pages_ask_nothing_complain_of_nothing_and_fit(
    driver: Any, output: Path, tmp_path: Path, width: int
) -> None:
    for page in (page_of(output), page_of(output, "MS230522j"), output / "status.html"):
        visit(driver, page, width)
        assert complaints(driver) == []
        addresses = asked(driver)
        assert page.resolve().as_uri() in addresses
        assert all(address.startswith(("file:", "data:")) for address in addresses)
        assert driver.execute_script(f"return {WIDE}") <= width
        screenshot(driver, tmp_path / f"{page.stem}-{width}.png")
        assert (tmp_path / f"{page.stem}-{width}.png").stat().st_size > 10_000


def test_what_the_event_is_stays_in_sight(driver: Any, output: Path) -> None:
    seen = (
        "const m = document.querySelector('.marks'), b = m.getBoundingClientRect();"
        "return [document.elementFromPoint(innerWidth / 2, 5).closest('.marks') === m, b.top,"
        " b.width, getComputedStyle(m).backgroundColor]"
    )
    for name, colour in (("S230518h", "rgb(26, 26, 26)"), ("S190425z", "rgb(0, 86, 63)")):
        for width in (1100, 400):
            visit(driver, page_of(output, name), width)
            driver.execute_script("scrollTo(0, 3000)")
            assert driver.execute_script("return scrollY") > 1000
            assert driver.execute_script(seen) == [True, 0, width, colour]


def test_every_address_on_the_pages_leads_somewhere(driver: Any, output: Path) -> None:
    visit(driver, output / "status.html")
    links = driver.execute_script("return [...document.links].map((a) => a.href)")
    visit(driver, page_of(output))
    links += driver.execute_script("return [...document.links].map((a) => a.href)")
    files = {link.partition("#")[0].removeprefix("file://") for link in links}
    assert len(files) >= 6
    assert [name for name in files if not Path(name).exists()] == []


def test_the_globe_is_drawn_and_obeys_the_keyboard(driver: Any, output: Path) -> None:
    visit(driver, page_of(output))
    first = pixels(driver)
    assert len(base64.b64decode(first.split(",")[1])) > 10_000
    for _ in range(40):
        press(driver, "\ue004")  # Tab
        if active(driver) == "sky":
            break
    assert active(driver) == "sky"
    start = told(driver)
    seen = {first}
    for key in ("\ue012", "\ue013", "\ue014", "\ue015", "+", "-"):
        press(driver, key)
        seen.add(pixels(driver))
    assert len(seen) >= 5
    press(driver, "n")
    assert told(driver).startswith("Neutrino 1: centre RA 102.0°, Dec -24.0°")
    press(driver, "n")
    assert told(driver).startswith("Neutrino 2: centre RA 300.0°, Dec 50.0°")
    press(driver, "p")
    assert told(driver).startswith("Neutrino 1")
    press(driver, "0")
    assert told(driver) == start
    assert pixels(driver) == first
    press(driver, "\ue004")
    assert active(driver) == "←"  # the focus leaves the globe, to the buttons
    press(driver, "\ue007")
    assert pixels(driver) != first
    assert complaints(driver) == []


def test_the_globe_shows_the_map_where_it_is(driver: Any, output: Path) -> None:
    """The centre of the start is the densest colour; the other side of the sky is white."""
    visit(driver, page_of(output))
    colour = (
        "const c = document.getElementById('sky'), p = c.getContext('2d');"
        "const k = c.width / 2 + {offset};"
        "return [...p.getImageData(k, k, 1, 1).data].slice(0, 3)"
    )
    # a little off the cross of the most probable direction
    assert driver.execute_script(colour.replace("{offset}", "14")) == [0x17, 0x4A, 0x86]
    driver.find_element("css selector", "[data-sky=n]").click()
    driver.find_element("css selector", "[data-sky=n]").click()
    for _ in range(6):
        driver.find_element("css selector", "[data-sky=ArrowRight]").click()
    assert driver.execute_script(colour.replace("{offset}", "11")) == [255, 255, 255]


def test_dragging_turns_the_globe(driver: Any, output: Path) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    visit(driver, page_of(output))
    canvas, start = driver.find_element("id", "sky"), told(driver)
    ActionChains(driver).drag_and_drop_by_offset(canvas, 80, 30).perform()
    assert told(driver) != start
    wide = told(driver).partition(";")[2]
    assert wide == start.partition(";")[2]


def test_events_are_sorted_and_filtered_with_the_keyboard(driver: Any, output: Path) -> None:
    visit(driver, output / "status.html")

    def shown() -> list[str]:
        return driver.execute_script(
            "return [...document.querySelectorAll('#events tbody tr')]"
            ".filter((row) => !row.hidden).map((row) => row.cells[0].textContent)"
        )

    newest = ["S230518h", "S190425z", "MS230522j", "S190426c"]
    assert shown() == newest
    for _ in range(40):
        press(driver, "\ue004")
        if active(driver) == "FAR (Hz)":
            break
    assert active(driver) == "FAR (Hz)"
    press(driver, "\ue007")
    assert shown() == ["S190425z", "S230518h", "S190426c", "MS230522j"]
    heading = "return document.querySelector('th[aria-sort]').getAttribute('aria-sort')"
    assert driver.execute_script(heading) == "ascending"
    press(driver, " ")
    assert shown() == ["MS230522j", "S190426c", "S230518h", "S190425z"]
    assert driver.execute_script(heading) == "descending"
    # by number; nothing and blinded come last, whichever way
    button = "[...document.querySelectorAll('#events th button')].find((b) => b.textContent == "
    for _ in range(2):
        driver.execute_script(f"{button}'Odds ratio').click()")
        assert shown()[-1] == "S190426c"
    driver.find_element("id", "filter-words").send_keys("ms2305")
    assert shown() == ["MS230522j"]
    assert told(driver, "events-told") == "1 of 4 events shown."
    driver.find_element("id", "filter-words").clear()
    driver.find_element("id", "filter-words").send_keys(" ")
    kind = "const k = document.getElementById('filter-kind'); k.value = 'REAL';"
    driver.execute_script(kind + "k.dispatchEvent(new Event('change'))")
    assert shown() == ["S190425z"]
    assert complaints(driver) == []


def test_hostile_text_runs_nothing(driver: Any, tmp_path: Path) -> None:
    event_dir = sample.write_event(tmp_path)
    for number, bad in enumerate(sample.HOSTILE):
        receipt = {"channel": bad, "destination": bad, "status": bad, "remote_id": bad}
        write_json(event_dir / "receipts" / f"{number}.json", receipt)
    rows = [sample.neutrino(k, id=bad, type=bad) for k, bad in enumerate(sample.HOSTILE, 1)]
    write_json(event_dir / "icecube_neutrino_list.json", {"events": rows, "complete": True})
    write_event_page(event_dir, "events/S230518h")
    visit(driver, event_dir / "index.html")
    assert driver.title == "TEST: S230518h: gravitational wave and high-energy neutrinos"
    assert complaints(driver) == []
    addresses = asked(driver)
    assert addresses
    assert all(address.startswith(("file:", "data:")) for address in addresses)
    text = driver.find_element("tag name", "main").text
    assert "javascript:document.title='taken'" in text
    # letters that run from right to left do not turn round what stands beside them
    cell = next(c for c in driver.find_elements("css selector", "td bdi") if "שלום" in c.text)
    assert "\u202e" not in cell.text


def test_a_script_that_is_not_ours_is_refused(driver: Any, output: Path, tmp_path: Path) -> None:
    page = tmp_path / "changed.html"
    source = page_of(output).read_text()
    page.write_text(source.replace("</main>", "<script>document.title = 'taken'</script></main>"))
    visit(driver, page)
    assert driver.title != "taken"
    assert any("Content Security Policy" in complaint for complaint in complaints(driver))


def test_pages_print(driver: Any, output: Path) -> None:
    for page in (page_of(output), output / "status.html"):
        visit(driver, page)
        document = printed(driver)
        assert document.startswith(b"%PDF")
        assert len(document) > 20_000
        assert complaints(driver) == []
    sheets = driver.execute_script(
        "return [...document.styleSheets[0].cssRules].map((r) => r.cssText).join('')"
    )
    assert 'content: "LLAMA"' in sheets
    assert 'content: counter(page) " / " counter(pages)' in sheets
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    visit(driver, page_of(output), 673)
    assert driver.execute_script(f"return {WIDE}") <= 673
    shown = "return getComputedStyle(document.querySelector('{}')).display"
    assert driver.execute_script(shown.replace("{}", "#sky-box")) == "none"
    assert driver.execute_script(shown.replace("{}", "nav")) == "none"
    assert driver.execute_script(shown.replace("{}", "#sky-words")) != "none"
    opened = "const f = document.getElementById('sky-figure'); {} return f.open"
    assert not driver.execute_script(opened.replace("{}", ""))
    print_it = "dispatchEvent(new Event('beforeprint'));"
    assert driver.execute_script(opened.replace("{}", print_it))
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_without_scripts_the_page_is_whole(output: Path, tmp_path: Path) -> None:
    with browser(tmp_path, "--blink-settings=scriptEnabled=false") as plain:
        plain.get(page_of(output).resolve().as_uri())
        text = plain.find_element("tag name", "main").text
        assert "Neutrino 1, RA 102.0 deg" in text
        assert "turn" not in text.split("What drove")[0]
