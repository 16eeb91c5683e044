"""The state database: engine, durability, migrations."""
