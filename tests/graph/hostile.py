"""Names that break out of strings, tags, entities, escapes and identifiers wherever these are handled carelessly."""

import itertools
import random

_PIECES = [
    '"', '""', '\\"', "'", "\\", "\\\\", "\\\\\\", "a\\", 'a\\\\"', "\\N", "\\G", "\\E", "\\T", "\\H", "\\L",
    "\\l", "\\r", "\\n", "\\\\N", "\\t", "<", ">", "<>", "<b>", "</b>", "<b>bold</b>", "<<b>x</b>>", "<br/>",
    "<i", "i>", "</FONT>", "</TABLE>", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<!--",
    "-->", "<![CDATA[", "]]>", "<?xml?>", "&", "&amp;", "&lt;", "&lt;b&gt;", "&#60;", "&#x3c;", "&#0;",
    "&nbsp;", "&bogus;", "&quot;", "&", "&&", ";", "\n", "\r", "\r\n", "\t", "\0", "\x01", "\x07", "\x08",
    "\x0b", "\x0c", "\x1b[31m", "\x1f", "\x7f", "\x80", "\x85", "\x9f", "\u00a0", "\u00ad", "\u200b", "\u200c",
    "\u200d", "\u200e", "\u200f", "\u2028", "\u2029", "\u202a", "\u202d", "\u202e", "\u2060", "\u2066",
    "\u2069", "\u3000", "\ufeff", "\ufffe", "\uffff", "\ufdd0", "\U0001fffe", "\U0010ffff", "\ue000", "\ud800",
    "\udfff", "\udbff\udc00", "\U000e0041", "e\u0301", "\u0301", "a\u0301\u0302\u0303", "é", "ß", "Ω", "∂L/∂h",
    "中文", "日本語", "עברית", "العربية", "हिन्दी", "ไทย", "😀", "👩\u200d👧", "𝒽", "ﬃ", "\U0001f1e6", "node", "edge",
    "graph", "digraph", "subgraph", "strict", "NODE", "true", "none", "cluster_x", "n0", "legend_note0", "a:b",
    "a:b:n", ":", "a->b", "a -- b", "a;b", "{", "}", "{a|b}", "|", "[", "]", "[label=x]", "a=b", "#", "//",
    "/* x */", "# comment", "%s", "%(x)s", "{0}", "$x", "`ls`", "$(ls)", "../../etc", "C:\\new\\table",
    "http://example.com/?a=b&c=d", "javascript:alert(1)", "href", "URL", 'x" URL="http://example.com',
    "x> URL=y <", '">]; evil [label="', "x]; evil; n0 [label=y", "}}; evil {", " ", "  ", " a", "a ", " a  b ",
    "-", "--", "1", "-1.5", "1e5", ".5", "_", "\\_", "x" * 47, "x" * 48, "x" * 49, "x" * 20_000, "\\" * 48,
    '"' * 48, "<" * 48, "&" * 48, "\0" * 48, "\\N" * 24, "😀" * 48, "None", "nan", "inf",
    "'; DROP TABLE nodes;--", "\x1b]0;title\x07", "a\nb\nc", "|grad| 0.5", "grad -", "step 3",
]  # fmt: skip


def names():
    """At least 200 different ones."""
    pairs = [a + b for a, b in itertools.product(('"', "\\", "<", "&", "\n"), ("\\N", '"', ">", "lt;", "x"))]
    return list(dict.fromkeys([*_PIECES, *pairs]))


def random_names(count, seed):
    """Of random code points: a third from everywhere, a third from where Graphviz is touchy."""
    choose = random.Random(seed)

    def character():
        kind = choose.randrange(3)
        if kind == 0:
            return chr(choose.randrange(0x110000))
        if kind == 1:
            return choose.choice('\\"<>&;{}|[]=:#N GETHLnlr\n\t\0/-')
        return chr(choose.randrange(0x2100))

    return ["".join(character() for _ in range(choose.randrange(1, 25))) for _ in range(count)]
