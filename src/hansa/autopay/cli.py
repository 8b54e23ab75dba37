"""Autopay on the command line: agents use the routes through `hansa call`; operators have nothing to do here."""
