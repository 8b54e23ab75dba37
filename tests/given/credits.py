"""Money of every kind, made by the commands that make real money."""

import uuid
from contextlib import contextmanager

from hansa.credits import commands, queries
from hansa.infra.db import Actor, Tx, announce

OPERATOR = Actor(kind="operator", did="operator:tester")


@contextmanager
def as_operator(tx):
    """The same transaction in the hands of an operator."""
    with tx.savepoint():  # what is refused inside takes the announcement back too
        announce(tx.connection, OPERATOR)
        yield Tx(tx.connection, OPERATOR, tx.at)
        announce(tx.connection, tx.actor)


def issued(tx, account, units):
    """New credits on an account, also on one of nobody or of the house."""
    with as_operator(tx) as operator:
        return commands.deposit(operator, account, units, key=f"given:{uuid.uuid4()}", reason="given")


def unlimited(tx):
    """Nothing but the money itself limits payments."""
    with as_operator(tx) as operator:
        commands.set_limits(operator, transfer_max=2**63 - 1, day_max=2**63 - 1)


def numbers(tx, account):
    """Balance, reserved, earned, spent."""
    found = queries.account_of(tx, account)
    return found.balance, found.reserved, found.earned, found.spent


def on_system_accounts(tx):
    return {found.account.removeprefix("system:"): found.balance for found in queries.system_balances(tx)}
