"""How vehicles register and connect: enrolment with a token, and for those that run aktualizr ECUs, certificates and telemetry.

``service.py`` is the way in for the latter.
"""
