"""A client: asks for an enrolment and prints its key, or asks to cancel one."""

import argparse
import asyncio
import os
import sys
import uuid
from collections.abc import Sequence

from choregraphie import BrokerUnavailable, UserError
from choregraphie.client import publish
from choregraphie.logs import configure_logs

from __NAME__.application import APP
from __NAME__.contracts import InscriptionAnnulationDemandee, InscriptionDemandee


def main(arguments: Sequence[str] | None = None) -> int:
    """Publish one event. Exit code: 0 published, 1 the broker is away, 2 something must be changed."""
    options = _parser().parse_args(arguments)
    try:
        event, settings = _event(options), APP.read_settings(os.environ)
        configure_logs(settings)
        asyncio.run(publish(settings, event, source=f"/clients/{APP.name}"))
    except (BrokerUnavailable, UserError, ValueError) as error:
        print(f"demander: {' '.join(str(error).split())}", file=sys.stderr)
        return 1 if isinstance(error, BrokerUnavailable) else 2
    print(event.key)
    return 0


def _event(options: argparse.Namespace) -> InscriptionDemandee | InscriptionAnnulationDemandee:
    if options.annuler:
        return InscriptionAnnulationDemandee(inscription_id=options.annuler, raison="demande du client")
    key = options.inscription or f"INS-{uuid.uuid4().hex[:8]}"
    return InscriptionDemandee(inscription_id=key, participant_id=options.participant, session_id=options.session)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {APP.name}.demander", description=__doc__)
    parser.add_argument("--session", default="PYTHON-101", help="the session (default: %(default)s)")
    parser.add_argument("--participant", default="CLAIRE", help="who takes part (default: %(default)s)")
    parser.add_argument("--inscription", metavar="KEY", help="the key of the enrolment (default: a new one)")
    parser.add_argument("--annuler", metavar="KEY", help="ask to cancel this enrolment instead")
    return parser


if __name__ == "__main__":
    sys.exit(main())
