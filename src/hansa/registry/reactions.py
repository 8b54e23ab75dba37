"""The registry reacts to nothing: agents come and go by their own signed requests, and by time."""
