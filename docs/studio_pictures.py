"""The README's two pictures of the studio, taken anew in a headless Chromium.

::

    python docs/studio_pictures.py

By night a drawn melody that plays, four of its bars chosen; by day a melody from a file, before and
after it was transformed.
"""

import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

DOCS = Path(__file__).parent
PATIENCE = 120_000
"""Milliseconds."""
expect.set_options(timeout=PATIENCE)


def night(page: Page, folder: Path) -> None:
    """Draw, choose the first four bars of a melody that plays; and leave it in a file."""
    with page.expect_response(lambda answer: answer.url.endswith("/generate")):
        page.keyboard.press("g")
    page.locator(".tile").nth(6).click()  # which plays it
    with page.expect_download() as found:
        page.keyboard.press("d")
    found.value.save_as(folder / "My tune.mid")
    page.click("[data-bar='1']")
    page.click("[data-bar='4']", modifiers=["Shift"])
    page.wait_for_timeout(2000)


def day(page: Page, folder: Path) -> None:
    """Open the file, wish for another scale, and change the melody as little as that needs."""
    page.click("#tab-mine")
    page.set_input_files("#file", folder / "My tune.mid")
    expect(page.locator("#title")).to_have_text("My tune")
    page.click("#tab-wishes")
    page.select_option("#scale", "dorian")
    page.locator("#form").fill("")
    page.click("#tab-mine")
    page.click("#transform")
    expect(page.locator("#title")).to_have_text("Transformed My tune")
    page.wait_for_timeout(500)


def main() -> None:
    """Start a studio with an empty history, take both pictures, and end it."""
    mc = Path(sys.executable).with_name("mc")
    with TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        command = [mc, "studio", "--port", "0", "--no-browser", "--folder", folder / "studio"]
        studio = subprocess.Popen(  # noqa: S603
            command, stderr=subprocess.PIPE, text=True, cwd=folder
        )
        try:
            told = studio.stderr.readline() if studio.stderr else ""
            address = next(word for word in told.split() if word.startswith("http"))
            chromium = shutil.which("chromium") or shutil.which("chromium-browser")
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            for scheme, shown in (("dark", night), ("light", day)):
                page = browser.new_page(
                    viewport={"width": 1440, "height": 900}, color_scheme=scheme
                )
                page.set_default_timeout(PATIENCE)
                page.goto(address)
                page.wait_for_selector("[data-ready]", state="attached")
                page.wait_for_selector("[data-state=ready]")
                shown(page, folder)
                picture = Image.open(BytesIO(page.screenshot()))
                picture.quantize(256).save(DOCS / f"studio-{scheme}.png", optimize=True)
                page.close()
        finally:
            studio.terminate()
            studio.wait()


if __name__ == "__main__":
    main()
