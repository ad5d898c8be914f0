"""`make chaos`: real processes and real sockets, providers that fail in every way there is, and clients that keep asking.

Nothing here uses a parser, a formatter or a client of ours: what is judged is what came over the wire (docs/chaos.md).
"""
