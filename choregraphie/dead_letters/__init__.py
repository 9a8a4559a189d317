"""Dead letters for operators: what they are, what a replay would do, and what is done about them.

letter       what is read of a letter: its id, its reason, its event. Pure
grouping     letters by service, reason and fault. Pure
effect       what a replay does
outgoing     the messages that take its place. Pure
audit        the records of what operators do. Pure
prediction   what a replay would do, from the databases
selection    which letters a command is about
treatment    replay, hold, discard, edit
settlement   the answer that a person gives in place of a service
"""
