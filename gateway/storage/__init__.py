"""The gateway's database: schema, migrations, connections, group commit, and work that one of its processes does at
intervals."""
