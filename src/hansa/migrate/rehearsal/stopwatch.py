"""Time that stands still while we look: measuring must not count as holding a lock."""

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager


class Stopwatch:
    """Seconds since an arbitrary instant, without those spent inside `stopped`."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._stopped_at: float | None = None
        self._lost = 0.0

    def now(self) -> float:
        with self._guard:
            return (self._stopped_at or time.perf_counter()) - self._lost

    @contextmanager
    def stopped(self) -> Generator[None]:
        with self._guard:
            self._stopped_at = time.perf_counter()
        try:
            yield
        finally:
            with self._guard:
                self._lost += time.perf_counter() - self._stopped_at
                self._stopped_at = None
