"""The resident supervisor. It stays small: it imports nothing but a few standard modules and its own room."""
