"""Seconds that the studio takes for melodies, alone and beside one of its trainings.

::

    python benchmarks/studio.py --times 7
    python benchmarks/studio.py --paint --times 10

``--paint`` starts a studio and a headless Chromium anew each time, and tells when the page is
first painted. Else each request goes through the whole application but for the network: for eight
melodies of each of some wishes; for one whose density is another one each time, as by a moved
knob; for eight in place of one of which a bar is kept. The training is of a rule that none of the
requests has; it is cut short at the end.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from typing import Any

import click
from starlette.testclient import TestClient

from melodyconstraints.cli._common import print_table
from melodyconstraints.storage.machine import share_processors
from melodyconstraints.studio.app import create_app
from melodyconstraints.studio.places import Settings

WISHES = ((), ("cmajor",), ("cmajor", "density:64"), ("scale:D-dorian",), ("contour:arch",))
MELODIES = 8
MOVED_KNOB = "cmajor, another density: one melody"
FIRST_DENSITY = 60
RE_ROLLED = "scale:A-minor, re-rolled but for a bar"
TRAINED = "density:100"
START_SECONDS = 20.0
"""Until the training's process has loaded the model."""


def requests(client: TestClient, seed: int) -> dict[str, tuple[str, dict[str, Any]]]:
    """What is asked for with a seed, by name: path and body."""

    def body(count: int, *specs: str) -> dict[str, Any]:
        return {"n": count, "seed": seed, "rules": [{"spec": spec} for spec in specs]}

    minor = body(1, "scale:A-minor")
    melody = client.post("/generate", json=minor).json()["melodies"][0]["notes"]
    kept = {"n": MELODIES, "melody": melody, "keep_bars": [2], "strength": 0.6}
    return {
        MOVED_KNOB: ("/generate", body(1, "cmajor", f"density:{FIRST_DENSITY + seed}")),
        RE_ROLLED: ("/reroll", minor | kept),
        **{
            ", ".join(specs) or "no rule": ("/generate", body(MELODIES, *specs))
            for specs in WISHES
        },
    }


def seconds_of_requests(client: TestClient, times: int) -> dict[str, list[float]]:
    """Seconds of each request, in turn, by name."""
    seconds: dict[str, list[float]] = {}
    for seed in range(times):
        for name, (path, body) in requests(client, seed).items():
            begin = perf_counter()
            client.post(path, json=body).raise_for_status()
            seconds.setdefault(name, []).append(perf_counter() - begin)
    return seconds


def seconds_to_paint() -> float:
    """From asking for the page of a studio that has just started to its first contents."""
    from playwright.sync_api import sync_playwright

    mc = Path(sys.executable).with_name("mc")
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        command = [mc, "studio", "--port", "0", "--no-browser", "--folder", folder]
        studio = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)  # noqa: S603
        try:
            told = studio.stderr.readline() if studio.stderr else ""
            address = next(word for word in told.split() if word.startswith("http"))
            chromium = shutil.which("chromium") or shutil.which("chromium-browser")
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page()
            page.goto(address)
            painted = page.wait_for_function(
                "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
            )
            return float(painted.json_value()) / 1000
        finally:
            studio.terminate()
            studio.wait()


@click.command(help=__doc__.partition("\n")[0])
@click.option("--times", type=click.IntRange(1), default=7, show_default=True)
@click.option("--paint", is_flag=True, help="Tell when the page is first painted instead.")
def main(times: int, paint: bool) -> None:
    """Ask, train, and ask again."""
    if paint:
        seconds = sorted(seconds_to_paint() for _ in range(times))
        print(
            f"first paint: median {median(seconds):.2f} s, {seconds[0]:.2f} to {seconds[-1]:.2f}"
        )
        return
    share_processors()
    with TemporaryDirectory() as folder:
        settings = Settings(Path(folder) / "studio", Path(folder) / "saved")
        client = TestClient(create_app(settings), base_url=settings.address)
        client.post("/generate", json={"n": MELODIES}).raise_for_status()  # loads the models
        alone = seconds_of_requests(client, times)
        job = client.post("/train", json={"rules": [{"spec": TRAINED}]}).json()["id"]
        sleep(START_SECONDS)
        beside = seconds_of_requests(client, times)
        state = client.get(f"/jobs/{job}").json()["state"]
        client.post(f"/jobs/{job}/cancel")
        while client.get(f"/jobs/{job}").json()["state"] == "running":
            sleep(1)
    rows = [
        (name, *(f"{median(own[name]):.2f}, {max(own[name]):.2f}" for own in (alone, beside)))
        for name in alone
    ]
    print_table(["rules", "alone: median, most (s)", f"beside a training ({state})"], rows)


if __name__ == "__main__":
    main()
