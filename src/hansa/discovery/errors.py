"""What discovery refuses, and the constraints that speak each refusal."""

from hansa.kernel.errors import Defect, Invalid, NotFound, ServiceUnavailable


class SearchUnfit(Invalid):
    """Something in the search is longer, larger or smaller than a search can be."""


class QueryUnknown(NotFound):
    """There is no such query of yours."""


class RankingWeightsUnfit(Invalid):
    """The weights of relevance, trust and usefulness are 0 to 1 and sum to 1, with at most four decimals."""

    constraint = ("ranking_weights_sum_to_one", "ranking_weights_not_negative")


class ResultsSwept(ServiceUnavailable):
    """The result was swept for its age at the very moment it was found again; search once more."""

    constraint = ("query_of_kept_results", "answer_of_kept_results")


class DiscoveryBroken(Defect):
    """A rule of the index was broken by a mistake in the code; nothing was written."""

    constraint = (
        "one_index_entry_per_agent",
        "one_set_of_ranking_weights",
        "ranking_weights_are_one_row",
        "one_row_per_search_result",
        "search_result_hash_is_a_cid",
        "one_answer_per_query",
        "agent_queries_pkey",
        "query_of_an_account",
        "query_age_not_negative",
        "one_row_per_recent_deal",
    )
