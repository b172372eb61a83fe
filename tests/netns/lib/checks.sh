# Checks: one line each, with what was measured.

failures=0
checks=0

say() { printf '\n== %s\n' "$*"; }

note() { printf '      %s\n' "$*"; }

# check TEXT COMMAND...: holds if the command succeeds. What it prints last is the measured figure; when it does not
# hold, all that it prints is shown.
check() {
  local text="$1" output status=0
  shift
  output="$("$@" 2>&1)" || status=$?
  checks=$((checks + 1))
  if [ "$status" = 0 ]; then
    printf 'ok    %s%s\n' "$text" "${output:+: ${output##*$'\n'}}"
  else
    failures=$((failures + 1))
    printf 'FAIL  %s (exit code %s)\n' "$text" "$status"
    [ -z "$output" ] || head -n 30 <<<"$output" | sed 's/^/      /'
  fi
}

result() {
  say "result"
  echo "$checks checks, $failures failed"
  [ "$failures" = 0 ]
}

# now: milliseconds of the wall clock.
now() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }

# since MILLISECONDS: the time that has passed, in seconds.
since() { seconds $(($(now) - $1)); }

seconds() { printf '%d.%02d s\n' $(($1 / 1000)) $(($1 % 1000 / 10)); }

# within SECONDS [--from MILLISECONDS] COMMAND...: runs the command until it succeeds; says after how long, counted from
# that time of the wall clock or from now.
within() {
  local begin limit="$1"
  begin="$(now)"
  shift
  if [ "$1" = --from ]; then
    begin="$2"
    shift 2
  fi
  until "$@" >/dev/null 2>&1; do
    if [ $(($(now) - begin)) -ge $((limit * 1000)) ]; then
      echo "not after $limit s; the last answer:"
      "$@" || true
      return 1
    fi
    sleep 0.05
  done
  since "$begin"
}

# between MIN MAX MILLISECONDS
between() {
  seconds "$3"
  [ "$3" -ge "$1" ] && [ "$3" -le "$2" ]
}

# in_range MIN MAX NUMBER
in_range() {
  echo "$3"
  [ "$3" -ge "$1" ] && [ "$3" -le "$2" ]
}

# is EXPECTED ACTUAL
is() {
  echo "$2"
  [ "$1" = "$2" ] || { echo "expected: $1"; return 1; }
}

# contains FILE REGULAR_EXPRESSION: a line of the file matches.
contains() {
  grep -E -m 1 -- "$2" "$1" || { printf 'nothing matches %s in:\n' "$2"; head -n 5 "$1"; return 1; }
}

# matches REGULAR_EXPRESSION TEXT: a line of the text does.
matches() {
  grep -E -m 1 -- "$1" <<<"$2" || { printf 'nothing matches %s in:\n%s\n' "$1" "$2"; return 1; }
}

# none REGULAR_EXPRESSION TEXT: no line of the text does.
none() {
  ! grep -E -- "$1" <<<"$2"
}
