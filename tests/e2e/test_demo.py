"""The whole main job in a house of its own, and the proof that each of its checks can fail."""

import psycopg
import pytest

from hansa.entry.demo import Demo
from hansa.infra.embedded import EmbeddedPostgres

CORRUPTIONS = {
    "credits reconcile": (
        "UPDATE credits.postings SET amount = amount + 1 WHERE tx_type = 'earn' AND account LIKE 'did:%'",
        "UPDATE credits.postings SET amount = amount - 1 WHERE tx_type = 'earn' AND account LIKE 'did:%'",
    ),
    "audit verify": (
        "UPDATE governance.audit_logs SET action = 'hire.forged' WHERE action = 'hire.allowed'",
        "UPDATE governance.audit_logs SET action = 'hire.allowed' WHERE action = 'hire.forged'",
    ),
    "reputation verify": (
        "UPDATE proof.reputation_scores SET score = score + 0.5",
        "UPDATE proof.reputation_scores SET score = score - 0.5",
    ),
}


def break_books(home, statement):
    """Change what the rules protect, as only a superuser with the triggers off can."""
    server = EmbeddedPostgres(home).status()
    with psycopg.connect(server.dsn(role="postgres", database="hansa"), autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        assert connection.execute(statement).rowcount > 0


def problems(home):
    probe = Demo(as_json=True)
    probe.check(home)
    return probe.problems


@pytest.mark.timeout(240)
def test_the_demo_does_the_whole_job_and_each_of_its_checks_can_fail(capsys):
    found = {}

    def tamper(home):
        found["untouched"] = problems(home)
        for check, (corrupt, mend) in CORRUPTIONS.items():
            break_books(home, corrupt)
            found[check] = problems(home)
            break_books(home, mend)
        found["mended"] = problems(home)
        break_books(home, CORRUPTIONS["credits reconcile"][0])

    status = Demo(as_json=True, tamper=tamper).run()

    assert found.pop("untouched") == []
    assert found.pop("mended") == []
    for check, named in found.items():
        assert len(named) == 1, f"{check}: {named}"
        assert named[0].startswith(check)
    assert status == 1
    assert "movement" in capsys.readouterr().out
