"""What the market refuses, and the constraints that speak each refusal."""

from hansa.kernel.errors import Conflict, Defect, Forbidden, Gone, Invalid, NotFound


class TaskUnknown(NotFound):
    """There is no such task, or not for this caller."""

    constraint = "task_known"


class TaskDomainUnknown(NotFound):
    """There is no such domain of work."""

    constraint = ("task_in_a_domain", "task_domain_known")


class OnlyTheBuyer(Forbidden):
    """Only the agent that pays makes a task of a deal and accepts its delivery."""

    constraint = "the_buyer_accepts"


class OnlyTheSeller(Forbidden):
    """Only the agent that was hired works on the task."""

    constraint = "the_seller_works"


class NotAPartyOfTheTask(Forbidden):
    """Only the two parties of a task can call it off."""

    constraint = "a_party_cancels"


class DealHasATask(Conflict):
    """A task was made of this deal already."""

    constraint = "one_task_per_deal"


class TaskEnded(Conflict):
    """The task is completed, failed or cancelled; it cannot change any more."""

    constraint = "task_not_ended"


class TaskAlreadyStarted(Conflict):
    """The task was started before."""

    constraint = "task_starts_once"


class TaskNotStarted(Conflict):
    """The task is to be started before anything is delivered."""

    constraint = "task_started_to_deliver"


class TaskAlreadyDelivered(Conflict):
    """The task is delivered and waits for its buyer: it is not delivered twice and not called off."""

    constraint = ("task_delivered_once", "delivered_tasks_are_not_cancelled")


class NothingToAccept(Conflict):
    """Nothing was delivered for this task yet."""

    constraint = "task_delivered_to_accept"


class WorkHasBegun(Conflict):
    """The buyer can call a task off until it was started; from then on only the agent that works gives it up."""

    constraint = "buyer_cancels_before_the_start"


class TaskOverdue(Gone):
    """The money for this task was held long enough; it goes back to the buyer and the work ends."""

    constraint = "task_in_time"


class TaskUnfit(Invalid):
    """A task has a title (200 characters), a description (20 000), and possible hours and metadata (10 000)."""

    constraint = (
        "task_title_within_length",
        "task_description_within_length",
        "task_type_within_length",
        "task_metadata_is_small",
        "estimated_hours_possible",
    )


class DeliverableUnfit(Invalid):
    """A file has an https or ipfs URL, a name and its sha256; a text has up to 20 000 characters."""

    constraint = (
        "deliverable_url_safe",
        "deliverable_texts_within_length",
        "deliverable_is_a_file_or_a_text",
        "content_hash_is_sha256",
    )


class NothingDelivered(Invalid):
    """A delivery has at least one file or some notes, and at most 50 files."""


class ReviewUnknown(NotFound):
    """There is no such review."""


class TaskNotPaid(Conflict):
    """A task can be reviewed once it is finished and paid."""

    constraint = "reviewed_task_is_paid"


class ReviewerNotTheBuyer(Forbidden):
    """Only the buyer of a task reviews it, and only its writer changes a review."""

    constraint = "review_by_the_buyer_of_its_task"


class ReviewByCreator(Forbidden):
    """Whoever created an agent does not review it."""

    constraint = "review_not_by_the_creator"


class AlreadyReviewed(Conflict):
    """This task was reviewed before; edit that review."""

    constraint = "unique_user_task_review"


class ReviewWithdrawn(Conflict):
    """The review was taken back."""


class ReviewUnfit(Invalid):
    """Ratings are 1 to 5; a title has up to 200 characters, a text 10 000, pros and cons ten entries each."""

    constraint = ("ratings_from_1_to_5", "review_texts_within_length", "pros_and_cons_are_few")


class ResponderNotReviewed(Forbidden):
    """Only the reviewed agent answers a review."""

    constraint = "response_by_the_reviewed_agent"


class AlreadyAnswered(Conflict):
    """The review was answered before."""

    constraint = "one_response_per_review"


class ResponseUnfit(Invalid):
    """An answer to a review has 1 to 5000 characters."""

    constraint = "response_within_length"


class ReferenceUnfit(Invalid):
    """What scores are measured against is a whole number greater than zero."""

    constraint = "references_positive"


class MarketBroken(Defect):
    """A rule of the market was broken by a mistake in the code; nothing was written."""

    constraint = (
        "task_keys_pkey",
        "key_of_a_buyer",
        "key_of_an_agent",
        "key_of_a_deal",
        "key_names_one_buyer_and_agent",
        "ended_keys_have_an_end",
        "tasks_pkey",
        "task_agrees_with_its_key",
        "completed_tasks_are_paid",
        "task_parties_different",
        "task_budget_positive",
        "started_tasks_have_a_start",
        "deliveries_follow_a_start",
        "completed_tasks_were_accepted",
        "failed_tasks_delivered_nothing",
        "task_deliverables_pkey",
        "deliverable_of_a_task",
        "reviews_pkey",
        "review_names_one_agent",
        "review_responses_pkey",
        "agent_stats_pkey",
        "stats_of_an_agent",
        "stats_not_negative",
        "leaderboard_params_pkey",
        "all_time_looks_back_for_ever",
        "leaderboard_publications_pkey",
        "leaderboard_rankings_pkey",
        "ranking_of_an_agent",
        "ranking_in_a_domain",
        "unique_agent_domain_period",
        "rank_within_its_board",
        "score_from_0_to_100",
    )
