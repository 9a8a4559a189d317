"""The order of things: broker, workers, console, orders, verdict, and the end in every case."""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.demonstration import acts, asking, keeping
from scripts.demonstration.broker import Broker, NoBrokerError, obtain, release
from scripts.demonstration.crew import ROOT, Crew, DemoError
from scripts.demonstration.interruption import Interrupted, held, ignore, listen
from scripts.demonstration.kinds import KINDS
from scripts.demonstration.showing import screen, show_orders, show_plan
from services.runtime import UserError, read_settings

_MONITOR = "saga_monitor"
_ABOUT = """\
It makes a broker for itself: a private node of the installed rabbitmq-server, or a container. With SAGA_AMQP_URL
it uses that one; its virtual host must be empty, and is empty again afterwards.

exit codes: 0 every order ended as it should, 1 one did not, 2 there is no broker to be had
"""
# On a terminal: long enough to see the last change.
LOOK_SECONDS = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description="Four workers, a broker, an order of every kind, the monitor's console, a report.",
        epilog=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--keep", action="store_true", help="leave it up, and say what to type next")
    what.add_argument("--stop", action="store_true", help="end what --keep left up")
    options = parser.parse_args(arguments)
    if options.stop:
        print(keeping.stop())
        return 0
    if options.keep and keeping.kept():
        print("A demonstration is up already: './scripts/demo --stop' ends it.", file=sys.stderr)
        return 2
    listen()
    return Demonstration(keep=options.keep).run()


class Demonstration:
    """One run: whatever it started, it ends, whichever way it goes."""

    def __init__(self, *, keep: bool) -> None:
        self._keep = keep
        self._console = screen()
        self._began = time.monotonic()
        (ROOT / "var").mkdir(exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix="demo-", dir=ROOT / "var"))
        self._broker: Broker | None = None
        self._crew: Crew | None = None
        self._narrates = True

    def run(self) -> int:
        code = 1
        try:
            code = self._play()
        except NoBrokerError as error:
            print(error, file=sys.stderr)
            code = 2
        except (DemoError, UserError) as error:
            self._quiet_console()
            print(f"demo: {error}", file=sys.stderr)
        except BrokenPipeError:
            # Nobody reads any more; what is left to say has nowhere to go.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except Interrupted as interrupted:
            code = 128 + int(interrupted.args[0])
        finally:
            if code or not self._keep:
                self._end(keep_logs=code == 1)
        return code

    def _play(self) -> int:
        self._say("A broker ...")
        with held():
            self._broker = obtain(self._folder, os.environ)
        environ = self._environ(self._broker)
        self._crew = Crew(self._folder / "log", environ)
        settings = read_settings({key: value for key, value in environ.items() if key.startswith("SAGA_")})
        stage = acts.Stage(self._crew, settings, environ, self._say)
        self._say(f"The broker answers ({self._broker.kind}). Four workers ...")
        acts.open_shop(stage)
        self._say(f"They hear. Now {len(KINDS)} orders; on the left their ids:")
        show_plan(self._console, KINDS)
        self._open_console()
        acts.play(stage)
        self._say("Every order has ended; now the monitor and the services are asked")
        seen, wrong = asking.ask(environ, KINDS)
        self._quiet_console()
        self._console.print()
        show_orders(self._console, KINDS, seen)
        print(f"\n{asking.report(environ)}")
        if wrong:
            raise DemoError("\n  ".join(["not as it should be:", *wrong]))
        print(f"All {len(KINDS)} orders ended as they should: states, reasons, stock, money and messages agree.")
        if self._keep:
            print(self._leave(stage))
        return 0

    def _environ(self, broker: Broker) -> Mapping[str, str]:
        # What a person has set for their own saga has no place in this one.
        others = {key: value for key, value in os.environ.items() if not key.startswith("SAGA_")}
        log = {"SAGA_LOG_FORMAT": "json", "PYTHONUNBUFFERED": "1"}
        return {**others, **log, **acts.known_to(self._folder), "SAGA_AMQP_URL": broker.url}

    def _say(self, text: str) -> None:
        if self._narrates:
            print(f"[{time.monotonic() - self._began:4.1f} s] {text}", flush=True)

    def _open_console(self) -> None:
        assert self._crew is not None  # noqa: S101 - the workers are there
        sys.stdout.flush()
        # The console has the terminal to itself; on a pipe its lines and ours alternate.
        self._narrates = not self._console.is_terminal
        if self._console.is_terminal:
            time.sleep(LOOK_SECONDS)
        self._crew.show(_MONITOR, _MONITOR)

    def _quiet_console(self) -> None:
        if self._crew is not None:
            if self._console.is_terminal and not self._narrates:
                time.sleep(LOOK_SECONDS)
            self._crew.end(_MONITOR)
        self._narrates = True

    def _leave(self, stage: acts.Stage) -> str:
        assert self._broker is not None  # noqa: S101 - it has been used
        # Its deadline was for the demonstration.
        stage.crew.end("commande")
        stage.crew.work("commande")
        acts.await_workers(stage, ["commande"])
        return keeping.keep(self._folder, self._broker, stage.crew.leave(), stage.environ)

    def _end(self, *, keep_logs: bool) -> None:
        ignore()
        if self._crew is not None:
            self._crew.end()
        if self._broker is not None:
            release(self._broker)
        if keep_logs and self._crew is not None:
            print(f"The workers' logs are in {self._folder.relative_to(ROOT) / 'log'}.", file=sys.stderr)
        else:
            shutil.rmtree(self._folder, ignore_errors=True)
        if self._broker is not None:
            self._say("Nothing is left running.")
