"""The way back of a revision that nobody wrote: derived from the difference it makes in a catalog, then proved.

Objects are followed by PostgreSQL's own numbers, so a rename is undone by a rename. The order of the statements is
found by trying them, because only PostgreSQL knows what depends on what.
"""

from hansa.migrate.undoing.deriving import DownDraft, derived_down

__all__ = ["DownDraft", "derived_down"]
