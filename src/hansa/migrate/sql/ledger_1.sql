-- The engine's own tables, version 1.
CREATE TABLE mig.engine (
  version    integer     NOT NULL CONSTRAINT engine_version_once PRIMARY KEY,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE mig.engine IS 'Versions of the tables in this schema, each made once by the migration engine.';
COMMENT ON COLUMN mig.engine.version IS 'Counts from 1; the highest is in force.';
COMMENT ON COLUMN mig.engine.created_at IS 'When this version was made.';

-- Position and hashes are given by the engine, under its lock; the unique hashes keep a second writer from forking.
CREATE TABLE mig.events (
  n         bigint      NOT NULL CONSTRAINT event_position_once PRIMARY KEY,
  kind      text        NOT NULL CONSTRAINT event_kind_known
            CHECK (kind IN ('applied', 'reverted', 'verified', 'seeded', 'failed')),
  revision  text        NOT NULL,
  checksum  text        NOT NULL,
  at        timestamptz NOT NULL,
  actor     text        NOT NULL,
  detail    text        NOT NULL,
  prev_hash text        NOT NULL CONSTRAINT event_followed_once UNIQUE,
  hash      text        NOT NULL CONSTRAINT event_hash_once UNIQUE
);
COMMENT ON TABLE mig.events IS 'Everything that happened to revisions: append-only and hash-chained.';
COMMENT ON COLUMN mig.events.n IS 'Position, from 1, without gaps.';
COMMENT ON COLUMN mig.events.kind IS 'What happened: applied, reverted, verified, seeded or failed.';
COMMENT ON COLUMN mig.events.revision IS 'Id of the revision.';
COMMENT ON COLUMN mig.events.checksum IS 'sha256 of the revision''s files at that time, hexadecimal.';
COMMENT ON COLUMN mig.events.at IS 'When it happened, by the clock of the server.';
COMMENT ON COLUMN mig.events.actor IS 'Who did it: operating system user and host, or what the caller said.';
COMMENT ON COLUMN mig.events.detail IS 'What failed; empty for everything else.';
COMMENT ON COLUMN mig.events.prev_hash IS 'Hash of the event before; 64 zeros for the first.';
COMMENT ON COLUMN mig.events.hash IS 'sha256 over all other columns of the row, hexadecimal.';

CREATE FUNCTION mig.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
  RAISE EXCEPTION 'mig.events is append-only: % refused', TG_OP
    USING ERRCODE = 'restrict_violation', CONSTRAINT = 'events_are_append_only';
END
$$;
COMMENT ON FUNCTION mig.refuse_change() IS 'Refuses what its trigger catches: the event log only grows.';

CREATE TRIGGER events_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON mig.events
  FOR EACH STATEMENT EXECUTE FUNCTION mig.refuse_change();
-- Also for sessions that switch ordinary triggers off by session_replication_role.
ALTER TABLE mig.events ENABLE ALWAYS TRIGGER events_are_append_only;

CREATE TABLE mig.revisions (
  id          text        NOT NULL CONSTRAINT revision_applied_once PRIMARY KEY,
  checksum    text        NOT NULL,
  files       jsonb       NOT NULL,
  event       bigint      NOT NULL CONSTRAINT revision_has_its_event REFERENCES mig.events (n),
  applied_at  timestamptz NOT NULL,
  duration_ms bigint      NOT NULL CONSTRAINT revision_duration_not_negative CHECK (duration_ms >= 0),
  applied_by  text        NOT NULL
);
COMMENT ON TABLE mig.revisions IS 'The revisions that are applied now.';
COMMENT ON COLUMN mig.revisions.id IS 'Name of the revision''s folder.';
COMMENT ON COLUMN mig.revisions.checksum IS 'sha256 over the names and digests of its files, hexadecimal.';
COMMENT ON COLUMN mig.revisions.files IS 'sha256 of each file by name, so that an edited one can be named.';
COMMENT ON COLUMN mig.revisions.event IS 'The event that applied it; its order is the order of application.';
COMMENT ON COLUMN mig.revisions.applied_at IS 'When it was applied, by the clock of the server.';
COMMENT ON COLUMN mig.revisions.duration_ms IS 'How long its statements took, in milliseconds.';
COMMENT ON COLUMN mig.revisions.applied_by IS 'Who applied it.';

CREATE TABLE mig.progress (
  revision        text        NOT NULL CONSTRAINT progress_once PRIMARY KEY,
  direction       text        NOT NULL CONSTRAINT progress_direction_known CHECK (direction IN ('up', 'down')),
  statements_done integer     NOT NULL CONSTRAINT progress_is_positive CHECK (statements_done > 0),
  done_hash       text        NOT NULL,
  at              timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE mig.progress IS 'Non-transactional revisions that stopped half-way, or are running now.';
COMMENT ON COLUMN mig.progress.revision IS 'Id of the revision.';
COMMENT ON COLUMN mig.progress.direction IS 'Which script is under way: up or down.';
COMMENT ON COLUMN mig.progress.statements_done IS 'How many of its statements are finished.';
COMMENT ON COLUMN mig.progress.done_hash IS 'sha256 of those statements, so that a resumed script is the same one.';
COMMENT ON COLUMN mig.progress.at IS 'When the last of them finished.';
