"""The architecture: layers, public names, first pages, and the declared choreography."""
