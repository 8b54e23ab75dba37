"""People and keys, made by the commands that make real ones."""

from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from hansa.identity import commands
from hansa.identity.models import rotation_statement
from hansa.infra.db import Actor
from hansa.infra.keys import AgentKey
from hansa.infra.web import problem_response
from hansa.kernel import base58
from hansa.kernel.errors import Refusal

SITE = "127.0.0.1:8420"
SITE_URI = f"http://{SITE}"


def account(tx, key=None):
    """The account behind a key."""
    return commands.ensure_user(tx, (key or AgentKey.generate()).did, at=tx.at)


def challenge(tx, key, *, at=None):
    """A message that Hansa hands out for the wallet of a key."""
    return commands.start_sign_in(tx, key.wallet, domain=SITE, uri=SITE_URI, at=at or tx.at)


def signature(message, key):
    return base58.encode(key.sign(message.encode()))


def sign_in(tx, key):
    """A person who has just signed in with the wallet of a key."""
    message = challenge(tx, key).message
    return commands.finish_sign_in(tx, message, signature(message, key), domain=SITE, at=tx.at)


def consent(did, key):
    """A new key's proof that it wants to become the key of a DID."""
    return key.sign(rotation_statement(did, key.public_key))


def as_agent(key):
    return Actor(kind="agent", did=key.did)


def as_user(user):
    return Actor(kind="user", did=user.solana_did, user=user.id)


def client_as(services, actor, *routers):
    """HTTP calls of one proven caller; how callers are proven is tested with the entry."""
    app = FastAPI()
    app.state.services = services

    @app.middleware("http")
    async def know_the_caller(request: Request, call_next):
        request.state.actor = actor
        return await call_next(request)

    @app.exception_handler(Refusal)
    async def answer(_request: Request, refusal: Refusal):
        return problem_response(refusal)

    for router in routers:
        app.include_router(router)
    return TestClient(app, base_url=SITE_URI)


class Alias:
    """A key that calls itself by another of its names."""

    def __init__(self, key, did, key_id):
        self.key, self.did, self.key_id, self.public_key, self.wallet = key, did, key_id, key.public_key, key.wallet

    def sign(self, message):
        return self.key.sign(message)
