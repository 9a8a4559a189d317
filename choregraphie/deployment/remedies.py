"""What repairs a difference, as the commands to type."""

import shlex
from dataclasses import dataclass

from choregraphie.amqp_url import broker_address
from choregraphie.saga.topology import AUDIT, HISTORY, dlq, inbox, retry
from choregraphie.settings import Settings


@dataclass(frozen=True)
class Remedies:
    """Sentences with the commands of this application. `command`: its command line; `vhost`: of its broker."""

    command: str
    vhost: str

    @property
    def apply(self) -> str:
        return f"run '{self.command} topology apply'"

    def resend(self, service: str, when: str = "TIME") -> str:
        """Publish again what `service` said; clients publish their own events again."""
        if service == "client":
            return "have its clients publish again what was not answered"
        return f"run '{self.command} outbox resend --service {service} --since {when}'"

    def run(self, service: str) -> str:
        return f"start a worker: '{self.command} run {service}'"

    def delete_queue(self, queue: str) -> str:
        return f"'rabbitmqctl -p {self.vhost} delete_queue {queue} --if-empty'"

    @property
    def list_consumers(self) -> str:
        return f"'rabbitmqctl -p {self.vhost} list_consumers'"

    def delete_exchange(self, exchange: str) -> str:
        return f"'rabbitmqadmin -V {self.vhost} delete exchange name={exchange}'"

    def unbind(self, kind: str, source: str, destination: str, key: str) -> str:
        return (
            f"'rabbitmqadmin -V {self.vhost} delete binding source={source} destination_type={kind}"
            f" destination={destination} properties_key={key}'"
        )

    def queue_migration(self, queue: str) -> str:
        """How `queue` gets other arguments: RabbitMQ changes none of a queue that exists."""
        if queue == HISTORY:
            return (
                f"make its bounds smaller with a policy: 'rabbitmqctl -p {self.vhost} set_policy history"
                " ^saga\\.history$ DEFINITION --apply-to queues'; or forget the past: delete the stream, then"
                f" {self.apply}"
            )
        if queue == AUDIT:
            copy = f"'{self.command} dlq audit --json'"
            return f"keep a copy of the audit ({copy}), delete the stream, then {self.apply}"
        service, _, kind = queue.partition(".")
        delete = f"{self.delete_queue(queue)}, {self.apply}"
        if queue == inbox(service):
            return (
                f"1. stop the clients, and wait until {queue} is empty; 2. stop the workers of {service};"
                f" 3. {delete}; 4. start workers and clients; 5. 'outbox resend --since TIME', with the time of"
                " step 2, publishes again what the other services said meanwhile"
            )
        if queue == dlq(service):
            return (
                f"1. send back or remove its letters; 2. stop the workers of {service}; 3. {delete}; 4. start them"
            )
        if queue.startswith(f"{retry(service)}."):
            return (
                f"1. stop the workers of {service}; 2. wait until {queue} is empty, which takes its delay of"
                f" {kind.rpartition('.')[2]} at most; 3. {delete}; 4. start them"
            )
        return f"when it is empty, {delete}"

    def exchange_migration(self, exchange: str) -> str:
        """How `exchange` gets another type."""
        owner = exchange.rpartition(".")[0]
        return (
            f"1. stop what publishes to {exchange}; 2. {self.delete_exchange(exchange)}; 3. {self.apply};"
            f" 4. start it again; {self.resend(owner)} with the time of step 2"
        )


def remedies_of(command: str, settings: Settings) -> Remedies:
    """The remedies for the virtual host of SAGA_AMQP_URL."""
    return Remedies(command, shlex.quote(broker_address(settings.current("amqp_url")).vhost))
