"""An MCP server over standard input and output, with one tool; by hand, as the package for it takes seconds to import."""

from __future__ import annotations

import json
import sys
from typing import Any

FORECAST = {
    "name": "forecast",
    "description": "Tell the weather of tomorrow.",
    "inputSchema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def answer(method: str, params: dict[str, Any]) -> dict[str, Any]:
    match method:
        case "initialize":
            about = {"name": "weather", "version": "1"}
            return {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": about}
        case "tools/list":
            return {"tools": [FORECAST]}
        case "tools/call":
            return {"content": [{"type": "text", "text": f"rain in {params['arguments']['city']}"}]}
    return {}


for line in sys.stdin:
    request = json.loads(line)
    if "id" in request:
        result = answer(request["method"], request.get("params") or {})
        print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}), flush=True)
