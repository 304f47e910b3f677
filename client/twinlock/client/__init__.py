"""What runs in the vehicle: Primary, Secondary, trusted state, fetching, staging, installing.

Every decision about metadata is made by ``twinlock.trust``; here is only what moves bytes and keeps them. This module
imports nothing, so that a small program pays only for what it uses.
"""
