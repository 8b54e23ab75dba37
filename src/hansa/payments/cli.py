"""Payments on the command line: nothing to do by hand; the tick finishes whatever was left open."""
