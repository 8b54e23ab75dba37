"""The chain of one home: a machine, a clock, and everything that landed, rebuilt from the log at each start."""

import base64
import os
import sys
import traceback
from collections import defaultdict
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from solders.account import Account
from solders.hash import Hash
from solders.instruction import Instruction
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.token.state import TokenAccount
from solders.transaction import VersionedTransaction

from hansa.chain.clock import FINALITY_LAG, FIRST_SLOT, Anchor, Blockhashes, Clock, wall_ms
from hansa.chain.errors import GenesisDiffers, LogDamaged, ReplayDiverged
from hansa.chain.genesis import USDC_MINT, Genesis, genesis_of, new_genesis, new_machine
from hansa.chain.log import Log, Record
from hansa.chain.machine import Landed, Machine, Moment, Refused, Simulation
from hansa.chain.nonces import next_nonce, read_nonce
from hansa.chain.submitted import Submitted, parse_transaction
from hansa.chain.tokens import associated_token_address, create_associated_account, mint_to, token_state

MEMO_PROGRAM = Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """What the faucet gave: the transaction, signed and ready to be sent."""

    submitted: Submitted
    usdc_account: Pubkey


class Chain:
    """Everything RPC answers from. One thread uses it; each call leaves it complete and on the disk."""

    def __init__(self, log: Log, genesis: Genesis, anchor: Anchor) -> None:
        self.genesis = genesis
        self.blockhashes = Blockhashes(genesis.instance)
        self.clock = Clock(anchor)
        self.landed: dict[str, Landed] = {}
        self._log = log
        self._machine = Machine(new_machine(genesis))
        self._messages: set[bytes] = set()
        self._by_address: defaultdict[Pubkey, list[Landed]] = defaultdict(list)
        self._token_accounts: defaultdict[Pubkey, dict[Pubkey, None]] = defaultdict(dict)
        for record in log.records:
            if record["kind"] == "transaction":
                self._replay(record)
        log.records.clear()

    # Reading

    def slot_at(self, commitment: str) -> int:
        """The newest slot a commitment reaches. What ran is confirmed at once and finalized 32 slots later."""
        return self.clock.slot - (FINALITY_LAG if commitment == "finalized" else 0)

    def account(self, address: Pubkey) -> Account | None:
        return self._machine.account(address)

    def rent_minimum(self, data_bytes: int) -> int:
        return self._machine.rent_minimum(data_bytes)

    def history(self, address: Pubkey) -> Sequence[Landed]:
        """The transactions that name `address`, in the order in which they landed."""
        return self._by_address.get(address, ())

    def token_accounts_of(self, owner: Pubkey) -> list[tuple[Pubkey, Account]]:
        """The open token accounts that `owner` owns now."""
        found: list[tuple[Pubkey, Account]] = []
        for address in self._token_accounts.get(owner, ()):
            account = self._machine.account(address)
            state = token_state(account)
            if account is not None and isinstance(state, TokenAccount) and state.owner == owner:
                found.append((address, account))
        return found

    def refusal(self, submitted: Submitted, *, bank_slot: int | None = None, any_blockhash: bool = False) -> str | None:
        """Why a transaction may not land now, in Solana's word for it, or None when it may be run.

        `bank_slot` is the newest slot whose blockhash the asked commitment knows.
        """
        if not any_blockhash and not self._is_fresh(submitted, self.clock.slot if bank_slot is None else bank_slot):
            return "BlockhashNotFound"
        return "AlreadyProcessed" if submitted.message_hash in self._messages else None

    def simulate(self, submitted: Submitted, *, bank_slot: int, any_blockhash: bool = False) -> Simulation:
        """What a transaction would do if it ran now. Its signatures are not looked at."""
        err = self.refusal(submitted, bank_slot=bank_slot, any_blockhash=any_blockhash)
        if err is not None:
            return Simulation(err=err, meta=None, accounts={})
        self._enter(self._moment())
        return self._machine.simulate(submitted)

    # Changing

    def submit(self, submitted: Submitted) -> Landed | None:
        """Run a transaction and remember it, or drop it without a trace as a validator does."""
        if not submitted.is_signed() or self.refusal(submitted) is not None:
            return None
        moment = self._moment()
        self._enter(moment)
        with _all_or_death():
            landed = self._machine.run(submitted, moment)
            if isinstance(landed, Refused):
                return None
            self._log.append(_transaction_record(landed))
            self._remember(landed)
        return landed

    def warp(self, slots: int) -> int:
        """Let `slots` pass at once, and answer the slot that runs then."""
        with _all_or_death():
            anchor = self.clock.warp(slots)
            self._log.append(_anchor_record(anchor))
        return anchor.slot

    def grant(self, owner: Pubkey, *, usdc: int, lamports: int) -> Granted:
        """Sign a gift from the faucet: a USDC account of the owner's, the tokens, and lamports if there are any."""
        faucet = self.genesis.faucet
        account = associated_token_address(owner, USDC_MINT)
        instructions = [
            create_associated_account(faucet.pubkey(), owner, USDC_MINT),
            mint_to(USDC_MINT, faucet.pubkey(), account, usdc),
        ]
        if lamports:
            instructions.append(self._transfer(owner, lamports))
        return Granted(submitted=self._from_faucet(instructions), usdc_account=account)

    def airdrop(self, owner: Pubkey, lamports: int) -> Submitted:
        """Sign a gift of lamports only."""
        return self._from_faucet([self._transfer(owner, lamports)])

    def close(self) -> None:
        self._log.close()

    # Inside

    def _transfer(self, owner: Pubkey, lamports: int) -> Instruction:
        faucet = self.genesis.faucet.pubkey()
        return transfer(TransferParams(from_pubkey=faucet, to_pubkey=owner, lamports=lamports))

    def _from_faucet(self, instructions: list[Instruction]) -> Submitted:
        """Sign as the faucet. The memo counts, so that two equal gifts in one slot are two transactions."""
        faucet = self.genesis.faucet
        counted = Instruction(MEMO_PROGRAM, f"faucet {len(self.landed)}".encode(), [])
        blockhash = self.blockhashes.of(self.clock.slot)
        message = MessageV0.try_compile(faucet.pubkey(), [*instructions, counted], [], blockhash)
        return parse_transaction(bytes(VersionedTransaction(message, [faucet])))

    def _is_fresh(self, submitted: Submitted, bank_slot: int) -> bool:
        """Whether the transaction's blockhash is a recent one, or the value of the nonce it advances."""
        blockhash = submitted.tx.message.recent_blockhash
        slot = self.blockhashes.slot_of(blockhash, now=self.clock.slot)
        return self._holds_nonce(submitted, blockhash) if slot is None else slot <= bank_slot

    def _holds_nonce(self, submitted: Submitted, blockhash: Hash) -> bool:
        address = submitted.nonce_account
        nonce = read_nonce(self._machine.account(address)) if address is not None else None
        if nonce is None or nonce.value != blockhash or nonce.authority not in submitted.signers:
            return False
        return nonce.value != next_nonce(self.blockhashes.of(self.clock.slot))  # it may advance once in a slot

    def _moment(self) -> Moment:
        now = self.clock.now()
        return Moment(slot=now.slot, unix_time=now.chain_ms // 1000, blockhash=self.blockhashes.of(now.slot))

    def _enter(self, moment: Moment) -> None:
        self._machine.enter(moment, self.blockhashes)

    def _remember(self, landed: Landed) -> None:
        self.landed[landed.submitted.signature] = landed
        self._messages.add(landed.submitted.message_hash)
        for key in landed.keys.every:
            self._by_address[key].append(landed)
        for token in landed.after.tokens:
            self._token_accounts[token.owner][landed.keys.every[token.index]] = None

    def _replay(self, record: Record) -> None:
        """Run a logged transaction again, at its own slot and time."""
        match record:
            case {"slot": int(slot), "unix_time": int(unix_time), "transaction": str(text), "err": err}:
                submitted = parse_transaction(base64.b64decode(text))
            case _:
                raise LogDamaged("a transaction record lacks its slot, time, bytes or outcome")
        moment = Moment(slot=slot, unix_time=unix_time, blockhash=self.blockhashes.of(slot))
        self._enter(moment)
        landed = self._machine.run(submitted, moment)
        if isinstance(landed, Refused) or landed.err != err:
            raise ReplayDiverged(f"{submitted.signature} ended as {err} and now ends as {landed.err}")
        self._remember(landed)


@contextmanager
def _all_or_death() -> Generator[None, None, None]:
    """Carry out a change wholly, or end the process: memory would be ahead of the disk, and nobody may read it.

    The next start finds the chain as it was before the change.
    """
    try:
        yield
    except BaseException:  # noqa: BLE001 a panic of the machine is no Exception
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(os.EX_SOFTWARE)


def open_chain(home: Path, *, network: str, slot_ms: int) -> Chain:
    """Create the chain of `home`, or bring it back as it was, with the time since then passed.

    Raises HomeInUse, LogDamaged, GenesisDiffers, ReplayDiverged.
    """
    log = Log(home)
    try:
        if not log.records:
            log.append(new := new_genesis(network).record())
            log.records.append(new)
        genesis = _genesis(log.records[0], network)
        anchor = _resume(log.records, slot_ms)
        log.append(_anchor_record(anchor))
        return Chain(log, genesis, anchor)
    except BaseException:
        log.close()
        raise


def _genesis(record: Record, network: str) -> Genesis:
    genesis = genesis_of(record)
    if genesis.network != network:
        raise GenesisDiffers(f"the home is a chain with the genesis {genesis.network}, not {network}")
    return genesis


def _resume(records: Sequence[Record], slot_ms: int) -> Anchor:
    """Where the chain's time stands now: the wall clock went on at the last speed while no process ran."""
    now = wall_ms()
    anchor = Anchor(slot=FIRST_SLOT, wall_ms=now, chain_ms=now, slot_ms=slot_ms)
    for record in records:
        match record:
            case {"kind": "time", "slot": int(slot), "wall_ms": int(wall), "chain_ms": int(chain), "slot_ms": int(ms)}:
                anchor = Anchor(slot=slot, wall_ms=wall, chain_ms=chain, slot_ms=ms)
            case {"kind": "transaction", "slot": int(slot)}:  # it may be ahead when the wall clock was set back
                anchor = anchor.ahead(max(slot - anchor.slot, 0) * anchor.slot_ms)
            case {"kind": "genesis"}:
                pass
            case _:
                raise LogDamaged(f"a record of an unknown kind: {record.get('kind')!r}")
    reached = anchor.ahead(now - anchor.wall_ms)
    return Anchor(slot=reached.slot, wall_ms=reached.wall_ms, chain_ms=reached.chain_ms, slot_ms=slot_ms)


def _transaction_record(landed: Landed) -> Record:
    return {
        "kind": "transaction",
        "slot": landed.moment.slot,
        "unix_time": landed.moment.unix_time,
        "transaction": base64.b64encode(landed.submitted.raw).decode(),
        "err": landed.err,
    }


def _anchor_record(anchor: Anchor) -> Record:
    return {
        "kind": "time",
        "slot": anchor.slot,
        "wall_ms": anchor.wall_ms,
        "chain_ms": anchor.chain_ms,
        "slot_ms": anchor.slot_ms,
    }
