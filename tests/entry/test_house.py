"""`hansa up` and `hansa down`: one house per home, clear words when it cannot open, nothing left when it closes."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psycopg
import pytest

from hansa.entry.demo import clean_environment
from hansa.infra.embedded import EmbeddedPostgres

pytestmark = pytest.mark.timeout(180)


def hansa(home, *arguments):
    command = [sys.executable, "-m", "hansa.entry.cli", "--home", str(home), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=90, env=clean_environment(home))


def open_house(home, *arguments):
    """A house in a process of its own, ready; the process and what its ready line says."""
    command = [sys.executable, "-m", "hansa.entry.cli", "--home", str(home), "up", "--port", "0", "-o", "json"]
    process = subprocess.Popen(
        [*command, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=clean_environment(home),
    )
    line = process.stdout.readline()
    process.stdout.close()
    assert line, "the house did not open"
    return process, json.loads(line)


@pytest.fixture(scope="module")
def home():
    folder = Path(tempfile.mkdtemp(prefix="hansa-house-"))
    folder.chmod(0o755)
    yield folder / "home"
    EmbeddedPostgres(folder / "home").destroy()
    shutil.rmtree(folder, ignore_errors=True)


def children(home):
    return json.loads((home / "run.json").read_text())["children"]


def gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
    except FileNotFoundError:
        return True


def test_a_house_opens_serves_is_alone_in_its_home_and_leaves_nothing_behind(home):
    process, ready = open_house(home)
    pids = children(home)

    page = httpx.get(f"{ready['url']}/")
    twin = httpx.get(f"{ready['url']}/", headers={"accept": "application/json"})
    state = httpx.get(f"{ready['url']}/readyz").json()
    second = hansa(home, "up", "--port", "0")
    doctor = json.loads(hansa(home, "doctor", "-o", "json").stdout)
    stopped = hansa(home, "down")

    assert "No deal has been settled yet" in page.text
    assert twin.json() == {"deals": [], "leaders": []}
    assert state["ready"] is True
    assert second.returncode == 1
    assert f"already up at {ready['url']}" in second.stderr
    assert all(finding["ok"] for finding in doctor)
    assert (stopped.returncode, process.wait(10)) == (0, 0)
    assert all(gone(pid) for pid in pids.values())
    assert EmbeddedPostgres(home).status() is None
    assert not (home / "run.json").exists()


def test_what_is_killed_is_started_again_and_ctrl_c_closes(home):
    process, ready = open_house(home)
    before = children(home)

    for name in before:
        os.kill(before[name], signal.SIGKILL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{ready['url']}/readyz", timeout=2).status_code == 200 and children(home) != before:
                break
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    after = children(home)
    process.send_signal(signal.SIGINT)

    assert set(after) == {"chain", "serve", "worker"}
    assert not set(after.values()) & set(before.values())
    assert process.wait(30) == 0
    assert all(gone(pid) for pid in after.values())


def test_with_a_database_url_nothing_embedded_starts_and_the_rest_is_the_same(tmp_path, postgres, server_dsn):
    with psycopg.connect(server_dsn, autocommit=True) as server:
        server.execute("CREATE DATABASE elsewhere")
    command = [sys.executable, "-m", "hansa.entry.cli", "--home", str(tmp_path), "up", "--port", "0", "-o", "json"]
    url = {"DATABASE_URL": postgres.dsn(role="postgres", database="elsewhere")}

    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean_environment(tmp_path) | url)
    with process.stdout as output:
        ready = json.loads(output.readline())
    state = httpx.get(f"{ready['url']}/readyz").json()
    with psycopg.connect(postgres.dsn(role="postgres", database="elsewhere")) as elsewhere:
        working = elsewhere.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name IN ('hansa-api', 'hansa-worker')"
        ).fetchone()
    process.send_signal(signal.SIGTERM)

    assert process.wait(30) == 0
    assert state["ready"] is True
    assert working[0] >= 2
    assert not (tmp_path / "pg18").exists()
    assert not (tmp_path / "pg18.json").exists()
    assert EmbeddedPostgres(tmp_path).status() is None


def test_a_port_in_use_is_named_with_what_to_do(home):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        answer = hansa(home, "up", "--port", str(port))

    assert answer.returncode == 1
    assert f"port {port}" in answer.stderr
    assert "--port" in answer.stderr


def test_down_without_a_house_says_so(home):
    answer = hansa(home, "down")

    assert answer.returncode == 1
    assert "Nothing runs in this home" in answer.stderr


def test_user_commands_without_a_house_or_a_key_say_what_to_do(home):
    no_key = hansa(home, "call", "GET", "/api/credits/account")
    made = hansa(home, "keys", "new", "-o", "json")
    again = hansa(home, "keys", "new")
    no_house = hansa(home, "call", "GET", "/api/credits/account")

    assert no_key.returncode == 1
    assert "key_file_missing" in no_key.stderr
    assert json.loads(made.stdout)["did"].startswith("did:key:z6Mk")
    assert (again.returncode, "key_file_exists" in again.stderr) == (1, True)
    assert (no_house.returncode, "hansa up" in no_house.stderr) == (1, True)
