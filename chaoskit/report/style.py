"""How the page and the picture look: two palettes, one set of rules for each. No font and no image is fetched."""

from __future__ import annotations

LIGHT = {
    "paper": "#fbfaf7",
    "card": "#ffffff",
    "ink": "#1d2126",
    "quiet": "#59616b",
    "line": "#dcdad3",
    "edge": "#868c94",
    "link": "#0b57a4",
    "good": "#176a41",
    "good-soft": "#e9f4ed",
    "bad": "#ad2017",
    "bad-soft": "#fcecea",
    "note": "#7d4a00",
    "note-soft": "#fdf1dc",
}
DARK = {
    "paper": "#15181b",
    "card": "#1c2024",
    "ink": "#e7e9ec",
    "quiet": "#a6aeb7",
    "line": "#363c43",
    "edge": "#7d858e",
    "link": "#85b9ff",
    "good": "#79d3a3",
    "good-soft": "#18301f",
    "bad": "#ff968d",
    "bad-soft": "#3b1f1d",
    "note": "#f0c070",
    "note-soft": "#352a14",
}
"""The same names. `edge` is for lines that carry a meaning, `line` for those that do not."""

MONO = 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace'
SANS = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", Arial, sans-serif'


def palette(root: str) -> str:
    """The colours as variables of `root`: light ones, and dark ones where the reader's screen is dark."""
    light, dark = (" ".join(f"--{name}: {colour};" for name, colour in each.items()) for each in (LIGHT, DARK))
    return f"{root} {{ {light} }}\n@media screen and (prefers-color-scheme: dark) {{ {root} {{ {dark} }} }}\n"


PICTURE = f"""
.picture text {{ font: 13px {SANS}; fill: var(--ink); unicode-bidi: isolate; }}
.picture .lane, .picture .number {{ font-size: 12px; fill: var(--quiet); }}
.picture .lane {{ font-weight: 600; }}
.picture .title {{ font: 600 14px {SANS}; }}
.picture .cell {{ font: 12px {MONO}; }}
.picture .heading {{ font-weight: 600; }}
.picture .traced {{ font: 12px {MONO}; white-space: pre; }}
.picture .mark {{ fill: var(--note); }}
.picture .track {{ stroke: var(--line); stroke-width: 1; }}
.picture .row {{ fill: transparent; }}
.picture .here .row {{ fill: var(--note-soft); }}
.picture .node {{ fill: var(--card); stroke: var(--edge); stroke-width: 1.25; }}
.picture .odd .node {{ fill: var(--note-soft); stroke: var(--note); stroke-width: 1.75; }}
.picture .unseen .node, .picture .raised .node {{ stroke-dasharray: 4 3; }}
.picture .raised .node {{ fill: var(--bad-soft); stroke: var(--bad); }}
.picture .stop {{ stroke: var(--note); stroke-width: 1.75; stroke-dasharray: 2 4; }}
.picture .arrow {{ fill: none; stroke: var(--note); stroke-width: 1.75; }}
.picture .head {{ fill: var(--note); }}
.picture .badge {{ fill: var(--note); }}
.picture .badge-number {{ font: 600 11px {SANS}; fill: var(--paper); text-anchor: middle; }}
.picture .first {{ fill: var(--bad); font-weight: 600; }}
.picture .first-line {{ stroke: var(--bad); stroke-width: 2; }}
"""

PAGE = f"""
*, ::before, ::after {{ box-sizing: border-box; }}
html {{ color-scheme: light dark; font: 100%/1.55 {SANS}; background: var(--paper); color: var(--ink);
  -webkit-text-size-adjust: 100%; }}
body {{ margin: 0 auto; max-width: 80rem; padding: 2.5rem clamp(1rem, 4vw, 3rem) 3rem; }}
h1, h2, p, ol, ul, figure, pre, table {{ margin: 0; }}
h1 {{ font-size: clamp(1.35rem, 1.1rem + 1.2vw, 1.9rem); line-height: 1.25; letter-spacing: -0.01em;
  max-width: 46ch; text-wrap: balance; overflow-wrap: anywhere; }}
h2 {{ font-size: 1.15rem; line-height: 1.3; margin-bottom: 0.75rem; }}
h3 {{ font-size: 1rem; margin: 1.25rem 0 0.5rem; }}
h2 small {{ font-size: 0.85rem; font-weight: 400; color: var(--quiet); margin-left: 0.35rem; }}
a {{ color: var(--link); text-underline-offset: 0.18em; }}
:focus-visible {{ outline: 3px solid var(--link); outline-offset: 2px; border-radius: 3px; }}
.skip {{ position: absolute; left: 1rem; top: -4rem; background: var(--card); padding: 0.5rem 0.9rem; z-index: 2; }}
.skip:focus {{ top: 0.75rem; }}
.status {{ display: flex; flex-wrap: wrap; gap: 0.35rem 0.75rem; align-items: center; margin-bottom: 0.75rem;
  color: var(--quiet); font-size: 0.9rem; overflow-wrap: anywhere; }}
.status strong {{ text-transform: uppercase; letter-spacing: 0.06em; font-size: 0.75rem; padding: 0.1rem 0.55rem;
  border: 1.5px solid currentColor; border-radius: 1rem; }}
.violated strong {{ color: var(--bad); background: var(--bad-soft); }}
.held strong {{ color: var(--good); background: var(--good-soft); }}
.unknown strong {{ color: var(--note); background: var(--note-soft); }}
nav ul {{ display: flex; flex-wrap: wrap; gap: 0.25rem 1.25rem; list-style: none; padding: 0.9rem 0 0;
  font-size: 0.92rem; }}
.sections {{ display: flex; flex-wrap: wrap; gap: 2.25rem 2.5rem; margin-top: 2.25rem; }}
section {{ flex: 1 1 100%; min-width: 0; }}
.part-delivery {{ flex: 0 1 auto; max-width: 100%; }}
.part-happened {{ flex: 1 1 min(24rem, 100%); }}
h2 {{ scroll-margin-top: 1rem; }}
main:focus {{ outline: none; }}
.scroll {{ overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 8px; }}
.picture {{ display: block; }}
figure.scroll {{ padding: 0.75rem; width: fit-content; max-width: 100%; }}
table {{ border-collapse: collapse; width: 100%; font-size: 0.92rem; }}
caption {{ text-align: left; color: var(--quiet); font-size: 0.88rem; padding: 0.7rem 0.9rem 0.35rem; }}
th, td {{ text-align: left; vertical-align: top; padding: 0.5rem 0.9rem; border-top: 1px solid var(--line);
  overflow-wrap: anywhere; }}
thead th {{ color: var(--quiet); font-size: 0.82rem; font-weight: 600; border-top: 0; white-space: nowrap; }}
tbody th {{ font-weight: 600; }}
tr[data-step] {{ scroll-margin: 4rem; }}
tr[data-step]:focus-visible {{ outline-offset: -3px; }}
tr[data-step]:focus, tr:target {{ background: var(--note-soft); }}
.value, code {{ font-family: {MONO}; font-size: 0.86em; white-space: pre-wrap; overflow-wrap: anywhere; }}
.narrow {{ white-space: nowrap; }}
.what, .message {{ min-width: 9rem; }}
.state {{ min-width: clamp(10rem, 18vw, 16rem); max-width: 30rem; }}
.place {{ min-width: 9rem; }}
.where {{ min-width: 7.5rem; }}
.in-order, .observed {{ min-width: 9rem; }}
.after, .absent {{ display: block; color: var(--quiet); font-size: 0.82rem; overflow-wrap: anywhere; }}
.mark {{ color: var(--note); font-weight: 600; }}
.first-differs {{ background: var(--bad-soft); box-shadow: inset 4px 0 0 var(--bad); }}
.agreed {{ background: var(--good-soft); }}
.changes {{ list-style: none; padding: 0; }}
.whole {{ font-size: 0.82rem; color: var(--quiet); }}
.flag {{ display: block; color: var(--bad); font-weight: 700; font-size: 0.82rem; margin-bottom: 0.15rem; }}
.in-order {{ color: var(--good); }}
.quiet {{ color: var(--quiet); }}
.observed {{ color: var(--bad); }}
summary {{ cursor: pointer; }}
ol.told, ul.remedies {{ padding-left: 1.5rem; max-width: 75ch; }}
ol.told li, ul.remedies li {{ margin-bottom: 0.5rem; padding-left: 0.25rem; overflow-wrap: anywhere; }}
ol.told li::marker {{ font-weight: 700; color: var(--note); }}
ol.told li:target {{ background: var(--note-soft); }}
.label {{ max-width: 75ch; color: var(--quiet); }}
.back {{ white-space: nowrap; font-size: 0.88rem; }}
pre {{ background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 0.8rem 1rem;
  overflow-x: auto; font-size: 0.92rem; }}
pre.trace {{ margin-top: 0.75rem; font-size: 0.82rem; }}
pre.command code {{ white-space: pre; user-select: all; font-size: 1em; }}
.remark {{ margin-top: 0.6rem; overflow-wrap: anywhere; }}
.hint {{ color: var(--quiet); font-size: 0.88rem; margin-bottom: 0.5rem; }}
footer {{ margin-top: 3rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--quiet);
  font-size: 0.88rem; }}
footer ul {{ display: flex; flex-wrap: wrap; gap: 0.2rem 1.5rem; list-style: none; padding: 0; }}
@media print {{
  body {{ max-width: none; padding: 0; font-size: 10pt; }}
  nav, .skip, .hint {{ display: none; }}
  .scroll {{ overflow: visible; }}
  .state, .what, .message, .where, .in-order, .observed {{ min-width: 0; }}
  th, td {{ padding: 0.35rem 0.4rem; }}
  .picture {{ max-width: 100%; height: auto; }}
  tr, li, pre {{ break-inside: avoid; }}
  h2 {{ break-after: avoid; }}
  * {{ print-color-adjust: exact; }}
}}
"""

HEAD = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="$policy">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="chaoskit">
<title>$title</title>
"""
"""Of a page that needs nothing from outside."""
