"""Backups of the whole database cluster, back to any moment, and proof that they can be restored.

What holds here:

- A backup is complete when every file was read back and equals PostgreSQL's own list of checksums, and when the log
  that belongs to it is archived. Until then nothing calls it a backup, whatever is killed when.
- Between the first backup and the last minute every moment can be restored: a replication slot keeps the server's log
  until it is fetched, so nothing is lost while nothing of ours runs.
- What is damaged or missing is named with its file, before a restore writes anything.
- A restore goes into an empty folder, recovers where nobody can connect, and leaves a home that can be started.
- Pruning never removes what a kept backup builds on, nor what the kept days need.
- Nothing here knows the contexts: what a drill looks at beyond PostgreSQL is handed in.
"""

from hansa.infra.backup.archive import Archive
from hansa.infra.backup.drilling import Check, CheckFailed, Outcome, drill
from hansa.infra.backup.dumping import Dumped, dump, dump_folder, open_dump
from hansa.infra.backup.listing import Listed, Listing, list_backups
from hansa.infra.backup.progress import Progress
from hansa.infra.backup.repository import Backup, Kind, Repository
from hansa.infra.backup.restoring import Restored, restore
from hansa.infra.backup.retention import Pruned, expired, prune
from hansa.infra.backup.schedule import Timetable, due
from hansa.infra.backup.settings import BackupSettings
from hansa.infra.backup.source import Source, examine, of_server, source_if_up, source_of
from hansa.infra.backup.taking import Taken, take

__all__ = [
    "Archive",
    "Backup",
    "BackupSettings",
    "Check",
    "CheckFailed",
    "Dumped",
    "Kind",
    "Listed",
    "Listing",
    "Outcome",
    "Progress",
    "Pruned",
    "Repository",
    "Restored",
    "Source",
    "Taken",
    "Timetable",
    "drill",
    "due",
    "dump",
    "dump_folder",
    "examine",
    "expired",
    "list_backups",
    "of_server",
    "open_dump",
    "prune",
    "restore",
    "source_if_up",
    "source_of",
    "take",
]
