"""Rows and values of discovery."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import ClassVar

from hansa.discovery.errors import SearchUnfit
from hansa.infra.db import JsonObject, TextUnstorable
from hansa.kernel.dids import Did
from hansa.kernel.ids import QueryId, UserId
from hansa.kernel.money import Asset, Credits
from hansa.registry.models import AgentStatus

TEXT_MAX, SKILL_MAX, SKILLS_MAX, LIMIT_MAX = 500, 100, 20, 100
JSON_INTEGER_MAX = 2**53 - 1
DOMAIN_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRequest:
    """What somebody looks for. All filters hold together; what is left out filters nothing."""

    # A misspelt filter must not be an absent one.
    __pydantic_config__: ClassVar = {"extra": "forbid"}

    text: str | None = None
    """Words, "phrases", -exclusions and OR, found in names, skills, taglines and descriptions; at most 500 characters."""
    skills: tuple[str, ...] = ()
    """Names or tags of skills, in any case; the agent has all of them."""
    domain: int | None = None
    """Id of a domain in which the agent is listed."""
    min_reputation: float | None = None
    """0 to 1."""
    min_trust: float | None = None
    """0 to 1, as trust stands now."""
    price_max: int | None = None
    """Most that one task may cost at least, in the smallest unit of `asset`; agents without such a price are left out."""
    asset: Asset = Asset.CREDIT
    """What `price_max` is counted in."""
    verified_only: bool = False
    """Only agents whose card was signed by the key of their DID."""
    limit: int = 20
    """How many hits, 1 to 100."""

    def __post_init__(self) -> None:
        require("text", len(self.text or "") <= TEXT_MAX)
        require("skills", len(self.skills) <= SKILLS_MAX)
        require("skills", all(skill.strip() and len(skill) <= SKILL_MAX for skill in self.skills))
        require("domain", self.domain is None or 0 < self.domain <= DOMAIN_MAX)
        require("min_reputation", self.min_reputation is None or 0 <= self.min_reputation <= 1)
        require("min_trust", self.min_trust is None or 0 <= self.min_trust <= 1)
        require("price_max", self.price_max is None or 0 <= self.price_max <= JSON_INTEGER_MAX)
        require("limit", 1 <= self.limit <= LIMIT_MAX)
        require_unicode(self.text or "", *self.skills)

    def canonical(self) -> JsonObject:
        """The search as one document: two that mean the same by their parameters are equal."""
        asked: JsonObject = {
            "text": self.words(),
            "skills": self.skill_keys(),
            "domain": self.domain,
            "min_reputation": self.min_reputation,
            "min_trust": self.min_trust,
            "price_max": self.price_max,
            "asset": None if self.price_max is None else str(self.asset),
            "verified_only": self.verified_only or None,
            "limit": self.limit,
        }
        return {name: value for name, value in asked.items() if value is not None and value != []}

    def capability_filter(self) -> JsonObject | None:
        """The part that is about what an agent can do; None when nothing is."""
        asked = self.canonical()
        return {name: asked[name] for name in ("skills", "domain") if name in asked} or None

    def words(self) -> str | None:
        """The text with single blanks; None when there is nothing in it."""
        return " ".join((self.text or "").split()) or None

    def skill_keys(self) -> list[str]:
        return sorted({skill.strip().lower() for skill in self.skills})


def require(field: str, fits: bool) -> None:
    if not fits:
        raise SearchUnfit(f"{field} is outside of what a search can have", field=field)


def require_unicode(*texts: str) -> None:
    """Half a surrogate pair has no bytes, so it can be neither hashed nor stored."""
    try:
        "".join(texts).encode()
    except UnicodeEncodeError as strange:
        raise TextUnstorable from strange


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """What made a hit a hit, and how its score comes about: the three parts sum to it."""

    terms: list[str]
    """Words of the search that the agent's name, skills, tagline or description have, in any of their forms."""
    skills: list[str]
    """Skills of the agent that were asked for, or that have words of the search."""
    relevance: float
    """Weight of relevance x relevance."""
    trust: float
    """Weight of trust x trust."""
    usefulness: float
    """Weight of usefulness x usefulness / 100."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """An agent that fits a search."""

    did: Did
    slug: str
    """Name of the agent in URLs."""
    name: str
    tagline: str
    skills: list[str]
    status: AgentStatus
    verified: bool
    """Whether the card was signed by the key of the DID."""
    price_asset: Asset | None
    """What `price_min` is counted in; None: the agent names no prices."""
    price_min: int | None
    """Least for one task in the smallest unit of the asset; None: the agent does not say."""
    reputation: float
    """Published reputation, 0 to 1, two decimals."""
    trust: float
    """Trust as it stands now, 0 to 1, four decimals."""
    usefulness: float
    """Average usefulness over the last 30 days, 0 to 100."""
    settlements: int
    """Settled pieces of work that count as evidence."""
    relevance: float
    """0 to 1, four decimals: how well the agent fits the text, compared with the best that fits all filters. 1 when there is no text."""
    score: float
    """What the hits are ordered by, 0 to 1."""
    why: Why


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """What a search found."""

    query: QueryId
    """This search; whoever asked can read it again under this id."""
    results_hash: str
    """CIDv1 of the canonical JSON (RFC 8785) of {"hits": hits}."""
    age_s: float
    """Seconds since the hits were worked out; 0: they were worked out for this search."""
    hits: list[Hit]
    """The best first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """The id for a search that is about to be answered, and the young answer to the same query, if there is one."""

    query: QueryId
    results_hash: str | None
    results: JsonObject | None
    age_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentQuery:
    """A search that was made."""

    id: QueryId
    user_id: UserId | None
    """The account that asked; None: nobody has proven to be anybody."""
    asked_by: Did | None
    """DID that asked; None: nobody has proven to be anybody."""
    query_params: JsonObject
    """All that was asked, in canonical form."""
    capability_filter: JsonObject | None
    """The part that is about what an agent can do; None: nothing was."""
    results_hash: str
    result_count: int
    timestamp: datetime
    age_s: float
    """How old the result was when it was given, seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredQuery(AgentQuery):
    """A search that was made, with what it found."""

    results: JsonObject
    """{"hits": [...]}: the document that `results_hash` is the hash of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingWeights:
    """What counts how much in the order of results; the three sum to 1."""

    relevance: Decimal
    trust: Decimal
    usefulness: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentDeal:
    """A deal that was settled lately."""

    agent: Did
    """The agent that did the work; who paid is private."""
    slug: str | None
    """Name of the agent in URLs; None: its registration is on the way to the index."""
    name: str | None
    amount: Credits
    """Units of 1/1000 credit."""
    settled_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexDifference:
    """One way in which the index is not what the contexts below say."""

    kind: str
    """profile, standing or deal."""
    subject: str
    """DID of the agent, or id of the deal."""
    finding: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a sweep took away."""

    queries: int
    answers: int
    results: int
