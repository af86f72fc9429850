"""The node's database: schema, migrations, connections, and leader election among the nodes on one database."""
