"""What the tests of discovery share."""

import pytest

from hansa.infra.seal import LocalKeyRing


@pytest.fixture
def keys(tmp_path):
    """The key ring under which the outcomes of settled deals are sealed."""
    return LocalKeyRing.create(tmp_path / "discovery-keys.json")
