"""The frame of the report: its style, its few lines of script, and nothing that asks the network for anything."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from gancli.text import escape_html

__all__ = ["page", "section", "table"]


def page(title: str, body: str) -> str:
    """A whole HTML page. Its content policy forbids every request; the script is allowed by its hash alone."""
    digest = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape_html(title)}</title><style>{_STYLE}</style></head>\n"
        f"<body><main>{body}</main><script>{_SCRIPT}</script></body></html>\n"
    )


def section(title: str, content: str, note: str = "", name: str = "") -> str:
    """A titled section; `note` says how to read it. Empty content gives no section."""
    if not content:
        return ""
    words = f'<p class="note">{escape_html(note)}</p>' if note else ""
    mark = f' id="{escape_html(name)}"' if name else ""
    return f"<section{mark}><h2>{escape_html(title)}</h2>{words}{content}</section>"


def table(rows: Sequence[Sequence[object]], head: Sequence[str] = ()) -> str:
    """Plain text cells, escaped; the first column names the row where there is no head."""
    top = f"<thead><tr>{''.join(f'<th>{escape_html(c)}</th>' for c in head)}</tr></thead>" if head else ""
    lines = []
    for row in rows:
        cells = [f"<td>{escape_html(c)}</td>" for c in row]
        if not head and cells:
            cells[0] = f"<th scope=row>{escape_html(row[0])}</th>"
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f'<div class="scroll"><table>{top}<tbody>{"".join(lines)}</tbody></table></div>'


_STYLE = """
:root{--paper:#fbfaf7;--ink:#22252a;--soft:#61666e;--line:#dcd9d2;--card:#fff;
--c0:#1f6fb2;--c1:#c4532a;--c2:#2f8a57;--c3:#8557b5;--good:#2f8a57;--bad:#b93a32;--wait:#9a6a00}
@media (prefers-color-scheme:dark){:root:not([data-theme=light]){--paper:#16181c;--ink:#e7e5e0;--soft:#a2a7af;
--line:#353941;--card:#1e2126;--c0:#6db3ee;--c1:#f0926c;--c2:#6fce97;--c3:#bd9be6;--good:#6fce97;--bad:#f08379;--wait:#e2b457}}
:root[data-theme=dark]{--paper:#16181c;--ink:#e7e5e0;--soft:#a2a7af;--line:#353941;--card:#1e2126;
--c0:#6db3ee;--c1:#f0926c;--c2:#6fce97;--c3:#bd9be6;--good:#6fce97;--bad:#f08379;--wait:#e2b457}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1180px;margin:0 auto;padding:20px 16px 60px}
h1{font-size:1.35rem;margin:0;overflow-wrap:anywhere}h2{font-size:1.15rem;margin:0 0 4px}
h3{font-size:1rem;font-weight:600;margin:12px 0 2px}
header{display:flex;gap:12px;justify-content:space-between;align-items:flex-start;margin-bottom:16px}
.sub,.note,figcaption{color:var(--soft);font-size:.9rem;margin:2px 0 10px;overflow-wrap:anywhere}
section,.verdict{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:16px;margin:0 0 16px;
min-width:0}
.verdict{border-left:6px solid var(--wait)}.verdict.good{border-left-color:var(--good)}
.verdict.bad{border-left-color:var(--bad)}
.verdict strong{font-size:1.5rem;display:block;line-height:1.2}.verdict p{margin:8px 0}
.verdict ul{margin:6px 0 0;padding-left:20px}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,430px),1fr));gap:0 16px}
svg{width:100%;height:auto;display:block}
svg text{fill:var(--soft);font-size:12px}@media (max-width:600px){svg text{font-size:18px}}
svg .end{text-anchor:end}svg .mid{text-anchor:middle}
.grid{stroke:var(--line);stroke-width:1}.frame{fill:none;stroke:var(--line)}
.line{fill:none;stroke-width:2;stroke-linejoin:round}.cell{fill:var(--c0)}
.line.c0{stroke:var(--c0)}.line.c1{stroke:var(--c1);stroke-dasharray:7 3}.line.c2{stroke:var(--c2);stroke-dasharray:2 3}
.line.c3{stroke:var(--c3);stroke-dasharray:9 3 2 3}
.mark.c0,.dot.c0{fill:var(--c0)}.mark.c1,.dot.c1{fill:var(--c1)}.mark.c2,.dot.c2{fill:var(--c2)}
.mark.c3,.dot.c3{fill:var(--c3)}
.dot{opacity:0}.dot:hover{opacity:.6}
line.best{stroke:var(--good);stroke-width:1.5}line.since{stroke:var(--bad);stroke-width:1.5;stroke-dasharray:4 3}
svg text.best{fill:var(--good)}svg text.since{fill:var(--bad)}
.legend{font-size:.85rem;display:flex;gap:4px 14px;flex-wrap:wrap}
.key::before{content:"";display:inline-block;width:18px;height:0;border-top:3px solid;
margin-right:5px;vertical-align:4px}
.key.c0::before{border-color:var(--c0)}.key.c1::before{border-color:var(--c1);border-top-style:dashed}
.key.c2::before{border-color:var(--c2);border-top-style:dotted}
.key.c3::before{border-color:var(--c3);border-top-style:dashed}
.grids{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,380px),1fr));gap:14px}
figure{margin:0;min-width:0}figure img{width:100%;height:auto;display:block;border-radius:6px;background:var(--line);
image-rendering:auto}
figure img.small{image-rendering:pixelated}
.slide{display:flex;gap:12px;align-items:center;margin:4px 0 12px;flex-wrap:wrap}
.slide input{flex:1 1 220px;min-width:0;height:32px;accent-color:var(--c0)}.slide output{min-width:11em;font-size:.9rem}
button{font:inherit;font-size:.9rem;
color:var(--ink);background:var(--card);border:1px solid var(--line);border-radius:8px;
padding:8px 12px;min-height:40px;cursor:pointer;white-space:nowrap}
:focus-visible{outline:3px solid var(--c0);outline-offset:2px}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.88rem;width:100%}
th,td{text-align:left;padding:4px 12px 4px 0;border-bottom:1px solid var(--line);
vertical-align:top;overflow-wrap:anywhere}
th{font-weight:600;white-space:nowrap}
pre{margin:0 0 10px;padding:12px;background:var(--paper);border:1px solid var(--line);border-radius:8px;overflow-x:auto;
font-size:.85rem;white-space:pre-wrap;overflow-wrap:anywhere}
details summary{cursor:pointer;padding:6px 0}
[hidden]{display:none}
"""

_SCRIPT = """
(function(){
var root=document.documentElement,button=document.getElementById('theme');
if(button){button.addEventListener('click',function(){
var dark=root.dataset.theme?root.dataset.theme==='dark':matchMedia('(prefers-color-scheme: dark)').matches;
root.dataset.theme=dark?'light':'dark';});}
var slider=document.getElementById('tick');if(!slider)return;
var frames=document.querySelectorAll('[data-frame]'),words=document.getElementById('when');
function show(){var at=slider.value;
frames.forEach(function(f){f.hidden=f.dataset.frame!==at;});
var here=document.querySelector('[data-frame="'+at+'"]');
if(here){words.textContent=here.dataset.when;slider.setAttribute('aria-valuetext',here.dataset.when);}}
slider.addEventListener('input',show);show();
})();
"""
