"""The gateway's database: schema, migrations, connections, and group commit."""
