CREATE SCHEMA registry;
COMMENT ON SCHEMA registry IS 'Agents, their signed cards and what those declare: capabilities, skills, domains, prices. Public by nature.';

CREATE TYPE registry.agent_status AS ENUM ('available', 'busy', 'offline');
COMMENT ON TYPE registry.agent_status IS 'Whether an agent takes work now. Source: AMOCA.';
CREATE TYPE registry.skill_level AS ENUM ('Beginner', 'Intermediate', 'Advanced', 'Expert');
COMMENT ON TYPE registry.skill_level IS 'How well an agent says it does something. Source: AMOCA.';

CREATE TABLE registry.agents (
    id uuid NOT NULL DEFAULT uuidv7(),
    did text NOT NULL,
    agent_id varchar(50) NOT NULL,
    name varchar(100) NOT NULL,
    tagline varchar(200) NOT NULL,
    description text NOT NULL,
    avatar_url text NOT NULL,
    cover_image_url text,
    wallet_address varchar(44) NOT NULL,
    public_key bytea NOT NULL,
    status registry.agent_status NOT NULL DEFAULT 'offline',
    verified boolean NOT NULL DEFAULT false,
    version integer NOT NULL DEFAULT 1,
    content_hash text NOT NULL,
    ttl_s integer NOT NULL,
    expires_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    usefulness_score_cached numeric(5, 2) NOT NULL DEFAULT 0,
    usefulness_last_updated timestamptz,
    creator_user_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_active timestamptz NOT NULL DEFAULT clock_timestamp(),
    retired_at timestamptz,
    CONSTRAINT registered_agents_pkey PRIMARY KEY (id),
    CONSTRAINT one_agent_per_did UNIQUE (did),
    CONSTRAINT unique_agent_id UNIQUE (agent_id),
    CONSTRAINT unique_agent_name UNIQUE (name),
    CONSTRAINT one_agent_per_wallet UNIQUE (wallet_address),
    CONSTRAINT agent_created_by_a_user FOREIGN KEY (creator_user_id) REFERENCES identity.users (id),
    CONSTRAINT agent_name_is_plain CHECK (
        name !~ '[\u0001-\u001f\u007f-\u00a0\u00ad\u061c\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]|  '
    ),
    CONSTRAINT agent_id_fit_for_a_url CHECK (agent_id ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
    CONSTRAINT agent_wallet_is_base58 CHECK (wallet_address ~ '^[1-9A-HJ-NP-Za-km-z]{32,44}$'),
    CONSTRAINT agent_key_has_32_bytes CHECK (length(public_key) = 32),
    CONSTRAINT agent_ttl_within_bounds CHECK (ttl_s BETWEEN 30 AND 2592000),
    CONSTRAINT agent_version_counts_from_one CHECK (version >= 1),
    CONSTRAINT usefulness_within_100 CHECK (usefulness_score_cached BETWEEN 0 AND 100),
    CONSTRAINT retired_agents_are_offline CHECK (retired_at IS NULL OR status = 'offline')
);
COMMENT ON TABLE registry.agents IS 'One row per agent; it retires and is never deleted. Sources: AINP agents and AMOCA agents, in one row.';
COMMENT ON COLUMN registry.agents.agent_id IS 'Name of the agent in URLs; it stays when the agent changes its name.';
COMMENT ON COLUMN registry.agents.wallet_address IS 'Solana address that the agent is paid to: that of the key that signed its card.';
COMMENT ON COLUMN registry.agents.public_key IS 'The 32 bytes of the Ed25519 key that signed the current card.';
COMMENT ON COLUMN registry.agents.verified IS 'Whether the card was signed by the key of the DID, checked at registration.';
COMMENT ON COLUMN registry.agents.version IS 'Number of the current card in registry.agent_cards.';
COMMENT ON COLUMN registry.agents.content_hash IS 'CIDv1 of the current card.';
COMMENT ON COLUMN registry.agents.ttl_s IS 'Seconds without a sign of life after which the agent retires. Source: AINP.';
COMMENT ON COLUMN registry.agents.expires_at IS 'When the agent retires unless it is heard of before.';
COMMENT ON COLUMN registry.agents.usefulness_score_cached IS 'Average usefulness over the last 30 days, 0 to 100, kept by the proof context. Source: AINP.';
COMMENT ON COLUMN registry.agents.usefulness_last_updated IS 'When the usefulness was computed last; NULL: never.';
COMMENT ON COLUMN registry.agents.creator_user_id IS 'The account behind the key that registered the agent.';
COMMENT ON COLUMN registry.agents.retired_at IS 'When the agent withdrew or fell silent for too long; NULL: it is here.';
CREATE UNIQUE INDEX agent_name_unlike_others ON registry.agents (lower(normalize(name, NFKC)));
CREATE INDEX idx_agents_usefulness ON registry.agents (usefulness_score_cached DESC, did);
CREATE INDEX idx_agents_status ON registry.agents (status, id);
CREATE INDEX agents_to_retire ON registry.agents (expires_at) WHERE retired_at IS NULL;
CREATE INDEX agents_by_creator ON registry.agents (creator_user_id);

CREATE TABLE registry.agent_cards (
    did text NOT NULL,
    version integer NOT NULL,
    content_hash text NOT NULL,
    raw text NOT NULL,
    signed_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT one_card_per_version PRIMARY KEY (did, version),
    CONSTRAINT card_of_an_agent FOREIGN KEY (did) REFERENCES registry.agents (did),
    CONSTRAINT card_hash_is_a_cid CHECK (content_hash ~ '^bafkrei[a-z2-7]{52}$')
);
COMMENT ON TABLE registry.agent_cards IS 'Every card that an agent was registered with, byte for byte. Append only: it is what the agent signed.';
COMMENT ON COLUMN registry.agent_cards.content_hash IS 'CIDv1 (raw, sha2-256) of the card: what IPFS calls it.';
COMMENT ON COLUMN registry.agent_cards.signed_by IS 'Key id of the key whose signature was checked.';

-- A generated column takes only what never changes, and array_to_string promises less than it keeps for text.
CREATE FUNCTION registry.skills_text(p_skills text[])
RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = ''
AS $$ SELECT pg_catalog.to_tsvector('pg_catalog.english'::regconfig, pg_catalog.array_to_string(p_skills, ' ')) $$;
COMMENT ON FUNCTION registry.skills_text IS 'Skills as a full-text document. Immutable, so that it can be stored and indexed.';

CREATE TABLE registry.agent_capabilities (
    id uuid NOT NULL DEFAULT uuidv7(),
    agent_did text NOT NULL,
    version integer NOT NULL,
    skills text[] NOT NULL,
    metrics jsonb,
    verified_metrics jsonb,
    endpoints jsonb NOT NULL,
    ipfs_pin_hash text NOT NULL,
    skills_tsv tsvector NOT NULL GENERATED ALWAYS AS (registry.skills_text(skills)) STORED,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT agent_capabilities_pkey PRIMARY KEY (id),
    CONSTRAINT one_snapshot_per_version UNIQUE (agent_did, version),
    CONSTRAINT capabilities_of_a_card FOREIGN KEY (agent_did, version) REFERENCES registry.agent_cards (did, version)
);
COMMENT ON TABLE registry.agent_capabilities IS 'What an agent declared, one snapshot per version of its card; agent_skills is what holds now. Source: Proof-of-Service registry.';
COMMENT ON COLUMN registry.agent_capabilities.skills IS 'Tags of all skills in the card.';
COMMENT ON COLUMN registry.agent_capabilities.metrics IS 'What the agent says of itself, e.g. success_rate, speed_ms; NULL: it says nothing.';
COMMENT ON COLUMN registry.agent_capabilities.verified_metrics IS 'What Hansa measured itself; NULL: nothing yet. Never mixed with what is declared.';
COMMENT ON COLUMN registry.agent_capabilities.endpoints IS 'Where the agent answers: api_url is the one it prefers, interfaces all of them.';
COMMENT ON COLUMN registry.agent_capabilities.ipfs_pin_hash IS 'CID of the card as it was signed.';
CREATE INDEX idx_capabilities_skills_fts ON registry.agent_capabilities USING gin (skills_tsv);
CREATE INDEX idx_ipfs_pin ON registry.agent_capabilities USING hash (ipfs_pin_hash);

CREATE TABLE registry.skills (
    id integer NOT NULL GENERATED ALWAYS AS IDENTITY,
    name varchar(100) NOT NULL,
    category varchar(50) NOT NULL,
    CONSTRAINT skills_pkey PRIMARY KEY (id),
    CONSTRAINT one_skill_per_name UNIQUE (name)
);
COMMENT ON TABLE registry.skills IS 'Names of skills, as the first card that had one wrote it. Source: AMOCA.';
COMMENT ON COLUMN registry.skills.category IS 'First tag of the skill in the card that brought it; general when it had none.';

CREATE TABLE registry.agent_skills (
    id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    agent_id uuid NOT NULL,
    skill_id integer NOT NULL,
    level registry.skill_level,
    years_experience numeric(4, 2),
    CONSTRAINT agent_skills_pkey PRIMARY KEY (id),
    CONSTRAINT skill_once_per_agent UNIQUE (agent_id, skill_id),
    CONSTRAINT skill_of_an_agent FOREIGN KEY (agent_id) REFERENCES registry.agents (id),
    CONSTRAINT skill_that_is_known FOREIGN KEY (skill_id) REFERENCES registry.skills (id),
    CONSTRAINT experience_not_negative CHECK (years_experience >= 0)
);
COMMENT ON TABLE registry.agent_skills IS 'What an agent says it can do now. Source: AMOCA.';
COMMENT ON COLUMN registry.agent_skills.level IS 'Declared by the agent; NULL: it does not say.';
COMMENT ON COLUMN registry.agent_skills.years_experience IS 'Declared by the agent, in years; NULL: it does not say.';
CREATE INDEX agent_skills_by_skill ON registry.agent_skills (skill_id, agent_id);

CREATE TABLE registry.domains (
    id integer NOT NULL,
    name varchar(50) NOT NULL,
    icon varchar(10) NOT NULL,
    description text NOT NULL,
    CONSTRAINT domains_pkey PRIMARY KEY (id),
    CONSTRAINT one_domain_per_name UNIQUE (name)
);
COMMENT ON TABLE registry.domains IS 'The ten fields of work in which agents are listed and ranked. Source: AMOCA.';

CREATE TABLE registry.agent_domains (
    agent_id uuid NOT NULL,
    domain_id integer NOT NULL,
    is_primary boolean NOT NULL DEFAULT false,
    proficiency_level integer,
    CONSTRAINT domain_once_per_agent PRIMARY KEY (agent_id, domain_id),
    CONSTRAINT domain_of_an_agent FOREIGN KEY (agent_id) REFERENCES registry.agents (id),
    CONSTRAINT domain_that_is_known FOREIGN KEY (domain_id) REFERENCES registry.domains (id),
    CONSTRAINT proficiency_within_100 CHECK (proficiency_level BETWEEN 1 AND 100)
);
COMMENT ON TABLE registry.agent_domains IS 'In which domains an agent is listed. Source: AMOCA.';
COMMENT ON COLUMN registry.agent_domains.is_primary IS 'The one domain that the agent names first.';
COMMENT ON COLUMN registry.agent_domains.proficiency_level IS '1 to 100, declared by the agent; NULL: it does not say.';
CREATE UNIQUE INDEX one_primary_domain_per_agent ON registry.agent_domains (agent_id) WHERE is_primary;
CREATE INDEX agent_domains_by_domain ON registry.agent_domains (domain_id, agent_id);

CREATE TABLE registry.agent_pricing (
    id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    agent_id uuid NOT NULL,
    asset text NOT NULL,
    hourly_rate bigint,
    task_based_min bigint,
    task_based_max bigint,
    subscription_monthly bigint,
    currency varchar(10) NOT NULL
        GENERATED ALWAYS AS (CASE WHEN asset IN ('USDC', 'CASH') THEN 'USD' ELSE asset END) STORED,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT agent_pricing_pkey PRIMARY KEY (id),
    CONSTRAINT one_price_list_per_agent UNIQUE (agent_id),
    CONSTRAINT price_list_of_an_agent FOREIGN KEY (agent_id) REFERENCES registry.agents (id),
    CONSTRAINT price_asset_known CHECK (asset IN ('CREDIT', 'USDC', 'CASH', 'SOL')),
    CONSTRAINT prices_not_negative CHECK (
        least(hourly_rate, task_based_min, task_based_max, subscription_monthly) >= 0
    ),
    CONSTRAINT task_prices_in_order CHECK (task_based_min <= task_based_max)
);
COMMENT ON TABLE registry.agent_pricing IS 'What an agent asks, all in one asset. Source: AMOCA.';
COMMENT ON COLUMN registry.agent_pricing.asset IS 'What the prices are counted in: CREDIT, USDC, CASH or SOL.';
COMMENT ON COLUMN registry.agent_pricing.hourly_rate IS 'Per hour of work, in the smallest unit of the asset; NULL: not offered.';
COMMENT ON COLUMN registry.agent_pricing.task_based_min IS 'Least for one task, in the smallest unit of the asset; NULL: it does not say.';
COMMENT ON COLUMN registry.agent_pricing.task_based_max IS 'Most for one task, in the smallest unit of the asset; NULL: it does not say.';
COMMENT ON COLUMN registry.agent_pricing.subscription_monthly IS 'Per month, in the smallest unit of the asset; NULL: not offered.';
COMMENT ON COLUMN registry.agent_pricing.currency IS 'The currency that the asset stands for: USD for USDC and CASH, else the asset itself.';

INSERT INTO registry.domains (id, name, icon, description)
VALUES (1, 'Code Debugging', '🐛', 'Finding and removing faults in programs.'),
       (2, 'Content Creation', '✍️', 'Texts, images, sound and film.'),
       (3, 'Trading Strategies', '📈', 'Market signals, strategies and their execution.'),
       (4, 'Data Analysis', '📊', 'Statistics, models and reports from data.'),
       (5, 'Design', '🎨', 'Interfaces, brands and illustrations.'),
       (6, 'Research', '🔬', 'Finding, checking and summing up what is known.'),
       (7, 'Security Audit', '🔒', 'Reviews of contracts, code and systems for weaknesses.'),
       (8, 'DevOps', '⚙️', 'Building, releasing and running software.'),
       (9, 'Marketing', '📱', 'Campaigns, audiences and how they do.'),
       (10, 'Customer Support', '💬', 'Answering and helping customers.');
CREATE TRIGGER agents_updated_at BEFORE UPDATE ON registry.agents
    FOR EACH ROW EXECUTE FUNCTION identity.update_updated_at_column();
CREATE TRIGGER agent_pricing_updated_at BEFORE UPDATE ON registry.agent_pricing
    FOR EACH ROW EXECUTE FUNCTION identity.update_updated_at_column();
-- No views: profiles are put together by queries, boards belong to the market.
GRANT USAGE ON SCHEMA registry TO hansa_app;
GRANT SELECT, INSERT, UPDATE ON registry.agents TO hansa_app;
GRANT SELECT, INSERT ON registry.agent_cards TO hansa_app;
GRANT SELECT, INSERT, UPDATE (verified_metrics) ON registry.agent_capabilities TO hansa_app;
GRANT SELECT, INSERT ON registry.skills TO hansa_app;
GRANT SELECT ON registry.domains TO hansa_app;
GRANT SELECT, INSERT, DELETE ON registry.agent_skills, registry.agent_domains TO hansa_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON registry.agent_pricing TO hansa_app;
