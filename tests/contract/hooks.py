"""What schemathesis cannot know of the API: how its other media types are written, and what would go on for ever."""

import schemathesis


@schemathesis.serializer("application/x-tar", "application/octet-stream")
def as_bytes(ctx, value):
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.hook
def filter_query(ctx, query):
    # What is followed has no end: the tests of streams do that.
    return not query or str(query.get("follow")).lower() != "true"


@schemathesis.hook
def filter_headers(ctx, headers):
    # A word of the HTTP client's own, which it takes for an order; the generator finds it in the client's source.
    return not headers or "@@@SKIP_HEADER@@@" not in headers.values()


@schemathesis.hook
def map_body(ctx, body):
    # A terminal runs for a day, and a piece of code for as long as it is told.
    if isinstance(body, dict) and isinstance(body.get("timeout"), (int, float)):
        body["timeout"] = min(body["timeout"], 2)
    return body
