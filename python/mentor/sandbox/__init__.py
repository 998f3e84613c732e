r"""CPython inside WebAssembly, in this process: for programs that a model wrote.

A program sees no file, network, process or clock of the host. It runs in an instance like new, within limits, and the
same program gives the same outcome each time. Whatever goes wrong inside is a `Fault` in its `Outcome`, never an
exception.

    >>> import mentor
    >>> outcome = mentor.Sandbox().run("print('hello')\n6 * 7")
    >>> outcome.value, outcome.stdout
    (42, 'hello\n')
    >>> mentor.Sandbox().run("1 / 0").fault.message
    'ZeroDivisionError: division by zero'
"""

from mentor.sandbox.calls import HostCall
from mentor.sandbox.functions import HostFunctions
from mentor.sandbox.handle import Run
from mentor.sandbox.outcome import Fault, FaultKind, Limits, Outcome
from mentor.sandbox.sandbox import Sandbox
from mentor.sandbox.session import SavedState, Session
from mentor.sandbox.wasm import WasmFunction, WasmModule

__all__ = [
    "Fault",
    "FaultKind",
    "HostCall",
    "HostFunctions",
    "Limits",
    "Outcome",
    "Run",
    "Sandbox",
    "SavedState",
    "Session",
    "WasmFunction",
    "WasmModule",
]
