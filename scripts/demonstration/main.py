"""Runs the demonstration from start to end: broker, workers, console, orders, checks, shutdown."""

import dataclasses
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from choregraphie import UserError
from choregraphie.logs import silence_the_client
from choregraphie.resolution import COORDINATION_KEY
from scripts.demonstration import keep_state, queries, scenario_runner
from scripts.demonstration.broker import Broker, NoBrokerError, obtain, release
from scripts.demonstration.command_line import GO_ON, answer, parse
from scripts.demonstration.counting import count, sentence
from scripts.demonstration.display import Display
from scripts.demonstration.processes import ROOT, DemoError, Processes, end
from scripts.demonstration.saga import NAME, application, choose, saga, timekeeper
from scripts.demonstration.scenarios import ALL, SCENARIOS, UNFINISHED
from scripts.demonstration.signals import Interrupted, deferred, ignore_signals, install_handlers
from scripts.demonstration.steps import ScenarioContext, await_workers, serve_page
from scripts.demonstration.summary import screen, show_course, show_orders, show_plan, show_unfinished


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Returns its exit code."""
    options = parse(arguments)
    silence_the_client()
    choose(orchestration=options.orchestration)
    code = answer(options)
    if code != GO_ON:
        return code
    if options.stop:
        print(stop())
        return 0
    install_handlers()
    return Demonstration(keep=options.keep).run()


def stop() -> str:
    """End what a --keep left running, and nothing else. Returns what to tell the person."""
    record = keep_state.read_state()
    if record is None:
        return keep_state.NOTHING_KEPT
    end([(pid, birth) for pid, birth in record["workers"].values()])
    release(Broker(**record["broker"]))
    shutil.rmtree(record["folder"], ignore_errors=True)
    keep_state.delete_state()
    return "The demonstration has ended; nothing of it is left."


class Demonstration:
    """One run. It ends everything that it started, however it ends itself."""

    def __init__(self, *, keep: bool) -> None:
        self._keep = keep
        self._console = screen()
        (ROOT / "var").mkdir(exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix="demo-", dir=ROOT / "var"))
        self._display = Display(self._console, self._folder / "caption")
        self._broker: Broker | None = None
        self._processes: Processes | None = None

    def run(self) -> int:
        code = 1
        try:
            code = self._run()
        except NoBrokerError as error:
            print(error, file=sys.stderr)
            code = 2
        except (DemoError, UserError) as error:
            ignore_signals()
            self._display.close()
            print(f"demo: {error}", file=sys.stderr)
        except BrokenPipeError:
            _discard_output()
            code = 128 + signal.SIGPIPE
        except Interrupted as interrupted:
            code = 128 + int(interrupted.args[0])
        finally:
            if code or not self._keep:
                self._shut_down(interrupted=code > 128, keep_logs=code == 1)
        return code

    def _run(self) -> int:
        self._display.say("A broker ...")
        with deferred():
            self._broker = obtain(self._folder, os.environ)
        environ = self._environ(self._broker)
        self._processes = Processes(self._folder / "log", environ)
        settings = application().read_settings(
            {key: value for key, value in environ.items() if key.startswith("SAGA_")}
        )
        context = ScenarioContext(
            self._processes, settings, environ, self._display.say, self._display.explain, self._broker
        )
        self._display.say(f"The broker answers ({self._broker.kind}). {len(saga().services)} workers ...")
        scenario_runner.start_workers(context)
        self._display.say(f"They are ready. Now {len(ALL)} orders, with one of every kind:")
        show_plan(self._console, SCENARIOS)
        show_unfinished(self._console, UNFINISHED)
        sys.stdout.flush()
        self._display.open(self._processes)
        scenario_runner.run_scenarios(context)
        self._display.pause()
        self._display.close()
        self._check_final_state(context)
        if self._keep:
            print(self._keep_running(context), flush=True)
        return 0

    def _check_final_state(self, context: ScenarioContext) -> None:
        self._display.say("Every order has ended. The final state is read from the monitor and the services ...")
        final_state, problems = queries.read_final_state(context.settings, context.environ, ALL)
        print()
        show_orders(self._console, SCENARIOS, final_state)
        cancelled = sum(1 for scenario in ALL if scenario.raison)
        print(f"\n{cancelled} of the {len(ALL)} were to be refused or cancelled. The monitor's report:\n")
        print(final_state.shown)
        if problems:
            raise DemoError("\n  ".join(["differences from the expected state:", *problems]))
        if saga().command_types:
            show_course(self._console, final_state)
        print(f"All {len(ALL)} orders ended as they should: states, reasons, stock, money and messages agree.")
        counted = count(self._folder, ALL, final_state)
        print(sentence(counted))
        if counted.lost or counted.repeated:
            raise DemoError(f"lost: {list(counted.lost)}; carried out twice: {list(counted.repeated)}")
        self._display.say(f"That took {self._display.seconds():.0f} s.")

    def _environ(self, broker: Broker) -> Mapping[str, str]:
        # The person's own settings do not apply to the demonstration.
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("SAGA_")}
        log = {
            "SAGA_APP": NAME,
            COORDINATION_KEY: os.environ[COORDINATION_KEY],
            "SAGA_LOG_FORMAT": "json",
            "PYTHONUNBUFFERED": "1",
        }
        return {**inherited, **log, **scenario_runner.settings_in(self._folder), "SAGA_AMQP_URL": broker.url}

    def _keep_running(self, context: ScenarioContext) -> str:
        assert self._broker is not None  # noqa: S101 - it has been used
        # Its short deadline was for the demonstration only.
        context.processes.end(timekeeper())
        context.processes.start_worker(timekeeper())
        await_workers(context, [timekeeper()])
        page = serve_page(context)
        return keep_state.save(
            self._folder, dataclasses.asdict(self._broker), context.processes.detach(), context.environ, page
        )

    def _shut_down(self, *, interrupted: bool, keep_logs: bool) -> None:
        ignore_signals()
        self._print_last("Interrupted: shutting down ..." if interrupted else "")
        if self._processes is not None:
            self._processes.end()
        if self._broker is not None:
            release(self._broker)
        if self._keep:
            keep_state.delete_state()
        if keep_logs and self._processes is not None:
            print(f"The workers' logs are in {self._folder.relative_to(ROOT) / 'log'}.", file=sys.stderr)
        else:
            shutil.rmtree(self._folder, ignore_errors=True)
        if self._broker is not None:
            self._print_last("Nothing is left running.")

    def _print_last(self, text: str) -> None:
        """Print the lines that were held back, and this one; standard output may be closed."""
        try:
            self._display.close()
            if text:
                self._display.say(text)
        except OSError:
            # A closed pipe or terminal must not stop the shutdown.
            _discard_output()


def _discard_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
