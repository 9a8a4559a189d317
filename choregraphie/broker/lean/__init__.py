"""The lean lane: reads and writes the frames of messages itself, inside an ordinary connection of the client.

    transport.py       hands the frames of a lane's channels to it, and every other byte to the client
    publishing.py      writes a group of messages at once, and matches confirms and returned messages
    consuming.py       collects deliveries, and acknowledges them
    frames.py          the frames as bytes
    content_header.py  the header of a message, decoded only when it is asked for

Connecting, channels, declarations, heartbeats and errors stay the client's.
"""
