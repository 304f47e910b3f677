"""The read model: frozen values, one file a kind. Wire names are not known here; ``wire`` turns bytes into these."""
