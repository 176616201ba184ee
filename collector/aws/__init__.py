"""Talk to AWS: where a stream is, clients, calls that can be broken off, and what a failure means."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.aws.address import DEFAULT_STREAM, KINESIS, StreamAddress
    from collector.aws.calls import Calls
    from collector.aws.clients import check_installed, make_client, region_named
    from collector.aws.failures import AwsError, Failure, failure_of, kind_of_code, without_credentials
else:
    __getattr__, __dir__ = face(__name__, __file__)
