CREATE SCHEMA identity;
COMMENT ON SCHEMA identity IS 'Accounts of people and agents, the keys of DIDs, sign-in with a wallet, and nonces against replay.';

CREATE TYPE identity.user_role AS ENUM ('developer', 'marketplace', 'end_user');
COMMENT ON TYPE identity.user_role IS 'What an account is here for. Source: Proof-of-Service registry.';
CREATE TYPE identity.key_purpose AS ENUM ('authentication', 'assertion');
COMMENT ON TYPE identity.key_purpose IS 'What a key may be used for: authentication signs requests, assertion signs cards and attestations.';
CREATE TYPE identity.key_end AS ENUM ('rotated', 'retired', 'compromised');
COMMENT ON TYPE identity.key_end IS 'Why a key does not count any more. Signatures of a compromised key never count, whenever they were made.';

CREATE TABLE identity.users (
    id uuid NOT NULL DEFAULT uuidv7(),
    solana_did text NOT NULL,
    wallet_address varchar(44) NOT NULL,
    username varchar(50),
    email varchar(255),
    role identity.user_role NOT NULL DEFAULT 'end_user',
    avatar_url text,
    bio text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_active timestamptz,
    is_verified boolean NOT NULL DEFAULT false,
    reputation_score integer NOT NULL DEFAULT 0,
    total_spent numeric(38, 9) NOT NULL DEFAULT 0,
    CONSTRAINT users_pkey PRIMARY KEY (id),
    CONSTRAINT user_of_one_role UNIQUE (id, role),
    CONSTRAINT solana_did_of_one_account UNIQUE (solana_did),
    CONSTRAINT wallet_of_one_account UNIQUE (wallet_address),
    CONSTRAINT username_of_one_account UNIQUE (username),
    CONSTRAINT email_of_one_account UNIQUE (email),
    CONSTRAINT solana_did_is_a_did_sol CHECK (solana_did ~ '^did:sol:[1-9A-HJ-NP-Za-km-z]{32,44}$'),
    CONSTRAINT wallet_is_base58 CHECK (wallet_address ~ '^[1-9A-HJ-NP-Za-km-z]{32,44}$'),
    CONSTRAINT username_fit_for_a_url CHECK (username ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{2,49}$'),
    CONSTRAINT avatar_is_an_https_url CHECK (avatar_url ~ '^https://[^[:space:]]+$' AND length(avatar_url) <= 2048),
    CONSTRAINT bio_within_length CHECK (length(bio) <= 2000),
    CONSTRAINT positive_reputation CHECK (reputation_score >= 0),
    CONSTRAINT spending_not_negative CHECK (total_spent >= 0)
);
COMMENT ON TABLE identity.users IS 'One account per wallet: people who sign in, and whoever stands behind an agent. Sources: Proof-of-Service registry and AMOCA users, in one row.';
COMMENT ON COLUMN identity.users.solana_did IS 'did:sol of the key with which the account began; stays when the key is rotated.';
COMMENT ON COLUMN identity.users.wallet_address IS 'Solana address of the key that counts now.';
COMMENT ON COLUMN identity.users.email IS 'NULL until given and confirmed.';
COMMENT ON COLUMN identity.users.is_verified IS 'Whether an operator knows who stands behind the account. Keys are free, so a signature alone makes nobody known; evidence of known payers weighs more.';
COMMENT ON COLUMN identity.users.reputation_score IS 'Standing as a payer, 0 (nothing known) and up.';
COMMENT ON COLUMN identity.users.total_spent IS 'All that was ever paid from this account, in whole units with nine decimals (AMOCA).';
COMMENT ON CONSTRAINT user_of_one_role ON identity.users IS 'Lets another table demand an account of a certain role by a foreign key.';

CREATE TABLE identity.user_dids (
    did text NOT NULL,
    user_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT one_account_per_did PRIMARY KEY (did),
    CONSTRAINT did_of_an_account FOREIGN KEY (user_id) REFERENCES identity.users (id)
);
COMMENT ON TABLE identity.user_dids IS 'Which DIDs act for which account: one key has several names (did:key, did:sol, did:pkh), and all of them mean one account.';
CREATE INDEX user_dids_by_user ON identity.user_dids (user_id);

CREATE TABLE identity.did_keys (
    did text NOT NULL,
    kid text NOT NULL,
    public_key bytea NOT NULL,
    key_hash text NOT NULL GENERATED ALWAYS AS (encode(sha256(public_key), 'hex')) STORED,
    purposes identity.key_purpose[] NOT NULL DEFAULT '{authentication,assertion}',
    valid_from timestamptz,
    revoked_at timestamptz,
    reason identity.key_end,
    replaced_by text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT one_row_per_key_id PRIMARY KEY (did, kid),
    CONSTRAINT replaced_by_a_key_of_the_did FOREIGN KEY (did, replaced_by)
        REFERENCES identity.did_keys (did, kid) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT key_has_32_bytes CHECK (length(public_key) = 32),
    CONSTRAINT key_id_names_its_did CHECK (starts_with(kid, did || '#')),
    CONSTRAINT key_has_a_purpose CHECK (cardinality(purposes) > 0),
    CONSTRAINT ended_keys_have_a_reason CHECK ((revoked_at IS NULL) = (reason IS NULL)),
    CONSTRAINT replaced_keys_have_ended CHECK (replaced_by IS NULL OR revoked_at IS NOT NULL)
);
COMMENT ON TABLE identity.did_keys IS 'The keys of a DID through time. A DID without rows has the key inside it; rows stay for ever, so that a signature can be judged by when it was made. Source: Proof-of-Service registry, revocable Solana DID keys.';
COMMENT ON COLUMN identity.did_keys.kid IS 'DID URL under which signatures name the key.';
COMMENT ON COLUMN identity.did_keys.public_key IS 'The 32 bytes of an Ed25519 public key.';
COMMENT ON COLUMN identity.did_keys.key_hash IS 'sha256 of the public key in hexadecimal: what work history keeps as revocable_key_hash.';
COMMENT ON COLUMN identity.did_keys.valid_from IS 'NULL: from the beginning, because the DID is made of this key.';
COMMENT ON COLUMN identity.did_keys.revoked_at IS 'From this moment on the key signs nothing; NULL: it counts.';
COMMENT ON COLUMN identity.did_keys.replaced_by IS 'Key id of the key that came after it; NULL: none did.';
CREATE UNIQUE INDEX one_active_key_per_did ON identity.did_keys (did) WHERE revoked_at IS NULL;
CREATE INDEX did_keys_by_hash ON identity.did_keys (key_hash);

CREATE TABLE identity.nonces (
    did text NOT NULL,
    nonce text NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT nonce_used_once PRIMARY KEY (did, nonce)
);
COMMENT ON TABLE identity.nonces IS 'Nonces of signed requests that were used, for as long as the signature itself would still count.';
CREATE INDEX nonces_to_sweep ON identity.nonces (expires_at);

CREATE TABLE identity.sign_in_challenges (
    nonce text NOT NULL,
    address varchar(44) NOT NULL,
    message text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    CONSTRAINT one_challenge_per_nonce PRIMARY KEY (nonce)
);
COMMENT ON TABLE identity.sign_in_challenges IS 'Messages that wallets were asked to sign; each lets one person in, once.';
COMMENT ON COLUMN identity.sign_in_challenges.message IS 'The message as it was handed out: the signed one must be the same, so a nonce serves the wallet it was made for only.';
CREATE INDEX sign_in_challenges_to_sweep ON identity.sign_in_challenges (expires_at);

CREATE TABLE identity.sessions (
    id uuid NOT NULL DEFAULT uuidv7(),
    token_hash bytea NOT NULL,
    user_id uuid NOT NULL,
    key_hash text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    CONSTRAINT sign_in_sessions_pkey PRIMARY KEY (id),
    CONSTRAINT one_session_per_token UNIQUE (token_hash),
    CONSTRAINT session_of_a_user FOREIGN KEY (user_id) REFERENCES identity.users (id),
    CONSTRAINT session_names_its_key CHECK (key_hash ~ '^[0-9a-f]{64}$'),
    CONSTRAINT token_kept_as_sha256 CHECK (length(token_hash) = 32),
    CONSTRAINT session_ends_after_it_began CHECK (expires_at > created_at)
);
COMMENT ON TABLE identity.sessions IS 'People who are signed in. The token itself is nowhere in the database.';
COMMENT ON COLUMN identity.sessions.token_hash IS 'sha256 of the bearer token.';
COMMENT ON COLUMN identity.sessions.key_hash IS 'sha256 in hexadecimal of the key that signed in: the session ends with that key.';
CREATE INDEX sessions_by_user ON identity.sessions (user_id);
CREATE INDEX sessions_to_sweep ON identity.sessions (expires_at);
