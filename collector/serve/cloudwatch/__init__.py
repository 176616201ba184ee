"""Send the metrics of a collector to CloudWatch: by calls, or as lines in the log that need none."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.serve.cloudwatch.calls import MetricsByCalls
    from collector.serve.cloudwatch.changes import Changes, dimensions_of
    from collector.serve.cloudwatch.documents import MetricsInLog
else:
    __getattr__, __dir__ = face(__name__, __file__)
