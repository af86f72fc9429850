"""The gateway's database: schema, migrations, connections, group commit, and scheduled work.

`database.Storage` opens transactions on the tables in `schema`, and `group_commit` writes many decisions in one
transaction. `schedule.Schedule` runs work at intervals, in one of the gateway's processes.
"""
