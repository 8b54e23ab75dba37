"""Sealed values: what opens, what does not, and what rotation changes."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa.infra.seal import (
    MAGIC,
    SEALED_BYTES_MIN,
    KeyFileUnsafe,
    KeyMissing,
    LocalKeyRing,
    SealBroken,
    open_sealed,
    rewrap,
    seal,
    sealing_key_id,
)

CELL = {"table": "proof.work_history_logs", "column": "encrypted_data", "row": "0199-1", "scope": "org-1"}
SECRET = b'{"payer": "somebody", "amount": 5000}'


@pytest.fixture
def ring(tmp_path: Path) -> LocalKeyRing:
    return LocalKeyRing.create(tmp_path / "keys" / "seal.json")


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plaintext=st.binary(max_size=2000), row=st.text(max_size=40), scope=st.text(max_size=40))
def test_a_sealed_value_opens_in_its_own_cell(ring, plaintext, row, scope):
    cell = CELL | {"row": row, "scope": scope}

    blob = seal(ring, plaintext, **cell)

    assert open_sealed(ring, blob, **cell) == plaintext
    assert blob.startswith(MAGIC)
    assert len(blob) >= SEALED_BYTES_MIN
    assert len(plaintext) < 8 or plaintext not in blob


def test_equal_values_are_sealed_differently(ring):
    first, second = seal(ring, SECRET, **CELL), seal(ring, SECRET, **CELL)

    assert first != second
    assert first[-len(SECRET) - 16 :] != second[-len(SECRET) - 16 :]


def test_every_changed_byte_is_refused(ring):
    blob = seal(ring, SECRET, **CELL)

    for position in range(len(blob)):
        for mask in (0x01, 0x80, 0xFF):
            changed = bytearray(blob)
            changed[position] ^= mask
            with pytest.raises((SealBroken, KeyMissing)):
                open_sealed(ring, bytes(changed), **CELL)


def test_every_shortened_or_lengthened_value_is_refused(ring):
    blob = seal(ring, SECRET, **CELL)

    for broken in [*(blob[:length] for length in range(len(blob))), blob + b"\0"]:
        with pytest.raises((SealBroken, KeyMissing)):
            open_sealed(ring, broken, **CELL)


@pytest.mark.parametrize("part", ["table", "column", "row", "scope"])
def test_a_value_moved_to_another_cell_is_refused(ring, part):
    blob = seal(ring, SECRET, **CELL)

    with pytest.raises(SealBroken) as refusal:
        open_sealed(ring, blob, **CELL | {part: "another"})

    assert refusal.value.code() == "seal_broken"


def test_moving_a_letter_from_one_name_to_the_next_is_another_cell(ring):
    blob = seal(ring, SECRET, table="ab", column="c", row="1", scope="s")

    with pytest.raises(SealBroken):
        open_sealed(ring, blob, table="a", column="bc", row="1", scope="s")


def test_a_data_key_cannot_be_transplanted_to_another_value(ring):
    mine, other = seal(ring, SECRET, **CELL), seal(ring, SECRET, **CELL | {"row": "0199-2"})
    head = len(mine) - (12 + len(SECRET) + 16)

    with pytest.raises(SealBroken):
        open_sealed(ring, other[:head] + mine[head:], **CELL)


def test_rewrap_brings_a_value_under_the_new_key_and_keeps_its_ciphertext(ring):
    before = seal(ring, SECRET, **CELL)
    new_key = ring.rotate()

    after = rewrap(ring, before, scope=CELL["scope"])

    assert (sealing_key_id(before), sealing_key_id(after)) == ("k1", new_key)
    assert after[-(12 + len(SECRET) + 16) :] == before[-(12 + len(SECRET) + 16) :]
    assert open_sealed(ring, after, **CELL) == SECRET
    assert rewrap(ring, after, scope=CELL["scope"]) is after


def test_rewrap_in_another_scope_is_refused(ring):
    blob = seal(ring, SECRET, **CELL)
    ring.rotate()

    with pytest.raises(SealBroken):
        rewrap(ring, blob, scope="org-2")


def test_a_rotation_by_another_process_is_followed_without_a_restart(ring, tmp_path):
    before = seal(ring, SECRET, **CELL)
    elsewhere = LocalKeyRing(tmp_path / "keys" / "seal.json")

    new_key = elsewhere.rotate()
    after = seal(ring, SECRET, **CELL)

    assert sealing_key_id(after) == new_key == ring.current_key_id()
    assert open_sealed(ring, before, **CELL) == open_sealed(elsewhere, after, **CELL) == SECRET


def test_a_destroyed_key_takes_its_values_with_it_and_its_name_is_never_given_again(ring):
    shredded = seal(ring, SECRET, **CELL)
    ring.rotate()
    kept = rewrap(ring, seal(ring, SECRET, **CELL), scope=CELL["scope"])

    ring.destroy("k1")

    with pytest.raises(KeyMissing) as refusal:
        open_sealed(ring, shredded, **CELL)
    assert refusal.value.facts == {"key_id": "k1"}
    assert open_sealed(ring, kept, **CELL) == SECRET
    assert ring.rotate() == "k3"


def test_the_current_key_and_an_unknown_key_cannot_be_destroyed(ring):
    with pytest.raises(ValueError, match="rotate first"):
        ring.destroy("k1")
    with pytest.raises(KeyMissing):
        ring.destroy("k9")

    assert ring.current_key_id() == "k1"


def test_the_key_file_is_private_and_never_replaced_by_creating(ring, tmp_path):
    path = tmp_path / "keys" / "seal.json"
    ring.rotate()

    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["seal.json"]
    with pytest.raises(FileExistsError):
        LocalKeyRing.create(path)


def test_a_key_file_that_others_can_read_is_refused(ring, tmp_path):
    path = tmp_path / "keys" / "seal.json"
    path.chmod(0o640)

    with pytest.raises(KeyFileUnsafe, match="chmod 600"):
        LocalKeyRing(path)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"current": "k1", "keys": {}}', '{"current": "k1", "keys": {"k1": "AAAA"}}', '{"keys": 7}'],
)
def test_a_file_that_holds_no_keys_is_refused_by_name(tmp_path, content):
    path = tmp_path / "seal.json"
    path.write_text(content)
    path.chmod(0o600)

    with pytest.raises(KeyFileUnsafe):
        LocalKeyRing(path)


def test_a_missing_key_file_is_named(tmp_path):
    with pytest.raises(KeyMissing, match=r"no-such\.json"):
        LocalKeyRing(tmp_path / "no-such.json")


def test_keys_are_256_random_bits_and_differ(ring, tmp_path):
    ring.rotate()

    keys = json.loads((tmp_path / "keys" / "seal.json").read_text())["keys"]

    assert len(set(keys.values())) == 2
