"""LiteSVM with the rules a cluster has on top: what lands, what it leaves behind, what it costs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from solders.account import Account
from solders.address_lookup_table_account import ID as LOOKUP_PROGRAM
from solders.address_lookup_table_account import AddressLookupTable
from solders.clock import Clock as ClockSysvar
from solders.hash import Hash
from solders.litesvm import LiteSVM
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM_PROGRAM
from solders.token.state import Mint, TokenAccount
from solders.transaction_metadata import FailedTransactionMetadata, TransactionMetadata

from hansa.chain.clock import SLOTS_PER_EPOCH, Blockhashes
from hansa.chain.errors import Json
from hansa.chain.nonces import advanced, next_nonce, read_nonce
from hansa.chain.submitted import Submitted
from hansa.chain.tokens import token_state

NOTHING = Account(0, b"", SYSTEM_PROGRAM)
"""Setting this removes an account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When a transaction runs."""

    slot: int
    unix_time: int
    blockhash: Hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """All accounts of a transaction: those of its message, then those its lookup tables lend."""

    every: tuple[Pubkey, ...]
    writable: frozenset[int]
    loaded_writable: int
    """How many of the lent ones, which come first among them, may be changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenBalance:
    """What one token account of a transaction held."""

    index: int
    mint: Pubkey
    owner: Pubkey
    program: Pubkey
    amount: int
    decimals: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Balances:
    """What the accounts of a transaction held, in lamports and tokens, at one side of it."""

    lamports: tuple[int, ...]
    tokens: tuple[TokenBalance, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """A transaction that is part of the chain, whether it did what it wanted or failed and paid its fee."""

    submitted: Submitted
    keys: Keys
    moment: Moment
    err: Json
    """None when it succeeded."""
    fee: int
    """Lamports its payer paid for it."""
    meta: TransactionMetadata
    before: Balances
    after: Balances


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A transaction that may not land. It costs nothing and leaves no trace."""

    err: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """What a transaction would do now."""

    err: Json
    meta: TransactionMetadata | None
    """None when it was refused before it ran."""
    accounts: Mapping[Pubkey, Account]
    """The accounts as it would leave them."""


class Machine:
    """One virtual machine. It must not be used by two threads at once."""

    def __init__(self, vm: LiteSVM) -> None:
        self._vm = vm
        self._slot = -1

    def account(self, address: Pubkey) -> Account | None:
        return self._vm.get_account(address)

    def rent_minimum(self, data_bytes: int) -> int:
        return self._vm.minimum_balance_for_rent_exemption(data_bytes)

    def enter(self, moment: Moment, blockhashes: Blockhashes) -> None:
        """Set the sysvars to `moment`, unless they are there."""
        if moment.slot == self._slot:
            return
        epoch, into_epoch = divmod(moment.slot, SLOTS_PER_EPOCH)
        started = max(moment.unix_time - into_epoch * 2 // 5, 0)  # 0.4 s a slot, the cluster's nominal length
        self._vm.set_clock(ClockSysvar(moment.slot, started, epoch, epoch + 1, moment.unix_time))
        self._vm.set_slot_hashes(blockhashes.recent(moment.slot))
        self._slot = moment.slot

    def run(self, submitted: Submitted, moment: Moment) -> Landed | Refused:
        """Execute a transaction whose signatures and blockhash are known to be good."""
        keys = self._keys(submitted)
        before = self._accounts(submitted, keys)
        result = self._vm.send_transaction(submitted.tx)
        err = _err(result)
        after = self._accounts(submitted, keys)
        fee = _lamports(before) - _lamports(after)  # nothing else may leave the accounts of a transaction
        if err is not None and fee == 0:
            return Refused(err=err)
        if err is None and (err := self._rent_violation(keys, before, after)) is not None:
            self._undo(keys, before, fee)
        self._advance_nonces(submitted, keys, before, moment, succeeded=err is None)
        return Landed(
            submitted=submitted,
            keys=keys,
            moment=moment,
            err=err,
            fee=fee,
            meta=_meta(result),
            before=self._balances(keys, before),
            after=self._balances(keys, self._accounts(submitted, keys)),
        )

    def simulate(self, submitted: Submitted) -> Simulation:
        keys = self._keys(submitted)
        result = self._vm.simulate_transaction(submitted.tx)
        if isinstance(result, FailedTransactionMetadata):
            return Simulation(err=_err(result), meta=result.meta(), accounts={})
        changed = dict(result.post_accounts())
        before = self._accounts(submitted, keys)
        after = [changed.get(key, account) for key, account in zip(keys.every, before, strict=True)]
        return Simulation(err=self._rent_violation(keys, before, after), meta=result.meta(), accounts=changed)

    def _keys(self, submitted: Submitted) -> Keys:
        message = submitted.tx.message
        static = message.account_keys
        lent_writable: list[Pubkey] = []
        lent_readonly: list[Pubkey] = []
        for lookup in message.address_table_lookups if isinstance(message, MessageV0) else ():
            addresses = self._lookup_table(lookup.account_key)
            lent_writable += [addresses[i] for i in bytes(lookup.writable_indexes) if i < len(addresses)]
            lent_readonly += [addresses[i] for i in bytes(lookup.readonly_indexes) if i < len(addresses)]
        writable = {index for index in range(len(static)) if submitted.is_writable(index)}
        writable.update(range(len(static), len(static) + len(lent_writable)))
        return Keys(
            every=(*static, *lent_writable, *lent_readonly),
            writable=frozenset(writable),
            loaded_writable=len(lent_writable),
        )

    def _lookup_table(self, address: Pubkey) -> list[Pubkey]:
        account = self._vm.get_account(address)
        if account is None or account.owner != LOOKUP_PROGRAM:
            return []
        return list(AddressLookupTable.deserialize(bytes(account.data)).addresses)

    def _accounts(self, submitted: Submitted, keys: Keys) -> list[Account | None]:
        """The accounts of a transaction, but for the programs it calls: they are long and do not change."""
        programs = submitted.programs
        return [None if i in programs else self._vm.get_account(key) for i, key in enumerate(keys.every)]

    def _rent_violation(self, keys: Keys, before: list[Account | None], after: list[Account | None]) -> Json:
        """The error of the first account that is left with less than its rent minimum, unless it was so before."""
        for index in sorted(keys.writable):
            old, new = before[index], after[index]
            if new is None or new.lamports >= self.rent_minimum(len(new.data)) or new.lamports == 0:
                continue
            was_below = old is not None and 0 < old.lamports < self.rent_minimum(len(old.data))
            if old is None or not was_below or len(old.data) != len(new.data) or new.lamports > old.lamports:
                return {"InsufficientFundsForRent": {"account_index": index}}
        return None

    def _undo(self, keys: Keys, before: list[Account | None], fee: int) -> None:
        """Put every changed account back, and take the fee from the payer all the same."""
        for index in keys.writable:
            self._vm.set_account(keys.every[index], before[index] or NOTHING)
        payer = before[0]
        assert payer is not None, "a payer without an account cannot have paid"
        self._vm.set_account(keys.every[0], Account(payer.lamports - fee, bytes(payer.data), payer.owner))

    def _advance_nonces(
        self, submitted: Submitted, keys: Keys, before: list[Account | None], moment: Moment, *, succeeded: bool
    ) -> None:
        """Give nonces this slot's value. The machine takes the transaction's own hash, and none on failure."""
        for index in keys.writable:
            address = keys.every[index]
            account = self._vm.get_account(address)
            if account is None or read_nonce(account) is None:
                continue
            old = before[index]
            changed = succeeded and (old is None or bytes(old.data) != bytes(account.data))
            if changed or address == submitted.nonce_account:
                self._vm.set_account(address, advanced(account, next_nonce(moment.blockhash)))

    def _balances(self, keys: Keys, accounts: list[Account | None]) -> Balances:
        tokens: list[TokenBalance] = []
        for index, account in enumerate(accounts):
            state = token_state(account)
            if account is not None and isinstance(state, TokenAccount):
                mint = token_state(self._vm.get_account(state.mint))
                tokens.append(
                    TokenBalance(
                        index=index,
                        mint=state.mint,
                        owner=state.owner,
                        program=account.owner,
                        amount=state.amount,
                        decimals=mint.decimals if isinstance(mint, Mint) else 0,
                    )
                )
        lamports = [
            account.lamports if account is not None else (self._vm.get_balance(key) or 0)
            for key, account in zip(keys.every, accounts, strict=True)
        ]
        return Balances(lamports=tuple(lamports), tokens=tuple(tokens))


def _lamports(accounts: list[Account | None]) -> int:
    return sum(account.lamports for account in accounts if account is not None)


def _err(result: TransactionMetadata | FailedTransactionMetadata) -> Json:
    """The error as RPC writes it, which is how solders writes it in JSON."""
    return json.loads(result.to_json())["err"] if isinstance(result, FailedTransactionMetadata) else None


def _meta(result: TransactionMetadata | FailedTransactionMetadata) -> TransactionMetadata:
    return result.meta() if isinstance(result, FailedTransactionMetadata) else result
