"""Writes the passwords of a deployment as files: broker, databases, the monitor's token, the node's cookie."""

import json
import sys
from pathlib import Path
from urllib.parse import quote

from choregraphie import UserError
from choregraphie.application import Application
from choregraphie.deployment import PasswordFiles, definitions, identities
from choregraphie.deployment.passwords import AMQP_URL, MANAGEMENT_URL, PASSWORD, new_password
from choregraphie.terminal.arguments import Parser
from services.application import APP

DATABASE_URL, TOKEN, COOKIE = "database-url", "token", "erlang-cookie"
BROKER, DATABASE, DASHBOARD = "rabbitmq", "postgres", "grafana"
# What the broker needs before its first client; `topology apply` declares the rest once all nodes are there.
_BEFORE_THE_FIRST_CLIENT = ("vhosts", "users", "permissions", "topic_permissions", "policies", "exchanges")
_ABOUT = """\
Write every password that a deployment needs, each in a file. A password that has its file stays, so the command
may be repeated: after a new service, or after a file was deleted to have another password. The folder is open to
its owner alone. The files in it are readable by everybody, because a container runs as a user of its own.
"""


def write_secrets(application: Application, into: Path, broker: str, database: str) -> list[str]:
    """Write the folders of `into`; the names of those that got a new password. Raises PasswordFile.

    broker, database  the hosts in the URLs
    """
    files = _Files(into)
    wanted = application.topology(application.read_settings({}))
    known = identities(application.saga_set, wanted)
    passwords = {}
    for one in known:
        passwords[one.name] = files.keep(one.name)
        login = f"{one.name}:{quote(passwords[one.name], safe='')}@{broker}"
        files.write(one.name, {AMQP_URL: f"amqp://{login}:5672/"})
        if one.tags:
            files.write(one.name, {MANAGEMENT_URL: f"http://{login}:15672"})
    for service in application.own:
        password = files.keep(DATABASE, service)
        # As amqp: is: the network is the deployment's own, and its servers have no certificates.
        url = f"postgresql://{service}:{quote(password, safe='')}@{database}/{service}?sslmode=disable"
        files.write(service, {DATABASE_URL: url})
    files.keep(DATABASE)
    files.keep(DASHBOARD)
    files.keep("monitor", TOKEN)
    files.keep(BROKER, COOKIE)
    document = definitions(wanted, known, "/", passwords)
    first = {key: document[key] for key in _BEFORE_THE_FIRST_CLIENT}
    files.write(BROKER, {"definitions.json": json.dumps(first, indent=1)})
    return files.new


class _Files:
    """The folders of `root`. Containers may read what is in them; on this machine `root` keeps others out."""

    def __init__(self, root: Path) -> None:
        self.new: list[str] = []
        self._files = PasswordFiles(root)
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        root.chmod(0o700)

    def keep(self, folder: str, name: str = PASSWORD) -> str:
        """The content of the file `name`; a new password when it does not exist."""
        if (kept := self._files.read(folder, name)) is not None:
            return kept
        self.new.append(f"{folder}/{name}")
        password = new_password()
        self.write(folder, {name: password})
        return password

    def write(self, folder: str, contents: dict[str, str]) -> None:
        self._files.write(folder, contents)
        place = self._files.folder / folder
        place.chmod(0o755)
        for name in contents:
            (place / name).chmod(0o444)


def main() -> int:
    """Run the command line. Returns its exit code."""
    parser = Parser(prog="deployment_secrets", description=_ABOUT, allow_abbrev=False)
    parser.add_argument("--into", type=Path, default=Path("var/secrets"), metavar="FOLDER", help="var/secrets")
    parser.add_argument("--broker", default="broker", metavar="HOST", help="host of RabbitMQ in the URLs: broker")
    parser.add_argument(
        "--database", default="postgres", metavar="HOST", help="host of PostgreSQL in the URLs: postgres"
    )
    options = parser.parse_args()
    try:
        new = write_secrets(APP, options.into, options.broker, options.database)
    except (UserError, OSError) as error:
        print(f"deployment_secrets: {error}", file=sys.stderr)
        return 2
    print(f"{options.into}: {'new: ' + ', '.join(new) if new else 'every password stays as it was'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
