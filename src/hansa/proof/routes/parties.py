"""Who takes part in a request: the agent behind it, and the house with its key."""

from hansa.infra.keys import AgentKey, KeyFileMissing
from hansa.infra.settings import Settings
from hansa.infra.web import Call
from hansa.kernel.dids import Did
from hansa.proof.errors import HouseKeyMissing


def agent_behind(call: Call) -> Did:
    """The agent that signed the request, or nobody: a person's DID opens no agent's work."""
    return call.did if call.actor.kind == "agent" else Did("")


def house_key(settings: Settings) -> AgentKey:
    """The key with which the house signs credentials. Raises HouseKeyMissing."""
    try:
        return AgentKey.load(settings.home / "keys" / "house.json")
    except KeyFileMissing as missing:
        raise HouseKeyMissing(missing.detail) from missing
