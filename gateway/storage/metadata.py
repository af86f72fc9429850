"""The metadata with which the tables of all schema modules are registered."""

from sqlalchemy import MetaData

metadata = MetaData()
