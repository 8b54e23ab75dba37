-- A witness inside the database under test: who moved which negotiation, group or hold from where to where, and which step
-- wrote which movement. It knows nothing of Hansa's rules, and it goes back with a transaction that is rolled back.
CREATE SCHEMA watch;

CREATE TABLE watch.changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    step text NOT NULL,
    thing text NOT NULL,
    subject text NOT NULL,
    was text,
    became text NOT NULL,
    late boolean NOT NULL, -- its time had been over for long
    early boolean NOT NULL -- its time is not over yet
);

CREATE TABLE watch.movements (step text NOT NULL, key text PRIMARY KEY);

CREATE FUNCTION watch.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_was jsonb := CASE WHEN TG_OP = 'INSERT' THEN '{}'::jsonb ELSE to_jsonb(OLD) END;
    v_new jsonb := to_jsonb(NEW);
    v_due timestamptz := least(coalesce((v_was ->> 'deadline_at')::timestamptz, (v_was ->> 'expires_at')::timestamptz),
                               (v_was ->> 'round_due_at')::timestamptz);
BEGIN
    INSERT INTO watch.changes (step, thing, subject, was, became, late, early)
    VALUES (coalesce(current_setting('hansa.trace', true), ''), TG_TABLE_NAME, NEW.id::text, v_was ->> 'state', v_new ->> 'state',
            coalesce(v_due < clock_timestamp() - interval '30 minutes', false), coalesce(v_due > clock_timestamp(), false));
    RETURN NULL;
END
$$;
CREATE TRIGGER watched AFTER INSERT OR UPDATE ON negotiation.negotiations FOR EACH ROW EXECUTE FUNCTION watch.note();
CREATE TRIGGER watched AFTER INSERT OR UPDATE ON negotiation.groups FOR EACH ROW EXECUTE FUNCTION watch.note();
CREATE TRIGGER watched AFTER INSERT OR UPDATE ON credits.holds FOR EACH ROW EXECUTE FUNCTION watch.note();

CREATE FUNCTION watch.note_movement() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO watch.movements VALUES (coalesce(current_setting('hansa.trace', true), ''), NEW.key);
    RETURN NULL;
END
$$;
CREATE TRIGGER watched AFTER INSERT ON credits.credit_transactions FOR EACH ROW EXECUTE FUNCTION watch.note_movement();
