"""What we use of Python packages and frontends: names, the state of a kernel, texts of pages."""

from __future__ import annotations

from typing import Final

from foreign.row import Kind, rows

_SDK: Final = "claude-agent-sdk 0.2.187-0.2.189"
_IPYTHON: Final = "IPython 9.18.1"
_KERNEL: Final = "ipykernel 7.4.0"
_LAB: Final = "JupyterLab 4.6.6"

PYTHON: Final = (
    *rows(
        Kind.PYTHON,
        _SDK,
        (
            "claude_agent_sdk:Transport",
            "sdk/_cli/transport.py",
            "The SDK's own transport is private, shares our process group, drops fields of the result and closes slowly.",
        ),
        (
            "claude_agent_sdk:ClaudeSDKClient(transport)",
            "sdk/_cli/process.py",
            "The way in for a transport of our own.",
            "ClaudeSDKClient(options, self._transport)",
        ),
        (
            "claude_agent_sdk:_bundled",
            "sdk/_cli/command_line.py",
            "The CLI in the SDK's wheel; the SDK finds it in a private method of its transport.",
            '"_bundled"',
        ),
    ),
    *rows(
        Kind.PYTHON,
        _IPYTHON,
        (
            "IPython.core.inputtransformer2:make_tokens_by_line",
            "_kernel/transform.py",
            "Distinguishes the magic from the same text in a string; IPython's own transformers use it.",
        ),
        (
            "IPython.core.completer:context_matcher",
            "_kernel/completion.py",
            "Matchers with a context are provisional; IPython 7, as in Google Colab, knows the older kind only.",
        ),
        (
            "IPython.utils.dir2:get_real_method",
            "_kernel/values/shown_value.py",
            "How formatters look for `_repr_*_` methods without falling for objects that have every attribute.",
        ),
        (
            "IPython.core.interactiveshell:InteractiveShell.should_run_async(transformed_cell)",
            "_kernel/tools/run_code.py",
            "Tells whether Claude's code has a top-level await; marked as experimental.",
            "should_run_async(code, transformed_cell=transformed)",
        ),
        (
            "IPython.core.magic:MagicsManager.registry",
            "_kernel/extension.py",
            "IPython has no way to remove magics.",
            "magics_manager.registry",
        ),
        (
            "IPython.core.displayhook:DisplayHook.update_user_ns(result)",
            "_kernel/magics.py",
            "Gives `_` and `Out` a value that is shown already.",
            "displayhook.update_user_ns(",
        ),
        (
            "IPython.core.compilerop:CachingCompiler.format_code_name",
            "_kernel/values/source_code.py",
            "The name of a cell as in IPython's tracebacks.",
        ),
    ),
    *rows(
        Kind.PYTHON,
        "ipywidgets 8.1.9",
        (
            "ipywidgets.widgets.widget:_instances",
            "_kernel/frontend.py",
            "Which Output widget catches what is displayed: only the widget itself tells. Reading `Widget.widgets` warns.",
        ),
        (
            "ipywidgets:VBox._view_count",
            "_render/live/question.py",
            "Tells when a page shows a permission request: the buttons do nothing before that.",
        ),
        (
            "ipywidgets:VBox._view_count",
            "_render/live/widgets.py",
            "Tells whether a page shows the live reply, and whether its messages arrive while the cell runs.",
        ),
    ),
    *rows(
        Kind.PYTHON,
        "matplotlib 3.11.2",
        (
            "matplotlib.axes._base:_AxesBase",
            "_kernel/values/shown_value.py",
            "The base of all axes, known by its name, so that matplotlib is not imported.",
        ),
        (
            "matplotlib.figure:FigureBase",
            "_kernel/values/shown_value.py",
            "The base of figures and subfigures, known by its name.",
        ),
    ),
    *rows(
        Kind.APART,
        "altair 6.3.0, plotly 7.1.0",
        (
            "altair.vegalite.v6.api.TopLevelMixin",
            "_kernel/values/shown_value.py",
            "The base of Altair's charts, known by its name: a notebook may show one only as a script in HTML.",
            '"TopLevelMixin"',
        ),
        (
            "plotly.basedatatypes.BaseFigure",
            "_kernel/values/shown_value.py",
            "The base of plotly's figures, known by its name; its `repr` is long, and its numbers are in base64.",
            '"BaseFigure"',
        ),
    ),
    *rows(
        Kind.APART,
        "nest_asyncio2 1.7.4",
        (
            "what nest_asyncio2.apply replaces",
            "_kernel/nested_asyncio.py",
            "It cannot be undone: we find its changes in the modules and classes that it is known to change.",
            "nest_asyncio2.apply()",
        ),
    ),
    *rows(
        Kind.REQUEST,
        _SDK,
        (
            '{"type": "control_request"',
            "sdk/_cli/transport.py",
            "Which requests have no answer yet: the SDK would wait a minute for those of a CLI that has ended.",
        ),
    ),
)

SHELL: Final = (
    *rows(
        Kind.SHELL,
        "ipykernel 7.4.0",
        (
            "get_ipython()._last_traceback_during_displayhook is False",
            "_kernel/frontend.py",
            "ipykernel fails the cell, or the next one, if a value could not be shown, even if we have shown it.",
            "_last_traceback_during_displayhook",
        ),
        (
            "callable(get_ipython().displayhook.register_hook) and callable(get_ipython().display_pub.register_hook)",
            "_kernel/tools/run_code.py",
            "Catches what Claude's code shows in the cell; the display hook has it since 7.4.",
            "register_hook",
        ),
        (
            "callable(get_ipython().display_pub.register_hook)",
            "_kernel/notebook/ran_cells.py",
            "Catches what cells display: in a kernel, IPython's own history of outputs does not hold it.",
            "register_hook",
        ),
        (
            "hasattr(get_ipython().history_manager, 'outputs')",
            "_kernel/notebook/ran_cells.py",
            "What cells have printed and returned, by their numbers; new in IPython 9.",
            '"outputs"',
        ),
    ),
    *rows(
        Kind.SHELL,
        _KERNEL,
        (
            "get_ipython().kernel.get_parent('shell')['content']['allow_stdin'] is True",
            "_kernel/frontend.py",
            "Tells whether somebody can be asked; the public `raw_input` only fails if not.",
            'get("allow_stdin")',
        ),
        (
            "'get_parent' in get_ipython().kernel.get_parent('shell')['content']['code']",
            "_kernel/frontend.py",
            "Tells whether a magic has the whole cell, because only then its call can be awaited.",
            'get("code", "")',
        ),
    ),
    *rows(
        Kind.SHELL,
        _IPYTHON,
        (
            "callable(get_ipython().InteractiveTB.structured_traceback)",
            "_kernel/tools/run_code.py",
            "The traceback of Claude's code as the cell shows it, without showing it again.",
            "InteractiveTB.structured_traceback",
        ),
        (
            "'input_hist_raw' in get_ipython().history_manager.input_hist_raw[-1]",
            "_kernel/extension.py",
            "The source of the running cell: the cell may go on after loading the extension.",
            "history_manager.input_hist_raw",
        ),
    ),
    *rows(
        Kind.SHELL,
        f"{_IPYTHON}, Python 3.11-3.13",
        (
            "linecache.cache[a_cell.__code__.co_filename][1::2] == (None, a_cell.__code__.co_filename)",
            "_kernel/values/source_code.py",
            "Distinguishes a cell from a file: a cell's entry has four fields and no modification time.",
            "linecache.cache",
        ),
    ),
)

PAGES: Final = (
    *rows(
        Kind.PAGE,
        _LAB,
        ("cellId", "_kernel/frontend.py", "The ID of the running cell, to recognize the cell when it runs again."),
        ("jp-RenderedHTMLCommon", "_render", "Gives widgets the look of the HTML output that replaces them later."),
    ),
    *rows(
        Kind.SOURCE,
        "jupyter-server 2.21.1",
        (
            "jupyter_server.services.sessions.sessionmanager:JPY_SESSION_NAME",
            "_kernel/state/notebook_file.py",
            "The notebook's path, in the kernel's environment.",
            "JPY_SESSION_NAME",
        ),
    ),
    *rows(
        Kind.APART,
        "Kaggle, by its images of 2026",
        ("KAGGLE_KERNEL_RUN_TYPE", "_kernel/frontend.py", "Tells that this is a notebook: Kaggle's requests name no cell."),
    ),
    *rows(
        Kind.APART,
        "VS Code, by its documentation of 2026",
        ("__vsc_ipynb_file__", "_kernel/state/notebook_file.py", "The notebook's path, in the person's variables."),
        (
            "__vsc_ipynb_file__",
            "_render/place.py",
            "Tells that the page does not typeset HTML, and removes outputs when metadata changes (vscode #181369).",
        ),
        (
            "its cell IDs are addresses",
            "_kernel/state/turns.py",
            "Tells whether the cell's ID is in the notebook.",
            '":" in cell_id',
        ),
    ),
    *rows(
        Kind.PAGE,
        "ipywidgets 8.1.9",
        (
            'this.send({event:"submit"})',
            "_render/live/question.py",
            "The message of a text box when Enter is pressed; its own `on_submit` is deprecated.",
            'content.get("event") == "submit"',
        ),
        ("widget-html-content", "_render", "A class of ipywidgets; the card gives it another look."),
        ("widget-htmlmath-content", "_render", "A class of ipywidgets; the card gives it another look."),
        ("jupyter-button", "_render", "A class of ipywidgets; the card gives it another look."),
    ),
)
