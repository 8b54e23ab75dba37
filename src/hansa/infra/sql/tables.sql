CREATE SCHEMA ops;
COMMENT ON SCHEMA ops IS 'Events on their way to reactions, answers kept under idempotency keys, and who is alive.';

CREATE TABLE ops.outbox (
    id bigint GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL,
    version integer NOT NULL,
    ordering_key text NOT NULL,
    payload jsonb NOT NULL,
    actor text NOT NULL DEFAULT coalesce(current_setting('hansa.actor', true), ''),
    trace text NOT NULL DEFAULT coalesce(current_setting('hansa.trace', true), ''),
    published_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_error text,
    delivered_at timestamptz,
    CONSTRAINT outbox_pkey PRIMARY KEY (id)
);
COMMENT ON TABLE ops.outbox IS 'Facts published in the transaction that made them true; a row stays undelivered until every reaction has run.';
COMMENT ON COLUMN ops.outbox.ordering_key IS 'Events of one key are delivered one after the other, in the order of their ids.';
COMMENT ON COLUMN ops.outbox.due_at IS 'Not before this time: the lease of a dispatcher at work, or the back-off after a failure.';
COMMENT ON COLUMN ops.outbox.delivered_at IS 'When the last reaction had run; NULL: not yet.';
CREATE INDEX outbox_undelivered_by_key ON ops.outbox (ordering_key, id) WHERE delivered_at IS NULL;
CREATE INDEX outbox_undelivered_by_id ON ops.outbox (id) WHERE delivered_at IS NULL;
-- Live streams read what was delivered long ago too, from where they broke off.
CREATE INDEX outbox_by_key ON ops.outbox (ordering_key, id);

CREATE TABLE ops.effects (
    event_id bigint NOT NULL,
    reaction text NOT NULL,
    done_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT effects_pkey PRIMARY KEY (event_id, reaction),
    CONSTRAINT effect_of_an_event FOREIGN KEY (event_id) REFERENCES ops.outbox (id)
);
COMMENT ON TABLE ops.effects IS 'Which reaction has run for which event: written in the transaction of the effect, so a second delivery does nothing.';

CREATE TABLE ops.idempotency_keys (
    actor text NOT NULL,
    key text NOT NULL,
    request_digest bytea NOT NULL,
    status integer NOT NULL,
    answer jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (actor, key)
);
COMMENT ON TABLE ops.idempotency_keys IS 'The answer given under an Idempotency-Key, written with the effect: the same request again gets the same answer.';
CREATE INDEX idempotency_keys_by_age ON ops.idempotency_keys (created_at);

CREATE TABLE ops.heartbeats (
    process text NOT NULL,
    beat_at timestamptz NOT NULL,
    facts jsonb NOT NULL DEFAULT '{}',
    CONSTRAINT heartbeats_pkey PRIMARY KEY (process)
);
COMMENT ON TABLE ops.heartbeats IS 'Last sign of life of each worker process.';

-- Nothing in it outlives a minute, so it need not survive a crash either, and writes no log.
CREATE UNLOGGED TABLE ops.rate_limits (
    subject text NOT NULL,
    kind text NOT NULL,
    next_at timestamptz NOT NULL,
    CONSTRAINT one_rate_per_subject PRIMARY KEY (subject, kind)
) WITH (fillfactor = 50);
COMMENT ON TABLE ops.rate_limits IS 'How often whoever proved to be somebody asked of late, one row each; read and written by every process, so a limit holds for all of them together.';
COMMENT ON COLUMN ops.rate_limits.subject IS 'Who: the wallet of the key that signed, its DID when no key is inside, or the account of a person.';
COMMENT ON COLUMN ops.rate_limits.kind IS 'What is counted, e.g. requests.';
COMMENT ON COLUMN ops.rate_limits.next_at IS 'When the requests made so far would have come at the even rate, one after the other (GCRA): as far as this lies ahead, as much of the burst is used up.';
