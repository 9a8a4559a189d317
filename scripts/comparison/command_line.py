"""The command line of the comparison. Standard library only, so that --help needs nothing."""

from scripts.cli_parser import Parser, positive

_ABOUT = """\
Runs the same orders through both wirings of the order saga, by turns, and prints the figures side by side.

It starts a RabbitMQ of its own, and each round has a new virtual host and new databases. Only ratios within one
run mean anything: absolute figures depend on the machine and on what else it does.

  load         messages, orders/s, CPU time, latency at fixed rates, time to compensate
  kills        what orders notice when a service is killed under load and started again
  changes      what a new step touches: a real change, applied to a copy of the tree and checked there
  faults       how many commands and lines name each of ten injected faults
"""


def build_parser() -> Parser:
    parser = Parser("scripts/compare", _ABOUT)
    parser.add_argument("--quick", action="store_true", help="one short round, three faults; about 3 minutes")
    parser.add_argument("--rounds", type=positive, help="of each wiring (default: 3; quick: 1)")
    parser.add_argument("--json", action="store_true", help="print JSON; it is written under var/ in any case")
    parser.add_argument(
        "--write-docs",
        action="store_true",
        help="publish the figures in docs/comparison; scripts/generate_readme.py then writes the tables",
    )
    return parser


if __name__ == "__main__":
    build_parser().parse_args()
