"""The rules of the house about its own shape: who may import, read, write and call whom. Each test is one rule."""
