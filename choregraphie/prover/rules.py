"""The rules that a choreography is held to, and what is reported when one is broken. Pure."""

from dataclasses import dataclass
from enum import Enum

from choregraphie.prover.state_space import Run


class Rule(Enum):
    """A short name that stays, and the rule in one sentence."""

    STEPS = "steps", "Each service has one step, and its reactions say that step's success, refusal and undoing."
    DECIDES = (
        "decides",
        "Exactly one service decides that an order is created or cancelled; a refusal that it hears cancels.",
    )
    SENDER = "sender", "A service says only its own events."
    HEARD = "heard", "Every event said is heard by somebody, or declared final; a refusal is never final."
    SAID = "said", "Every event heard or declared final is said by somebody."
    ANSWERS = "answers", "An undoing hears the cancellation itself and always gives the same answer."
    REACHABLE = "reachable", "Every reaction can be reached, and every event that it is declared to say."
    CYCLE = "cycle", "No answer leads back to what it answers: a reaction is carried out once an order."
    GIVES_UP = "gives-up", "A reaction that can give up before the decision has a refusal to say."
    UNDONE = "undone", "Whatever may have been carried out for a cancelled order is undone by whoever did it."
    IRREVERSIBLE = (
        "irreversible",
        "What cannot be taken back comes after the creation, or is made good by the cancellation.",
    )
    DEADLINE = "deadline", "A deadline covers every state in which an order waits for its decision."
    ENDS = "ends", "Every run ends: created with every step done, or cancelled and answered, or with a person."
    AS_DECLARED = "as-declared", "The services' tables are the declared choreography."

    def __init__(self, slug: str, sentence: str) -> None:
        self.slug = slug
        self.sentence = sentence


@dataclass(frozen=True)
class Violation:
    """`what` is wrong here, in a sentence; `where`: whose lifeline shows it; `remedy`: what would mend it.

    `run` is a shortest run that shows it, empty when the matter is that there is none.
    """

    rule: Rule
    what: str
    where: str
    remedy: str
    run: Run = ()
