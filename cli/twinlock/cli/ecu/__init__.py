"""``twinlock primary``, ``secondary`` and ``trusted``: the commands of ECUs."""
