"""The ground floor: metadata, keys, reports, checks and verification, with no I/O, clock or randomness.

Everything here is a value or a pure function. Bytes and the time come in as arguments; what to fetch and what to
store goes out as commands (``twinlock.trust.engine.commands``). This module imports nothing, so that importing one room of
the engine costs only that room.
"""
