"""What backups refuse."""

from hansa.kernel.errors import Conflict, Forbidden, Invalid, NotFound, ServiceUnavailable


class BackupNotPermitted(Forbidden):
    """This login may not copy the server: it needs the right REPLICATION, and a line in pg_hba.conf that lets it in."""


class TlsNotSpoken(Invalid):
    """The connection would be encrypted, which the PostgreSQL programs that come with Hansa cannot do."""


class ServerOfAnotherVersion(Conflict):
    """The server is of another major version than the programs that copy and restore it."""


class ServerIsStandby(Conflict):
    """The server is a standby; backups are taken from the primary, which alone can mark its log."""


class TablespacesFound(Conflict):
    """The server keeps tables in tablespaces outside of its data folder, which are not backed up."""


class SummariesOff(Conflict):
    """The server keeps no summaries of its log, without which there are no incremental backups: set summarize_wal."""


class FolderOfAnotherCluster(Conflict):
    """The folder holds backups of another database cluster."""


class BackupFolderClosed(Forbidden):
    """The folder of the backups cannot be read or written by this user."""


class BackupRunning(Conflict):
    """Somebody else works in this folder just now; try again when they are done."""

    retryable = True


class BackupFailed(ServiceUnavailable):
    """A backup was not completed; nothing of it counts as one."""


class BackupDiskFull(ServiceUnavailable):
    """There is not enough room left on the disk."""

    retryable = False


class BackupDamaged(Conflict):
    """A backup is no longer what was written: a file was changed, is missing or was added."""


class BackupUnknown(NotFound):
    """There is no complete backup of this name."""


class ChainBroken(Conflict):
    """An incremental backup lacks one that it builds on."""


class NothingToBuildOn(Conflict):
    """There is no complete backup that an incremental one could build on; take a full one first."""


class NoBackupBefore(NotFound):
    """No backup was complete at that time, so that time cannot be restored."""


class NotYetArchived(Conflict):
    """The archived log ends before that time."""


class WalMissing(Conflict):
    """A piece of the log that this restore needs is not in the archive."""


class RestoreFolderTaken(Conflict):
    """A restore goes into a folder that is empty or does not exist yet."""


class RestoreFailed(ServiceUnavailable):
    """The restored data could not be recovered; the message ends with what the server said."""

    retryable = False


class DumpNotPermitted(Forbidden):
    """Row level security would hide rows from this login; a dump needs a superuser or BYPASSRLS."""


class DumpFailed(ServiceUnavailable):
    """A dump was not completed; nothing was left behind."""


class TargetNotSupported(Invalid):
    """Backups and dumps go to a folder; copy them on from there to any other place."""
