"""The parameters of one call, read with a refusal for each thing that can be wrong with them."""

from collections.abc import Mapping
from dataclasses import dataclass

from solders.hash import Hash
from solders.pubkey import Pubkey

from hansa.chain.errors import InvalidParams, Json

COMMITMENTS = ("processed", "confirmed", "finalized")
U64 = 2**64


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The object of named options that most methods take last."""

    values: Mapping[str, Json]

    def commitment(self, name: str = "commitment") -> str:
        """The commitment asked for. A cluster takes `finalized` when none is named, and so do we."""
        return self.one_of(name, COMMITMENTS, default="finalized")

    def one_of(self, name: str, allowed: tuple[str, ...], *, default: str) -> str:
        value = self.values.get(name)
        if value is None:
            return default
        if value not in allowed:
            raise InvalidParams(f"{name} must be one of {', '.join(allowed)}, not {value!r}")
        return str(value)

    def flag(self, name: str) -> bool:
        value = self.values.get(name)
        if value is not None and not isinstance(value, bool):
            raise InvalidParams(f"{name} must be true or false")
        return bool(value)

    def integer(self, name: str, *, default: int | None = None) -> int | None:
        value = self.values.get(name)
        return default if value is None else _integer(value, name)

    def required_integer(self, name: str) -> int:
        return _integer(self.values.get(name), name)

    def text(self, name: str) -> str | None:
        value = self.values.get(name)
        if value is not None and not isinstance(value, str):
            raise InvalidParams(f"{name} must be a string")
        return value

    def address(self, name: str) -> Pubkey | None:
        text = self.text(name)
        return None if text is None else _address(text, name)

    def part(self, name: str) -> "Config | None":
        """A nested object of options."""
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise InvalidParams(f"{name} must be an object")
        return Config(values=value)

    def addresses(self, name: str) -> list[Pubkey]:
        return _addresses(self.values.get(name), name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """The parameters by place, as JSON-RPC carries them. One object alone stands for a list of it."""

    values: tuple[Json, ...]

    def address(self, index: int) -> Pubkey:
        return _address(self._at(index), f"parameter {index + 1}")

    def addresses(self, index: int) -> list[Pubkey]:
        return _addresses(self._at(index), f"parameter {index + 1}")

    def text(self, index: int) -> str:
        value = self._at(index)
        if not isinstance(value, str):
            raise InvalidParams(f"parameter {index + 1} must be a string")
        return value

    def texts(self, index: int) -> list[str]:
        value = self._at(index)
        if not isinstance(value, list):
            raise InvalidParams(f"parameter {index + 1} must be a list of strings")
        texts = [item for item in value if isinstance(item, str)]
        if len(texts) != len(value):
            raise InvalidParams(f"parameter {index + 1} must be a list of strings")
        return texts

    def integer(self, index: int) -> int:
        return _integer(self._at(index), f"parameter {index + 1}")

    def blockhash(self, index: int) -> Hash:
        try:
            return Hash.from_string(self.text(index))
        except ValueError as error:
            raise InvalidParams(f"parameter {index + 1} is not a blockhash") from error

    def config(self, index: int) -> Config:
        value = self._at(index)
        if value is None:
            return Config(values={})
        if not isinstance(value, dict):
            raise InvalidParams(f"parameter {index + 1} must be an object")
        return Config(values=value)

    def _at(self, index: int) -> Json:
        return self.values[index] if index < len(self.values) else None


def read_params(values: Json) -> Params:
    match values:
        case None:
            return Params(values=())
        case list():
            return Params(values=tuple(values))
        case dict():
            return Params(values=(values,))
        case _:
            raise InvalidParams("params must be a list or an object")


def _integer(value: Json, name: str) -> int:
    """A number of 64 bits without sign; everything RPC counts is one."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < U64:
        raise InvalidParams(f"{name} must be an integer from 0 to 2^64 - 1")
    return value


def _address(value: Json, name: str) -> Pubkey:
    if not isinstance(value, str):
        raise InvalidParams(f"{name} must be an address")
    try:
        return Pubkey.from_string(value)
    except ValueError as error:
        raise InvalidParams(f"{name} is not an address: {value}") from error


def _addresses(value: Json, name: str) -> list[Pubkey]:
    if not isinstance(value, list) or len(value) > 100:
        raise InvalidParams(f"{name} must be a list of at most 100 addresses")
    return [_address(item, name) for item in value]
