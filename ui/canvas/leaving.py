"""The browser's question before it leaves a page with a picture on it.

When Gradio's own listener of `beforeunload` is called it gives up its connection, also if the user
then stays: what was under way never comes, and the page waits for it for ever. Browsers call the
listeners of this event in the order in which they were added, so ours stands before the first
script of the page.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

SCRIPT = b"""<script>
addEventListener("beforeunload", (event) => {
  if (!document.querySelector(".stage[data-filled=true]")) return;
  event.preventDefault();
  event.stopImmediatePropagation();
});
</script>"""


class AsksBeforeLeaving:
    """Middleware that puts the question at the head of every HTML page; all else passes through."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        held: Message | None = None
        body = b""

        async def passing(message: Message) -> None:
            nonlocal held, body
            if message["type"] == "http.response.start" and _is_page(message):
                held = message
            elif held is None:
                await send(message)
            else:
                body += message.get("body", b"")
                if not message.get("more_body"):
                    await _send_page(held, body, send)

        await self.app(scope, receive, passing)


def _is_page(start: Message) -> bool:
    kinds = [value for name, value in start["headers"] if name == b"content-type"]
    return any(kind.startswith(b"text/html") for kind in kinds)


async def _send_page(start: Message, body: bytes, send: Send) -> None:
    body = body.replace(b"<head>", b"<head>" + SCRIPT, 1)
    kept = [(name, value) for name, value in start["headers"] if name != b"content-length"]
    length = (b"content-length", str(len(body)).encode())
    await send({**start, "headers": [*kept, length]})
    await send({"type": "http.response.body", "body": body})
