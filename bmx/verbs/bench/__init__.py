"""bmx bench: what models cost on this machine."""
