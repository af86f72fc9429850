"""Sets up a consortium: from one TOML file that names its members, the files of a Hyperledger Besu network (QBFT).

No other package imports this one. Its command is `standing-network`.
"""
