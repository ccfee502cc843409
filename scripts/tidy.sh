#!/usr/bin/env bash
# House rules as tests: each prints what breaks it, and one broken rule fails the run.
#
#   scripts/tidy.sh          check
#   scripts/tidy.sh --fix    write the generated tables of docs/operator-guide.md anew, then check
# shellcheck disable=SC2016 # backticks in patterns are Markdown's
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
export LC_ALL=C

architecture=docs/ARCHITECTURE.md
guide=docs/operator-guide.md
reasons=fastpath/graph/src/reason.rs
classes=fastpath/nodes/src/punt/class.rs
lines_wished=500
lines_max=800

broken=0 held=0
metadata=$(cargo metadata --no-deps --format-version 1) || exit 1

# Files of the project, present in the work tree.
files() { git ls-files -co --exclude-standard -- "$@" | while read -r file; do [ -f "$file" ] && echo "$file"; done; }

# rule SENTENCE FUNCTION: holds if the function prints nothing.
rule() {
    local said
    said=$("$2" 2>&1)
    if [ -z "$said" ]; then
        held=$((held + 1))
        return
    fi
    broken=$((broken + 1))
    printf 'BROKEN: %s\n%s\n' "$1" "${said//$'\n'/$'\n'}" | sed '2,$s/^/    /'
}

# ---- code ------------------------------------------------------------------------------------------------------

# Lines of a Rust file before its test module.
code_lines() { awk '/^#\[cfg\(test\)\]/ { test = NR } test && NR == test + 1 && /^mod [a-z_]+ \{/ { exit } { n = NR } END { print n }' "$1"; }

code_files() { files '*.rs' | grep -Ev '(^|/)tests(/|\.rs$)|(^|/)benches/'; }

too_long() {
    local file lines
    while read -r file; do
        lines=$(code_lines "$file")
        [ "$lines" -le "$1" ] || echo "$file has $lines lines"
    done < <(code_files)
}
no_file_is_too_long() { too_long $lines_max; }

no_unsafe_outside_named_rooms() {
    comm -3 <(code_files | xargs grep -lE '^[^/]*\bunsafe (\{|fn|impl|extern)' | sort) \
        <(table_paths 'unsafe-rooms' | sort) |
        sed -E "s|^\t(.*)|$architecture names \1, which has no unsafe code|; t; s|\$| has unsafe code and is not in the table of $architecture|"
}

a_node_is_named_as_its_file() {
    local file name
    for file in fastpath/nodes/src/*.rs; do
        name=$(sed -n 's/.*const NAME: &.static str = "\(.*\)";.*/\1/p' "$file")
        [ -z "$name" ] || [ "$name" = "$(basename "$file" .rs)" ] || echo "$file calls its node $name"
    done
}

no_path_of_a_machine() {
    # Paths are put together here, so that this file does not find itself.
    local place
    for place in /ho''me/ /ro''ot/ /wo''rk/; do
        files | grep -v '^Cargo.lock$' | xargs grep -InE "(^|[^[:alnum:]_./-])${place}[[:alnum:]._-]"
    done
}

dependencies_come_from_crates_io() {
    grep '^source = ' Cargo.lock | sort -u | grep -vx 'source = "registry+https://github.com/rust-lang/crates.io-index"'
}

versions_stand_in_one_place() {
    files '*/Cargo.toml' | xargs awk '
        /^\[/ { deps = /dependencies/ }
        deps && /^[a-z0-9_-]+ *=/ && !/workspace *= *true/ { print FILENAME ": " $0 }'
}

# ---- crates ----------------------------------------------------------------------------------------------------

members() { jq -r '.packages[].name' <<<"$metadata" | sort; }

crates_know_only_crates_below() {
    local edges allowed
    edges=$(jq -r '.packages[] | .name as $crate | .dependencies[] | select(.path)
        | "\($crate)\(if .kind == "dev" then " dev" else "" end): \(.name)"' <<<"$metadata" | sort -u)
    allowed=$(sed 's/#.*//' scripts/crates.txt | awk -F': *' 'NF > 1 {
        n = split($2, names, " "); for (i = 1; i <= n; i++) { print $1 ": " names[i]; if ($1 !~ / dev$/) print $1 " dev: " names[i] } }' | sort -u)
    comm -23 <(echo "$edges") <(echo "$allowed") | sed 's/$/ is not allowed by scripts\/crates.txt/'
    comm -3 <(members) <(sed -n 's/^\(ze-[a-z]*\):.*/\1/p' scripts/crates.txt | sort) | sed 's/^\t*//; s/$/ is not both a crate and in scripts\/crates.txt/'
}

architecture_lists_every_crate() {
    jq -r --arg root "$PWD/" '.packages[] | "\(.name) \(.manifest_path | ltrimstr($root) | rtrimstr("/Cargo.toml"))"' <<<"$metadata" |
        while read -r name path; do
            grep -qF "| \`$path\` | \`$name\` |" $architecture || echo "no row | \`$path\` | \`$name\` | in $architecture"
        done
}

# ---- documents -------------------------------------------------------------------------------------------------

# The text between <!-- NAME:begin --> and <!-- NAME:end -->.
block() { sed -n "/<!-- $1:begin -->/,/<!-- $1:end -->/p" "$2" | sed '1d;$d'; }

# The paths in the first column of a marked table of the architecture.
table_paths() { block "$1" $architecture | sed -n 's/^| `\([^`]*\)` .*/\1/p'; }

drop_reasons() {
    echo '| counter | meaning |'
    echo '|---|---|'
    reason_rows DropReason
}

# `Name = "counter", "sentence";` of one of the enums.
reason_rows() {
    awk -v enum="$1" '$0 ~ enum " \\{" { on = 1; next } on && /^    }/ { exit } on' $reasons |
        sed -n 's/^ *[A-Za-z0-9]* = "\([^"]*\)", "\(.*\)";$/| `\1` | \2 |/p'
}

punt_classes() {
    echo '| class | what | packets/s | burst | why this rate |'
    echo '|---|---|---|---|---|'
    awk '
        FNR == NR { if (/^        [A-Za-z0-9]+ = "/) { split($0, part, "\""); counter[$1] = part[2]; what[$1] = part[4] } next }
        { text = text " " $0 }
        END {
            n = split(text, class, /class\( *PuntReason::/)
            for (i = 2; i <= n; i++) {
                split(class[i], part, "\""); split(part[1], field, /, */); gsub(/_/, " ", field[2]); gsub(/_/, " ", field[3])
                printf "| `%s` | %s | %s | %s | %s |\n", counter[field[1]], what[field[1]], field[2], field[3], part[2]
            }
        }' $reasons $classes
}

generated() {
    local name
    for name in drop_reasons punt_classes; do
        diff <("$name") <(block "${name//_/-}" $guide) >/dev/null ||
            echo "the table ${name//_/-} of $guide differs from the code: run scripts/tidy.sh --fix"
    done
    [ "$(punt_classes | wc -l)" = $(($(reason_rows PuntReason | wc -l) + 2)) ] || echo "not every class of $classes could be read"
    [ "$(drop_reasons | wc -l)" = $(($(grep -c '^        [A-Z][A-Za-z0-9]* = ".*;$' $reasons) - $(reason_rows PuntReason | wc -l) + 2)) ] ||
        echo "not every line of $reasons could be read"
}

regenerate() {
    local name text
    for name in drop_reasons punt_classes; do
        text=$(mktemp)
        "$name" >"$text"
        sed -i -e "/<!-- ${name//_/-}:begin -->/,/<!-- ${name//_/-}:end -->/{//!d}" -e "/<!-- ${name//_/-}:begin -->/r $text" $guide
        rm -f "$text"
    done
}

# `path/to/file.rs` in the documents, and where Markdown links lead.
documents_name_files_that_are_there() {
    local doc path
    for doc in README.md CONTRIBUTING.md docs/*.md docs/adr/*.md; do
        while read -r path; do
            # A path that does not begin in one of our directories is somebody else's: the kernel's, say.
            [ ! -d "${path%%/*}" ] || [ -e "$path" ] || echo "$doc names $path, which is not there"
        done < <(grep -oE '`[a-z][A-Za-z0-9_/.-]*/[A-Za-z0-9_.-]+\.(rs|toml|yang|proto|c|md|sh|txt|service|conf)`' "$doc" | tr -d '`' | sort -u)
        while read -r path; do
            [ -e "$(dirname "$doc")/$path" ] || echo "$doc links to $path, which is not there"
        done < <(grep -oE '\]\([^)]+\)' "$doc" | sed 's/^](//; s/)$//; s/#.*//' | grep -vE '^(https?:.*)?$' | sort -u)
    done
}

every_decision_is_in_the_index() {
    local file
    for file in docs/adr/[0-9]*.md; do
        grep -qF "($(basename "$file"))" docs/adr/README.md || echo "$file is not in docs/adr/README.md"
    done
}

no_placeholder_figures_in_sight() {
    local doc
    for doc in README.md docs/*.md; do
        sed 's/<!--.*-->//; /<!--/,/-->/d' "$doc" | grep -q TODO && echo "$doc shows a TODO"
    done
}

scripts_are_clean() {
    command -v shellcheck >/dev/null || { echo 'shellcheck is not installed: scripts/setup.sh test'; return; }
    shellcheck -S warning scripts/*.sh .ci/run pktgen-tests/src/lab/ze-lab-reaper
}

# ---- the run ---------------------------------------------------------------------------------------------------

[ "${1-}" != --fix ] || regenerate

rule "no file has more than $lines_max lines of code" no_file_is_too_long
rule "unsafe code stands in the rooms that $architecture names" no_unsafe_outside_named_rooms
rule 'a node has the name of its file' a_node_is_named_as_its_file
rule 'no path of a machine stands in the project' no_path_of_a_machine
rule 'dependencies come from crates.io' dependencies_come_from_crates_io
rule 'versions of dependencies stand in the root manifest' versions_stand_in_one_place
rule 'a crate knows only crates below it' crates_know_only_crates_below
rule "$architecture lists every crate" architecture_lists_every_crate
rule 'generated tables are as the code' generated
rule 'documents name files that are there' documents_name_files_that_are_there
rule 'every decision is in the index' every_decision_is_in_the_index
rule 'no placeholder is visible in the documents' no_placeholder_figures_in_sight
rule 'scripts pass shellcheck' scripts_are_clean

too_long $lines_wished | sed "s/\$/, more than the $lines_wished that a file wants to stay under/; s/^/note: /"
printf 'tidy: %d rules hold, %d broken\n' "$held" "$broken"
[ "$broken" = 0 ]
