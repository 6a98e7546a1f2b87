"""The lessons of the tutorial that make servers: their programs run, and are used."""
