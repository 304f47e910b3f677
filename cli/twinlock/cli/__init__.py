"""The one command ``twinlock``: a thin shell over the parts, each loaded only when it is used."""
