"""WebAssembly text for the tests: core modules, and components around small allocators."""

from __future__ import annotations

#: Numbers, state, ends of all kinds.
NUMBERS = """
(module
  (memory (export "memory") 1 100)
  (global $calls (mut i32) (i32.const 0))
  (func (export "add") (param $first i64) (param $second i64) (result i64)
    (i64.add (local.get $first) (local.get $second)))
  (func (export "half") (param f32) (result f32) (f32.mul (local.get 0) (f32.const 0.5)))
  (func (export "divide") (param $a f64) (param $b f64) (result f64) (f64.div (local.get $a) (local.get $b)))
  (func (export "quotient") (param $a i32) (param $b i32) (result i32) (i32.div_s (local.get $a) (local.get $b)))
  (func (export "echo") (param $n i32) (result i32) (local.get $n))
  (func (export "count") (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (global.get $calls)))
    (i32.load (i32.const 0)))
  (func (export "nothing"))
  (func (export "stop") unreachable)
  (func (export "spin") (loop (br 0)))
  (func $deep (export "deep") (call $deep))
  (func (export "grow") (param $pages i32) (result i32) (memory.grow (local.get $pages)))
  (func (export "touch") (param $at i32) (result i32) (i32.load8_u (local.get $at)))
  (func (export "work") (param $n i32) (result i32)
    (loop (local.set $n (i32.sub (local.get $n) (i32.const 1))) (br_if 0 (i32.gt_s (local.get $n) (i32.const 0))))
    (local.get $n))
  (func (export "vector") (param v128))
  (func (export "pair") (result i32 i32) (i32.const 1) (i32.const 2))
  (func (export "_hidden"))
  (func (export "odd name"))
)
"""

#: A module for `wasi_snapshot_preview1`: the world that it sees.
WASI = """
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (global $ready (mut i32) (i32.const 0))
  (data (i32.const 64) "hello\\n")
  (func (export "_initialize") (global.set $ready (i32.add (global.get $ready) (i32.const 1))))
  (func (export "_start") unreachable)
  (func (export "ready") (result i32) (global.get $ready))
  (func (export "say") (param $stream i32) (param $times i32) (result i32)
    (local $code i32)
    (i32.store (i32.const 0) (i32.const 64))
    (i32.store (i32.const 4) (i32.const 6))
    (loop
      (local.set $code (call $write (local.get $stream) (i32.const 0) (i32.const 1) (i32.const 16)))
      (local.set $times (i32.sub (local.get $times) (i32.const 1)))
      (br_if 0 (i32.gt_s (local.get $times) (i32.const 0))))
    (local.get $code))
  (func (export "random") (result i64)
    (drop (call $random (i32.const 0) (i32.const 8))) (i64.load (i32.const 0)))
  (func (export "random_at") (param $at i32) (param $len i32) (result i32)
    (call $random (local.get $at) (local.get $len)))
  (func (export "time") (param $clock i32) (result i64)
    (drop (call $time (local.get $clock) (i64.const 0) (i32.const 0))) (i64.load (i32.const 0)))
  (func (export "arguments") (result i32)
    (i32.store (i32.const 0) (i32.const -1)) (i32.store (i32.const 4) (i32.const -1))
    (drop (call $args (i32.const 0) (i32.const 8))) (drop (call $environ (i32.const 4) (i32.const 8)))
    (i32.or (i32.load (i32.const 0)) (i32.load (i32.const 4))))
  (func (export "sleep") (param $nanoseconds i64) (result i64)
    (local $before i64)
    (drop (call $time (i32.const 1) (i64.const 0) (i32.const 0)))
    (local.set $before (i64.load (i32.const 0)))
    (i32.store (i32.const 112) (i32.const 1))
    (i64.store (i32.const 120) (local.get $nanoseconds))
    (drop (call $poll (i32.const 96) (i32.const 200) (i32.const 1) (i32.const 300)))
    (drop (call $time (i32.const 1) (i64.const 0) (i32.const 0)))
    (i64.sub (i64.load (i32.const 0)) (local.get $before)))
  (func (export "poll") (param $at i32) (param $out i32) (param $len i32) (param $count i32) (result i32)
    (call $poll (local.get $at) (local.get $out) (local.get $len) (local.get $count)))
  (func (export "write") (param $stream i32) (param $at i32) (param $len i32) (param $out i32) (result i32)
    (call $write (local.get $stream) (local.get $at) (local.get $len) (local.get $out)))
  (func (export "put") (param $at i32) (param $value i32) (i32.store (local.get $at) (local.get $value)))
  (func (export "exit") (param $status i32) (call $exit (local.get $status)))
  (func (export "open") (result i32)
    (call $open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 5) (i32.const 0) (i64.const 0) (i64.const 0)
      (i32.const 0) (i32.const 16)))
  (func (export "input") (result i32) (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)))
)
"""

#: The core of a component: an allocator, and `echo`, which gives a list or text back.
CORE = """
  (core module $core
    (memory (export "memory") 1)
    (global $top (mut i32) (i32.const 4096))
    (func $realloc (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $top) (i32.const 15)) (i32.const -16)))
      (global.set $top (i32.add (local.get $at) (local.get 3)))
      (block $done
        (loop $more
          (br_if $done (i32.le_u (global.get $top) (i32.mul (memory.size) (i32.const 65536))))
          (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable))
          (br $more)))
      (local.get $at))
    (func $echo (export "echo") (param i32 i32) (result i32)
      (i32.store (i32.const 0) (local.get 0))
      (i32.store (i32.const 4) (local.get 1))
      (i32.const 0))
    {core}
  )
  (core instance $i (instantiate $core))
"""


def component(types: str, functions: str, core: str = "") -> bytes:
    """A component of type definitions, lifted functions, and more functions for its core."""
    return f"(component {CORE.replace('{core}', core)} {types} {functions})".encode()


def lifted(name: str, signature: str, core: str = "echo") -> str:
    """An exported function around one of the core's."""
    return (
        f'(func (export "{name}") {signature} (canon lift (core func $i "{core}") (memory $i "memory") '
        '(realloc (func $i "realloc"))))'
    )


def echo(types: str, item: str) -> bytes:
    """A component whose `echo` gives a list of any type back as it came."""
    return component(types, lifted("echo", f'(param "items" (list {item})) (result (list {item}))'))
