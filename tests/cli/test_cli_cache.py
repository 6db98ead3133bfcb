"""``mc cache``: what commands have kept is listed and emptied."""

import json

GENERATE = ("generate", "--rule", "density:1", "-n", 1)


def test_an_actor_that_a_command_trains_is_kept_and_listed(mc, quick_recipe, tiny_model_folder):
    command = (*GENERATE, "--model", tiny_model_folder)
    first, second = mc(*command), mc(*command, "-o", "again")
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "training an actor for density:1: about five minutes" in first.stderr
    assert "training" not in second.stderr
    listed = json.loads(mc("cache", "--json").stdout)
    assert {entry["kind"] for entry in listed["entries"]} == {"actor", "bank"}
    assert [one["rules"] for one in listed["entries"] if one["kind"] == "actor"] == [["density:1"]]
    assert "density:1" in mc("cache").stdout
    cleared = mc("cache", "--clear")
    assert cleared.exit_code == 0
    assert cleared.stdout.startswith(f"{len(listed['entries'])} artifacts, ")
    assert mc("cache").stdout == f"0 artifacts, 0.0 MB, in {listed['folder']}\n"
