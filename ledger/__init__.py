"""Shared by banks and platforms: the formats, the ledger's client, the development chain, and the base of both HTTP
services.

This package imports neither `node` nor `gateway`, and these never import each other: they meet only over HTTP and on
the ledger.
"""
