"""The screen of the live monitor: what needs a person first, then what is under way, then what has ended.

picture.py     what there is to show now, asked of the projection
drawing.py     that as lines of text, cut to the width of the terminal
ear.py         what the reading reports, kept for the next picture
looks.py       colours and places
orders.py      the board's table
app.py         the application: the board, its keys, and the reading that goes on beside it
sorting.py     in which order the board lists what it shows
screens.py     one order's timeline, the anomalies; branches.py the words of the timeline
text_screen.py a dead letter, or another text, over the board; help.py the help; over.py what they share
"""
