"""Identity on the command line: agents rotate and revoke their keys over HTTP; operators have nothing to do here."""
