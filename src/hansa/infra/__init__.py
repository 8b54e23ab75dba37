"""Everything that touches the outside: database, queue, HTTP, chain, keys, settings. It knows no context."""
