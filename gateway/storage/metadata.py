"""What the tables of all modules of the schema are registered with."""

from sqlalchemy import MetaData

metadata = MetaData()
