"""Access requests: who may ask, who decides, and what each step does. Admin, API and catalogue use these only.

    submitted → in review → approved, approved in part or rejected
                  ↕ returned with a question
    while open: withdrawn by the applicant, or expired

Each operation of a request is decided on its own, by the people of the offering agency: a provider decides on data
operations, a publisher on proxy operations, a head on both. A decision is about what its author has seen: it carries a
mark of the request, the operation and the present grant, and is refused if one of them has changed.
"""

from registry.models.requests import choosable
from registry.requests.asking import AlreadyRequested, Wanted, answer, revise, submit, withdraw
from registry.requests.deciding import Decision, approve, ask_back, begin_review, decide, mark, reject
from registry.requests.lists import inbox, own, waiting_for
from registry.requests.review import compare, other_grants, quota_text, usage, warnings
from registry.requests.rights import ASKING, DECIDING, check_direct, decidable, deciders, may_ask, may_decide
from registry.requests.telling import tell_of_grant
from registry.requests.terms import Terms, proposed, proposed_columns, requested, specific_columns
from registry.requests.trail import Outdated, expire, items_of

__all__ = [
    "ASKING", "DECIDING", "AlreadyRequested", "Decision", "Outdated", "Terms", "Wanted", "answer", "approve",
    "ask_back", "begin_review", "check_direct", "choosable", "compare", "decidable", "decide", "deciders", "expire",
    "inbox", "items_of", "mark", "may_ask", "may_decide", "other_grants", "own", "proposed", "proposed_columns",
    "quota_text", "reject", "requested", "revise", "specific_columns", "submit", "tell_of_grant", "usage",
    "waiting_for", "warnings", "withdraw",
]  # fmt: skip
