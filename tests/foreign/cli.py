"""What we use of the CLI: flags and variables, messages, words, transcripts."""

from __future__ import annotations

from typing import Final

from foreign.row import Kind, rows

_CLI: Final = "Claude Code 2.1.330-2.1.332"

_TOOLS: Final = ("ReportFindings", "ScheduleWakeup", "SendMessage", "EnterWorktree", "CronCreate", "ListAgents", "Workflow")

FLAGS: Final = (
    *rows(
        Kind.FLAG,
        _CLI,
        ("--resume-session-at", "sdk/_cli/command_line.py", "A branch that begins in the middle of a session."),
        ("--max-turns", "sdk/config.py", "The limit of rounds with tools."),
    ),
    *rows(
        Kind.WORDS,
        _CLI,
        (
            "stdio",
            "sdk/_cli/command_line.py",
            "The value of --permission-prompt-tool that lets the CLI ask over the control protocol.",
            '"--permission-prompt-tool", "stdio"',
        ),
        (
            "appendSystemPrompt",
            "sdk/config.py",
            "A field of the first control request, so that the text is not on the command line.",
        ),
        ("jsonSchema", "sdk/config.py", "A field of the first control request, so that the text is not on the command line."),
        (
            "CLAUDE_CODE_MAX_RETRIES",
            "sdk/_rows/run.py",
            "How often the CLI repeats the request of a row while the API refuses it.",
        ),
        ("/clear", "sdk/_rows/workers.py", "Empties the conversation, so that the next row can use the same process."),
        ("command_lifecycle", "sdk/_cli/turn_reader.py", "The message that says which prompt the CLI works on now."),
        ("outputStyle", "sdk/config.py", "The setting of an output style, for which there is no flag."),
        ("available_output_styles", "sdk/_offers/choices.py", "The list of styles, in the answer to the first request."),
        ("ENOENT", "sdk/_offers/servers.py", "The error of an MCP server whose program does not exist."),
        ("alwaysLoad", "sdk/_cli/command_line.py", "Otherwise Claude has to search for our tools before it can use them."),
        ("client_composed", "sdk/_cli/turn_reader.py", "Marks a prompt in which @path and /command are plain text."),
        (
            "CLAUDE_CODE_ENTRYPOINT",
            "sdk/_cli/environment.py",
            "Tells the CLI which program has started it, as the SDK's own transport does.",
        ),
        ("CLAUDE_AGENT_SDK_VERSION", "sdk/_cli/environment.py", "Goes with CLAUDE_CODE_ENTRYPOINT."),
        (
            "CLAUDECODE",
            "sdk/_cli/environment.py",
            "Removed from the environment: a CLI that finds it believes that another CLI has started it.",
        ),
        (
            "CLAUDE_CODE_DISABLE_CRON",
            "sdk/_cli/command_line.py",
            "Keeps the CLI from starting the turns that a file in the directory schedules.",
        ),
        (
            "ConfigChange",
            "sdk/_cli/permission_protocol.py",
            "The hook that keeps a process at the settings it has started with; the SDK does not name it.",
        ),
        ("AskUserQuestion", "sdk/host.py", "Claude's own questions, and what it offers as answers; they go back as `answers`."),
        ("project_settings", "sdk/_cli/permission_protocol.py", "A source of settings in a ConfigChange."),
        ("local_settings", "sdk/_cli/permission_protocol.py", "A source of settings in a ConfigChange."),
        (
            "hasTrustDialogAccepted",
            "_kernel/state/directory_trust.py",
            "The CLI's own answer to whether a directory is trusted, in its .claude.json; read, never written.",
        ),
    ),
    *rows(
        Kind.WORDS,
        "Claude Code 2.1.330-2.1.332; 2.1.250 fails at it",
        (
            "system-prompt-snapshot",
            "sdk/config.py",
            "Switched off; otherwise the CLI keeps the system prompt of a session's first turn.",
        ),
    ),
)

MESSAGES: Final = (
    *rows(
        Kind.MESSAGE,
        _CLI,
        ("system/init.permissionMode", "sdk/_cli/turn_reader.py", "The mode that the CLI's settings have chosen."),
        ("system/init.mcp_servers", "sdk/_cli/turn_reader.py", "The MCP servers, also those that we do not name."),
        (
            "result.user_message_uuid",
            "sdk/_cli/turn_reader.py",
            "Which prompt a result answers: tasks in the background end turns of their own.",
        ),
        (
            "system/init.user_message_uuids",
            "sdk/_cli/turn_reader.py",
            "The prompt that a turn begins with; empty if the CLI began the turn by itself.",
        ),
        (
            "result.model_usage_since_last_result.*.costUSD",
            "sdk/_cli/translation.py",
            "The cost of this turn alone; every other figure is a total of the session.",
            '"model_usage_since_last_result"',
        ),
        ("result.modelUsage.*.contextWindow", "sdk/_cli/translation.py", "How full the context is."),
        (
            "result.terminal_reason",
            "sdk/_cli/failures.py",
            "Distinguishes a turn that was stopped, or failed at the API, from other failures.",
        ),
        (
            "system/api_retry.retry_delay_ms",
            "sdk/_cli/translation.py",
            "When the CLI tries again; otherwise minutes of silence would be unexplained.",
        ),
        ("system/api_retry.error_status", "sdk/_cli/translation.py", "Why the CLI tries again."),
        (
            "system/permission_denied.tool_use_id",
            "sdk/_cli/translation.py",
            "Distinguishes a call that was not allowed from one that failed.",
        ),
        (
            "system/compact_boundary.compact_metadata",
            "sdk/_cli/translation.py",
            "Marks a compaction: the messages after it repeat what was said before.",
            '"compact_boundary"',
        ),
    ),
    *rows(
        Kind.WORDS,
        _CLI,
        ("ExitPlanMode", "_render", "The tool whose input holds the plan, which the CLI puts there."),
        ("StructuredOutput", "sdk/response.py", "The tool that a model answers with when a schema was asked for."),
        ("error_max_turns", "sdk/_cli/failures.py", "The subtype of a result, which says why it failed."),
        ("error_max_budget_usd", "sdk/_cli/failures.py", "The subtype of a result, which says why it failed."),
        ("error_max_structured_output_retries", "sdk/_cli/failures.py", "The subtype of a result, which says why it failed."),
    ),
)

WORDS: Final = (
    *rows(
        Kind.WORDS,
        _CLI,
        ("No conversation found", "sdk/_cli/failures.py", "The CLI has no code for this failure."),
        ("requires a valid session ID", "sdk/_cli/failures.py", "The CLI has no code for this failure."),
        ("No message found", "sdk/_cli/failures.py", "The CLI has no code for this failure."),
        ("Not logged in", "sdk/_cli/failures.py", "The CLI has no code for this failure."),
        ("Invalid API key", "sdk/_cli/failures.py", "The CLI has no code for this failure."),
        ("Please run /login", "sdk/_cli/failures.py", "The CLI has no code for this failure."),
        ("OAuth token", "sdk/_cli/failures.py", "The CLI has no code for this failure."),
        ("apiKeySource", "sdk/_cli/environment.py", "Which variable `auth status` has the key from."),
        ("authMethod", "sdk/_cli/environment.py", "What kind of a login `auth status` has found."),
        ("apiProvider", "sdk/_cli/environment.py", "Whose API `auth status` has found a login for."),
        ("[Request interrupted by user", "sdk/_cli/translation.py", "The CLI writes it as if the user had said it."),
        ("Your response above was cut off", "sdk/_cli/translation.py", "The CLI writes it as if the user had said it."),
        ("Output token limit hit", "sdk/_cli/translation.py", "The CLI writes it as if the user had said it."),
        (
            "Your response above was stopped by a safety",
            "sdk/_cli/translation.py",
            "The CLI writes it as if the user had said it.",
        ),
        ("cannot be used with root/sudo", "sdk/_cli/failures.py", "The CLI has no code for this failure."),
        (
            "Configuration error in",
            "sdk/_cli/failures.py",
            "The CLI's .claude.json is broken; the CLI has no code for this failure.",
        ),
        ("unknown option", "sdk/_cli/failures.py", "This CLI does not know a flag; it has no code for this failure."),
        ("abandoned_blocks", "sdk/_cli/transport.py", "Which blocks of a stream did not survive a broken connection."),
        ("max_output_tokens", "sdk/_cli/failures.py", "The CLI's code for a reply that became too long."),
        ("connection_failed", "sdk/_cli/failures.py", "The CLI's code for a connection that broke."),
        ("api_error_params", "sdk/_cli/failures.py", "Tells whether the limit of a reply or that of the context was reached."),
    ),
    *rows(
        Kind.WORDS,
        _CLI,
        *((name, "sdk/_gate/tool_list.py", "A tool of the CLI, in our list of what each tool may do.") for name in _TOOLS),
    ),
    *rows(
        Kind.APART,
        _CLI,
        ("plans", "sdk/_gate/gate.py", "Where the CLI keeps the plan that plan mode writes; test_approvals.py writes one."),
        ("mkdir", "sdk/_gate/commands.py", "Commands that `acceptEdits` runs; test_gate.py runs some."),
    ),
    *rows(
        Kind.SAID,
        _CLI,
        ("[Image: source: ", "sdk/_cli/translation.py", "Names a file beside the image itself."),
    ),
)

TRANSCRIPTS: Final = (
    *rows(
        Kind.FILE,
        _CLI,
        (
            "projects/*/*.jsonl",
            "sdk/_history/places.py",
            "The transcript of a session, in whichever folder the CLI keeps it.",
            '"*/{session_id.lower()}.jsonl"',
        ),
        (
            ".claude.json",
            "_paths.py",
            "Where the CLI keeps which directories are trusted. It writes to it when somebody logs in.",
        ),
    ),
    *rows(
        Kind.ENTRY,
        _CLI,
        ("user.uuid", "sdk/_history/transcripts.py", "The message after which a branch can begin.", '"uuid":"'),
        (
            "user.cwd",
            "sdk/_history/places.py",
            "The directory of a session; the CLI gives some directories the same folder.",
            '"cwd"',
        ),
        (
            "user.promptId",
            "sdk/_history/writers.py",
            "The prompt that an entry belongs to: what the CLI adds to a prompt has the same ID.",
            '"promptId"',
        ),
        ("last-prompt.leafUuid", "sdk/_history/writers.py", "The message after which a resume would continue.", '"leafUuid"'),
        (
            "assistant.timestamp",
            "sdk/_history/transcripts.py",
            "When something was last said; the time of the file is later.",
            '"timestamp"',
        ),
        ("user.parentUuid", "sdk/_history/branches.py", "The message before this one."),
        ("user.parentUuid", "sdk/_history/transcripts.py", "Links what was said before a compaction to what came after."),
        ("system/compact_boundary.logicalParentUuid", "sdk/_history/transcripts.py", "The link that a compaction cuts."),
    ),
    *rows(
        Kind.WRITTEN,
        _CLI,
        ('"uuid":"', "sdk/_history/transcripts.py", "A transcript can be large, so it is searched and not parsed."),
        ('"subtype":"compact_boundary"', "sdk/_history/transcripts.py", "Searched as it is written, without spaces."),
    ),
    *rows(
        Kind.SAID,
        _CLI,
        (
            "This session is being continued from a previous conversation",
            "sdk/_history/transcripts.py",
            "The CLI writes it as if the user had said it.",
        ),
        ("<local-command-", "sdk/_history/transcripts.py", "The CLI writes it as if the user had said it."),
    ),
    *rows(
        Kind.WORDS,
        _CLI,
        ("<bash-input>", "sdk/_history/transcripts.py", "The CLI writes it as if the user had said it."),
        ("<ide_", "sdk/_history/transcripts.py", "The CLI writes it as if the user had said it."),
        ("<system-reminder>", "sdk/_history/transcripts.py", "The CLI writes it as if the user had said it."),
        ("<task-notification>", "sdk/_history/transcripts.py", "The CLI writes it as if the user had said it."),
        ("command-name", "sdk/_history/transcripts.py", "A command that was typed as a prompt."),
        ("command-args", "sdk/_history/transcripts.py", "What was typed after that command."),
        ("<synthetic>", "sdk/_history/transcripts.py", "The name of the model in messages that no model wrote."),
        (
            "No response requested.",
            "sdk/_history/transcripts.py",
            "The CLI writes it when it resumes a turn that had no answer.",
        ),
    ),
)
