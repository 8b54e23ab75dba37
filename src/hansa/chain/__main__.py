"""`python -m hansa.chain --home DIR`: serve the chain of a home until a signal ends it."""

import argparse
import json
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import uvicorn

from hansa.chain.chain import open_chain
from hansa.chain.errors import ChainRefusesToStart
from hansa.chain.faults import Faults
from hansa.chain.genesis import NETWORKS
from hansa.chain.server import RpcServer

HOST = "127.0.0.1"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one line of JSON with the url and the instance when calls are answered; 2 when the home is refused."""
    options = _parse(arguments)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)  # uvicorn takes them over, and raises them again after its shutdown
    try:
        chain = open_chain(options.home, network=options.genesis, slot_ms=options.slot_ms)
    except ChainRefusesToStart as error:
        print(f"hansa chain: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    try:
        app = RpcServer(chain, Faults() if options.faults else None)
        _serve(app, options.port, chain.genesis.instance)
    finally:
        chain.close()
    return 0


def _serve(app: RpcServer, port: int, instance: str) -> None:
    with socket.create_server((HOST, port)) as listener:
        url = f"http://{HOST}:{listener.getsockname()[1]}"
        print(json.dumps({"url": url, "instance": instance}), flush=True)
        config = uvicorn.Config(
            app,
            lifespan="off",
            ws="none",
            access_log=False,
            log_level="warning",
            server_header=False,
            timeout_graceful_shutdown=2,
        )
        uvicorn.Server(config).run(sockets=[listener])


def _stop(_: int, __: FrameType | None) -> None:
    raise SystemExit(0)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m hansa.chain", description="A local Solana for tests and demos.")
    parser.add_argument("--home", type=Path, required=True, help="the folder that keeps the chain")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one (default)")
    parser.add_argument("--slot-ms", type=_slot_ms, default=400, help="length of a slot in milliseconds (default: 400)")
    parser.add_argument("--genesis", choices=NETWORKS, default="devnet", help="whose genesis hash is answered")
    parser.add_argument("--faults", action="store_true", help="let tests break calls with hansa_fault")
    return parser.parse_args(arguments)


def _slot_ms(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 60_000:
        raise argparse.ArgumentTypeError(f"{text} is not from 1 to 60000")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
