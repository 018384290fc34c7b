"""Texts that become scripts wherever a page handles them carelessly: 200, each of which would report that it ran."""

import itertools

RUN = "window.ran=(window.ran||0)+1"

_OPENINGS = [
    "",
    '"',
    "'",
    "`",
    "\\",
    '\\"',
    "-->",
    "</title>",
    "</style>",
    "</textarea>",
    "</script>",
    "]]>",
    "</SCRIPT >",
]
_BODIES = [
    "<script>{run}</script>",
    "<img src=x onerror={run}>",
    "<svg onload={run}>",
    "<svg><script>{run}</script></svg>",
    "<body onload={run}>",
    "<iframe srcdoc='<script>parent.{run}</script>'></iframe>",
    "<details open ontoggle={run}>",
    "<input autofocus onfocus={run}>",
    "<video><source onerror={run}></video>",
    "<!--<script>{run}</script>",
    "<style>@import 'javascript:{run}'</style><img src=1 onerror={run}>",
    "<math><mi//xlink:href='data:x,<script>{run}</script>'>",
    "<a href='javascript:{run}' id=x>x</a>",
]
_OTHERS = [
    "{run}",
    "javascript:{run}",
    "';{run};//",
    '";{run};//',
    "`;{run};//",
    "${{{run}}}",
    "{{{{{run}}}}}",
    "\u2028{run}\u2029",
    "\\u003cscript>{run}\\u003c/script>",
    "&lt;script&gt;{run}&lt;/script&gt;",
    "&#60;img src=x onerror={run}&#62;",
    "<script\n>{run}</script\n>",
    "<ScRiPt>{run}</sCrIpT>",
    "<scr\0ipt>{run}</script>",
    "<img/src=x/onerror={run}>",
    "<img src=x onerror=\u0022{run}\u0022>",
    "<!DOCTYPE html><script>{run}</script>",
    "<base href='javascript:{run}//'>",
    "<meta http-equiv=refresh content='0;url=javascript:{run}'>",
    "<object data='data:text/html,<script>{run}</script>'></object>",
    "<embed src='javascript:{run}'>",
    "<form action='javascript:{run}'><button id=y></form>",
    "<template><script>{run}</script></template>",
    "<noscript><p title='</noscript><img src=x onerror={run}>'>",
    "<select><option><style></select><img src=x onerror={run}></style>",
    "<xmp></xmp><img src=x onerror={run}>",
    "<link rel=stylesheet href='http://127.0.0.1:9/x.css'>{run}",
    "<img src='http://127.0.0.1:9/x.png'>{run}",
    "url(http://127.0.0.1:9/y.png);{run}",
    "__proto__",
    "constructor",
    "{{style}}{{script}}{{data}}",
    "\ud800{run}\udfff",
]  # fmt: skip


def payloads():
    """200 different ones."""
    texts = [opening + body for body, opening in itertools.product(_BODIES, _OPENINGS)] + _OTHERS
    found = list(dict.fromkeys(text.replace("{run}", RUN) for text in texts))
    return found[:200] if len(found) < 200 else found[: 200 - len(_OTHERS)] + found[-len(_OTHERS) :]
