"""A migration engine for PostgreSQL 15 and later, usable on any project: it knows nothing of the rest of this package.

A revision is a folder `<timestamp>_<name>` of plain SQL: up.sql, down.sql, verify.sql, seed.sql and meta.toml, which
names what it requires. The ledger lives in schema `mig` of the database it describes, and these hold there:

- what is applied is exactly what is in the folder: an edited or missing revision is refused by name before anything runs
- a transactional revision, its ledger row and its event are one transaction; a non-transactional one resumes after the
  last statement that finished
- one deployer works at a time; the others wait and say for whom
- the event log only grows, and each event carries a hash over itself and the one before

Every command is a function of a connection string and a folder that answers with a plain value, and the same command
on the command line (`python -m hansa.migrate`). What is refused is a `Refusal` with a stable `code`.
"""

from hansa.migrate.commands import down, seed, up, verify
from hansa.migrate.drafts import new
from hansa.migrate.errors import Refusal
from hansa.migrate.options import Notice, NoticeKind, Options
from hansa.migrate.queries import plan, status
from hansa.migrate.results import (
    Check,
    Plan,
    PlannedStep,
    Problem,
    Report,
    RevisionStatus,
    State,
    Status,
    Step,
    Verification,
)

__all__ = [
    "Check",
    "Notice",
    "NoticeKind",
    "Options",
    "Plan",
    "PlannedStep",
    "Problem",
    "Refusal",
    "Report",
    "RevisionStatus",
    "State",
    "Status",
    "Step",
    "Verification",
    "down",
    "new",
    "plan",
    "seed",
    "status",
    "up",
    "verify",
]
