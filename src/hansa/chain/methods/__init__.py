"""The methods of JSON-RPC: one function each, by the name a client calls it."""

from hansa.chain.chain import Chain
from hansa.chain.errors import Json, RpcError
from hansa.chain.methods import accounts, cluster, own, transactions
from hansa.chain.methods.answer import Method
from hansa.chain.params import Params

METHODS: dict[str, Method] = {**cluster.METHODS, **accounts.METHODS, **transactions.METHODS, **own.METHODS}


def call(chain: Chain, method: str, params: Params) -> Json:
    """Answer one call. Raises RpcError."""
    function = METHODS.get(method)
    if function is None:
        raise RpcError(-32601, f"Method not found: {method}")
    return function(chain, params)
