"""An orchestrated saga as a Promela model, for the model checker SPIN: a second opinion on the prover. Pure.

The model is one instance. The orchestrator is a process, each service another, and so is the client.

* A message (a client's event, a command, an answer to a command) is a bit for what was said, and a bit for the
  inbox that has taken it. In between it is in flight, for any time: any message may overtake any other. A
  repetition changes nothing, so it has no transition.
* A service answers a command with any event that it may say, or gives it up: then it says its refusal, whether or
  not its external call succeeded, or the command is a dead letter.
* An undoing leaves a tombstone: what it undoes may come later, and then does nothing.
* The orchestrator undoes what it asked for, one after another: what has not succeeded first, then in the reverse
  order of execution, which it counts.
* The client may ask to cancel, and an answer may be too late, at any moment.

It is written from the declaration, not from the state machine that the orchestrator runs: the two can differ.
"""

from collections.abc import Iterator

from choregraphie.orchestration.declaration import Orchestration
from choregraphie.prover.promela_bits import Bits
from choregraphie.prover.promela_orchestrated_rules import formulas
from choregraphie.prover.promela_orchestrator import inlines, options
from choregraphie.prover.promela_services import services
from choregraphie.prover.promela_text import Option, header, process, statement


def orchestrated_promela(saga: Orchestration) -> str:
    """The model with one LTL formula for each rule that a run can break; the formula has the rule's name."""
    bits = Bits(saga)
    parts = [
        header(saga.name, saga.starts.TYPE),
        *_state(bits),
        *inlines(bits),
        _client(bits),
        process("orchestrator", options(bits)),
        *(process(f"service_{number}", acts) for number, acts in enumerate(services(bits))),
        *(f"ltl {rule} {{ {formula} }}\n" for rule, formula in formulas(bits).items()),
    ]
    return "\n".join(parts)


_ROW = ("started", "doomed", "failing", "completed", "compensated", "review")
_NEVER = ("wrong_decision", "foreign_event", "said_again")


def _bits(bits: Bits) -> dict[str, list[str]]:
    """Every bit of the state, by what its kind means."""
    steps, sent = bits.saga.all_steps, [command for command in bits.commands if command.SAID_TO]
    of_commands = {
        what: [bits.of_command(what, command) for command in bits.commands] for what in ("done", "tombstone")
    }
    known = ("asked", "executed", "refused", "undone")
    return {
        "said: from now on it may be received": [bits.said(one.event, one.answers) for one in bits.messages],
        "in the inbox": [bits.taken(one) for one in bits.messages],
        "carried out and not undone, or perhaps: who gave up may have made its external call": of_commands["done"],
        "undone: what comes after that does nothing": of_commands["tombstone"],
        "given up without a refusal: a dead letter, which needs a person": [
            bits.of_command("dead", command) for command in sent
        ],
        "what the orchestrator knows of each step": [bits.of_step(w, step) for step in steps for w in known],
        "the state of its row; review: a person must look": [*_ROW],
        "never: a decision against the rules, a message that is another's to say, a command said before": [
            *_NEVER
        ],
    }


def _state(bits: Bits) -> Iterator[str]:
    for meaning, names in _bits(bits).items():
        yield f"/* {meaning} */\n" + "".join(f"bit {name};\n" for name in names)
    places = ", ".join(bits.of_step("place", step) for step in bits.saga.all_steps)
    yield "/* the order of execution, and the step whose undoing is awaited */\n"
    yield f"byte executed, {places}, undoing;\n"
    yield (
        f"#define pending {bits.pending()}\n"
        "#define running (started && !failing && !completed)\n"
        "#define awaited (undoing != 0 || (running && pending))\n"
        "#define over ((completed && !failing) || compensated)\n"
    )


def _client(bits: Bits) -> str:
    """Some clients never ask to cancel: a run may end without it."""
    starts, asked = (
        statement(Option("true", (f"{bits.said(event)} = 1",), f"client says {event.TYPE}"))
        for event in (bits.saga.starts, bits.saga.cancel_asked)
    )
    lines = [f"    {starts};", "    if", f"    :: {asked}", "    :: true /* never asks to cancel */", "    fi"]
    return "\n".join(["active proctype client()", "{", *lines, "}\n"])
