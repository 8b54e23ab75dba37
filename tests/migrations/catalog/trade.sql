-- A database with something of every kind, each for a drift of its own. {reader} and {guest} are roles.
CREATE SCHEMA trade;
GRANT USAGE ON SCHEMA trade TO {reader};
ALTER DEFAULT PRIVILEGES IN SCHEMA trade GRANT SELECT ON TABLES TO {guest};

CREATE TYPE trade.status AS ENUM ('pending', 'active', 'revoked');
CREATE TYPE trade.colour AS ENUM ('red', 'green');
CREATE DOMAIN trade.share AS integer CONSTRAINT share_in_range CHECK (VALUE BETWEEN 0 AND 10000);
CREATE DOMAIN trade.label AS text DEFAULT 'none' NOT NULL;
CREATE TYPE trade.price AS (amount bigint, asset text);
CREATE TYPE trade.window AS RANGE (subtype = integer);

CREATE FUNCTION trade.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE FUNCTION trade.fee(amount bigint) RETURNS bigint LANGUAGE sql STABLE AS 'SELECT amount / 100';
CREATE FUNCTION trade.balance(account text) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS 'SELECT 1::bigint';
CREATE FUNCTION trade.pay(account text) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = '' AS 'SELECT 1::bigint';
CREATE FUNCTION trade.secret() RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$;
REVOKE EXECUTE ON FUNCTION trade.secret() FROM PUBLIC;
CREATE FUNCTION trade.rounded(amount numeric) RETURNS numeric LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT round(amount); END;
CREATE PROCEDURE trade.close(day date) LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE trade.product(bigint) (SFUNC = int8mul, STYPE = bigint, INITCOND = '1');
CREATE FUNCTION trade.watch() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
CREATE EVENT TRIGGER trade_watch ON ddl_command_end EXECUTE FUNCTION trade.watch();

CREATE TABLE trade.agents (
  id          bigint GENERATED ALWAYS AS IDENTITY,
  name        text NOT NULL,
  kind        varchar(20) DEFAULT 'seller',
  score       integer,
  weight      numeric(5, 2) NOT NULL,
  note        text,
  scratch     text,
  total       numeric GENERATED ALWAYS AS (weight * 2) STORED,
  city        text,
  blob        text,
  code        varchar(20),
  status      trade.status,
  share       trade.share,
  CONSTRAINT agent_once PRIMARY KEY (id),
  CONSTRAINT agent_name_once UNIQUE (name),
  CONSTRAINT agent_weight_positive CHECK (weight > 0),
  CONSTRAINT agent_score_positive CHECK (score > 0),
  CONSTRAINT agent_city_not_empty CHECK (city <> '')
);
COMMENT ON TABLE trade.agents IS 'Who trades.';
COMMENT ON COLUMN trade.agents.note IS 'Free text.';
CREATE INDEX agents_score ON trade.agents (score);
CREATE INDEX agents_active ON trade.agents (name) WHERE status = 'active';
CREATE INDEX agents_kind ON trade.agents (kind);
CREATE INDEX agents_city ON trade.agents (city);
CREATE STATISTICS trade.agents_kind_and_city ON kind, city FROM trade.agents;
CREATE TRIGGER agents_touch BEFORE UPDATE ON trade.agents FOR EACH ROW EXECUTE FUNCTION trade.touch();
CREATE TRIGGER agents_insert BEFORE INSERT ON trade.agents FOR EACH ROW EXECUTE FUNCTION trade.touch();
GRANT SELECT, UPDATE ON trade.agents TO {reader};
GRANT UPDATE (note) ON trade.agents TO {guest};

CREATE TABLE trade.orders (
  id     bigint CONSTRAINT order_once PRIMARY KEY,
  buyer  bigint CONSTRAINT order_has_buyer REFERENCES trade.agents,
  seller bigint CONSTRAINT order_has_seller REFERENCES trade.agents,
  broker bigint CONSTRAINT order_has_broker REFERENCES trade.agents
);
CREATE TABLE trade.reviews (
  id    bigint CONSTRAINT review_once PRIMARY KEY,
  agent bigint CONSTRAINT review_has_agent REFERENCES trade.agents,
  stars integer CONSTRAINT review_stars_known CHECK (stars BETWEEN 1 AND 5)
);
CREATE RULE reviews_stay AS ON DELETE TO trade.reviews DO INSTEAD NOTHING;

CREATE TABLE trade.signals (id bigint, tenant text);
ALTER TABLE trade.signals ENABLE ROW LEVEL SECURITY;
ALTER TABLE trade.signals FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON trade.signals FOR SELECT TO {reader} USING (tenant = current_user);
CREATE POLICY insiders ON trade.signals FOR UPDATE TO {reader} USING (true) WITH CHECK (tenant = current_user);
CREATE TABLE trade.letters (id bigint, tenant text);
ALTER TABLE trade.letters ENABLE ROW LEVEL SECURITY;
ALTER TABLE trade.letters FORCE ROW LEVEL SECURITY;

CREATE TABLE trade.events (at timestamptz NOT NULL, id bigint CONSTRAINT event_id_positive CHECK (id > 0), agent bigint)
  PARTITION BY RANGE (at);
CREATE INDEX events_id ON trade.events (id);
ALTER TABLE trade.events ADD CONSTRAINT event_has_agent FOREIGN KEY (agent) REFERENCES trade.agents;
ALTER TABLE trade.events ADD CONSTRAINT event_once PRIMARY KEY (at, id);
CREATE TRIGGER events_touch BEFORE INSERT ON trade.events FOR EACH ROW EXECUTE FUNCTION trade.touch();
CREATE TABLE trade.events_1 PARTITION OF trade.events FOR VALUES FROM ('2026-01-01 00:00Z') TO ('2026-02-01 00:00Z');
CREATE TABLE trade.events_2 PARTITION OF trade.events FOR VALUES FROM ('2026-02-01 00:00Z') TO ('2026-03-01 00:00Z');
CREATE TABLE trade.event_notes (
  at timestamptz, id bigint,
  CONSTRAINT note_has_event FOREIGN KEY (at, id) REFERENCES trade.events
);

CREATE TABLE trade.leftover (id serial PRIMARY KEY, tenant text);
CREATE INDEX ON trade.leftover (tenant);
GRANT SELECT ON trade.leftover TO {reader};
CREATE TABLE trade.cache (id bigint, value text);
CREATE TABLE trade.wide (id bigint CONSTRAINT wide_once UNIQUE NOT NULL, value text, more text);
CREATE TABLE trade.base (id bigint);
CREATE TABLE trade.heir (extra text) INHERITS (trade.base);
CREATE SEQUENCE trade.numbers INCREMENT 1;
CREATE SEQUENCE trade.tickets OWNED BY trade.cache.id;

CREATE VIEW trade.sellers WITH (security_invoker = true) AS SELECT id, name FROM trade.agents WHERE kind = 'seller';
CREATE VIEW trade.buyers WITH (security_invoker = true) AS SELECT id, name FROM trade.agents WHERE kind = 'buyer';
COMMENT ON COLUMN trade.buyers.name IS 'As it is known.';
CREATE MATERIALIZED VIEW trade.totals AS SELECT sum(total) AS total FROM trade.agents;

CREATE PUBLICATION trade_feed FOR TABLE trade.orders, trade.reviews;
DO $$ BEGIN
  EXECUTE format('ALTER DATABASE %I SET statement_timeout = %L', current_database(), '30s');
  EXECUTE format('ALTER ROLE {reader} IN DATABASE %I SET lock_timeout = %L', current_database(), '5s');
END $$;
