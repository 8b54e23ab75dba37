"""Faults on demand, for tests of what clients do when the network lets them down. Only with `--faults`.

`hansa_fault` arms one: `{"fault": "lose:sendTransaction", "times": 1}`.

- `drop_send`: a transaction is accepted and answered, and never runs;
- `hold_send`: it is accepted and answered, and runs when `release` is called, if it still may;
- `down:<method>`: the call is answered with HTTP 503 and does nothing;
- `lose:<method>`: the call does its work and the connection closes without an answer;
- `delay:<method>`: the call waits `ms` milliseconds first;
- `release` runs what is held, `clear` disarms everything and forgets what is held.
"""

from dataclasses import dataclass

from hansa.chain.chain import Chain
from hansa.chain.errors import InvalidParams, Json
from hansa.chain.params import Params
from hansa.chain.submitted import Submitted

SENDS = ("drop_send", "hold_send")
PREFIXES = ("down:", "lose:", "delay:")
DELAY_MS_MAX = 60_000


@dataclass(slots=True, kw_only=True)
class Fault:
    """One armed fault. It strikes `times` times and is gone."""

    name: str
    times: int
    ms: int


class Faults:
    """What is armed, and the transactions that are held."""

    def __init__(self) -> None:
        self._armed: list[Fault] = []
        self._held: list[Submitted] = []

    def take(self, name: str) -> Fault | None:
        """The armed fault of that name, one strike of which is used up."""
        fault = next((fault for fault in self._armed if fault.name == name), None)
        if fault is not None:
            fault.times -= 1
            self._armed = [fault for fault in self._armed if fault.times > 0]
        return fault

    def hold(self, submitted: Submitted) -> None:
        self._held.append(submitted)

    def command(self, chain: Chain, params: Params) -> Json:
        """Carry out one `hansa_fault` call."""
        config = params.config(0)
        name = config.text("fault") or ""
        times, ms = config.integer("times", default=1) or 0, config.integer("ms", default=0) or 0
        if name == "release":
            return self._release(chain)
        if name == "clear":
            self._armed, self._held = [], []
            return True
        if name not in SENDS and not name.startswith(PREFIXES):
            raise InvalidParams(
                f"unknown fault {name!r}; {', '.join((*SENDS, *PREFIXES, 'release', 'clear'))} are known"
            )
        if times < 1 or ms > DELAY_MS_MAX:
            raise InvalidParams(f"times must be at least 1 and ms at most {DELAY_MS_MAX}")
        self._armed.append(Fault(name=name, times=times, ms=ms))
        return True

    def _release(self, chain: Chain) -> Json:
        """Run what is held, in order, and answer the signatures of those that landed."""
        held, self._held = self._held, []
        return [submitted.signature for submitted in held if chain.submit(submitted) is not None]
