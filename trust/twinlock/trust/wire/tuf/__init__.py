"""The ``tuf`` profile: TUF 1.0 JSON, as python-tuf, go-tuf, tough and tuf-js read it."""
