"""What waits to be sent to others: to a school's webhooks and gradebooks."""

from mastery_engine.auth.access import Act, Caller
from mastery_engine.clock import Clock
from mastery_engine.ports.deliveries import DeliveryQueue
from mastery_engine.responses.operations import DeliveryBacklog, SinkBacklog
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.lti.gradebooks import Gradebooks
from mastery_engine.services.webhooks import Webhooks

MOST_COUNTED = 100
MOST_CLASSES = 50


class Backlog:
    """Counts what waits, as far as a page needs it."""

    def __init__(
        self, queue: DeliveryQueue, webhooks: Webhooks, gradebooks: Gradebooks, access: AccessControl, clock: Clock
    ) -> None:
        self._queue = queue
        self._webhooks = webhooks
        self._gradebooks = gradebooks
        self._access = access
        self._clock = clock

    async def state(self, caller: Caller) -> DeliveryBacklog:
        """What waits for the caller's tenant. Raises Forbidden and Unavailable."""
        self._access.check_act(caller, Act.WEBHOOKS, "backlog")
        now = caller.moment(self._clock)
        sinks = await self._webhooks.sinks_of(caller.tenant, now)
        graded = await self._gradebooks.sinks_of(caller.tenant, now)
        gradebooks = SinkBacklog(0, 0)
        for sink in graded[:MOST_CLASSES]:
            gradebooks = gradebooks.plus(await self._of(sink))
        webhooks = {webhook_id: await self._of(sink) for webhook_id, sink in sinks.items()}
        return DeliveryBacklog(webhooks, len(graded), gradebooks)

    async def _of(self, sink: str) -> SinkBacklog:
        waiting = await self._queue.page(sink, "waiting", "", MOST_COUNTED)
        failed = await self._queue.page(sink, "failed", "", MOST_COUNTED)
        return SinkBacklog(len(waiting), len(failed))
