"""Key files and what follows from one Ed25519 key; the machine's own file system does the checking."""

import json
import os
import stat
import threading

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.keypair import Keypair

from hansa.infra.keys import (
    AgentKey,
    InvalidKeyFile,
    KeyFileExists,
    KeyFileExposed,
    KeyFileMissing,
    WeakKey,
    verification_key,
)
from hansa.kernel import base58
from hansa.kernel.dids import did_public_key

SMALL_ORDER = [
    bytes(32),
    (1).to_bytes(32, "little"),
    (2**255 - 20).to_bytes(32, "little"),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    (2**255 - 19).to_bytes(32, "little"),
    (2**255 - 18).to_bytes(32, "little"),
]
"""Points that a signature fits which nobody made, in canonical and other encodings."""


def write_private(path, text):
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_one_key_is_did_wallet_and_signer():
    key = AgentKey.generate()

    signature = key.sign(b"message")

    verification_key(key.public_key).verify(signature, b"message")
    assert did_public_key(key.did) == did_public_key(key.did_sol) == key.public_key
    assert key.did_sol == f"did:sol:{key.wallet}"
    assert key.key_id.startswith(f"{key.did}#z6Mk")


@settings(derandomize=True, max_examples=30, deadline=None)
@given(st.binary(min_size=32, max_size=32))
def test_solders_sees_the_same_key_and_makes_the_same_signatures(seed):
    theirs = Keypair.from_seed(seed)

    ours = AgentKey.from_secret(bytes(theirs))

    assert ours.wallet == str(theirs.pubkey())
    assert ours.solders() == theirs
    assert ours.sign(seed) == bytes(theirs.sign_message(seed))


def test_a_saved_key_loads_again_and_only_its_owner_may_read_it(tmp_path):
    key = AgentKey.generate()
    path = tmp_path / "keys" / "agent.json"

    key.save(path)

    assert AgentKey.load(path).sign(b"m") == key.sign(b"m")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["agent.json"]
    document = json.loads(path.read_text())
    assert (document["did"], document["wallet"]) == (key.did, key.wallet)
    assert Keypair.from_bytes(bytes(document["secret_key"])) == key.solders()


def test_a_key_is_never_written_over_another_file(tmp_path):
    path = tmp_path / "agent.json"
    first = AgentKey.generate()
    first.save(path)

    with pytest.raises(KeyFileExists, match=r"agent\.json exists"):
        AgentKey.generate().save(path)

    assert AgentKey.load(path).did == first.did
    assert [entry.name for entry in tmp_path.iterdir()] == ["agent.json"]


def test_of_two_writers_of_one_key_file_one_is_told_that_it_lost(tmp_path):
    path = tmp_path / "agent.json"
    keys = [AgentKey.generate() for _ in range(8)]
    lost = []
    start = threading.Barrier(len(keys))

    def save(key):
        start.wait()
        try:
            key.save(path)
        except KeyFileExists:
            lost.append(key.did)

    threads = [threading.Thread(target=save, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {key.did for key in keys} - set(lost) == {AgentKey.load(path).did}


@pytest.mark.skipif(os.name != "posix", reason="file modes are a matter of POSIX")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o602, 0o611])
def test_a_key_file_that_others_may_touch_is_refused_with_the_remedy(tmp_path, mode):
    path = tmp_path / "agent.json"
    AgentKey.generate().save(path)
    path.chmod(mode)

    with pytest.raises(KeyFileExposed, match=f"chmod 600 {path}"):
        AgentKey.load(path)

    path.chmod(0o400)
    assert AgentKey.load(path)


def test_a_plain_solana_keypair_and_a_base58_secret_load_as_well(tmp_path):
    theirs = Keypair()
    array = write_private(tmp_path / "id.json", theirs.to_json())
    text = write_private(tmp_path / "b58.json", json.dumps({"secret_key": base58.encode(bytes(theirs))}))

    keys = [AgentKey.load(array), AgentKey.load(text)]

    assert [key.solders() for key in keys] == [theirs, theirs]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        "{}",
        "3",
        '"text"',
        "[1, 2, 3]",
        json.dumps([256] * 64),
        json.dumps(["a"] * 64),
        json.dumps([0.5] * 64),
        json.dumps({"secret_key": None}),
        json.dumps({"secret_key": "0OIl"}),
        json.dumps(list(bytes(64))),
        "[" * 10_000,
        "[1" + ",1" * 20_000 + "]",
    ],
)
def test_a_file_that_holds_no_key_is_refused_without_repeating_it(tmp_path, text):
    path = write_private(tmp_path / "agent.json", text)

    with pytest.raises(InvalidKeyFile) as refusal:
        AgentKey.load(path)

    assert refusal.value.__cause__ is None


@pytest.mark.parametrize("name", ["did", "wallet"])
def test_a_key_file_whose_label_lies_is_refused(tmp_path, name):
    key, other = AgentKey.generate(), AgentKey.generate()
    key.save(tmp_path / "agent.json")
    document = json.loads((tmp_path / "agent.json").read_text())
    forged = write_private(tmp_path / "forged.json", json.dumps(document | {name: getattr(other, name)}))

    with pytest.raises(InvalidKeyFile, match=f"the {name} in the file"):
        AgentKey.load(forged)


def test_a_keypair_of_two_different_halves_is_refused():
    secret = bytes(Keypair())[:32] + bytes(Keypair().pubkey())

    with pytest.raises(InvalidKeyFile, match="public half"):
        AgentKey.from_secret(secret)


def test_a_missing_key_file_and_a_folder_are_refused_by_name(tmp_path):
    with pytest.raises(KeyFileMissing, match="no key file at"):
        AgentKey.load(tmp_path / "nobody.json")
    tmp_path.chmod(0o700)
    with pytest.raises(InvalidKeyFile, match="is a folder"):
        AgentKey.load(tmp_path)


def test_no_text_made_of_a_key_shows_its_secret():
    key = AgentKey.generate()
    secret = bytes(key.solders())[:32]

    shown = repr(key) + str(key) + f"{key}"

    assert key.did in shown
    assert base58.encode(secret) not in shown
    assert secret.hex() not in shown
    assert not hasattr(key, "__dict__")


@pytest.mark.parametrize("public_key", SMALL_ORDER)
def test_a_key_for_which_anyone_can_sign_is_refused(public_key):
    with pytest.raises(WeakKey):
        verification_key(public_key)


def test_without_our_check_the_all_zero_key_would_take_a_signature_that_nobody_made():
    forged = bytes(64)
    accepted = False

    for attempt in range(64):
        try:
            Ed25519PublicKey.from_public_bytes(bytes(32)).verify(forged, b"pay me %d" % attempt)
            accepted = True
        except Exception:  # noqa: BLE001 - about one message in four fits
            continue

    assert accepted


@pytest.mark.parametrize("public_key", [b"", b"\1" * 31, b"\1" * 33, b"\xff" * 32, (2).to_bytes(32, "little")])
def test_bytes_that_are_no_key_are_refused(public_key):
    with pytest.raises(WeakKey):
        verification_key(public_key)
