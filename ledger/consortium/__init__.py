"""Begin a consortium: from one TOML file that names its members, the files of a Hyperledger Besu network (QBFT).

Nothing else uses this subpackage. Its command is `standing-network`.
"""
