"""The Director: inventory, report intake, planning, per-vehicle signing and serving. Imports ``trust``, ``repository``.

Start at ``director.Director``, which everything else here is behind.
"""
