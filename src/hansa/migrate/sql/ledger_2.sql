-- The engine's own tables, version 2: expected catalogs, online operations and what they set aside, hooks, rehearsals.
ALTER TABLE mig.events
  DROP CONSTRAINT event_kind_known,
  ADD CONSTRAINT event_kind_known CHECK (kind IN (
    'applied', 'reverted', 'verified', 'seeded', 'failed',
    'resolved', 'baselined', 'squashed', 'rehearsed', 'cancelled', 'accepted', 'hooked'
  ));
COMMENT ON COLUMN mig.events.kind IS 'What happened: applied, reverted, verified, seeded, failed, resolved by hand, baselined, squashed, rehearsed, cancelled, drift accepted, hooks run.';

CREATE TABLE mig.catalog_snapshots (
  n       bigint      NOT NULL CONSTRAINT catalog_expected_once_per_event PRIMARY KEY,
  digest  text        NOT NULL,
  objects jsonb       NOT NULL,
  at      timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE mig.catalog_snapshots IS 'The catalog as the revisions made it, so that what others changed can be named.';
COMMENT ON COLUMN mig.catalog_snapshots.n IS 'Position of the event after which it was expected; the highest is in force.';
COMMENT ON COLUMN mig.catalog_snapshots.digest IS 'sha256 of the objects, hexadecimal, without the order of columns.';
COMMENT ON COLUMN mig.catalog_snapshots.objects IS 'Every object with its properties, by kind and name.';
COMMENT ON COLUMN mig.catalog_snapshots.at IS 'When it was taken.';

-- No reference to the revision: an operation begins before its revision counts as applied.
CREATE TABLE mig.operations (
  revision     text        NOT NULL,
  number       integer     NOT NULL,
  kind         text        NOT NULL,
  direction    text        NOT NULL CONSTRAINT operation_direction_known CHECK (direction IN ('up', 'down')),
  step         text,
  finished     boolean     NOT NULL DEFAULT false,
  facts        jsonb       NOT NULL DEFAULT '{}',
  position     jsonb,
  batch_rows   integer     CONSTRAINT operation_batch_is_positive CHECK (batch_rows > 0),
  rows_done    bigint      NOT NULL DEFAULT 0 CONSTRAINT operation_rows_not_negative CHECK (rows_done >= 0),
  rows_total   bigint,
  cancelled_by text,
  started_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT operation_once_per_revision PRIMARY KEY (revision, number)
);
COMMENT ON TABLE mig.operations IS 'Online operations: how far each is. Written in the transaction of the step or batch it speaks of.';
COMMENT ON COLUMN mig.operations.number IS 'Position within its revision, from 1; 0 is the revision''s script.';
COMMENT ON COLUMN mig.operations.step IS 'The last finished step of this direction; NULL before the first.';
COMMENT ON COLUMN mig.operations.finished IS 'Whether all steps of this direction are done.';
COMMENT ON COLUMN mig.operations.facts IS 'What the operation found or decided and needs to know later, also for the way back.';
COMMENT ON COLUMN mig.operations.position IS 'Last key that a batch has dealt with; NULL before the first batch and between steps.';
COMMENT ON COLUMN mig.operations.batch_rows IS 'Rows that the next batch takes; adapts to how long the last one took.';
COMMENT ON COLUMN mig.operations.rows_done IS 'Rows of the step under way that are dealt with.';
COMMENT ON COLUMN mig.operations.rows_total IS 'Estimate of all rows of the step under way; NULL outside of batches.';
COMMENT ON COLUMN mig.operations.cancelled_by IS 'Who asked it to stop after the batch under way; NULL: nobody.';

CREATE TABLE mig.quarantine (
  id        bigint      GENERATED ALWAYS AS IDENTITY CONSTRAINT quarantined_once PRIMARY KEY,
  revision  text        NOT NULL,
  operation integer     NOT NULL,
  relation  text        NOT NULL,
  reason    text        NOT NULL,
  columns   text[]      NOT NULL,
  contents  text[]      NOT NULL,
  at        timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT quarantined_row_is_whole CHECK (cardinality(columns) = cardinality(contents))
);
CREATE INDEX quarantine_by_operation ON mig.quarantine (revision, operation);
COMMENT ON TABLE mig.quarantine IS 'Whole rows that had no place in the new shape; the way back puts them where they were.';
COMMENT ON COLUMN mig.quarantine.operation IS 'Number of the operation within its revision.';
COMMENT ON COLUMN mig.quarantine.relation IS 'Table they come from, qualified.';
COMMENT ON COLUMN mig.quarantine.reason IS 'Why it had no place, in words.';
COMMENT ON COLUMN mig.quarantine.columns IS 'Names of all columns that are not generated.';
COMMENT ON COLUMN mig.quarantine.contents IS 'Value of each column in its text form; NULL for NULL.';

CREATE TABLE mig.preimages (
  revision  text    NOT NULL,
  operation integer NOT NULL,
  key       text[]  NOT NULL,
  original  text,
  converted text,
  CONSTRAINT preimage_once_per_row PRIMARY KEY (revision, operation, key)
);
COMMENT ON TABLE mig.preimages IS 'Old values that cannot be told from the new ones, kept so that the way back loses nothing.';
COMMENT ON COLUMN mig.preimages.operation IS 'Number of the operation within its revision.';
COMMENT ON COLUMN mig.preimages.key IS 'Primary key of the row, each column in its text form.';
COMMENT ON COLUMN mig.preimages.original IS 'The value as it was, in its text form; NULL for NULL.';
COMMENT ON COLUMN mig.preimages.converted IS 'What it became; a row that holds something else by now was changed since, and its original is void.';

CREATE TABLE mig.hook_outbox (
  id          bigint      GENERATED ALWAYS AS IDENTITY CONSTRAINT hook_wanted_once PRIMARY KEY,
  revision    text        NOT NULL,
  event       bigint      NOT NULL CONSTRAINT hook_follows_an_event REFERENCES mig.events (n),
  name        text        NOT NULL,
  checksum    text        NOT NULL,
  attempts    integer     NOT NULL DEFAULT 0 CONSTRAINT hook_attempts_not_negative CHECK (attempts >= 0),
  next_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at timestamptz,
  error       text,
  CONSTRAINT hook_once_per_application UNIQUE (event, name)
);
COMMENT ON TABLE mig.hook_outbox IS 'What is to be done after a revision was applied, outside of its transaction: at least once, until it succeeds.';
COMMENT ON COLUMN mig.hook_outbox.event IS 'The application that wants it.';
COMMENT ON COLUMN mig.hook_outbox.name IS 'File of the hook in the revision''s folder: post.sql or post.py.';
COMMENT ON COLUMN mig.hook_outbox.next_at IS 'Not before this; grows with each failure.';
COMMENT ON COLUMN mig.hook_outbox.finished_at IS 'NULL while it is still to be done.';
COMMENT ON COLUMN mig.hook_outbox.error IS 'What the latest attempt failed of; NULL after success.';

CREATE TABLE mig.rehearsals (
  id             bigint      GENERATED ALWAYS AS IDENTITY CONSTRAINT rehearsed_once PRIMARY KEY,
  at             timestamptz NOT NULL DEFAULT clock_timestamp(),
  actor          text        NOT NULL,
  pending        text        NOT NULL,
  catalog_digest text        NOT NULL,
  ok             boolean     NOT NULL,
  report         jsonb       NOT NULL
);
COMMENT ON TABLE mig.rehearsals IS 'Certificates: what happened when the pending revisions ran on a copy of this database.';
COMMENT ON COLUMN mig.rehearsals.pending IS 'sha256 over ids and checksums of the rehearsed revisions, in order.';
COMMENT ON COLUMN mig.rehearsals.catalog_digest IS 'Digest of the live catalog that was copied; a certificate for another catalog is void.';
COMMENT ON COLUMN mig.rehearsals.ok IS 'Up, verify, down, equal digests, up again: all of it.';
COMMENT ON COLUMN mig.rehearsals.report IS 'Everything that was measured.';

CREATE TABLE mig.partition_policies (
  parent  text     NOT NULL CONSTRAINT partition_policy_once_per_table PRIMARY KEY,
  step    interval NOT NULL CONSTRAINT partition_step_is_positive CHECK (step > interval '0'),
  ahead   integer  NOT NULL CONSTRAINT partitions_ahead_are_positive CHECK (ahead > 0),
  keep    interval CONSTRAINT partition_keep_is_positive CHECK (keep > interval '0'),
  archive boolean  NOT NULL DEFAULT true
);
COMMENT ON TABLE mig.partition_policies IS 'Tables whose partitions are made and retired by the clock.';
COMMENT ON COLUMN mig.partition_policies.parent IS 'Partitioned table, qualified.';
COMMENT ON COLUMN mig.partition_policies.step IS 'Span of one partition.';
COMMENT ON COLUMN mig.partition_policies.ahead IS 'How many partitions exist before they are needed.';
COMMENT ON COLUMN mig.partition_policies.keep IS 'Age at which a partition is retired; NULL: never.';
COMMENT ON COLUMN mig.partition_policies.archive IS 'Whether a partition is archived with its digest before it is dropped.';

COMMENT ON COLUMN mig.operations.revision IS 'Id of the revision it belongs to.';
COMMENT ON COLUMN mig.operations.kind IS 'As meta.toml writes it, for example convert_to_enum.';
COMMENT ON COLUMN mig.operations.direction IS 'Which way it goes: up, or down to take it back.';
COMMENT ON COLUMN mig.operations.started_at IS 'When it began first.';
COMMENT ON COLUMN mig.operations.updated_at IS 'When the last step or batch finished.';
COMMENT ON COLUMN mig.quarantine.id IS 'In the order of setting aside; the way back takes the latest first.';
COMMENT ON COLUMN mig.quarantine.revision IS 'Id of the revision that set it aside.';
COMMENT ON COLUMN mig.quarantine.at IS 'When it was set aside.';
COMMENT ON COLUMN mig.preimages.revision IS 'Id of the revision that changed the value.';
COMMENT ON COLUMN mig.hook_outbox.id IS 'In the order in which hooks are wanted.';
COMMENT ON COLUMN mig.hook_outbox.revision IS 'Id of the revision.';
COMMENT ON COLUMN mig.hook_outbox.checksum IS 'sha256 of the file when it was wanted, hexadecimal: an edited hook is another one.';
COMMENT ON COLUMN mig.hook_outbox.attempts IS 'How often it was tried.';
COMMENT ON COLUMN mig.rehearsals.id IS 'In the order of the rehearsals.';
COMMENT ON COLUMN mig.rehearsals.at IS 'When it was finished, by the clock of the live server.';
COMMENT ON COLUMN mig.rehearsals.actor IS 'Who rehearsed.';

CREATE TABLE mig.catalog_before (
  alone   boolean     NOT NULL DEFAULT true CONSTRAINT one_run_at_a_time PRIMARY KEY CHECK (alone),
  objects jsonb       NOT NULL,
  at      timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE mig.catalog_before IS 'The catalog when the run under way began, so that only what the run does is expected afterwards; kept by an interrupted run for the next one.';
COMMENT ON COLUMN mig.catalog_before.alone IS 'Always true: there is at most one row.';
COMMENT ON COLUMN mig.catalog_before.objects IS 'Every object with its properties, by kind and name.';
COMMENT ON COLUMN mig.catalog_before.at IS 'When the run began.';
