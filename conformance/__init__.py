"""Twinlock against the Uptane Standard, clause by clause: what enforces each rule, and which tests show it.

``python -m conformance.report`` runs the tests and writes the report; ``python -m conformance.removals`` takes checks
out one at a time and demands that a test notices. Nothing here is part of the package.
"""
