# For the tests beside it; to be sourced. Everything they start ends with them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null

scratch=$(mktemp -d)
running=()

finish() {
    local status=$? pid
    for pid in ${running[@]+"${running[@]}"}; do kill "$pid" 2>/dev/null || true; done
    wait
    # Where the test has mounts of its own; --lazy, as what was stopped may still hold some.
    if [[ ${OWN_MOUNTS-} ]]; then umount --recursive --lazy "$scratch" 2>/dev/null || true; fi
    rm -rf --one-file-system "$scratch"
    exit "$status"
}
trap finish EXIT

step() { printf '  %s\n' "$*"; }

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

# refused TEXT COMMAND...: that it fails, and says so.
refused() {
    local text=$1 output
    shift
    if output=$("$@" 2>&1); then fail "not refused: $*"; fi
    [[ $output == *"$text"* ]] || fail "$* does not say \"$text\": $output"
}

# need_root WHY: for what follows.
need_root() {
    ((EUID == 0)) || fail "$1 needs root"
}

# start LOG PROGRAM...: in the background; no function, as signals would not reach what that runs.
start() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 &
    running+=($!)
}

# stop LOG: ends what was started last, or what that runs, which has to take it well.
stop() {
    local pid=${running[-1]} status=0 last child
    last=$pid
    while child=$(pgrep --parent "$last" | head -n 1) && [[ $child ]]; do last=$child; done
    kill -TERM "$last"
    wait "$pid" || status=$?
    unset 'running[-1]'
    ((status == 0)) || fail "ended with $status: $(cat "$1")"
}

# until_ok LOG COMMAND...: again and again, a minute at most, while what was started last runs.
until_ok() {
    local log=$1 pid=${running[-1]} until=$((SECONDS + 60))
    shift
    while ! "$@" >"$scratch/tried" 2>&1; do
        kill -0 "$pid" 2>/dev/null || fail "ended before it was ready: $(cat "$log")"
        ((SECONDS < until)) || fail "waited too long for $*: $(cat "$scratch/tried" "$log")"
        sleep 0.1
    done
}

# listening LOG: the first address in the log of an exporter.
listening() { sed -n 's/.* msg=listening address=\([^ ]*\).*/\1/p' "$1" | head -n 1 | grep .; }

fetch() { curl --silent --show-error --fail --noproxy '*' --max-time 10 "$1"; }

# has URL PATTERN: what is there.
has() { fetch "$1" >"$scratch/fetched" && grep -q "$2" "$scratch/fetched"; }
