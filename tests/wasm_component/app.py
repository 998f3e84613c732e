"""What a user's component in Python may look like; built by `test_wasm_component.py`."""

import json
import os
import random
import sys
import time
from pathlib import Path

import wit_world
from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import shapes


class Shapes(exports.Shapes):
    def area(self, of, in_unit):
        if isinstance(of, shapes.Shape_Circle):
            return 3 * of.value * of.value
        if isinstance(of, shapes.Shape_Path):
            return sum(point.x_pos for point in of.value)
        raise Err("a dot has no area")

    def styled(self, how):
        return how

    def nested(self, n):
        return n

    def swap(self, pair):
        return (pair[1], pair[0])


class WitWorld(wit_world.WitWorld):
    def world_of(self):
        began = time.monotonic()
        time.sleep(3600)
        found = {
            "environment": dict(os.environ),
            "time": int(time.time()),
            "slept": round(time.monotonic() - began),
            "random": os.urandom(4).hex(),
            "number": random.SystemRandom().random(),
        }
        try:
            found["file"] = Path("/etc/passwd").read_text()
        except OSError as error:
            found["file"] = type(error).__name__
        print("out")
        print("err", file=sys.stderr)
        return json.dumps(found)

    def greet(self, full_name):
        return f"hello {full_name}"

    def fail(self, how):
        if how == "exit":
            sys.exit(3)
        if how == "spin":
            while True:
                pass
        if how == "memory":
            return [b"x" * (1 << 20) for _ in range(10_000)]
        if how == "print":
            while True:
                print("x" * 1000)
        raise ValueError(how)
