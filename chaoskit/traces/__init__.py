"""What a broker can and cannot deliver, asked with a trace: the notation, its judges and their answer."""

from chaoskit.traces.answer import Permitted
from chaoskit.traces.log.judge import judge_log
from chaoskit.traces.log.rules import LogRules
from chaoskit.traces.notation import parse
from chaoskit.traces.queue.judge import judge_queue
from chaoskit.traces.queue.rules import QueueRules

__all__ = ["LogRules", "Permitted", "QueueRules", "judge_log", "judge_queue", "parse"]
