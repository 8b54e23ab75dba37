"""Real sessions that start at one moment."""

import threading
from collections import Counter

from hansa.kernel.errors import Refusal


def race(db, *attempts):
    """Run all attempts at once, each in its own transaction; what each gave or was refused with."""
    barrier, results = threading.Barrier(len(attempts)), [None] * len(attempts)

    def run(number, attempt):
        try:
            with db.transaction() as tx:
                barrier.wait()
                results[number] = attempt(tx)
        except Refusal as refusal:
            results[number] = refusal

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(attempts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def names(results):
    """How often each refusal was given; successes count as `done`."""
    return Counter(type(one).__name__ if isinstance(one, Refusal) else "done" for one in results)
