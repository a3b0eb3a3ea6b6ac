"""evidenced: signed, offline-verifiable evidence of what a Linux host really is.

Only this name is importable by others. The program itself lives in a private folder of this package, because its
rooms have generic names (agent, collectors, evidence, program) that belong in nobody's site-packages.
"""
