#!/usr/bin/env bash
# Does what docs/adding-a-connector.md says, step by step and to the letter, in a copy of the tree: takes the
# code out of the page, puts it where the page says, and runs what the page says to run. Ends well only if
# the new kind passes the suite, the lints and the hub's own tests, and its rows reach a lake.
#   benches/new-connector.sh [FOLDER]     (for the copy; default: a new one, removed at the end)
# What was compiled is taken from and left in CARGO_TARGET_DIR, or the target folder of this tree.
set -euo pipefail
cd "$(dirname "$0")/.."
here="$PWD"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$here/target}"

if [ -n "${1:-}" ]; then
    copy="$1"
    mkdir -p "$copy"
    [ -z "$(ls -A "$copy")" ] || { echo "error: $copy is not empty" >&2; exit 1; }
else
    copy="$(mktemp -d)"
    trap 'rm -rf "$copy"' EXIT
fi

begun=$SECONDS
step() { printf '== %4d s  %s\n' "$((SECONDS - begun))" "$*"; }

step "a copy of the tree in $copy"
tar -C "$here" --exclude=./target --exclude=./.git --exclude=./data -cf - . | tar -C "$copy" -xf -
cd "$copy"

step "sections 1 to 6: the crate, as the page shows it; section 7: the hub"
python3 - <<'PYTHON'
import pathlib
import re

page = pathlib.Path("docs/adding-a-connector.md").read_text()
blocks = re.findall(r"(?:<!-- quoted from (\S+) -->\n)?```(\w+)\n(.*?)\n```", page, re.S)
crate = pathlib.Path("connectors/lines")

# Where the page says that each quoted file belongs.
places = {
    "config.rs": "src/config.rs",
    "lib.rs": "src/lib.rs",
    "source.rs": "src/source.rs",
    "sink.rs": "src/sink.rs",
    "conformance.rs": "tests/it/conformance.rs",
}
written = set()


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")
    written.add(str(path))


named = {}
for quoted, language, text in blocks:
    if quoted:
        place = places[pathlib.Path(quoted).name]
        # "in a crate of its own the import is"
        text = text.replace("use crate::lines::LinesConnector;", "use huiliu_connector_lines::LinesConnector;")
        write(crate / place, text)
        continue
    first, _, rest = text.partition("\n")
    name = re.match(r"(?://|#) (\S+)", first)
    if name and "/" in name.group(1):
        named[name.group(1).rstrip(",")] = rest
for path in ["connectors/lines/Cargo.toml", "connectors/lines/tests/it.rs"]:
    write(pathlib.Path(path), named[path])
expected = {str(crate / place) for place in [*places.values(), "Cargo.toml", "tests/it.rs"]}
assert written == expected, f"the page does not show {expected - written}"


def insert(path, anchor, line):
    """Puts a line of the page behind the first one that contains `anchor`."""
    lines = pathlib.Path(path).read_text().splitlines()
    at = next(i for i, known in enumerate(lines) if anchor in known)
    lines.insert(at + 1, line)
    pathlib.Path(path).write_text("\n".join(lines) + "\n")


def said(text):
    """A line that the page shows, in a block or in the text."""
    assert text in page, f"the page does not say: {text}"
    return text


insert("Cargo.toml", "huiliu-connector-http = { path",
       said('huiliu-connector-lines = { path = "connectors/lines" }'))
insert("Cargo.toml", "huiliu-connector-http = { workspace",
       said("huiliu-connector-lines = { workspace = true }"))
registry = "src/registry.rs"
insert(registry, "use huiliu_connector_http", said("use huiliu_connector_lines::LinesConnector;"))
insert(registry, "Box::new(HttpConnector)", said("        Box::new(LinesConnector),"))
insert("tests/it/beginning.rs", '    "http",', said('    "lines",'))

# The codes that nothing had before, in their order.
table = pathlib.Path("src/language/table/source.rs")
for new in re.findall(r'^    \(\n.*?^    \),$', named["src/language/table/source.rs"], re.S | re.M):
    code = re.search(r'"(E-[A-Z0-9-]+)"', new).group(1)
    text = table.read_text()
    starts = [(m.start(), m.group(1)) for m in re.finditer(r'^    \(\s*"(E-[A-Z0-9-]+)"', text, re.M)]
    at = next(start for start, known in starts if known > code)
    table.write_text(text[:at] + new + "\n" + text[at:])
PYTHON
cargo fmt --all

step "section 6: the suite"
cargo test -p huiliu-connector-lines
step "its lints"
cargo clippy -p huiliu-connector-lines --all-targets -- -D warnings
cargo fmt --all --check

step "section 7: what is generated"
cargo run --features odbc -- schema --write config/schema
cargo run --features odbc -- connectors >docs/connectors.md.new
mv docs/connectors.md.new docs/connectors.md
[ -s config/schema/system-lines.json ]
grep -q '^## lines$' docs/connectors.md

step "the hub's own tests of what a new kind touches"
cargo test --features odbc --bin huiliu language::
cargo test --features odbc --test it -- schema:: structure:: cases:: beginning::every_kind

step "section 8: try it"
huiliu() { cargo run --quiet --features odbc -- --project "$copy/try" --data "$copy/try/data" "$@"; }
huiliu init "$copy/try"
mkdir -p try/drops/land
printf '{"id":"A1","name":"甲"}\n{"id":"A2","name":"乙"}\n' >try/drops/land/cases.ndjson
python3 - <<'PYTHON'
import pathlib
import re

page = pathlib.Path("docs/adding-a-connector.md").read_text()
blocks = re.findall(r"```toml\n# config/systems/land.toml\n(.*?)\n```", page, re.S)
pathlib.Path("try/config/systems/land.toml").write_text(blocks[0] + "\n")
PYTHON
huiliu check
huiliu discover land | grep 'file = "cases.ndjson"'
huiliu preview land.cases | grep 乙
huiliu run land.cases
huiliu --output json run land.cases | python3 -c '
import json
import sys
stream = json.load(sys.stdin)["streams"][0]
assert stream["read"] == 0, f"a second run reads {stream}"
'
huiliu query 'select count(*) from current.land_cases' | grep 2
huiliu init system other --kind lines
huiliu discover third --kind lines --path drops/land --write
huiliu check
step "done"
