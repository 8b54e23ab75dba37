"""Pure values that every context shares: ids, money, refusals, events. Standard library only."""
