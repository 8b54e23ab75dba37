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

-- The row is locked by the upsert, so requests that come at once are counted one after the other; a refused one writes
-- nothing, so asking on does not push the end away.
CREATE FUNCTION ops.admit(p_subject text, p_kind text, p_per_minute integer, p_burst integer)
RETURNS double precision
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_interval interval := interval '1 minute' / p_per_minute;
    v_next timestamptz;
BEGIN
    INSERT INTO ops.rate_limits AS known (subject, kind, next_at)
    VALUES (p_subject, p_kind, clock_timestamp() + v_interval)
    ON CONFLICT (subject, kind) DO UPDATE
       SET next_at = greatest(known.next_at, clock_timestamp()) + v_interval
     WHERE known.next_at <= clock_timestamp() + v_interval * (p_burst - 1);
    IF FOUND THEN
        RETURN 0;
    END IF;
    SELECT next_at INTO v_next FROM ops.rate_limits WHERE subject = p_subject AND kind = p_kind;
    RETURN greatest(extract(epoch FROM v_next - clock_timestamp() - v_interval * (p_burst - 1)), 0.001);
END
$$;
COMMENT ON FUNCTION ops.admit IS 'Count one request: 0 when it is within the rate, else the seconds until one will be.';

GRANT SELECT, INSERT, DELETE, UPDATE (next_at) ON ops.rate_limits TO hansa_app;
