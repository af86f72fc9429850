"""The node's database: schema, migrations, connections, and leader election among the nodes on one database.

`database.NodeDatabase` opens transactions on the tables in `schema`; `leadership.Leadership` holds the lead.
"""
