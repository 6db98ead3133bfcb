"""The page in a browser, as a user has it; skipped where there is no Chromium or no Playwright."""

import base64
import io
import re
import shutil
import socket
import threading
import wave
import zipfile
from dataclasses import replace

import mido
import numpy as np
import pytest
import uvicorn

from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.midi.writing import write_melody
from melodyconstraints.melody.performance import Performance
from melodyconstraints.studio import app as app_module
from melodyconstraints.studio.app import create_app
from melodyconstraints.studio.engine import Engine
from melodyconstraints.studio.places import Settings
from melodyconstraints.studio.schemas import melody_of
from melodyconstraints.studio.training import train
from melodyconstraints.workflows.bank import load_bank
from melodyconstraints.workflows.editing import keep
from melodyconstraints.workflows.models import load_model

axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="no axe-core: pip install '.[dev]'"
)
playwright = pytest.importorskip(
    "playwright.sync_api", reason="no Playwright: pip install '.[dev]'"
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium")
expect = playwright.expect
SECONDS = 20_000
"""Milliseconds that a busy machine may need."""
expect.set_options(timeout=SECONDS)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Of a studio that runs in a thread, with the default models."""
    folder = tmp_path_factory.mktemp("studio")
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        settings = Settings(folder / "data", folder / "saved", port=listening.getsockname()[1])
        app = create_app(settings, Engine())
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield settings.address
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(address, browser):
    """The page, ready; an error in its console fails the test."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page, errors = context.new_page(), []
    page.set_default_timeout(SECONDS)
    page.on("console", lambda message: message.type == "error" and errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    page.wait_for_selector("[data-ready]", state="attached")
    page.wait_for_selector("[data-state=ready]", timeout=3 * SECONDS)
    yield page
    context.close()
    assert errors == []


@pytest.fixture
def short_trainings(address, monkeypatch, tiny_settings, few_draws, blank_curves):
    """Trainings run in the server's thread, with a tiny bank, as long as nobody stops them."""

    def train_here(job, model_folder, body, folder, settings):
        arguments = load_model(model_folder), body, folder, settings, job.report, job.stop.is_set
        return train(*arguments, training_settings=replace(tiny_settings, rounds=1000))

    monkeypatch.setattr(app_module, "train_in_process", train_here)
    monkeypatch.setitem(load_bank.__wrapped__.__kwdefaults__, "size", 24)


STARS = ".star[aria-pressed=true]"
DROP = """([name, data]) => {
  const files = new DataTransfer();
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  files.items.add(new File([bytes], name, { type: "audio/midi" }));
  document.body.dispatchEvent(
    new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }));
}"""
"""What a browser does when a file is dropped on the page."""


def answer(page, path, do):
    """What the server answered to a key, or to what is done."""
    with page.expect_response(lambda one: one.url.endswith(path), timeout=3 * SECONDS) as found:
        do() if callable(do) else page.keyboard.press(do)
    return found.value.json()


def downloaded(page, press):
    with page.expect_download() as found:
        press()
    return found.value.path().read_bytes()


def onsets(file):
    """Ticks at which the notes of a file's melody begin, 480 a quarter."""
    track = file.tracks[1]
    ticks = np.cumsum([one.time for one in track])
    return ticks[[one.type == "note_on" for one in track]]


def test_by_keyboard_alone_a_melody_is_heard_drawn_kept_rerolled_and_comes_back(page):
    expect(page.locator(".roll .note")).not_to_have_count(0)  # there before any click
    page.keyboard.press("Space")
    expect(page.locator(".playhead.shown")).to_have_count(1)
    page.keyboard.press("Space")

    drawn = answer(page, "/generate", "g")["melodies"]
    expect(page.locator(".tile")).to_have_count(8)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("s")
    page.locator("[data-bar='2']").press("Enter")
    changed = answer(page, "/reroll", "r")["melodies"]
    expect(page.locator("#title")).to_contain_text("Kept bar 2")
    before = melody_of(drawn[1]["notes"])
    kept = keep(before, Melodies.stack([before]), {2})  # a note held into it begins with it
    for one in changed:
        assert (melody_of(one["notes"]).bars[1] == kept.bars[0, 1]).all()

    page.keyboard.press("Control+z")
    expect(page.locator("#title")).not_to_contain_text("Kept bar 2")
    page.reload()
    page.wait_for_selector("[data-ready]", state="attached")
    expect(page.locator(".tile")).to_have_count(8)
    expect(page.locator(STARS)).to_have_count(1)
    assert page.locator(".past").count() >= 3


def test_what_the_server_does_not_call_satisfied_never_reads_as_one(page):
    def almost(route):
        response = route.fetch()
        body = response.json()
        for one in body["melodies"]:
            count = len(body["rules"])
            one.update(rewards=[0.9996] * count, satisfied_rules=[False] * count)
        route.fulfill(response=response, json=body)

    page.route("**/generate", almost)
    answer(page, "/generate", lambda: page.select_option("#scale", "phrygian"))
    expect(page.locator("#scale-badge")).to_have_text("0.99")
    meter = page.locator(".tile[aria-pressed=true] .meter").first
    expect(meter).to_have_attribute("title", re.compile(r"phrygian: 0\.999$"))
    expect(page.locator(".tile[aria-pressed=true] .fill.satisfied")).to_have_count(0)


def test_a_star_given_before_the_server_has_the_state_comes_back(page):
    held, begun = [], []
    page.route("**/history", lambda route: held.append(route), times=1)
    page.on("request", lambda one: one.url.endswith("/history") and begun.append(one.method))
    page.keyboard.press("g")
    expect(page.locator(".tile")).not_to_have_count(0)
    kept = page.locator(STARS).count() + 1
    page.keyboard.press("s")
    title = page.locator("#title").text_content()
    page.keyboard.press("Control+z")  # waits for its turn
    page.wait_for_timeout(500)  # longer than a change waits before it is written
    assert begun == ["POST"]
    expect(page.locator(STARS)).to_have_count(kept)
    with page.expect_response("**/history/position"):
        held[0].continue_()
    with page.expect_response("**/history/position"):
        page.keyboard.press("Control+Shift+z")
    page.reload()
    page.wait_for_selector("[data-ready]", state="attached")
    expect(page.locator(STARS)).to_have_count(kept)
    expect(page.locator("#title")).to_have_text(title)


def test_what_is_changed_at_the_last_moment_comes_back(page):
    answer(page, "/history", "g")
    kept = page.locator(STARS).count() + 1
    page.keyboard.press("s")
    page.reload()
    page.wait_for_selector("[data-ready]", state="attached")
    expect(page.locator(STARS)).to_have_count(kept)


def test_what_comes_out_is_the_melody_as_sound_as_midi_and_by_dragging(page):
    for _ in range(8):  # to the first melody that a swing moves
        file = mido.MidiFile(file=io.BytesIO(downloaded(page, lambda: page.keyboard.press("d"))))
        if (onsets(file) // 120 % 4 == 2).any():
            break
        page.keyboard.press("ArrowRight")
    page.click("[data-bar='3']")
    page.keyboard.press("Space")  # plays, rather than choose the bar once more
    expect(page.locator(".playhead.shown")).to_have_count(1)
    page.keyboard.press("Space")
    page.locator("#tempo").fill("240")
    data = downloaded(page, lambda: page.click("#out-wav"))
    with wave.open(io.BytesIO(data)) as sound:
        samples = np.frombuffer(sound.readframes(sound.getnframes()), np.int16)
    assert np.abs(samples).max() > 3000
    assert np.abs(samples).max() < 32767
    file = mido.MidiFile(file=io.BytesIO(downloaded(page, lambda: page.keyboard.press("d"))))
    notes = [one.note for one in file.tracks[1] if one.type == "note_on"]

    page.keyboard.press("e")
    page.keyboard.press("d")  # in the list of formats
    page.locator("#swing").fill("75")
    page.keyboard.press("Escape")
    expect(page.locator("#export")).to_be_hidden()
    project = zipfile.ZipFile(io.BytesIO(downloaded(page, lambda: page.click("#out-file"))))
    assert project.read("project.xml").count(b"<Note ") == len(notes)

    page.hover("#out-drag")
    url = page.wait_for_function(  # empty until the file is there
        "() => { const data = new DataTransfer();"
        "document.getElementById('out-drag').dispatchEvent(new DragEvent('dragstart',"
        "{ dataTransfer: data, cancelable: true })); return data.getData('DownloadURL'); }"
    ).json_value()
    kind, name, _, data = url.split(":", 3)
    assert (kind, name.endswith(".mid")) == ("audio/midi", True)
    dragged = mido.MidiFile(file=io.BytesIO(base64.b64decode(data.partition(",")[2])))
    assert [one.note for one in dragged.tracks[1] if one.type == "note_on"] == notes
    moved = Performance(swing=75).moved(onsets(file) // 120) * 120
    assert onsets(dragged).tolist() == moved.tolist() != onsets(file).tolist()


def test_a_file_that_is_chosen_is_shown_and_blended_on_a_phone(page, tmp_path):
    page.set_viewport_size({"width": 390, "height": 844})
    for name, pitch in (("one", 60), ("two", 67)):
        tune = melody_of([[step, 4, pitch + step % 3] for step in range(0, 128, 4)])
        write_melody(tune, tmp_path / f"{name}.mid", name=name)
    page.click("#tab-mine")
    page.set_input_files("#file", tmp_path / "one.mid")
    expect(page.locator("#title")).to_have_text("one")
    expect(page.locator(".system")).to_have_count(2)
    expect(page.locator("#place-text")).to_contain_text("bars 1-8 of track 'one'")
    page.set_input_files("#other-file", tmp_path / "two.mid")
    expect(page.locator("#title")).to_have_text("From one to two")
    page.locator("#blend-slider").fill("16")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()


def test_a_transformation_stays_where_a_moved_knob_is_answered_late(page):
    held = []
    page.route("**/generate", lambda route: held.append(route), times=1)
    page.click("[data-tonic='2']")
    page.click("#tab-mine")
    page.click("#transform")
    expect(page.locator("#title")).to_contain_text("Transformed", timeout=3 * SECONDS)
    expect(page.locator("#generate")).to_have_attribute("aria-busy", "true")
    held[0].continue_()
    expect(page.locator("#generate")).not_to_have_attribute("aria-busy", "true")
    expect(page.locator("#title")).to_contain_text("Transformed")
    expect(page.locator(".tile")).not_to_have_count(0)


def test_a_file_that_is_dropped_is_transformed_and_compared(page, tmp_path):
    tune = [[step, 4, 60 + (step // 4) % 5] for step in range(0, 256, 4)]
    write_melody(melody_of(tune), tmp_path / "tune.mid")
    data = base64.b64encode((tmp_path / "tune.mid").read_bytes()).decode()
    page.evaluate(DROP, ["tune.mid", data])
    expect(page.locator("#title")).to_have_text("tune")
    expect(page.locator(".roll .note")).to_have_count(len(tune))
    page.click("#tab-wishes")
    page.click("[data-tonic='0']")
    page.click("#tab-mine")
    page.click("#transform")
    expect(page.locator("#title")).to_have_text("Transformed tune", timeout=3 * SECONDS)
    expect(page.locator("#transform-text")).to_contain_text("of your notes are where they were")
    expect(page.locator(".roll .before")).not_to_have_count(0)
    page.uncheck("#overlay")
    expect(page.locator(".roll .before")).to_have_count(0)
    expect(page.locator("#facts")).to_contain_text("0 outside the scale")


@pytest.mark.usefixtures("short_trainings")
def test_a_training_shows_its_curve_and_keeps_its_best_when_it_is_stopped(page):
    answer(page, "/generate", lambda: page.select_option("#scale", ""))  # any notes
    page.select_option("#add-rule", "not:on-beat:80%")  # 81% satisfy it untrained
    page.click("#train")
    expect(page.locator("#curve .curve-all")).to_have_count(1, timeout=3 * SECONDS)
    expect(page.locator("#train-text")).to_contain_text("satisfy every rule")
    drawn = answer(page, "/generate", lambda: page.click("#train-cancel"))
    assert "an actor trained for this, cut short" in drawn["how"]
    expect(page.locator("#train")).to_be_enabled()


@pytest.mark.parametrize(("scheme", "width"), [("dark", 1440), ("light", 390)])
def test_axe_finds_nothing_serious(page, scheme, width):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    found = []
    for press in (None, "e", "Escape", "?"):
        if press:
            page.keyboard.press(press)
        violations = axe.Axe().run(page).response["violations"]
        found += [one for one in violations if one["impact"] in ("serious", "critical")]
    assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in found] == []
