"""The operator's verbs: each module adds its own to the command line and carries it out."""
