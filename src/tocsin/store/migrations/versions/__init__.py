"""One module per step of the layout, in order."""
