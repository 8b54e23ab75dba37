"""What `hansa up` does about processes that die: those of a parent that was killed, and those that die of their start."""

import json
import subprocess
import sys
import time

from hansa.entry.house import Child, command_of, stop_orphans

SLEEP = "import time; time.sleep(60)"


def left_running(*arguments):
    return subprocess.Popen([sys.executable, "-c", SLEEP, *arguments])


def test_what_a_killed_parent_left_running_is_stopped_and_strangers_are_not(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    orphan, stranger = left_running("--home", str(home)), left_running()
    noted = {"pid": 1, "url": "", "chain": "", "home": str(home)}
    children = {"serve": orphan.pid, "worker": stranger.pid}
    (home / "run.json").write_text(json.dumps({**noted, "children": children}))

    try:
        ended = stop_orphans(home)

        assert ended == 1
        assert orphan.wait(5) != 0
        assert stranger.poll() is None
    finally:
        for process in (orphan, stranger):
            process.kill()
            process.wait()


def test_a_process_that_is_just_being_started_is_known_by_its_command():
    commands = []

    for _ in range(50):
        process = left_running("the home it works for")
        commands.append(command_of(process.pid))
        process.kill()
        process.wait()

    assert all("the home it works for" in command for command in commands)


def test_a_home_without_a_parent_before_has_no_orphans(tmp_path):
    ended = stop_orphans(tmp_path)

    assert ended == 0


def test_a_child_that_dies_of_its_start_is_given_more_and_more_time():
    child = Child("doomed", [sys.executable, "-c", "raise SystemExit(1)"], {})
    rests = []

    for _ in range(4):
        child.start()
        child.process.wait()
        began = time.monotonic()
        while not child.may_start():
            time.sleep(0.01)
        rests.append(time.monotonic() - began)

    assert child.early_deaths == 3
    assert rests[0] < 0.1
    assert rests[3] > rests[2] > rests[0]
