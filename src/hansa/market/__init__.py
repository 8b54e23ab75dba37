"""Market: the tasks that fulfil deals, reviews of them, statistics of agents, and leaderboards.

Owns the schema `market`. A task is made from an accepted deal by the agent that pays; from then on the deal is settled
by accepting the task's delivery and in no other way.

PostgreSQL keeps: one task per deal; a completed task is paid (a deferred foreign key to the settlement); every
transition waits on the task's row and is guarded there; a review is by the buyer of a paid task, once, and never by
the agent's creator; a task's content is seen by its parties only, while its key (who, which domain, how it ended) is
public and kept for ever. Counters in `agent_stats` follow tasks and reviews by trigger and deals by reaction; rates are
computed columns, so they cannot disagree with their counters. Leaderboards are counted from the deeds themselves.

Publishes TaskCreated, TaskStarted, TaskDelivered, TaskSettled, TaskEnded, ReviewWritten, ReviewChanged. Source: AMOCA.
"""
