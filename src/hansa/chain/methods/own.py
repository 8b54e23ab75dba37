"""What only a local chain can do: tell its instance, give money away, and make time pass."""

from hansa.chain.chain import Chain
from hansa.chain.errors import InvalidParams, Json
from hansa.chain.genesis import USDC_MINT
from hansa.chain.methods.answer import VERSION, Method
from hansa.chain.methods.transactions import refuse_failing
from hansa.chain.params import Params

WARP_SLOTS_MAX = 10**9
GIFT_MAX = 10**17


def hansa_instance(chain: Chain, _: Params) -> Json:
    """Which chain this is. The instance stays the same across restarts and is never that of another home."""
    return {
        "instance": chain.genesis.instance,
        "network": chain.genesis.network,
        "slotMs": chain.clock.now().slot_ms,
        "usdcMint": str(USDC_MINT),
        "faucet": str(chain.genesis.faucet.pubkey()),
        "machine": VERSION,
    }


def hansa_faucet(chain: Chain, params: Params) -> Json:
    """Give test USDC and lamports, both in their smallest unit; the owner's USDC account is opened in any case."""
    config = params.config(0)
    owner = config.address("owner")
    usdc, lamports = config.integer("usdc", default=0) or 0, config.integer("lamports", default=0) or 0
    if owner is None:
        raise InvalidParams("owner is required")
    if max(usdc, lamports) > GIFT_MAX:
        raise InvalidParams(f"the faucet gives at most {GIFT_MAX} at once")
    granted = chain.grant(owner, usdc=usdc, lamports=lamports)
    refuse_failing(chain, granted.submitted, bank_slot=chain.clock.slot)
    chain.submit(granted.submitted)
    return {"signature": granted.submitted.signature, "usdcAccount": str(granted.usdc_account)}


def hansa_warp(chain: Chain, params: Params) -> Json:
    """Let slots pass at once, counted in `slots` or in `seconds` of the chain's own time."""
    config = params.config(0)
    slots, seconds = config.integer("slots"), config.integer("seconds")
    if seconds is not None and slots is None:
        slots = -(-seconds * 1000 // chain.clock.now().slot_ms)
    elif slots is None or seconds is not None:
        raise InvalidParams("either slots or seconds is required")
    if slots > WARP_SLOTS_MAX:
        raise InvalidParams(f"at most {WARP_SLOTS_MAX} slots at once")
    return {"slot": chain.warp(slots)}


def request_airdrop(chain: Chain, params: Params) -> Json:
    submitted = chain.airdrop(params.address(0), lamports := params.integer(1))
    if lamports > GIFT_MAX:
        raise InvalidParams(f"the faucet gives at most {GIFT_MAX} at once")
    refuse_failing(chain, submitted, bank_slot=chain.clock.slot)
    chain.submit(submitted)
    return submitted.signature


METHODS: dict[str, Method] = {
    "hansa_instance": hansa_instance,
    "hansa_faucet": hansa_faucet,
    "hansa_warp": hansa_warp,
    "requestAirdrop": request_airdrop,
}
