"""A process among others: the class of programs that it runs in."""

import os
import subprocess
import sys

import pytest

GIVES_WAY = """
import os, threading
from melodyconstraints.storage.machine import give_way
give_way()
found = []
thread = threading.Thread(target=lambda: found.append(os.sched_getscheduler(0)))
thread.start(); thread.join()
print(os.sched_getscheduler(0), *found)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such class")
def test_a_process_gives_way_with_all_its_threads():
    command = [sys.executable, "-c", GIVES_WAY]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed.split() == [str(os.SCHED_IDLE)] * 2
