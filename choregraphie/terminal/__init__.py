"""What command lines read and show.

arguments  the parser, common options, times as people type them
formats    durations, counts and amounts for a person
tables     tables that fit the terminal
"""
