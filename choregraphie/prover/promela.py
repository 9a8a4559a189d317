"""A choreography as a Promela model, which the model checker SPIN explores: a second opinion on the prover. Pure.

The model is one instance of the saga. Each service is a process, each deadline another, the client a third kind.

* A message is a bit for what was said, and a bit for each inbox that has taken it. While only the first is set, it
  is in flight, for any length of time. There is no sequence: any event may overtake any other.
* Deliveries are repeated. A repetition finds the inbox's bit set and changes nothing, so it has no transition.
* What comes first for a join is kept and has no effect, so only the last of its events has transitions. The join
  may give up with any of them.
* A reaction answers with any event that it may say. It may also give up: it says its refusal, whether or not its
  external call succeeded, or becomes a dead letter.
* An undoing leaves tombstones: what it undoes may come later, and then does nothing.
* The decider compares and sets: in one step it looks at the decision and takes it.
* The client may ask to cancel, and a deadline may pass, at any moment.

Every transition sets a bit that was not set, so every run ends.
"""

from collections.abc import Iterator

from choregraphie.orchestration.wiring import Orchestrated
from choregraphie.prover.promela_names import Names, all_of, any_of
from choregraphie.prover.promela_orchestrated import orchestrated_promela
from choregraphie.prover.promela_rules import formulas
from choregraphie.prover.promela_text import REACHABLE, SAID, Option, header, process, statement
from choregraphie.saga.choreography import Choreography, Deadline, EventClass, Reaction


def promela(choreography: Choreography) -> str:
    """The model with one LTL formula for each rule that a run can break; the formula has the rule's name."""
    if isinstance(choreography, Orchestrated):
        return orchestrated_promela(choreography.orchestration)
    names = Names(choreography)
    parts = [
        header(choreography.name, choreography.starts.TYPE),
        *_state(names),
        _client(names),
        *(process(name, options) for name, options in _processes(names)),
        *(f"ltl {rule} {{ {formula} }}\n" for rule, formula in formulas(names).items()),
    ]
    return "\n".join(parts)


def _state(names: Names) -> Iterator[str]:
    for meaning, bits in names.bits().items():
        if bits:
            yield f"/* {meaning} */\n" + "".join(f"bit {bit};\n" for bit in bits)
    yield (
        "/* never: a decision against the rules, an event that is another's to say, an event said before */\n"
        "bit wrong_decision, foreign_event, said_again;\n"
    )
    yield "".join(f"#define {name} {condition}\n" for name, condition in names.definitions().items())


def _processes(names: Names) -> Iterator[tuple[str, list[Option]]]:
    for service in dict.fromkeys(r.service for r in names.reactions):
        own = [r for r in names.reactions if r.service == service]
        yield names.service(service), [option for reaction in own for option in _options(names, reaction)]
    for number, deadline in enumerate(names.deadlines):
        yield f"clock_{number}", list(_clock(names, deadline))


def _client(names: Names) -> str:
    """Some clients never ask to cancel: a run may end without it."""
    starts, asked = (
        statement(Option("true", _say(names, event, event.SAID_BY), f"client says {event.TYPE}"))
        for event in (names.choreography.starts, names.choreography.cancel_asked)
    )
    lines = [f"    {starts};", "    if", f"    :: {asked}", "    :: true /* never asks to cancel */", "    fi"]
    return "\n".join(["active proctype client()", "{", *lines, "}\n"])


def _clock(names: Names, deadline: Deadline) -> Iterator[Option]:
    for event in deadline.says:
        effects = (f"{names.expired(deadline)} = 1", *_say(names, event, deadline.service))
        yield Option(
            names.runs(deadline), effects, f"the deadline of {deadline.service} passes: it says {event.TYPE}"
        )


def _options(names: Names, reaction: Reaction) -> Iterator[Option]:
    """Everything that may happen when the reaction's event, or the last event of its join, is delivered."""
    heard, tried = (_hearing(reaction, word) for word in ("and", "or"))
    new, taken = [f"!{names.taken(reaction)}"], f"{names.taken(reaction)} = 1"
    said = [names.said(event) for event in reaction.awaits]
    if names.is_taken_back(reaction):
        tombstone = names.tombstone(reaction)
        yield Option(all_of([*said, *new, tombstone]), (taken,), heard + "too late: it has been undone already")
        new.append(f"!{tombstone}")
    for option in (
        _decision(names, reaction) if names.choreography.decides(reaction) else _answers(names, reaction)
    ):
        guard = all_of([*said, *new, option.guard])
        yield Option(guard, (taken, *option.effects), heard + option.sentence, option.rule)
    last_try = _giving_up(names, reaction)
    yield Option(all_of([any_of(said), *new]), (taken, *last_try.effects), tried + last_try.sentence)


def _hearing(reaction: Reaction, word: str) -> str:
    return f"{reaction.service} hears {f' {word} '.join(event.TYPE for event in reaction.awaits)}, "


def _rule(names: Names, reaction: Reaction) -> str:
    return REACHABLE if set(reaction.awaits) <= names.choreography.said else SAID


def _answers(names: Names, reaction: Reaction) -> Iterator[Option]:
    taken_back = [r for r in names.reactions if names.takes_back(reaction, r)]
    undoes = (f"{names.done(r)} = 0; {names.tombstone(r)} = 1" for r in taken_back)
    done = (f"{names.done(reaction)} = 1", *undoes)
    rule = _rule(names, reaction)
    if not reaction.says:
        yield Option("true", done, "says nothing", rule)
    for event in reaction.says:
        said = _say(names, event, reaction.service)
        if event is reaction.refusal and not reaction.undoing:
            yield Option("true", said, f"refuses, says {event.TYPE}", rule)
        else:
            yield Option("true", (*done, *said), f"says {event.TYPE}", rule)


def _giving_up(names: Names, reaction: Reaction) -> Option:
    perhaps = f"{names.done(reaction)} = 1"
    if reaction.refusal and not names.choreography.decides(reaction):
        said = _say(names, reaction.refusal, reaction.service)
        return Option("true", (perhaps, *said), f"gives up, says {reaction.refusal.TYPE}")
    return Option("true", (perhaps, f"{names.dead(reaction)} = 1"), "gives up, and says nothing")


def _decision(names: Names, reaction: Reaction) -> Iterator[Option]:
    """The decider compares and sets. What came too early is kept: it counts in `noted`, `refused` and `ready`."""
    done = (f"{names.done(reaction)} = 1",)
    open_to = _open_to(names, reaction)
    rule = _rule(names, reaction)
    for event in reaction.says:
        said = _say(names, event, reaction.service)
        yield Option(open_to.get(event, "false"), (*done, *said), f"says {event.TYPE}", rule)
    sayable = any_of(open_to[event] for event in reaction.says if event in open_to)
    waits = "true" if sayable == "false" else f"!{sayable}"
    yield Option(waits, done, "decides nothing", "" if reaction.says else rule)


def _open_to(names: Names, reaction: Reaction) -> dict[EventClass, str]:
    """When the decider, on hearing this, may say each of its two outcomes."""
    choreography = names.choreography
    noted, refused, ready = names.noted(reaction), names.refused(reaction), names.ready(reaction)
    undecided = all_of(["!decided", noted])
    created, cancelled = names.said(choreography.created), names.said(choreography.cancelled)
    not_refused = "false" if refused == "true" else f"!{refused}"
    after_creation = all_of([created, f"!{cancelled}"]) if choreography.created not in reaction.says else "false"
    return {
        choreography.created: all_of([undecided, not_refused, ready]),
        choreography.cancelled: any_of([all_of([undecided, any_of([refused, ready])]), after_creation]),
    }


def _say(names: Names, event: EventClass, speaker: str) -> tuple[str, ...]:
    choreography, said = names.choreography, names.said(event)
    effects: tuple[str, ...] = (f"{said} = 1",)
    if event is choreography.created:
        effects = ("wrong_decision = wrong_decision || decided || refused || !ready", *effects)
    elif event is choreography.cancelled:
        effects = (f"wrong_decision = wrong_decision || {said}", *effects)
    else:
        if event in choreography.heard:
            effects = (f"said_again = said_again || {said}", *effects)
        if speaker != event.SAID_BY:
            effects = ("foreign_event = 1", *effects)
    return effects
