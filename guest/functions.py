"""Functions of the host, as programs see them: plain globals, and module `host`."""

import builtins
import json
import sys
import types

from wit_world.imports import host

# As in `app`.
__builtins__ = dict(builtins.__dict__)

_encode = json.JSONEncoder(allow_nan=False).encode
_decode = json.JSONDecoder().decode
_ERRORS = {
    name: kind for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, Exception)
}


def _raised(text):
    """The exception that `Class: message` names; what has no builtin class is a `RuntimeError`."""
    name, _, message = text.partition(": ")
    try:
        return _ERRORS[name](message)
    except (KeyError, TypeError):
        return RuntimeError(text)


def _function(name):
    def function(*args, **kwargs):
        try:
            text = _encode((args, kwargs))
        except (TypeError, ValueError) as error:
            problem = TypeError(f"{name}: the arguments are no JSON: {error}")
        else:
            returned, text = host.call(name, text)
            if returned:
                return _decode(text)
            problem = _raised(text)
        # Outside of the handler, so that it has no context.
        raise problem

    # One frame of tracebacks, without the guest's own source.
    function.__code__ = function.__code__.replace(co_filename="<host>", co_name=name, co_qualname=name)
    function.__name__ = function.__qualname__ = name
    function.__module__ = "host"
    return function


def grant(names, namespace):
    """Puts functions into a namespace, and into the module `host`."""
    module = types.ModuleType("host", "Functions that the host grants.")
    module.__all__ = names

    def missing(name):
        raise AttributeError(f"the host grants no {name!r}, but: {', '.join(names)}")

    for name in names:
        module.__dict__[name] = namespace[name] = _function(name)
    module.__getattr__ = missing
    sys.modules["host"] = module
