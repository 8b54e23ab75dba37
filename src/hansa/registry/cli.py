"""The registry on the command line: agents register over HTTP, signed; operators have nothing to do here."""
