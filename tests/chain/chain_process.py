"""Starts and ends chain processes by their own pid.

HANSA_CHAIN_PYTHON names the interpreter of another environment, to run these tests on another release of the machine.
"""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PYTHON = os.environ.get("HANSA_CHAIN_PYTHON", sys.executable)
SOURCES = str(Path(__file__).parents[2] / "src")


@dataclass
class ChainProcess:
    process: subprocess.Popen[str]
    url: str
    instance: str

    def kill(self) -> None:
        """As a power cut does it: no signal handler runs."""
        self.process.kill()
        self._reap()

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self._reap()
        return self.process.returncode

    def _reap(self) -> None:
        self.process.wait(timeout=10)
        self.process.stdout.close()


def start_chain(home: Path, *options: str) -> ChainProcess:
    command = [PYTHON, "-m", "hansa.chain", "--home", str(home), "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=_environment())
    ready = json.loads(process.stdout.readline())
    return ChainProcess(process=process, url=ready["url"], instance=ready["instance"])


def refused_start(home: Path, *options: str) -> str:
    """What a chain that will not start says."""
    command = [PYTHON, "-m", "hansa.chain", "--home", str(home), *options]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False, env=_environment())
    assert ended.returncode == 2, ended
    assert ended.stdout == ""
    return ended.stderr


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": SOURCES}
