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

from hansa.migrate.adoption import Adoption, baseline
from hansa.migrate.catalog import Difference
from hansa.migrate.commands import down, seed, up, verify
from hansa.migrate.demands import backed_up, rehearsed
from hansa.migrate.drafts import new, new_from_database
from hansa.migrate.drift import Drift, diff, drift
from hansa.migrate.errors import Refusal
from hansa.migrate.expectations import accept_drift
from hansa.migrate.hooks import Hook, hooks, run_hooks
from hansa.migrate.lint import LintReport, lint
from hansa.migrate.locking import locks, waiting
from hansa.migrate.metrics import metrics
from hansa.migrate.options import Notice, NoticeKind, Options, Pace
from hansa.migrate.queries import plan, status
from hansa.migrate.rehearsal import Certificate, rehearse
from hansa.migrate.repeatables import freeze
from hansa.migrate.resetting import reset
from hansa.migrate.resolving import cancel, resolve_applied, resolve_rolled_back
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
from hansa.migrate.squashing import squash
from hansa.migrate.undoing import derived_down

__all__ = [
    "Adoption",
    "Certificate",
    "Check",
    "Difference",
    "Drift",
    "Hook",
    "LintReport",
    "Notice",
    "NoticeKind",
    "Options",
    "Pace",
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
    "accept_drift",
    "backed_up",
    "baseline",
    "cancel",
    "derived_down",
    "diff",
    "down",
    "drift",
    "freeze",
    "hooks",
    "lint",
    "locks",
    "metrics",
    "new",
    "new_from_database",
    "plan",
    "rehearse",
    "rehearsed",
    "reset",
    "resolve_applied",
    "resolve_rolled_back",
    "run_hooks",
    "seed",
    "squash",
    "status",
    "up",
    "verify",
    "waiting",
]
