"""How a table is read: in a child with limits, which sends frames that its parent checks."""
