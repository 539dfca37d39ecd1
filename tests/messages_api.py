"""A scripted Messages API on loopback: the only part of the tests that is not the real one.

It owns the wire format (HTTP, server-sent events) and obeys directives written in the prompt, so that a test says in
its prompt what the model shall do. It knows nothing of the CLI beyond what arrives at `POST /v1/messages`.

Directives stand between `<<` and `>>`; text outside them is ignored when there is at least one directive:

    <<say TEXT>>                a text block, one delta
    <<stream COUNT SIZE HZ>>    a text block of COUNT deltas of SIZE characters, HZ a second (0: as fast as it goes)
    <<think TEXT>>              a thinking block
    <<tool NAME JSON>>          ask for a tool; what follows is said after its result came back
    <<tools COUNT NAME JSON>>   ask for a tool COUNT times in one message; `%d` in the JSON is the call's number
    <<history>>                 say every prompt of the conversation, one a line
    <<sleep SECONDS>>           wait, then go on
    <<wait>>                    wait until the test sets `api.go_on`
    <<hang>>                    say no more and keep the connection open
    <<drop>>                    close the connection in the middle
    <<raw TEXT>>                send these characters as they are, with `\\n` for an end of line: half an event, or none
    <<event NAME JSON>>         send an event of any kind
    <<again>>                   what follows is for a request that was sent before: what was said first came to nothing
    <<status CODE TIMES S>>     answer with this HTTP status, TIMES times for this prompt (default: always), and with S in
                                the header `retry-after`
    <<stop REASON>>             end the message with this stop reason
    <<only MODEL>>              answer 404 to any model whose name does not contain this
    <<model NAME>>              what follows is said by models with this in their name only

A prompt without directives is answered by the script given to the server, else with `You said: PROMPT`.
"""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

VERBS = "say|stream|think|tools|tool|history|sleep|wait|hang|drop|raw|event|again|status|stop|only|model"
DIRECTIVE = re.compile(rf"<<({VERBS})\b ?(.*?)>>(?!>)", re.DOTALL)
ADDED_BY_CLI = re.compile(
    r"<(system-reminder|local-command-caveat|local-command-stdout|command-name|command-message|command-args|prompt-context)>.*?</\1>\s*",
    re.DOTALL,
)

RAW = "raw"
"""In the place of an event's name: what comes with it is sent as it is."""

IMAGE_SOURCE = re.compile(r"\[Image: source: .*\]")


@dataclass(frozen=True, slots=True)
class Directive:
    verb: str
    argument: str


def prompts_in(message: dict[str, Any]) -> list[str]:
    """Return what the user typed in one message, without what the CLI adds; nothing for a tool result.

    The API wants turns to alternate, so the CLI joins a prompt that got no answer with the next one: one message can hold
    several prompts, each a block of its own.
    """
    content = message["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    texts = [ADDED_BY_CLI.sub("", block["text"]).strip() for block in blocks if block["type"] == "text"]
    return [text for text in texts if text and text != "[Request interrupted by user]" and not IMAGE_SOURCE.fullmatch(text)]


def prompts_of(body: dict[str, Any]) -> list[str]:
    """Return every prompt of the conversation in a request, oldest first."""
    return [prompt for message in body["messages"] if message["role"] == "user" for prompt in prompts_in(message)]


class MessagesAPI:
    """Serve the API on a free port of 127.0.0.1 while the context is open.

    :param script: from a prompt without directives to the directives (or plain text) of its answer.
    :param words_hz: how many words of an answer come in a second, each a delta; 0: the whole text at once.
    """

    def __init__(self, script: Callable[[str], str | None] | None = None, *, words_hz: float = 0) -> None:
        self.requests: list[dict[str, Any]] = []
        self.arrived = threading.Condition()
        self.closing = threading.Event()
        self.go_on = threading.Event()
        self.refusals: Counter[str] = Counter()
        self.asked: Counter[tuple[str, int]] = Counter()
        self._numbers = itertools.count(1)
        self._script = script or (lambda prompt: None)
        self._words_hz = words_hz
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None:
                pass

            def do_HEAD(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_HEAD  # noqa: N815 - the name that http.server looks for

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if "count_tokens" in self.path:
                    self.reply(200, {"input_tokens": len(json.dumps(body)) // 4})
                elif self.path.startswith("/v1/messages"):
                    api.answer(self, body)
                else:
                    self.reply(404, {"error": {"type": "not_found_error", "message": self.path}})

            def reply(self, status: int, payload: dict[str, Any], retry_after: str = "") -> None:
                data = json.dumps(payload).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                if retry_after:
                    self.send_header("retry-after", retry_after)
                self.end_headers()
                self.wfile.write(data)

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Say nothing: a client that hangs up is an ordinary case here."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="messages-api")

    def __enter__(self) -> MessagesAPI:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.closing.set()
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def begin(self) -> None:
        """Forget what was asked before."""
        self.requests.clear()
        self.refusals.clear()
        self.asked.clear()
        self.go_on.clear()

    def wait_for_requests(self, count: int, timeout_s: float = 60) -> None:
        """Return when at least `count` requests have arrived since the server started."""
        with self.arrived:
            if not self.arrived.wait_for(lambda: len(self.requests) >= count, timeout_s):
                raise TimeoutError(f"{len(self.requests)} of {count} requests arrived")

    def prompts(self) -> list[list[str]]:
        """Return, for each request, the prompts of its conversation."""
        return [prompts_of(body) for body in self.requests]

    def answer(self, handler: Any, body: dict[str, Any]) -> None:
        with self.arrived:
            self.requests.append(body)
            self.arrived.notify_all()
        prompt = next(reversed(prompts_of(body)), "")
        directives = said_by(body["model"], self.parse(prompt))
        for directive in directives:
            if directive.verb == "only" and directive.argument not in body["model"]:
                error = {"type": error_type(404), "message": f"model: {body['model']}"}
                handler.reply(404, {"type": "error", "error": error})
                return
            if directive.verb == "status":
                status, times, retry_after, *_ = (*directive.argument.split(), "", "")
                self.refusals[prompt] += 1
                if not times or self.refusals[prompt] <= int(times):
                    error = {"type": error_type(int(status)), "message": f"scripted {status}"}
                    handler.reply(int(status), {"type": "error", "error": error}, retry_after)
                    return
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.close_connection = True
        try:
            for name, payload in self.stream(self.part(prompt, directives, body), body, next(self._numbers)):
                event = payload if name == RAW else f"event: {name}\ndata: {json.dumps(payload)}\n\n"
                handler.wfile.write(event.encode())
                handler.wfile.flush()
        except ConnectionError:
            return

    def part(self, prompt: str, directives: list[Directive], body: dict[str, Any]) -> list[Directive]:
        """Return what is for this request: of its segment, what is for the first time, or what is for the next."""
        wanted = segment(directives, body)
        # Behind the last tool call there may be nothing of the script's own.
        request = prompt, directives.index(wanted[0]) if wanted and wanted[0] in directives else len(directives)
        self.asked[request] += 1
        said = split(wanted, "again")
        return said[min(self.asked[request], len(said)) - 1]

    def parse(self, prompt: str) -> list[Directive]:
        for text in (prompt, self._script(prompt) or f"You said: {prompt}"):
            found = [Directive(verb, argument.strip("\n")) for verb, argument in DIRECTIVE.findall(text)]
            if found:
                return found
        return [Directive("say", text)]

    def stream(self, directives: list[Directive], body: dict[str, Any], number: int) -> Iterator[tuple[str, Any]]:
        usage = {
            "input_tokens": 100,
            "output_tokens": 1,
            "cache_read_input_tokens": 0,
            "cache_creation_input_tokens": 0,
        }
        message = {
            "id": f"msg_{number:06}",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage,
        }
        yield "message_start", {"type": "message_start", "message": message}
        index, stop_reason, said = 0, "end_turn", 0
        for directive in directives:
            match directive.verb:
                case "sleep":
                    self.closing.wait(float(directive.argument))
                    continue
                case "wait":
                    self.go_on.wait()
                    continue
                case "hang":
                    self.closing.wait()
                    return
                case "drop":
                    return
                case "raw":
                    yield RAW, directive.argument.replace("\\n", "\n")
                    continue
                case "event":
                    name, _, payload = directive.argument.partition(" ")
                    yield name, {"type": name, **json.loads(payload or "{}")}
                    continue
                case "status" | "only" | "again":
                    continue
                case "stop":
                    stop_reason = directive.argument
                    continue
                case "tool" | "tools":
                    stop_reason = "tool_use"
            for block in alike(directive):
                start, deltas = self.block(block, body, f"toolu_{number:06}_{index}")
                yield (
                    "content_block_start",
                    {"type": "content_block_start", "index": index, "content_block": start},
                )
                for delta in deltas:
                    said += 1
                    yield "content_block_delta", {"type": "content_block_delta", "index": index, "delta": delta}
                yield "content_block_stop", {"type": "content_block_stop", "index": index}
                index += 1
        delta = {"stop_reason": stop_reason, "stop_sequence": None}
        usage = {**usage, "output_tokens": max(said, 1)}
        yield "message_delta", {"type": "message_delta", "delta": delta, "usage": usage}
        yield "message_stop", {"type": "message_stop"}

    def block(
        self, directive: Directive, body: dict[str, Any], call_id: str
    ) -> tuple[dict[str, Any], Iterator[dict[str, Any]]]:
        argument = directive.argument
        match directive.verb:
            case "think":
                thoughts = ({"type": "thinking_delta", "thinking": text} for text in self.words(argument))
                signature = {"type": "signature_delta", "signature": "s"}
                return {"type": "thinking", "thinking": "", "signature": ""}, itertools.chain(thoughts, [signature])
            case "tool":
                name, _, arguments = argument.partition(" ")
                start = {"type": "tool_use", "id": call_id, "name": name, "input": {}}
                return start, iter([{"type": "input_json_delta", "partial_json": arguments or "{}"}])
            case "stream":
                count, size, rate = (*argument.split(), "0")[:3]
                return {"type": "text", "text": ""}, self.paced(int(count), int(size), float(rate))
            case "history":
                argument = "\n".join(f"- {prompt}" for prompt in prompts_of(body))
        return {"type": "text", "text": ""}, ({"type": "text_delta", "text": text} for text in self.words(argument))

    def words(self, text: str) -> Iterator[str]:
        if not self._words_hz:
            yield text
            return
        for word in re.findall(r"\s*\S+\s*$|\s*\S+", text):
            self.closing.wait(1 / self._words_hz)
            yield word

    def paced(self, count: int, size: int, rate_hz: float) -> Iterator[dict[str, Any]]:
        word = "lorem ipsum "
        for _ in range(count):
            if rate_hz:
                self.closing.wait(1 / rate_hz)
            yield {"type": "text_delta", "text": (word * (size // len(word) + 1))[:size]}


def said_by(model: str, directives: list[Directive]) -> list[Directive]:
    """Return the directives that are for this model."""
    said, meant = [], True
    for directive in directives:
        if directive.verb == "model":
            meant = directive.argument in model
        elif meant:
            said.append(directive)
    return said


def alike(directive: Directive) -> Iterator[Directive]:
    """Yield a directive, and one of several calls as often as it says."""
    if directive.verb != "tools":
        yield directive
        return
    count, _, call = directive.argument.partition(" ")
    for number in range(int(count)):
        yield Directive("tool", call.replace("%d", str(number)))


def segment(directives: list[Directive], body: dict[str, Any]) -> list[Directive]:
    """Return the part of a script that answers this request: a tool call ends one part, its result begins the next."""
    done = 0
    for message in reversed(body["messages"]):
        if message["role"] == "user" and prompts_in(message):
            break
        done += message["role"] == "assistant"
    parts: list[list[Directive]] = [[]]
    for directive in directives:
        parts[-1].append(directive)
        if directive.verb in ("tool", "tools"):
            parts.append([])
    return parts[min(done, len(parts) - 1)] or [Directive("say", "Done.")]


def split(directives: list[Directive], verb: str) -> list[list[Directive]]:
    """Return the directives between those of this verb."""
    parts: list[list[Directive]] = [[]]
    for directive in directives:
        if directive.verb == verb:
            parts.append([])
        else:
            parts[-1].append(directive)
    return parts


def error_type(status: int) -> str:
    types = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error"}
    types |= {413: "request_too_large", 429: "rate_limit_error", 529: "overloaded_error"}
    return types.get(status, "api_error")
