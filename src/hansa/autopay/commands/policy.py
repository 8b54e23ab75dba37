"""What an agent's policy says about a payment before it is signed: pure checks, each with a name for its refusal."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from urllib.parse import SplitResult, urlsplit

from pydantic import ValidationError
from x402.schemas import PaymentRequirements

from hansa.autopay.errors import (
    BudgetMissing,
    HostForbidden,
    NetworkForbidden,
    PayeeDiffers,
    PayingPaused,
    PriceAboveOffer,
    ResourceElsewhere,
    SchemeForbidden,
    SelfPayment,
    TermsMalformed,
    TokenForbidden,
    UrlMalformed,
    WalletTooEmpty,
)
from hansa.autopay.models import BalanceSnapshot, BalanceStatus, Budget, Currency, Intent, Terms
from hansa.kernel.money import Asset
from hansa.payments.models import Network

URL_LENGTH_MAX = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What policy compares an intent with."""

    network: Network
    wallet: str
    """The agent's own wallet."""
    budget: Budget | None
    balance: BalanceSnapshot
    seller_wallet: str | None
    """Registered wallet of the seller; None: it is nobody that is registered here."""


def currency_of(terms: Terms, network: Network) -> Currency:
    """The currency that a seller asks for. Raises NetworkForbidden, SchemeForbidden, TokenForbidden."""
    if terms.network != network.caip2:
        raise NetworkForbidden(asked=terms.network, ours=network.caip2)
    if terms.scheme != "exact":
        raise SchemeForbidden(asked=terms.scheme)
    asset = network.mints.get(terms.asset)
    if asset not in {Asset.USDC, Asset.CASH}:
        raise TokenForbidden(asked=terms.asset)
    return Currency(asset)


def require_policy(intent: Intent, given: Circumstances) -> None:
    """Refuse an intent that breaks a rule; the caps of the budget are looked at by the reservation itself."""
    require_site(intent)
    if given.budget is None:
        raise BudgetMissing
    host = site_of(intent.url).hostname
    if given.budget.hosts and host not in given.budget.hosts:
        raise HostForbidden(host=host)
    if intent.terms.payTo == given.wallet:
        raise SelfPayment
    if given.seller_wallet is not None and intent.terms.payTo != given.seller_wallet:
        raise PayeeDiffers(asked=intent.terms.payTo, registered=given.seller_wallet)
    if intent.terms.units > intent.max_price:
        raise PriceAboveOffer(asked=intent.terms.units, max_price=intent.max_price)
    if given.balance.status is BalanceStatus.PAUSED:
        raise PayingPaused(balance=given.balance.balance, threshold=given.balance.threshold)
    if given.balance.balance < intent.terms.units:
        raise WalletTooEmpty(balance=given.balance.balance, needed=intent.terms.units)


def require_site(intent: Intent) -> None:
    """The terms are for something of the site that was asked, not for another site's."""
    asked, named = site_of(intent.url), site_of(intent.resource)
    if (asked.scheme, asked.netloc) != (named.scheme, named.netloc):
        raise ResourceElsewhere(asked=asked.netloc, named=named.netloc)


def site_of(url: str) -> SplitResult:
    """A URL in its parts; one spelling per site. Raises UrlMalformed."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as problem:
        raise UrlMalformed(str(problem)) from problem
    usable = len(url) <= URL_LENGTH_MAX and url.isprintable() and url.isascii()
    if not usable or parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        raise UrlMalformed
    default = {"http": 80, "https": 443}[parts.scheme]
    host = parts.hostname if port in {None, default} else f"{parts.hostname}:{port}"
    return parts._replace(netloc=host)


def requirements_of(terms: Terms) -> PaymentRequirements:
    """The terms as the SDK reads them. Raises TermsMalformed."""
    try:
        return PaymentRequirements.model_validate(asdict(terms))
    except ValidationError as problem:
        raise TermsMalformed(str(problem)) from problem
