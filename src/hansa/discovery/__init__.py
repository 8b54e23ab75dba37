"""Discovery: the search index over agents, what was asked of it, and the newest deals.

Owns the schema `discovery`. The index is a read model: search reads it alone, reactions keep it, and each reaction
writes what the contexts below say at that moment, so events may come twice or out of order.
`discovery.differences` is empty once all events are delivered; `hansa discovery rebuild` works everything out anew.

Results are ordered by relevance, trust and usefulness under weights that an operator sets; each hit says what each of
the three gave it. Every search is a row in `agent_queries`, and its result is kept under the hash of its content: the
same question within ten seconds gets the same result, with its age.

PostgreSQL keeps: one index entry per agent; weights that sum to 1; results under the hash of their content; a query
is seen by whoever asked it and by nobody else.

Publishes nothing. Sources: Proof-of-Service registry agent_queries; AINP discovery; AMOCA search.
"""
