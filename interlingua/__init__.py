"""Interlingua: an AI gateway. Any client protocol in, any model provider out, through one intermediate representation."""

__version__ = "0.1.0"
