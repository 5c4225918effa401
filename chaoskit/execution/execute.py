"""One run of the user's test under a script."""

from __future__ import annotations

import attrs

from chaoskit.execution import forks
from chaoskit.execution.deliver import Body, Deliver
from chaoskit.execution.failures import HungInOrder
from chaoskit.execution.limit import Hung, Limit
from chaoskit.execution.loop_threads import LoopFound
from chaoskit.execution.script import PASS_THROUGH, Move, Run, Script
from chaoskit.values.errors import ChaosError, UsageError

CHILD_CAME_BACK = (
    "the handler forked, and the child came back from it: two processes would go on with the same messages. End the "
    "child where its work is done, with os._exit(0), or start it with subprocess"
)


def execute(
    body: Body,
    script: Script,
    *,
    forked_before: int,
    is_async: bool = False,
    record_states: bool = False,
    move: Move | None = None,
    one_process: bool = False,
    limit: Limit | None = None,
) -> Run:
    """Run the test once. What its body raises after the deliveries is part of the outcome, except in order.

    `forked_before`: how many children this process had made (`forks.made()`) before the first run of this test.
    `move` stands between `deliver` and the handler. `one_process`: one handler that `spawn` makes serves them all.
    `limit` holds from here to the end of the run: what it raises is caught here, and is given where the run stood.
    """
    deliver, generation = Deliver(script, is_async, record_states, move, one_process), forks.generation()
    try:
        if limit is not None:
            limit.begins()
        try:
            run = _executed(body, script, deliver)
        except LoopFound:  # only now is known what `spawn` is, and nothing of this run is asked any more
            deliver = Deliver(script, is_async, record_states, move, one_process)
            run = _executed(body, script, deliver)
    except Hung as hung:
        deliver.describe(hung)
        if script.faults is None:  # in order nothing may hang, as nothing may raise: no fault is to blame
            raise HungInOrder(hung) from None
        raise
    finally:
        # In a `finally`, as the child may come back by an exception, too; and no report or other of ours may run in it.
        if forks.generation() != generation:
            forks.leave(on_purpose=deliver.is_ended)
        if limit is not None:
            limit.ends()
    if forks.some_came_back(forked_before):  # each run asks: a child of an earlier one may be late
        raise UsageError(CHILD_CAME_BACK)
    return run


def _executed(body: Body, script: Script, deliver: Deliver) -> Run:
    returned, failure = None, None
    script.mailbox.restamped = deliver.restamped
    try:
        try:
            returned = body(deliver)
        except (ChaosError, *PASS_THROUGH):
            raise
        except Exception as error:
            if script.faults is None:
                raise
            failure = error
        finally:
            deliver.close()
            script.mailbox.restamped = None
        run = deliver.run(deliver.outcome(returned, failure))
    except BaseException:
        deliver.sweep()
        raise
    return run if deliver.sweep() else attrs.evolve(run, is_swept=False)
