"""Cards, sellers and buyers to start from; the demo and the tutorials run them."""
