"""What the local chain refuses: at its start by exception, over RPC by code."""

from typing import TypeAlias

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"


class ChainRefusesToStart(Exception):
    """The home cannot be served; the message says what is wrong with it."""


class HomeInUse(ChainRefusesToStart):
    """Another process serves this home."""


class LogDamaged(ChainRefusesToStart):
    """A line other than the torn last one cannot be read."""


class GenesisDiffers(ChainRefusesToStart):
    """The home was created for another network than the one asked for."""


class ReplayDiverged(ChainRefusesToStart):
    """A logged transaction ends differently on this machine than when it first ran."""


class RpcError(Exception):
    """An answer of JSON-RPC that is an error: a code of Solana's, a message, and data where Solana gives some."""

    def __init__(self, code: int, message: str, data: Json = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


class InvalidParams(RpcError):
    """A parameter is missing, of the wrong kind or out of range."""

    def __init__(self, message: str) -> None:
        super().__init__(-32602, f"Invalid params: {message}")
