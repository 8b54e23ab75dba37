"""`hansa negotiate` and `hansa trust`, as they are typed, against the real API."""

import json
import os
import signal
import subprocess
import sys

import pytest

from hansa.client import LiveEvent
from hansa.entry import cli
from hansa.entry.arguments import seconds, share, span_text, split, split_text, units
from hansa.entry.deal_lines import happening


@pytest.fixture
def parties(server, agent, tmp_path, monkeypatch):
    """A buyer and a seller whose keys are in files, and the command line pointed at the API."""
    monkeypatch.setenv("HANSA_URL", server.url)
    monkeypatch.setenv("HANSA_HOME", str(tmp_path / "home"))
    buyer, seller = agent("Buyer"), agent("Seller")
    for name, one in (("buyer", buyer), ("seller", seller)):
        one.key.save(tmp_path / f"{name}.json")
    return buyer, seller


@pytest.fixture
def hansa(parties, tmp_path, monkeypatch, capsys):
    """Types a command as one of the two: exit status and what it said."""

    def type_(who, *arguments):
        monkeypatch.setenv("HANSA_KEY", str(tmp_path / f"{who}.json"))
        monkeypatch.setattr(sys, "argv", ["hansa", *arguments])
        with pytest.raises(SystemExit) as left:
            cli.main()
        said = capsys.readouterr()
        return left.value.code or 0, said.out or said.err

    return type_


@pytest.fixture
def deal(hansa, parties):
    """Id of a negotiation that the buyer has opened."""
    seller = parties[1].key.did
    _, said = hansa(
        "buyer", "negotiate", "start", seller, "--want", "a brief", "--budget", "60", "--price", "40", "-o", "json"
    )
    return json.loads(said)["negotiation"]["id"]


def test_a_negotiation_from_the_first_offer_to_the_settlement(hansa, parties):
    seller = parties[1].key.did
    wanted = ["--want", "a brief", "--budget", "120", "--price", "40", "--delivery", "90m", "--quality", ".95"]

    _, start = hansa("buyer", "negotiate", "start", seller, *wanted, "--split", "80/10/0/10", "--rounds", "3")
    deal = start.split()[0]
    _, waiting = hansa("seller", "negotiate", "ls")
    _, answered = hansa("seller", "negotiate", "propose", deal, "--price", "50.5")
    accepted = hansa("buyer", "negotiate", "accept", deal)
    _, settled = hansa("buyer", "negotiate", "settle", deal)
    _, shown = hansa("seller", "negotiate", "show", deal)

    assert "round 1   you     40.000 CREDIT, within 1 h 30 min, quality 0.95, split 80/10/0/10" in start
    assert f"{deal}  work        40.000 CREDIT  initiated, round 1 of 3, your turn" in waiting
    assert "round 2   you     50.500 CREDIT, within 1 h 30 min, quality 0.95, split 80/10/0/10" in answered
    assert (accepted[0], "50.500 CREDIT held until the deal is settled" in accepted[1]) == (0, True)
    assert settled == "settled  50.500 CREDIT: worker 40.400 CREDIT, pool 10.100 CREDIT\n"
    assert shown.startswith(f"{deal}  accepted, settled\n")
    assert "round 1   payer   40.000 CREDIT" in shown


def test_an_agent_may_be_named_by_its_name_in_urls(hansa, parties):
    seller = parties[1]
    name = seller.agent(seller.key.did)["agent"]["agent_id"]

    status, start = hansa("buyer", "negotiate", "start", name, "--want", "a brief", "--budget", "1", "--price", "1")

    assert (status, seller.key.did in start) == (0, True)


def test_watching_ends_with_the_deal_and_says_how_it_ended(hansa, deal):
    hansa("seller", "negotiate", "propose", deal, "--price", "50")
    hansa("buyer", "negotiate", "accept", deal)

    agreed, lines = hansa("seller", "negotiate", "watch", deal, "--until", "accepted")
    hansa("buyer", "negotiate", "settle", deal)
    settled, documents = hansa("buyer", "negotiate", "watch", deal, "-o", "json")

    assert [line.partition("  ")[2] for line in lines.splitlines()] == [
        "payer   round 1: offers 40.000 CREDIT",
        "you     round 2: asks 50.000 CREDIT",
        "house   accepted: 50.000 CREDIT held on the payer's account",
    ]
    assert [json.loads(line)["event"] for line in documents.splitlines()] == [
        "negotiation.deal_opened",
        "negotiation.proposal_made",
        "negotiation.deal_accepted",
        "negotiation.deal_settled",
    ]
    assert (agreed, settled) == (0, 0)


def test_watching_fails_when_there_is_no_deal(hansa, deal):
    hansa("seller", "negotiate", "reject", deal, "--reason", "no time")

    status, lines = hansa("buyer", "negotiate", "watch", deal)

    assert status == 1
    assert lines.endswith("worker  rejected: no time\n")


def watching(deal, tmp_path, *arguments):
    environment = {**os.environ, "HANSA_KEY": str(tmp_path / "buyer.json")}
    command = [sys.executable, "-m", "hansa.entry.cli", "negotiate", *arguments]
    return subprocess.Popen([*command, deal] if deal else command, env=environment, text=True, stdout=subprocess.PIPE)


def test_lines_come_as_it_happens(hansa, deal, tmp_path):
    with watching(deal, tmp_path, "watch") as process:
        first = process.stdout.readline()
        hansa("seller", "negotiate", "reject", deal)
        second = process.stdout.readline()

    assert ("round 1" in first, "rejected" in second, process.returncode) == (True, True, 1)


def test_whoever_starts_may_stay_and_watch(hansa, parties, tmp_path):
    seller = parties[1].key.did

    with watching(
        None, tmp_path, "start", seller, "--want", "x", "--budget", "2", "--price", "2", "--watch"
    ) as process:
        deal = process.stdout.readline().split()[0]
        opened = process.stdout.readline()
        hansa("seller", "negotiate", "accept", deal)
        hansa("buyer", "negotiate", "settle", deal)
        rest = process.stdout.read()

    assert "you     round 1: offers 2.000 CREDIT" in opened
    assert "settled: worker 1.400 CREDIT, other shares 0.600 CREDIT" in rest
    assert process.returncode == 0


def test_ctrl_c_stops_watching_and_nothing_else(deal, tmp_path, parties):
    with watching(deal, tmp_path, "watch") as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()

    assert (process.returncode, rest) == (130, "")
    assert parties[0].negotiation(deal)["negotiation"]["state"] == "initiated"


def test_the_round_that_was_seen_is_accepted_and_no_other(hansa, deal):
    hansa("seller", "negotiate", "propose", deal, "--price", "50")

    status, said = hansa("buyer", "negotiate", "accept", deal, "--round", "1")

    assert (status, said) == (1, "hansa: 409 proposal_changed: round 2 is on the table, not round 1\n")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--price", "1.2345"),
        ("--price", "-1"),
        ("--price", "ninety"),
        ("--budget", "1e3"),
        ("--delivery", "soon"),
        ("--quality", "5"),
        ("--quality", "nan"),
        ("--quality", ".955"),
        ("--split", "70/10/10/20"),
        ("--split", "100"),
        ("--split", "70/10/10.001/9.999"),
        ("--rounds", "21"),
        ("--ttl", "1y"),
    ],
)
def test_what_cannot_be_read_is_wrong_usage_and_names_the_option(hansa, parties, option, value):
    arguments = {"--want": "x", "--budget": "1", "--price": "1", option: value}

    status, said = hansa(
        "buyer", "negotiate", "start", parties[1].key.did, *(part for pair in arguments.items() for part in pair)
    )

    assert (status, f"Invalid value for '{option}'" in said) == (2, True)
    assert list(parties[0].negotiations()) == []


def test_a_list_can_be_narrowed_to_a_state(hansa, parties, deal):
    _, empty = hansa("buyer", "negotiate", "ls", "--state", "rejected")
    hansa("seller", "negotiate", "reject", deal)
    _, found = hansa("buyer", "negotiate", "ls", "--state", "rejected", "-o", "json")

    assert empty == "no negotiations are rejected\n"
    assert [one["id"] for one in json.loads(found)] == [deal]


def test_trust_is_a_yes_or_no_with_its_reason(hansa, parties):
    did = parties[1].key.did

    yes = hansa("buyer", "trust", did, "--min", "0.5")
    no = hansa("buyer", "trust", did)
    document = json.loads(hansa("buyer", "trust", did, "-o", "json")[1])

    assert yes == (0, "yes: nothing is known about this agent: the neutral 0.500 reaches 0.500\n")
    assert no == (1, "no: nothing is known about this agent: the neutral 0.500 is below 0.700\n")
    assert document["trusted"] is False


def test_amounts_spans_and_shares_are_read_exactly():
    assert [units(text) for text in ("90", "90.5", "0.001", "9007199254740.993")] == [
        90_000,
        90_500,
        1,
        9_007_199_254_740_993,
    ]
    assert [seconds(text) for text in ("45", "45s", "30m", "1h", "2d")] == [45, 45, 1800, 3600, 172_800]
    assert str(share(".95")) == "0.95"
    assert split("70/10/7.5/12.5") == {"agent": 7000, "broker": 1000, "validator": 750, "pool": 1250}
    assert split_text(split("70/10/7.5/12.5")) == "70/10/7.5/12.5"
    assert [span_text(length) for length in (0, 45, 3600, 5400, 90_061)] == [
        "0 s",
        "45 s",
        "1 h",
        "1 h 30 min",
        "1 d 1 h",
    ]


def test_an_event_that_is_not_known_yet_is_said_as_it_is():
    data = {"at": "2026-11-21T10:15:00Z", "initiator": "did:a", "responder": "did:b", "mood": "good"}

    line = happening(LiveEvent(id=1, name="negotiation.deal_blessed", data=data), "did:a")

    assert line == "10:15:00  house   deal blessed: initiator did:a, responder did:b, mood good"
