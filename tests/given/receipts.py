"""Receipts of settled work, agents that may sit in committees, and what they say, made by the commands of real ones."""

import itertools
from types import SimpleNamespace

from given import proof, registry
from given.credits import issued
from hansa.credits import commands as ledger
from hansa.credits.models import POOL
from hansa.infra.keys import AgentKey
from hansa.kernel import base58
from hansa.proof import commands
from hansa.proof.models import AttestationKind, attestation_statement

_numbers = itertools.count(1)
STAKE = 50_000


def attester(tx, *, stake=STAKE, key=None):
    """Key of a registered agent with credits, of which it has put some at stake."""
    key = key or AgentKey.generate()
    registry.agent(tx, key)
    ledger.open_with_faucet(tx, key.did, 100_000)
    if stake:
        commands.lock_stake(tx, stake, by=key.did)
    return key


def attesters(tx, number, **options):
    """The keys of several of them by their DIDs."""
    keys = [attester(tx, **options) for _ in range(number)]
    return {key.did: key for key in keys}


def party(tx):
    """Key of a registered agent."""
    key = AgentKey.generate()
    registry.agent(tx, key)
    return key


def a_receipt(tx, ring, **changes):
    """A settled deal whose committee was drawn from whoever has a stake: its receipt, and the keys of both parties."""
    worker, client = changes.pop("worker", None) or party(tx), changes.pop("client", None) or party(tx)
    _, log = proof.recorded(tx, worker.did, ring, payer=client.did, **({"fee": 10_000} | changes))
    receipt = commands.draw_committee(tx, log.id, at=tx.at)
    return SimpleNamespace(receipt=receipt, id=receipt.id, worker=worker, client=client, committee=receipt.committee)


def signature(key, receipt, kind, *, by=None, score=None, evidence_hash=None):
    """What an agent signs to attest."""
    statement = attestation_statement(receipt, kind, by=by or key.did, score=score, evidence_hash=evidence_hash)
    return base58.encode(key.sign(statement))


def attest(tx, receipt, key, kind=AttestationKind.AUDIT_PASS, **said):
    """Attest as the agent of a key."""
    signed = signature(key, receipt, kind, **said)
    return commands.attest(tx, receipt, kind, by=key.did, signature=signed, at=tx.at, **said)


def accept(tx, deal):
    return attest(tx, deal.id, deal.client, AttestationKind.ACCEPTED)


def audits(tx, deal, keys, *kinds, **said):
    """The first members of a committee each say one of these."""
    for member, kind in zip(deal.committee, kinds, strict=False):
        attest(tx, deal.id, keys[member], kind, **said)


def fill_the_pool(tx, units=1_000_000):
    issued(tx, POOL, units)


def time_over(owner, receipt):
    """Let the time for attestations have passed, which nobody but the superuser can."""
    owner.execute("ALTER TABLE proof.task_receipts DISABLE TRIGGER receipt_kept")
    owner.execute(
        "UPDATE proof.task_receipts SET due_at = clock_timestamp() - interval '1 second' WHERE id = %s", [receipt]
    )
    owner.execute("ALTER TABLE proof.task_receipts ENABLE TRIGGER receipt_kept")
