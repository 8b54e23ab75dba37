"""What a chain remembers: everything it answered, however it ended."""

import os
import resource

import pytest
from chain_given import SOL, USDC, address, signature_of, usdc_payment, wallet
from chain_process import refused_start

from hansa.chain.client import ChainRejected, ChainRpc, ChainUnreachable
from hansa.chain.errors import LogDamaged
from hansa.chain.log import Log


def test_a_killed_chain_comes_back_with_its_balances_statuses_time_and_instance(tmp_path, started):
    first = started(tmp_path)
    with ChainRpc(first.url) as rpc:
        payer, payee = wallet(rpc, usdc=100, lamports=SOL), wallet(rpc)
        paid = rpc.send(usdc_payment(rpc, payer, payee, 40))
        failed = rpc.send(usdc_payment(rpc, payer, payee, 61), skip_preflight=True)
        rpc.warp(slots=1000)
        seen = _view(rpc, payer, payee, paid, failed)
        slot, blockhash = rpc.slot(), rpc.latest_blockhash()[0]
    first.kill()

    second = started(tmp_path)

    with ChainRpc(second.url) as rpc:
        assert second.instance == first.instance == rpc.instance()
        assert _view(rpc, payer, payee, paid, failed) == seen
        assert rpc.signature_status(failed).err == {"InstructionError": [0, {"Custom": 1}]}
        assert rpc.slot() >= slot
        assert rpc.is_blockhash_valid(blockhash)


def test_a_payment_whose_answer_was_lost_with_the_process_is_found_after_the_restart(tmp_path, started):
    first = started(tmp_path, "--faults")
    with ChainRpc(first.url) as rpc:
        payer, payee = wallet(rpc, usdc=100, lamports=SOL), wallet(rpc)
        raw = usdc_payment(rpc, payer, payee, 40)
        rpc.call("hansa_fault", {"fault": "lose:sendTransaction"})
        with pytest.raises(ChainUnreachable):
            rpc.send(raw)
    first.kill()

    second = started(tmp_path)

    with ChainRpc(second.url) as rpc:
        assert rpc.signature_status(signature_of(raw)).succeeded
        with pytest.raises(ChainRejected) as refused:
            rpc.send(raw)
        assert refused.value.err == "AlreadyProcessed"
        assert rpc.token_balance(address(payee), USDC) == 40


def test_a_chain_that_cannot_write_its_log_dies_before_anybody_reads_what_is_not_kept(tmp_path, started):
    first = started(tmp_path)
    with ChainRpc(first.url) as rpc:
        payer, payee = wallet(rpc, usdc=100, lamports=SOL), wallet(rpc)
        raw = usdc_payment(rpc, payer, payee, 40)
        full = (tmp_path / "chain.jsonl").stat().st_size + 50
        resource.prlimit(first.process.pid, resource.RLIMIT_FSIZE, (full, full))
        with pytest.raises(ChainUnreachable):
            rpc.send(raw)
    died = first.process.wait(timeout=10)

    second = started(tmp_path)

    with ChainRpc(second.url) as rpc:
        assert died == os.EX_SOFTWARE
        assert rpc.signature_status(signature_of(raw)) is None
        assert rpc.send(raw) == signature_of(raw)
        assert rpc.token_balance(address(payee), USDC) == 40


def test_a_torn_last_line_is_cut_off_and_the_chain_goes_on(tmp_path, started):
    first = started(tmp_path)
    with ChainRpc(first.url) as rpc:
        payer, payee = wallet(rpc, usdc=100, lamports=SOL), wallet(rpc)
    first.stop()
    log = tmp_path / "chain.jsonl"
    with log.open("ab") as file:
        file.write(b'{"kind":"transaction","slot":4320')

    second = started(tmp_path)

    with ChainRpc(second.url) as rpc:
        assert rpc.token_balance(address(payer), USDC) == 100
        paid = rpc.send(usdc_payment(rpc, payer, payee, 1))
    second.kill()
    with ChainRpc(started(tmp_path).url) as rpc:
        assert rpc.signature_status(paid).succeeded


def test_a_damaged_line_in_the_middle_stops_the_start_by_name(tmp_path, started):
    started(tmp_path).stop()
    log = tmp_path / "chain.jsonl"
    genesis, time = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(genesis + b"\0" * 20 + b"\n" + time)

    said = refused_start(tmp_path)

    assert "LogDamaged: line 2" in said
    with pytest.raises(LogDamaged):
        Log(tmp_path)


def test_a_log_that_another_machine_would_run_differently_stops_the_start_by_name(tmp_path, started):
    first = started(tmp_path)
    with ChainRpc(first.url) as rpc:
        wallet(rpc, usdc=1)
    first.stop()
    log = tmp_path / "chain.jsonl"
    log.write_bytes(log.read_bytes().replace(b'"err":null', b'"err":"AccountInUse"'))

    said = refused_start(tmp_path)

    assert "ReplayDiverged" in said


def test_a_home_is_served_by_one_process_at_a_time(tmp_path, started):
    started(tmp_path)

    said = refused_start(tmp_path)

    assert "HomeInUse" in said


def test_a_home_keeps_the_genesis_it_was_created_with(tmp_path, started):
    own = started(tmp_path, "--genesis", "own")
    with ChainRpc(own.url) as rpc:
        genesis = rpc.genesis_hash()
    own.stop()

    said = refused_start(tmp_path, "--genesis", "devnet")

    assert "GenesisDiffers" in said
    assert genesis != "EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG"


def test_two_homes_are_two_instances(tmp_path, started):
    one, other = started(tmp_path / "one"), started(tmp_path / "other")

    assert one.instance != other.instance


def test_slots_follow_the_wall_clock_at_the_speed_asked_for(tmp_path, started):
    process = started(tmp_path, "--slot-ms", "1")
    with ChainRpc(process.url) as rpc:
        before = rpc.slot()
        rpc.warp(slots=10)
        after = rpc.slot()

    slower = (process.stop(), started(tmp_path, "--slot-ms", "60000"))[1]

    assert before + 10 < after < before + 2000
    with ChainRpc(slower.url) as rpc:
        assert after <= rpc.slot() < after + 5000


def test_a_signal_ends_the_process_cleanly(tmp_path, started):
    process = started(tmp_path)

    ended = process.stop()

    assert ended == 0


def _view(rpc, payer, payee, *signatures):
    """All that must be the same on both sides of a restart."""
    return (
        rpc.balance(address(payer)),
        rpc.token_balance(address(payer), USDC),
        rpc.token_balance(address(payee), USDC),
        [rpc.signature_status(signature) for signature in signatures],
        [rpc.transaction(signature) for signature in signatures],
        rpc.signatures_for(address(payer)),
    )
