"""The order of things: broker, workers, console, orders, verdict, and the end in every case."""

import dataclasses
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from choregraphie import UserError, read_settings
from choregraphie.logs import silence_the_client
from scripts.demonstration import keep_state, queries, scenario_runner
from scripts.demonstration.broker import Broker, NoBrokerError, obtain, release
from scripts.demonstration.command_line import GO_ON, answer, parse
from scripts.demonstration.counting import count, sentence
from scripts.demonstration.display import Board
from scripts.demonstration.processes import ROOT, Crew, DemoError, end
from scripts.demonstration.scenarios import ALL, KINDS, UNDER_WAY
from scripts.demonstration.signals import Interrupted, held, ignore, listen
from scripts.demonstration.steps import Stage, await_workers, serve_page
from scripts.demonstration.summary import screen, show_orders, show_plan, show_under_way


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns its exit code."""
    options = parse(arguments)
    silence_the_client()
    code = answer(options)
    if code != GO_ON:
        return code
    if options.stop:
        print(stop())
        return 0
    listen()
    return Demonstration(keep=options.keep).run()


def stop() -> str:
    """End what a --keep left up, and nothing else. Returns what to tell the person."""
    record = keep_state.kept()
    if record is None:
        return keep_state.NOTHING_KEPT
    end([(pid, born) for pid, born in record["workers"].values()])
    release(Broker(**record["broker"]))
    shutil.rmtree(record["folder"], ignore_errors=True)
    keep_state.forget()
    return "The demonstration has ended; nothing of it is left."


class Demonstration:
    """One run: whatever it started, it ends, whichever way it goes."""

    def __init__(self, *, keep: bool) -> None:
        self._keep = keep
        self._console = screen()
        (ROOT / "var").mkdir(exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix="demo-", dir=ROOT / "var"))
        self._board = Board(self._console, self._folder / "caption")
        self._broker: Broker | None = None
        self._crew: Crew | None = None

    def run(self) -> int:
        code = 1
        try:
            code = self._play()
        except NoBrokerError as error:
            print(error, file=sys.stderr)
            code = 2
        except (DemoError, UserError) as error:
            ignore()
            self._board.close()
            print(f"demo: {error}", file=sys.stderr)
        except BrokenPipeError:
            _nobody_reads()
            code = 128 + signal.SIGPIPE
        except Interrupted as interrupted:
            code = 128 + int(interrupted.args[0])
        finally:
            if code or not self._keep:
                self._end(interrupted=code > 128, keep_logs=code == 1)
        return code

    def _play(self) -> int:
        self._board.say("A broker ...")
        with held():
            self._broker = obtain(self._folder, os.environ)
        environ = self._environ(self._broker)
        self._crew = Crew(self._folder / "log", environ)
        settings = read_settings({key: value for key, value in environ.items() if key.startswith("SAGA_")})
        stage = Stage(self._crew, settings, environ, self._board.say, self._board.explain, self._broker)
        self._board.say(f"The broker answers ({self._broker.kind}). Four workers ...")
        scenario_runner.open_shop(stage)
        self._board.say(f"They hear. Now {len(ALL)} orders, of which one of every kind:")
        show_plan(self._console, KINDS)
        show_under_way(self._console, UNDER_WAY)
        sys.stdout.flush()
        self._board.open(self._crew)
        scenario_runner.play(stage)
        self._board.look()
        self._board.close()
        self._judge(stage)
        if self._keep:
            print(self._leave(stage), flush=True)
        return 0

    def _judge(self, stage: Stage) -> None:
        self._board.say("Every order has ended. The monitor and the services are asked what they know ...")
        seen, wrong = queries.ask(stage.settings, stage.environ, ALL)
        print()
        show_orders(self._console, KINDS, seen)
        cancelled = sum(1 for kind in ALL if kind.raison)
        print(f"\n{cancelled} of the {len(ALL)} were meant to be refused or cancelled. The monitor's report:\n")
        print(seen.shown)
        if wrong:
            raise DemoError("\n  ".join(["not as it should be:", *wrong]))
        print(f"All {len(ALL)} orders ended as they should: states, reasons, stock, money and messages agree.")
        counted = count(self._folder, ALL, seen)
        print(sentence(counted))
        if counted.lost or counted.twice:
            raise DemoError(f"lost: {list(counted.lost)}; carried out twice: {list(counted.twice)}")
        self._board.say(f"That took {self._board.seconds():.0f} s.")

    def _environ(self, broker: Broker) -> Mapping[str, str]:
        # What a person has set for their own saga has no place in this one.
        others = {key: value for key, value in os.environ.items() if not key.startswith("SAGA_")}
        log = {"SAGA_LOG_FORMAT": "json", "PYTHONUNBUFFERED": "1"}
        return {**others, **log, **scenario_runner.known_to(self._folder), "SAGA_AMQP_URL": broker.url}

    def _leave(self, stage: Stage) -> str:
        assert self._broker is not None  # noqa: S101 - it has been used
        # Its deadline was for the demonstration.
        stage.crew.end("commande")
        stage.crew.invocation("commande")
        await_workers(stage, ["commande"])
        page = serve_page(stage)
        return keep_state.keep(
            self._folder, dataclasses.asdict(self._broker), stage.crew.leave(), stage.environ, page
        )

    def _end(self, *, interrupted: bool, keep_logs: bool) -> None:
        ignore()
        self._tell("Interrupted: everything is ended ..." if interrupted else "")
        if self._crew is not None:
            self._crew.end()
        if self._broker is not None:
            release(self._broker)
        if self._keep:
            keep_state.forget()
        if keep_logs and self._crew is not None:
            print(f"The workers' logs are in {self._folder.relative_to(ROOT) / 'log'}.", file=sys.stderr)
        else:
            shutil.rmtree(self._folder, ignore_errors=True)
        if self._broker is not None:
            self._tell("Nothing is left running.")

    def _tell(self, text: str) -> None:
        """What is still to be told, and this, wherever it may go."""
        try:
            self._board.close()
            if text:
                self._board.say(text)
        except OSError:
            # A closed pipe, a terminal that was hung up: the end must not trip over it.
            _nobody_reads()


def _nobody_reads() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
