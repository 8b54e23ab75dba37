"""The original broker's service, stated again: what it sends to PostgreSQL, statement by statement, in schema `bench`.

A reproduction in Python of a service in TypeScript. The same: the tables with their checks and indexes, the statements
and their order, which of them share a transaction, a pool of 20 connections, no prepared statements (the driver there
sends a fresh unnamed one each time). Different: threads under one lock of the interpreter here, one event loop there, so
this client waits longer for its turn when 32 clients are busy, and needs less for a row. Left out, all to its advantage:
the receipt with its committee, the reputation statement that always fails, logging, and HTTP.
"""

from uuid import uuid4

from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool

SCHEMA = """
    CREATE SCHEMA bench AUTHORIZATION hansa_app;
    SET ROLE hansa_app;
    CREATE TABLE bench.credit_accounts (
        agent_did text PRIMARY KEY,
        balance bigint NOT NULL DEFAULT 0 CHECK (balance >= 0),
        reserved bigint NOT NULL DEFAULT 0 CHECK (reserved >= 0),
        earned bigint NOT NULL DEFAULT 0 CHECK (earned >= 0),
        spent bigint NOT NULL DEFAULT 0 CHECK (spent >= 0),
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CHECK (balance >= reserved)
    );
    CREATE INDEX ON bench.credit_accounts (balance);
    CREATE TABLE bench.credit_transactions (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        agent_did text NOT NULL REFERENCES bench.credit_accounts ON DELETE CASCADE,
        tx_type text NOT NULL,
        amount bigint NOT NULL,
        intent_id text,
        created_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE INDEX ON bench.credit_transactions (agent_did);
    CREATE INDEX ON bench.credit_transactions (intent_id);
    CREATE INDEX ON bench.credit_transactions (tx_type);
    CREATE INDEX ON bench.credit_transactions (created_at DESC);
    CREATE TABLE bench.negotiations (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        intent_id text NOT NULL,
        initiator_did text NOT NULL,
        responder_did text NOT NULL CHECK (initiator_did <> responder_did),
        state text NOT NULL CHECK (state IN ('initiated', 'proposed', 'counter_proposed', 'accepted', 'rejected', 'expired')),
        rounds jsonb NOT NULL DEFAULT '[]',
        convergence_score numeric(3,2) NOT NULL DEFAULT 0 CHECK (convergence_score BETWEEN 0 AND 1),
        current_proposal jsonb,
        final_proposal jsonb,
        incentive_split jsonb NOT NULL,
        max_rounds integer NOT NULL DEFAULT 10 CHECK (max_rounds BETWEEN 1 AND 20),
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz NOT NULL
    );
    CREATE INDEX ON bench.negotiations (initiator_did);
    CREATE INDEX ON bench.negotiations (responder_did);
    CREATE INDEX ON bench.negotiations (intent_id);
    CREATE INDEX ON bench.negotiations (state) WHERE state NOT IN ('accepted', 'rejected', 'expired');
    CREATE INDEX ON bench.negotiations (expires_at) WHERE state NOT IN ('accepted', 'rejected', 'expired');
    CREATE INDEX ON bench.negotiations (convergence_score);
    CREATE FUNCTION bench.touch() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN NEW.updated_at := now(); RETURN NEW; END $$;
    CREATE TRIGGER touched BEFORE UPDATE ON bench.negotiations FOR EACH ROW EXECUTE FUNCTION bench.touch();
    CREATE TRIGGER touched BEFORE UPDATE ON bench.credit_accounts FOR EACH ROW EXECUTE FUNCTION bench.touch();
"""

ACCOUNT = "SELECT balance, reserved FROM bench.credit_accounts WHERE agent_did = %s FOR UPDATE"
RESERVED = "UPDATE bench.credit_accounts SET reserved = reserved + %s WHERE agent_did = %s"
RELEASED = """
    UPDATE bench.credit_accounts SET reserved = reserved - %s, balance = balance - %s, spent = spent + %s
     WHERE agent_did = %s
"""
NOTED = "INSERT INTO bench.credit_transactions (agent_did, tx_type, amount, intent_id) VALUES (%s, %s, %s, %s)"
EARNED = "UPDATE bench.credit_accounts SET balance = balance + %s, earned = earned + %s WHERE agent_did = %s"
OPENED = """
    INSERT INTO bench.negotiations (intent_id, initiator_did, responder_did, state, rounds, current_proposal,
                                    incentive_split, expires_at)
    VALUES (%s, %s, %s, 'initiated', %s, %s, %s, now() + interval '1 hour')
    RETURNING *
"""
FOUND = "SELECT * FROM bench.negotiations WHERE id = %s"
PROPOSED = """
    UPDATE bench.negotiations SET state = %s, rounds = %s, current_proposal = %s, convergence_score = %s WHERE id = %s
    RETURNING *
"""
ACCEPTED = """
    UPDATE bench.negotiations
       SET state = 'accepted', final_proposal = current_proposal,
           current_proposal = jsonb_set(current_proposal, '{custom_terms}', %s)
     WHERE id = %s
    RETURNING *
"""
SPLIT = {"agent": 0.7, "broker": 0.1, "validator": 0.1, "pool": 0.1}


class Original:
    """The service with its pool."""

    def __init__(self, dsn):
        self.pool = ConnectionPool(
            dsn, min_size=20, max_size=20, open=True, kwargs={"autocommit": True, "prepare_threshold": None}
        )
        self.pool.wait()

    def close(self):
        self.pool.close()

    def reserve(self, account, amount, intent):
        with self.pool.connection() as connection, connection.transaction():
            balance, reserved = connection.execute(ACCOUNT, [account]).fetchone()
            assert balance - reserved >= amount
            connection.execute(RESERVED, [amount, account])
            connection.execute(NOTED, [account, "reserve", amount, intent])

    def release(self, account, amount, spent, intent):
        with self.pool.connection() as connection, connection.transaction():
            connection.execute(ACCOUNT, [account]).fetchone()
            connection.execute(RELEASED, [amount, spent, spent, account])
            connection.execute(NOTED, [account, "release", amount, intent])
            if spent:
                connection.execute(NOTED, [account, "spend", spent, intent])

    def earn(self, account, amount, intent):
        """Two statements that commit each by itself, as there."""
        self.run(EARNED, amount, amount, account)
        self.run(NOTED, account, "earn", amount, intent)

    def run(self, statement, *values):
        """One statement on a connection of the pool, committed by itself."""
        with self.pool.connection() as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchone() if cursor.description else None

    def deal(self, buyer, seller):
        """Initiate, propose, accept, settle: 1000 units, the seller's share paid, the others' as nobody claimed them."""
        first, second = ({"price": price, "delivery_time": 60, "quality_sla": 0.9} for price in (1.0, 1.1))
        intent = str(uuid4())
        (deal, *_) = self.run(OPENED, intent, buyer, seller, Jsonb([first]), Jsonb(first), Jsonb(SPLIT))
        self.run(FOUND, deal)
        self.run(PROPOSED, "proposed", Jsonb([first, second]), Jsonb(second), 0.95, deal)
        self.run(FOUND, deal)
        self.reserve(buyer, 1100, intent)
        self.run(ACCEPTED, Jsonb({"reserved_credits": 1100}), deal)
        self.run(FOUND, deal)
        self.release(buyer, 1100, 1100, intent)
        self.earn(seller, 770, intent)
