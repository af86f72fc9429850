"""Serve the development chain (eth-tester) as JSON-RPC on loopback, until Ctrl-C. State is in memory."""

import argparse

from standing.ledger.devnet.chain import Devnet
from standing.ledger.service.serve import listener, serve

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8545)
    serve(Devnet().app, listener("127.0.0.1", parser.parse_args().port))
