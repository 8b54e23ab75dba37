"""Files sealed with the key ring, as streams."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.infra.backup.sealed_files import CHUNK_BYTES, open_file, seal_file
from hansa.infra.seal import LocalKeyRing, SealBroken


@pytest.fixture(scope="module")
def ring(tmp_path_factory) -> LocalKeyRing:
    return LocalKeyRing.create(tmp_path_factory.mktemp("keys") / "ring.json")


def sealed(ring, *pieces):
    file = io.BytesIO()
    size = seal_file(ring, pieces, file)
    assert size == sum(map(len, pieces))
    return file.getvalue()


def opened(ring, content):
    return b"".join(open_file(ring, io.BytesIO(content)))


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
def test_what_was_sealed_opens_whatever_its_size(ring, size):
    plain = bytes(range(256)) * (size // 256) + bytes(size % 256)

    content = sealed(ring, plain[: size // 3], plain[size // 3 :])

    assert opened(ring, content) == plain
    assert size < 100 or plain[:64] not in content


@settings(max_examples=50)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_no_changed_bit_goes_unnoticed(ring, place, bit):
    content = bytearray(sealed(ring, b"the audit trail " * 50))
    content[int(len(content) * place)] ^= 1 << bit

    with pytest.raises(Exception, match=r"sealed|key") as refused:
        opened(ring, bytes(content))

    assert type(refused.value).__name__ in {"SealBroken", "KeyMissing"}


def test_a_file_that_was_cut_at_the_end_of_a_chunk_does_not_open(ring):
    content = sealed(ring, bytes(2 * CHUNK_BYTES + 5))
    cut = len(content) - (5 + 16)

    with pytest.raises(SealBroken, match="cut short"):
        opened(ring, content[:cut])


def test_chunks_cannot_be_swapped(ring):
    content = sealed(ring, bytes(CHUNK_BYTES), b"\1" * CHUNK_BYTES, b"end")
    step = CHUNK_BYTES + 16
    head = len(content) - 2 * step - len(b"end") - 16
    swapped = content[:head] + content[head + step : head + 2 * step] + content[head : head + step]

    with pytest.raises(SealBroken, match="chunk 0"):
        opened(ring, swapped + content[head + 2 * step :])


def test_an_older_key_still_opens_its_files_after_a_rotation(ring):
    content = sealed(ring, b"old")

    ring.rotate()

    assert opened(ring, content) == b"old"
