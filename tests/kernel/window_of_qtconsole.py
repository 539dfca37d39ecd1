"""A real qtconsole without a screen: type cells, answer the question, interrupt, and print what stands in the window.

Run it with `QT_QPA_PLATFORM=offscreen`. Each argument is a cell; one that hangs is interrupted when its reply has begun.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from qtconsole.manager import QtKernelManager
from qtconsole.rich_jupyter_widget import RichJupyterWidget
from qtpy.QtCore import QEventLoop, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

application = QApplication([])
manager = QtKernelManager(kernel_name="python3")
manager.start_kernel()
client = manager.client()
client.start_channels()
window = RichJupyterWidget()
window.kernel_manager, window.kernel_client = manager, client


def text() -> str:
    return str(window._control.toPlainText())


def wait_for(happened: Callable[[], bool]) -> None:
    while not happened():
        application.processEvents(QEventLoop.AllEvents, 50)


wait_for(lambda: "In [1]:" in text())
for number, cell in enumerate(sys.argv[1:], 2):
    window.execute(cell)
    if "<<tool Bash" in cell:
        wait_for(lambda: window._reading)
        QTest.keyClicks(window._control, "y")
        QTest.keyClick(window._control, Qt.Key_Return)
    elif "<<hang>>" in cell:
        wait_for(lambda: "\nBegun." in text())
        window.request_interrupt_kernel()
    wait_for(lambda: f"In [{number}]:" in text())  # noqa: B023 -- it is called in this round only
print(text())
client.stop_channels()
manager.shutdown_kernel()
