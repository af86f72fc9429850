"""The ledger contract: Solidity source and its committed artifact, carried in the wheel as package data."""
