"""What a user's code prints, seeds, sets or ends stays with it."""

import io
import os  # noqa: F401 (of the statements)
import random
import re
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from melodyconstraints.errors import RuleError
from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.rules import Rule, all_of, find_rule
from melodyconstraints.rules.isolation import OutOfTime, is_own, time_limit, timed
from melodyconstraints.storage.machine import signals_interrupt

TWO = Melodies.stack([Melody.from_notes([(0, 4, 60)]), Melody.from_notes([(0, 4, 61)])])


def run(statements, batched=False):
    """Rewards of a rule that runs statements first."""

    def mine(_):
        exec(statements, globals())  # noqa: S102
        return [0.5, 0.5] if batched else 0.5

    return Rule("mine", mine, batched)(TWO)


@pytest.mark.parametrize(
    "statement",
    [
        "print('noise')",
        "sys.stdout.write('noise')",
        "sys.__stdout__.write('noise')",
        "os.write(1, b'noise')",
        "os.system('echo noise')",
        "sys.stdout = sys.__stdout__; print('noise')",
    ],
)
def test_what_a_rule_prints_goes_to_stderr(capfd, statement):
    print("before", end=" ")  # noqa: T201
    assert run(statement).tolist() == [0.5, 0.5]
    print("after")  # noqa: T201
    out, err = capfd.readouterr()
    assert out == "before after\n"
    assert err.count("noise") == 2


def test_what_was_printed_before_and_not_yet_written_stays_on_stdout():
    program = (
        "import os\nfrom melodyconstraints.rules import rule\n"
        "from melodyconstraints.melody.events import Melody\n"
        "print('before')\n"
        "rule(lambda m: os.write(1, b'noise') / 5)(Melody.from_notes([]))\n"
        "print('after')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("before\nafter\n", "noise")


def test_a_process_without_stdout_or_stderr_runs_rules():
    program = (
        "import os, sys\nfrom melodyconstraints.rules import rule\n"
        "from melodyconstraints.melody.events import Melody\n"
        "os.close(1); os.close(2)\nsys.stdout = sys.stderr = sys.stdin = None\n"
        "reward = rule(lambda m: print('noise') or 0.5)(Melody.from_notes([]))\n"
        "sys.exit(7 if reward == 0.5 else 1)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 7


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("exit(0)", "SystemExit: 0"),
        ("sys.exit()", "SystemExit: "),
        ("raise KeyboardInterrupt", "KeyboardInterrupt: "),
        ("raise BaseException('odd')", "BaseException: odd"),
    ],
)
@pytest.mark.parametrize("batched", [False, True])
def test_a_rule_that_ends_the_program_is_an_error(statement, fault, batched):
    what = "a batch of 2 melodies" if batched else "melody 1 of 2, Melody(1 notes, pitches 60-60)"
    with pytest.raises(RuleError, match=f"^rule mine raised {fault} for {re.escape(what)}$"):
        run(statement, batched)


def test_a_rule_that_ends_the_program_is_named_inside_another():
    ends = Rule("ends", lambda melody: sys.exit(3))
    with pytest.raises(RuleError, match="raised RuleError: rule ends raised SystemExit: 3 for"):
        all_of(["cmajor", ends])(TWO)


def test_ctrl_c_is_no_fault_of_the_rule():
    for name in ("SIGINT", "SIGTERM"):
        with signals_interrupt(), pytest.raises(KeyboardInterrupt):
            run(f"signal.raise_signal(signal.{name})")
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(RuleError, match="raised KeyboardInterrupt"):
        run("raise KeyboardInterrupt")


def test_a_rule_in_another_thread_is_isolated_too():
    caught = []

    def work():
        try:
            run("raise KeyboardInterrupt")
        except RuleError as error:
            caught.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert "rule mine raised KeyboardInterrupt" in caught[0]


def test_exit_leaves_stdin_open(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("typed"))
    with pytest.raises(RuleError, match="SystemExit"):
        run("exit(0)")
    assert sys.stdin.read() == "typed"


def state():
    """What a rule may not change."""
    return {
        "random": random.getstate(),
        "numpy": np.random.get_state()[1].tolist(),
        "place": np.random.get_state()[2],
        "torch": torch.get_rng_state().tolist(),
        "gradients": torch.is_grad_enabled(),
        "type": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "modes": torch._C._len_torch_function_stack(),  # through which each operation passes
        "threads": torch.get_num_threads(),
        "errors": np.geterr(),
        "folder": Path.cwd(),
        "interrupt": signal.getsignal(signal.SIGINT),
    }


@pytest.mark.parametrize("ending", ["", "; 1 / 0", "; exit()"])
@pytest.mark.parametrize(
    "statement",
    [
        "random.seed(1)",
        "random.random()",
        "np.random.seed(1)",
        "np.random.rand()",
        "torch.manual_seed(1)",
        "torch.rand(1)",
        "torch.set_grad_enabled(False)",
        "torch.set_default_dtype(torch.float64)",
        "torch.set_default_device('meta')",
        "torch.set_num_threads(2)",
        "np.seterr(all='raise')",
        "os.chdir('/')",
        "signal.signal(signal.SIGINT, signal.SIG_IGN)",
    ],
)
def test_global_state_is_restored(statement, ending):
    before = state()
    try:
        run(statement + ending)
    except RuleError:
        assert ending
    assert state() == before


def test_users_code_draws_from_streams_of_its_own():
    """Chance is not hidden: two calls draw other numbers."""
    draws = []
    for _ in range(2):
        run("global drawn; drawn = [random.random(), np.random.rand(), torch.rand(1).item()]")
        draws.append(globals().pop("drawn"))
    assert all(first != second for first, second in zip(*draws, strict=True))
    again = []
    for _ in range(2):
        run("random.seed(5); np.random.seed(5); torch.manual_seed(5)")
        run("global drawn; drawn = [random.random(), np.random.rand(), torch.rand(1).item()]")
        again.append(globals().pop("drawn"))
    assert again[0] == again[1]


def test_threads_that_overlap_restore_what_was_before_all_of_them(capfd):
    before = state()
    inside, leave = threading.Barrier(3), [threading.Event(), threading.Event()]

    def waits(number):
        def mine(_):
            sys.stdout.write("noise\n")  # in one piece, which print is not
            torch.set_default_dtype(torch.float64)
            random.seed(number)
            inside.wait()
            leave[number].wait()
            return 0.5

        return threading.Thread(target=lambda: Rule("mine", mine)(TWO[0]))

    threads = [waits(0), waits(1)]
    for thread in threads:
        thread.start()
    inside.wait()
    for event, thread in zip(leave, threads, strict=True):  # the first that came goes first
        event.set()
        thread.join()
    print("after")  # noqa: T201
    assert capfd.readouterr() == ("after\n", "noise\nnoise\n")
    assert state() == before


def test_a_rule_may_call_another():
    before = state()
    inner = Rule("inner", lambda _: random.random())  # noqa: S311
    outer = Rule("outer", lambda melody: (inner(melody) + inner(melody)) / 2)
    assert len(set(outer(TWO).tolist())) == 2
    assert state() == before


def test_no_gradients_before_are_none_afterwards():
    with torch.no_grad():
        run("torch.set_grad_enabled(True)")
        assert not torch.is_grad_enabled()


def test_torch_is_as_in_a_fresh_process_where_a_rule_imports_it_first():
    program = (
        "import sys\nfrom melodyconstraints.rules import rule\n"
        "from melodyconstraints.melody.events import Melody\n"
        "@rule\ndef mine(melody):\n"
        "    import torch\n"
        "    torch.set_grad_enabled(False); torch.manual_seed(3)\n"
        "    torch.set_default_dtype(torch.float64); torch.set_default_device('meta')\n"
        "    return 1\n"
        "assert 'torch' not in sys.modules\n"
        "mine(Melody.from_notes([]))\n"
        "import torch\n"
        "print(torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_default_device(), "
        "torch.initial_seed() == 3)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("True torch.float32 cpu False\n", "")


def test_a_rule_that_shows_a_figure_goes_on(monkeypatch, capfd):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run("import matplotlib.pyplot as p; p.plot([1]); p.show(); p.close()")
    assert capfd.readouterr().out == ""


def test_rules_of_the_library_need_no_isolation():
    for spec in ("cmajor", "density:4", "not:steps:60%"):
        assert is_own(find_rule(spec).function)
    assert not is_own(len)
    assert not is_own(run)


# Time


@pytest.mark.parametrize("statement", ["while True: pass", "__import__('time').sleep(60)"])
@pytest.mark.parametrize("batched", [False, True])
def test_a_rule_that_hangs_is_ended_and_named(statement, batched):
    what = "a batch of 2 melodies" if batched else "melody 1 of 2"
    before = signal.getsignal(signal.SIGALRM)
    with (
        pytest.raises(RuleError, match=f"rule mine gave nothing within 0.05 s for {what}"),
        time_limit(0.05),
    ):
        run(statement, batched)
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_rule_that_catches_every_exception_is_ended_too():
    with pytest.raises(RuleError, match="gave nothing within"), time_limit(0.05):
        run("""
while True:
    try:
        while True: pass
    except Exception:
        pass
""")


def test_a_rule_that_catches_all_there_is_ends_the_process():
    code = """
from melodyconstraints.rules import isolation

isolation._AGAIN = 0.2
with isolation.time_limit(0.2), isolation.timed():
    while True:
        try:
            for _ in iter(int, 1): len(())
        except:
            pass
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: the rule took more than 0.2 s and caught 3 times")
    assert ended.stderr.count("\n") == 1


def test_within_its_time_nothing_happens():
    with time_limit(60):
        assert run("pass").tolist() == [0.5, 0.5]
    with pytest.raises(OutOfTime, match=r"^0\.01 s$"), time_limit(0.01), timed():
        signal.pause()


def test_the_time_of_a_rule_around_another_goes_on():
    inner, left = Rule("inner", lambda _: 0.5), []

    def outer(melody):
        left.append(signal.getitimer(signal.ITIMER_REAL)[0])
        inner(melody)
        left.append(signal.getitimer(signal.ITIMER_REAL)[0])
        signal.raise_signal(signal.SIGALRM)  # its time is over

    with pytest.raises(RuleError, match="rule outer gave nothing within 60 s"), time_limit(60):
        Rule("outer", outer)(TWO)
    before, after = left
    assert 0 < after < before < 60
    with time_limit(60), timed():
        pass
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
