"""Online operations: changes of a live table that no client notices but by their result.

Each is a state machine whose place is a row of mig.operations, written in the transaction of what it speaks of, so a
run that is killed at any instant goes on exactly there. A revision lists them in its meta.toml:

    [[operation]]
    kind = "convert_to_enum"
    table = "governance.role_agents"
    column = "status"
    type = "governance.role_agent_status"
    map = "role_agent_status"

What old values become is in map.toml (`values`), without a word for everything else.
"""
