"""What a scrape shows: its plan, its forecast, the table of why; and the answers of --dry-run and --doctor."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import typer

from gancli.cli.output import Output
from gancli.errors import ScrapeError
from gancli.text import clean, plural

if TYPE_CHECKING:
    from gancli.scrape import Finished, Forecast, ScrapeConfig

__all__ = ["show_end", "show_forecast", "show_health", "show_plan", "show_results"]

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


def show_plan(config: ScrapeConfig, output: Output) -> None:
    """What, from where, how many, by which rules, where to."""
    from gancli.scrape.config import DEFAULT_COUNT
    from gancli.scrape.plan import providers_of, set_folder

    into = f"into {clean(set_folder(config))}/"
    providers = providers_of(config)
    number = plural(config.count or DEFAULT_COUNT, "picture")
    if config.has_list:
        what = f"the list '{config.urls.name}'" if config.urls is not None else "the list on stdin"
        output.note(f"Fetching {what}, up to {number}, {into}")
    else:
        words = ", ".join(f'"{query}"' for query in config.queries)
        output.note(f"Looking for {number} of {words} at {', '.join(p.name for p in providers)}, {into}")
    for provider in providers:
        if provider.terms:
            output.note(f"  {provider.name}: {provider.terms}")
        if any(len(query) > provider.max_query for query in config.queries):
            output.note(f"  {provider.name} reads the first {provider.max_query:,} characters of a query")
    rule = config.rule if not config.has_list else config.license or "any"
    is_painted = bool(providers) and all(provider.is_local for provider in providers)
    manners = "" if is_painted else f", {config.per_host} per host, {_gap(config)}"
    output.note(f"  licence: {rule}, at least {config.min_side_px} pixels, {config.workers} at a time{manners}")
    if any(os.environ.get(name) for name in _PROXIES):
        output.warn("The proxy of the environment is not used: behind it, who answers cannot be checked.")
    if config.ignore_optout:
        output.warn("--ignore-optout: pictures are taken whose sites ask that they are not. The manifest says so.")


def _gap(config: ScrapeConfig) -> str:
    """The pause between two requests to one host, which this machine and its network do not need."""
    here = " (0 s on this machine and its network)" if config.allow_private and config.gap_s else ""
    return f"{config.gap_s:g} s apart{here}"


def show_forecast(event: Forecast, output: Output) -> None:
    """What to expect of a query, and what would add to it; nothing when no site says how many it has."""
    if event.unsaid and not event.at_most:
        return
    most = f"at most {plural(event.at_most, 'picture')}"
    line = f'"{clean(event.query, 80)}" may give '
    line += f"about {event.about:,}, {most}" if event.about < event.at_most else most
    if event.unsaid:
        them = ("does", "it has") if len(event.unsaid) == 1 else ("do", "they have")
        line += f"; {' and '.join(event.unsaid)} {them[0]} not say how many {them[1]}"
    if event.variants:
        line += "; more with " + ", ".join(f'"{clean(v, 80)}"' for v in event.variants)
    output.note(line)


def show_end(finished: Finished, output: Output, *, strict: bool, is_list: bool) -> None:
    """The table of why, then the path; or the error when there is nothing at all."""
    rows: list[tuple[object, object]] = [("asked", finished.asked), ("kept", finished.kept)]
    rows += list(finished.left_out.items())
    output.table("Pictures", ("what became of them", "number"), rows)
    if finished.kept == 0:
        raise ScrapeError(_why_nothing(finished, is_list=is_list))
    if finished.kept < finished.asked:
        said = dict.fromkeys(clean(notice.message) for notice in finished.notices)
        why = "; ".join(message.rstrip(".") for message in said) or "no more were found"
        output.note(f"Fewer than asked: {why}.")
    if finished.untried:
        left = plural(finished.untried, "address", "addresses")
        number = max(finished.asked, finished.kept) + finished.untried
        output.note(f"{left} of the list not tried; -n {number} takes {'it' if finished.untried == 1 else 'them'}.")
    output.artefact(
        finished.folder,
        asked=finished.asked,
        kept=finished.kept,
        added=finished.added,
        left_out=finished.left_out,
    )
    if strict and finished.kept < finished.asked:
        raise typer.Exit(3)


def _why_nothing(finished: Finished, *, is_list: bool) -> str:
    advice = "Try other words, --from, --license or --min-side."
    if is_list:
        advice = "The manifest has the reason for each address; the same command tries again what may pass."
    elif finished.notices and all("could not be reached" in notice.message for notice in finished.notices):
        advice = "Is this computer online? The same command tries again; --from demo needs no network."
    said = "; ".join(dict.fromkeys(clean(notice.message).rstrip(".") for notice in finished.notices))
    if finished.left_out:
        reasons = ", ".join(f"{number} {reason}" for reason, number in list(finished.left_out.items())[:4])
        said = f"{said}; left out: {reasons}" if said else f"left out: {reasons}"
    return f"No picture was kept ({said or 'nothing was found'}). {advice}"


def show_health(config: ScrapeConfig, output: Output) -> None:
    """One line for each provider: its name, how it is, and why."""
    from gancli.scrape.doctor import examine

    output.note(f'Asking each provider for "{clean(config.queries[0], 80)}" …')
    for it in examine(config):
        if output.json:
            output.answer({"provider": it.provider, "state": it.state, "found": it.found, "message": clean(it.message)})
        else:
            output.answer(f"{it.provider:<11} {it.state:<8} {clean(it.message)}")


def show_results(config: ScrapeConfig, output: Output) -> None:
    """One JSON line for each result that would be fetched."""
    from gancli.scrape import Notice, find

    found = 0
    for event in find(config):
        if isinstance(event, Notice):
            if event.kind not in ("end",):
                output.warn(event.message)
            continue
        found += 1
        output.answer(event.fields())
    if not found:
        raise ScrapeError("Nothing was found. Try other words, --from, --license or --min-side.")
