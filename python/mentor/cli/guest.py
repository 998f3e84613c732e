"""``mentor guest``: guests with packages in them."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["guest"]


@click.group()
def guest() -> None:
    """Build, list and remove guests of the sandbox that have packages in them.

    Sandbox(guest="sympy") runs programs in the guest of that name.
    """


@guest.command()
@click.option(
    "--with",
    "packages",
    multiple=True,
    metavar="PACKAGE[,PACKAGE...]",
    help="Packages in pure Python, such as sympy,mpmath or sympy==1.14. Repeatable.",
)
@click.option(
    "--wheel",
    "wheels",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A wheel's file. Repeatable.",
)
@click.option("--name", help="What Sandbox(guest=...) calls it; by default the first package's name.")
def build(packages: tuple[str, ...], wheels: tuple[Path, ...], name: str | None) -> None:
    """Build a guest with packages and keep it in the cache folder.

    Installed packages are taken as they are, with what they depend on; pip fetches others. Example: mentor guest build
    --with sympy,mpmath
    """
    from rich.console import Console

    from mentor.sandbox import Sandbox
    from mentor.sandbox.guests import build_guest

    names = [part.strip() for text in packages for part in text.split(",") if part.strip()]
    if not names and not wheels:
        raise click.UsageError("say what goes in: --with PACKAGE or --wheel FILE")
    with Console(stderr=True).status(f"building a guest with {', '.join([*names, *(w.name for w in wheels)])}"):
        info = build_guest(names, name=name, wheels=wheels)
    with Console(stderr=True).status("compiling it"):
        Sandbox(guest=info.name).prepare()
    versions = ", ".join(f"{package} {version}" for package, version in info.packages.items())
    click.echo(f"{info.name}  {info.hash[:12]}  {info.nbytes / 1e6:.1f} MB  {versions}")


@guest.command("list")
def list_() -> None:
    """List the guests that were built: name, hash, size, packages."""
    from mentor.sandbox.guests import list_guests

    infos = list_guests()
    for info in infos:
        versions = ", ".join(f"{package} {version}" for package, version in info.packages.items())
        click.echo(f"{info.name}  {info.hash[:12]}  {info.nbytes / 1e6:.1f} MB  {versions}")
    if not infos:
        click.echo("none yet; build one: mentor guest build --with sympy,mpmath", err=True)


@guest.command()
@click.argument("name")
def remove(name: str) -> None:
    """Forget the guest NAME and delete its file."""
    from mentor.sandbox.guests import remove_guest

    remove_guest(name)
