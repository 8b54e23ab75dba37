"""Transactions that commit one after the other, and what the books say afterwards."""

import pytest

from hansa.credits import queries
from hansa.kernel.errors import Refusal


def committed(db, write, *args, **options):
    """What a command gives, in a transaction of its own that has committed."""
    with db.transaction() as tx:
        return write(tx, *args, **options)


def refusal_of(db, write, *args, **options):
    """Status and code with which a transaction of its own was refused."""
    with pytest.raises(Refusal) as refused, db.transaction() as tx:
        write(tx, *args, **options)
    return refused.value.status, refused.value.code()


def account(db, holder):
    with db.transaction() as tx:
        return queries.account_of(tx, holder)


def money(db, holder):
    """What a holder owns, and what of it is held."""
    found = account(db, holder)
    return found.balance, found.reserved


def house(db, name):
    """What a system account holds: mint, treasury, pool or escrow."""
    with db.transaction() as tx:
        return {one.account: one.balance for one in queries.system_balances(tx)}[f"system:{name}"]


def nothing_lost(db, owner):
    """Whether every account, movement and hold agrees with the postings, and all accounts sum to zero."""
    with db.transaction() as tx:
        assert queries.reconcile(tx) == []
        houses = sum(one.balance for one in queries.system_balances(tx))
    [agents] = owner.execute("SELECT sum(balance) FROM credits.credit_accounts WHERE kind = 'agent'").fetchone()
    return houses + agents == 0
