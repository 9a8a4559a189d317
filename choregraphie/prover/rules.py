"""The rules that a choreography must satisfy, and the report of a broken one. Pure."""

from dataclasses import dataclass
from enum import Enum

from choregraphie.prover.state_space import Run


class Rule(Enum):
    """Each rule: a short stable name, and the rule in one sentence."""

    STEPS = "steps", "Each service has a step, and its reactions say each step's success, refusal and undoing."
    DECIDES = (
        "decides",
        "Exactly one service decides that an instance is created or cancelled; a refusal that it hears cancels.",
    )
    SENDER = "sender", "A service says only its own events."
    HEARD = "heard", "Every event said is heard by somebody, or declared final; a refusal is never final."
    SAID = "said", "Every event heard or declared final is said by somebody."
    ANSWERS = "answers", "An undoing hears the cancellation itself and always gives the same answer."
    REACHABLE = "reachable", "Every reaction can be reached, and every event that it is declared to say."
    CYCLE = "cycle", "No answer leads back to what it answers: a reaction is carried out once for an instance."
    GIVES_UP = "gives-up", "A reaction that can give up before the decision has a refusal to say."
    UNDONE = (
        "undone",
        "Whatever may have been carried out for a cancelled instance is undone by the service that did it.",
    )
    IRREVERSIBLE = (
        "irreversible",
        "An irreversible reaction comes after the creation, or the cancellation corrects it.",
    )
    DEADLINE = "deadline", "A deadline covers every state in which an instance waits for its decision."
    ENDS = "ends", "Every run ends: created with every step done, or cancelled and answered, or with a person."
    AS_DECLARED = "as-declared", "The services' tables are the declared choreography."
    HOLDS = "holds", "Every hold of an inbox ends: each circuit breaker is that of a call, and has a bound."

    def __init__(self, slug: str, sentence: str) -> None:
        self.slug = slug
        self.sentence = sentence


@dataclass(frozen=True)
class Violation:
    """A broken rule.

    what     the problem, in one sentence
    service  the service at fault; a diagram shows the problem on its lifeline
    remedy   a change of the declaration that would fix it
    run      a shortest run that shows it; empty when the problem is that no run exists
    """

    rule: Rule
    what: str
    service: str
    remedy: str
    run: Run = ()
