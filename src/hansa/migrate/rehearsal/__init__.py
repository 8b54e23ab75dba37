"""Proof before a deployment: what is pending runs on a copy of the live database first, there and back.

- The copy is gone in the end, also when the rehearsal is killed: the next one finds it by its name and its lock.
- The certificate says whether down restored every object and every value, which locks each statement would hold and
  for how long, who would wait for them, and what the application's own statements felt.
- It is kept in the ledger, and it is void as soon as the revisions or the catalog are others than those rehearsed.
"""

from hansa.migrate.rehearsal.certificate import Certificate, CloneUsed
from hansa.migrate.rehearsal.clones import CloneKind
from hansa.migrate.rehearsal.errors import BadProbes, CannotClone, CannotRecord, NoClone, NotRehearsed
from hansa.migrate.rehearsal.forecast import Outage
from hansa.migrate.rehearsal.probes import Check, Probe, Probes, load_probes
from hansa.migrate.rehearsal.probing import Answers, ProbeReport
from hansa.migrate.rehearsal.programs import Account, Binaries, find_binaries
from hansa.migrate.rehearsal.recorded import Recorded, certified, pending_digest, require_rehearsal
from hansa.migrate.rehearsal.rehearse import rehearse
from hansa.migrate.rehearsal.rounds import Deviation, Round
from hansa.migrate.rehearsal.traced import Lock, StatementTrace

__all__ = [
    "Account",
    "Answers",
    "BadProbes",
    "Binaries",
    "CannotClone",
    "CannotRecord",
    "Certificate",
    "Check",
    "CloneKind",
    "CloneUsed",
    "Deviation",
    "Lock",
    "NoClone",
    "NotRehearsed",
    "Outage",
    "Probe",
    "ProbeReport",
    "Probes",
    "Recorded",
    "Round",
    "StatementTrace",
    "certified",
    "find_binaries",
    "load_probes",
    "pending_digest",
    "rehearse",
    "require_rehearsal",
]
