"""Client library, standard library only."""
