"""The ``aktualizr`` profile: the metadata that aktualizr, the C++ client of most Uptane vehicles, reads and writes.

One place for all of it, both ways: canonical form, keys, signatures, names and limits (``form``), reading (``decode``,
``targets``), and writing, as a translation of the ``tuf`` form (``encode``).
"""
